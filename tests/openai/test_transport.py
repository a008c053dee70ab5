from __future__ import annotations

import asyncio
import gzip

import httpx
import httpx2
import openai
import pytest

from agentrm_openai import (
    ManagedAsyncTransport,
    ManagedTransport,
    managed_async_http_client,
    managed_http_client,
    observe_client,
)
from agentrm_openai.abortable import AbortableBackend, make_abortable
from agentrm_plugins import ConfigError
from agentrm_plugins.testing.provider import Hang, Reply, Stall, Status

ASK = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def test_shows_headers_of_a_success(start, sync_ai, recorder):
    """The limits in a good answer's headers are seen, and every piece until the end."""
    provider = start(rpm=60, tpm=9000)
    answer = sync_ai(provider).chat.completions.create(**ASK)
    assert answer.usage.total_tokens > 0
    assert recorder.words == ["request", "response", "bytes", "end"]
    (seen,) = recorder.answers
    assert (seen.status, seen.verdict) == (200, None)
    assert seen.report.requests.limit == 60
    assert seen.report.tokens.remaining < 9000
    assert seen.after_s > 0
    (exchange,) = recorder.exchanges
    assert exchange.endpoint.model == "m"
    assert exchange.first_byte_s >= exchange.sent_s
    assert "test-key" not in repr(exchange) + repr(exchange.endpoint)


async def test_shows_headers_of_a_success_async(start, async_ai, recorder):
    """The same for async callers."""
    provider = start(rpm=60, header_style="anthropic")
    async with async_ai(provider) as client:
        await client.chat.completions.create(**ASK)
    assert recorder.words == ["request", "response", "bytes", "end"]
    assert recorder.answers[0].report.requests.limit == 60


def test_shows_a_refusal_with_its_code(start, sync_ai, recorder):
    """A 429 is seen with its wait, its resource and its class; the SDK still reads its body."""
    provider = start(rpm=1)
    client = sync_ai(provider)
    client.chat.completions.create(**ASK)
    with pytest.raises(openai.RateLimitError, match="Rate limit reached") as caught:
        client.chat.completions.create(**ASK)
    assert caught.value.code == "rate_limit_exceeded"
    seen = recorder.answers[1]
    assert (seen.status, seen.verdict.kind) == (429, "limit")
    assert 0 < seen.report.retry_after_s <= 60
    assert seen.report.resource == "requests"
    assert recorder.words[-3:] == ["request", "response", "end"]
    assert not recorder.errors


async def test_shows_a_refusal_with_its_code_async(start, async_ai, recorder):
    """The same for async callers; an empty account is told from a limit."""
    provider = start()
    provider.script([Status(429, code="insufficient_quota"), Status(503)])
    async with async_ai(provider) as client:
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(**ASK)
        with pytest.raises(openai.InternalServerError):
            stream = await client.chat.completions.create(**ASK, stream=True)
            await anext(stream)
    assert [seen.verdict.kind for seen in recorder.answers] == ["permanent", "overloaded"]


def test_streams_pass_piece_by_piece(start, sync_ai, recorder):
    """A stream is not gathered: its first piece is seen before its last is sent."""
    provider = start(token_time_s=0.01, output_tokens=12)
    pieces = sync_ai(provider).chat.completions.create(**ASK, stream=True)
    next(pieces)
    assert recorder.begun.is_set()
    assert "end" not in recorder.words
    assert sum(1 for _ in pieces) > 1
    pieces.close()
    assert recorder.words == ["request", "response", "bytes", "end"]


def test_a_stream_given_up_is_over(start, sync_ai, recorder):
    """Whoever closes a stream early ends the exchange, and the server notices."""
    provider = start(token_time_s=0.05, output_tokens=400)
    pieces = sync_ai(provider).chat.completions.create(**ASK, stream=True)
    next(pieces)
    pieces.close()
    assert recorder.words[-1] == "end"
    assert not recorder.errors


