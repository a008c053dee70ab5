"""What the SDK says of its retries, it says of the core's: the count, the header, the key."""

from __future__ import annotations

import asyncio

import httpx2
import openai
import pytest
import tenacity

from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, RetryPolicy

QUICK = RetryPolicy(wait=tenacity.wait_none())
CHAT = {"model": "m", "messages": [{"role": "user", "content": "go"}]}
ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "created": 0,
    "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
    ],
}
COUNT = "x-stainless-retry-count"


class Keyed(openai.OpenAI):
    """A client whose requests carry a key of idempotency."""

    def __init__(self, **options):
        super().__init__(**options)
        self._idempotency_header = "Idempotency-Key"


class Server:
    """Fails so many times before it answers, by a status or by a broken connection."""

    def __init__(self, failures, mode):
        self.failures, self.mode, self.requests = failures, mode, []

    def __call__(self, request):
        self.requests.append(request)
        if len(self.requests) > self.failures:
            return httpx2.Response(200, json=ANSWER)
        if self.mode == "connection":
            raise httpx2.ConnectError("oops")
        return httpx2.Response(429 if self.mode == "limit" else 500, json={})

    def counts(self):
        return [request.headers.get(COUNT) for request in self.requests]

    async def answer(self, request):
        return self(request)


def client_of(server, rm, kind=openai.OpenAI, *, keep_sdk_retries=False, **options):
    handler = server.answer if issubclass(kind, openai.AsyncOpenAI) else server
    transport = httpx2.MockTransport(handler)
    http = (httpx2.AsyncClient if handler is not server else httpx2.Client)(transport=transport)
    client = kind(base_url="http://test/v1", api_key="k", http_client=http, **options)
    return manage_client(client, rm, retry=QUICK, keep_sdk_retries=keep_sdk_retries)


@pytest.fixture
def rm():
    with AgentRM(lanes=2) as made:
        yield made


@pytest.mark.parametrize("mode", ["status", "connection", "limit"])
@pytest.mark.parametrize("failures", [0, 1, 3])
def test_a_raw_response_counts_the_attempts(rm, mode, failures):
    """`retries_taken` and each request's header say which attempt it was."""
    server = Server(failures, mode)
    with client_of(server, rm) as client:
        raw = client.chat.completions.with_raw_response.create(**CHAT)
    assert raw.retries_taken == failures
    assert raw.http_request.headers[COUNT] == str(failures)
    assert server.counts() == [str(number) for number in range(failures + 1)]


@pytest.mark.parametrize("mode", ["status", "connection"])
def test_an_async_client_counts_as_well(rm, mode):
    """The same in a task, for a response that the caller reads himself."""
    server = Server(2, mode)

    async def ask():
        async with client_of(server, rm, openai.AsyncOpenAI) as client:
            way = client.chat.completions.with_streaming_response
            async with way.create(**CHAT) as response:
                return response.retries_taken

    assert asyncio.run(ask()) == 2
    assert server.counts() == ["0", "1", "2"]


def test_calls_at_the_same_time_count_apart(rm):
    """Each call has its own count, whichever goes first."""
    server = Server(3, "status")

    async def ask():
        async with client_of(server, rm, openai.AsyncOpenAI) as client:
            create = client.chat.completions.with_raw_response.create
            return await asyncio.gather(*(create(**CHAT) for _ in range(4)))

    raws = asyncio.run(ask())
    assert sum(raw.retries_taken for raw in raws) == 3
    assert [int(raw.http_request.headers[COUNT]) for raw in raws] == [
        raw.retries_taken for raw in raws
    ]


def test_the_sdk_s_own_retries_and_ours_are_counted_together(rm):
    """With `keep_sdk_retries` the count goes on from round to round."""
    server = Server(4, "status")
    options = {"keep_sdk_retries": True, "max_retries": 1}
    with pytest.warns(UserWarning, match="retry by itself"):
        client = client_of(server, rm, **options)
    client._calculate_retry_timeout = lambda *args, **kwargs: 0
    with client:
        raw = client.chat.completions.with_raw_response.create(**CHAT)
    assert server.counts() == ["0", "1", "2", "3", "4"]
    assert raw.retries_taken == 4


@pytest.mark.parametrize("said", [openai.Omit(), "42"])
def test_a_header_that_the_user_gives_or_leaves_out_stays_so(rm, said):
    """Whoever sets the count himself has his own word sent with every attempt."""
    server = Server(2, "status")
    with client_of(server, rm) as client:
        client.chat.completions.create(**CHAT, extra_headers={COUNT: said})
    assert server.counts() == [None if isinstance(said, openai.Omit) else said] * 3


def test_all_attempts_carry_one_key_of_idempotency(rm):
    """A server that has done the work already must know the call again."""
    server = Server(2, "status")
    with client_of(server, rm, Keyed) as client:
        client.chat.completions.create(**CHAT)
        client.chat.completions.create(**CHAT)
    keys = [request.headers["idempotency-key"] for request in server.requests]
    assert len(set(keys[:3])) == 1
    assert keys[3] != keys[0]


@pytest.mark.parametrize("kind", [openai.OpenAI, openai.AsyncOpenAI])
def test_whoever_looks_at_the_transport_finds_the_client_s_own(rm, kind):
    """Its class, its pool and what else it has: a monitor of connections goes on to work."""
    bare = kind(base_url="http://test/v1", api_key="k")
    transport = manage_client(bare, rm)._client._transport
    assert isinstance(transport, type(bare._client._transport))
    assert transport._pool is bare._client._transport._pool
    assert not transport._pool._requests
    with pytest.raises(AttributeError, match="no_such"):
        _ = transport.no_such
    if kind is openai.OpenAI:
        bare.close()
    else:
        asyncio.run(bare.close())