def test_shows_broken_connections(start, sync_ai, recorder):
    """A reset is an error of the exchange, and the caller gets the SDK's own exception."""
    provider = start(reset_rate=1.0)
    with pytest.raises(openai.APIConnectionError):
        sync_ai(provider).chat.completions.create(**ASK)
    assert recorder.words == ["request", "error", "end"]


async def test_an_async_stream_that_breaks_is_an_error(start, async_ai, recorder):
    """A stream that falls silent for longer than allowed ends in a timeout, and is over."""
    provider = start()
    provider.script([Stall(after_tokens=4)])
    recorder.silence_timeout_s = 0.05
    async with async_ai(provider) as client:
        pieces = await client.chat.completions.create(**ASK, stream=True)
        with pytest.raises((httpx.ReadTimeout, httpx2.ReadTimeout, openai.APITimeoutError)):
            [piece async for piece in pieces]
    assert recorder.words[-2:] == ["error", "end"]


async def test_shows_cancellation(start, async_ai, recorder):
    """A cancelled call is an error of kind CancelledError, and over."""
    provider = start()
    provider.script([Hang()])
    async with async_ai(provider) as client:
        task = asyncio.create_task(client.chat.completions.create(**ASK))
        while not recorder.requested.is_set():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert isinstance(recorder.errors[0], asyncio.CancelledError)
    assert recorder.words[-1] == "end"


def test_other_requests_pass_unseen(start, sync_ai, recorder):
    """A list of models has no limits of a model."""
    sync_ai(start()).models.list()
    assert recorder.words == []


async def test_other_requests_pass_unseen_async(start, async_ai, recorder):
    """The same for async callers."""
    async with async_ai(start()) as client:
        await client.models.list()
    assert recorder.words == []


def test_timeouts_follow_the_phase(start, sync_ai, recorder):
    """Before the headers the first timeout bounds a read, after them the silence timeout."""
    provider = start()
    provider.script([Hang(), Stall(after_tokens=4), Reply("fine")])
    client = sync_ai(provider)
    recorder.first_timeout_s = 0.05
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(**ASK)
    recorder.first_timeout_s, recorder.silence_timeout_s = 10.0, 0.05
    pieces = client.chat.completions.create(**ASK, stream=True)
    with pytest.raises((httpx.ReadTimeout, httpx2.ReadTimeout, openai.APITimeoutError)):
        list(pieces)
    recorder.silence_timeout_s = None
    client.chat.completions.create(**ASK)
    timeouts = recorder.exchanges[-1]._timeouts
    assert timeouts["read"] == 20


def test_refusals_can_be_kept_from_the_sdks_retries(start, recorder):
    """With `sdk_retries=False` an SDK that would retry twice sends one request."""
    provider = start(error_rate=1.0)
    with managed_http_client(recorder, sdk_retries=False) as http:
        client = openai.OpenAI(
            base_url=provider.base_url, api_key="test-key", max_retries=2, http_client=http
        )
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(**ASK)
    assert len(recorder.answers) == 1


async def test_managed_clients_keep_the_sdks_defaults(start, recorder):
    """Timeouts are the SDK's own (600 s), not httpx2's five seconds."""
    with managed_http_client(recorder) as http:
        assert http.timeout.read == 600
    async with managed_async_http_client(recorder) as http:
        assert http.timeout.read == 600
        provider = start()
        client = openai.AsyncOpenAI(
            base_url=provider.base_url, api_key="test-key", http_client=http
        )
        await client.chat.completions.create(**ASK)
    assert recorder.words[-1] == "end"


def test_proxies_are_observed_too_and_wrapping_twice_is_wrapping_once(recorder, monkeypatch):
    """The transports that a client made for proxies are wrapped; twice is once."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "localhost")
    with managed_http_client(recorder) as http:
        observe_client(http, recorder)
        kinds = {type(transport) for transport in http._mounts.values() if transport}
        assert kinds == {ManagedTransport}
        assert not isinstance(http._transport.inner, ManagedTransport)
        pools = [transport.inner._pool for transport in http._mounts.values() if transport]
        assert all(isinstance(pool._network_backend, AbortableBackend) for pool in pools)


def test_both_libraries_still_have_the_private_names():
    """The hook into the connection pool is there; a mock has none, and that is no error."""
    for library in (httpx, httpx2):
        with library.HTTPTransport() as transport:
            assert make_abortable(transport)
            assert make_abortable(transport)
        assert not make_abortable(library.MockTransport(lambda request: None))


def test_refuses_what_is_no_client(recorder):
    """Anything else is a ConfigError that names what would do."""
    with pytest.raises(ConfigError, match=r"client \(a str\)"):
        observe_client("client", recorder)


def mocked(recorder, answer):
    transport = ManagedTransport(recorder, httpx2.MockTransport(answer))
    return httpx2.Client(transport=transport)


def test_reads_compressed_and_broken_errors(recorder):
    """A compressed error is understood and passed on as it was; a broken one is passed on too."""
    text = b'{"error": {"code": "context_length_exceeded", "message": "long"}}'
    packed = gzip.compress(text)

    def answer(request):
        body = packed if request.url.path == "/good" else b"no gzip"
        return httpx2.Response(400, headers={"content-encoding": "gzip"}, stream=pieces(body))

    class pieces(httpx2.SyncByteStream):
        def __init__(self, body):
            self.body = body

        def __iter__(self):
            yield self.body

    with mocked(recorder, answer) as client:
        reply = client.post("http://h/good", json={"model": "m"})
        assert reply.json()["error"]["message"] == "long"
        with pytest.raises(httpx2.DecodingError):
            client.post("http://h/bad", json={"model": "m"})
    assert recorder.answers[0].verdict.code == "context_length_exceeded"
    assert recorder.answers[1].verdict.kind == "permanent"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"type": "error", "error": {"type": "overloaded_error"}}', "overloaded_error"),
        (b'{"error": "text"}', ""),
        (b'{"error": {"code": 3, "message": 4}}', ""),
        (b"[1]", ""),
        (b"<html>", ""),
    ],
)
def test_reads_any_error_body(recorder, body, code):
    """Anthropic's form, bare texts, HTML: a code where there is one."""
    with mocked(recorder, lambda request: httpx2.Response(529, content=body)) as client:
        client.post("http://h/", json={"model": "m"})
    assert recorder.answers[0].verdict.code == code


def test_a_streamed_request_body_passes_unseen(recorder):
    """An upload is not read into memory to look for a model."""
    with mocked(recorder, lambda request: httpx2.Response(200, content=request.read())) as client:
        assert client.post("http://h/", content=iter([b'{"model":', b'"m"}'])).status_code == 200
    assert recorder.words == []


def test_an_observer_may_refuse(start, sync_ai, recorder):
    """What `on_request` raises reaches the caller, and nothing is sent."""
    provider = start()

    def refuse(exchange, now_s):
        raise ConfigError("call", 1, "smaller")

    recorder.on_request = refuse
    with pytest.raises(ConfigError):
        sync_ai(provider).chat.completions.create(**ASK)
    assert provider.statistics().requests == 0


async def test_a_transport_can_be_given_at_construction(start, recorder):
    """The documented way of httpx2, without any private name, works too."""
    provider = start()
    url = f"{provider.base_url}/chat/completions"
    transport = ManagedTransport(recorder, httpx2.HTTPTransport())
    with httpx2.Client(transport=transport) as client:
        assert client.post(url, json=ASK).status_code == 200
    other = ManagedAsyncTransport(recorder, httpx2.AsyncHTTPTransport())
    async with httpx2.AsyncClient(transport=other) as client:
        assert (await client.post(url, json=ASK)).status_code == 200
    assert recorder.words == ["request", "response", "bytes", "end"] * 2
