"""`manage_client`: the plain SDK, in all its ways, against the simulated provider."""

from __future__ import annotations

import asyncio
import threading
import time

import httpx2
import openai
import pytest
import tenacity
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from agentrm_langchain import wrap_chat_model
from agentrm_openai import CoreObserver, manage_client, managed_async_http_client
from agentrm_openai import managed_http_client as managed_http
from agentrm_plugins import AgentRM, CallReaped, ClosedError, ConfigError, LeaseConfig, RetryPolicy
from agentrm_plugins.testing.provider import Hang, Reply, Reset, Stall, Status

pytestmark = pytest.mark.lowest

MESSAGES = [{"role": "user", "content": "go"}]
CHAT = {"model": "simulated", "messages": MESSAGES}
ASK = {"model": "simulated", "input": "go"}
WITH_USAGE = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
CUT = (openai.APIError, httpx2.TransportError, CallReaped)  # older SDKs pass httpx2's own on
QUICK = RetryPolicy(wait=tenacity.wait_none())


class Answer(BaseModel):
    text: str


@pytest.fixture
def core():
    made = []

    def make(**settings):
        made.append(AgentRM(**{"lanes": 1, **settings}))
        return made[-1]

    yield make
    for rm in made:
        statistics = rm.statistics()
        rm.close()
        assert (statistics.running, statistics.waiting, statistics.lanes_in_use) == (0, 0, 0)


@pytest.fixture
def provider(start):
    return start(seed=7)


@pytest.fixture
def sync():
    made = []

    def build(provider, rm, **options):
        made.append(openai.OpenAI(base_url=provider.base_url, api_key="test-key"))
        return manage_client(made[-1], rm, **options)

    yield build
    for client in made:
        client.close()


@pytest.fixture
async def parallel():
    made = []

    def build(provider, rm, **options):
        made.append(openai.AsyncOpenAI(base_url=provider.base_url, api_key="test-key"))
        return manage_client(made[-1], rm, **options)

    yield build
    for client in made:
        await client.close()


def drain(stream):
    for _ in stream:
        pass


def within(manager, use):
    with manager as inner:
        use(inner)


SYNC = {
    "create": lambda ai: ai.chat.completions.create(**CHAT),
    "parse": lambda ai: ai.chat.completions.parse(**CHAT),
    "raw": lambda ai: ai.chat.completions.with_raw_response.create(**CHAT).parse(),
    "streaming_response": lambda ai: within(
        ai.chat.completions.with_streaming_response.create(**CHAT), lambda it: it.parse()
    ),
    "stream": lambda ai: drain(ai.chat.completions.create(**WITH_USAGE)),
    "raw stream": lambda ai: drain(
        ai.chat.completions.with_raw_response.create(**WITH_USAGE).parse()
    ),
    "stream()": lambda ai: within(
        ai.chat.completions.stream(**CHAT, stream_options={"include_usage": True}), drain
    ),
    "responses": lambda ai: ai.responses.create(**ASK),
    "responses parse": lambda ai: ai.responses.parse(**ASK),
    "responses raw": lambda ai: ai.responses.with_raw_response.create(**ASK).parse(),
    "responses stream": lambda ai: drain(ai.responses.create(**ASK, stream=True)),
    "responses stream()": lambda ai: within(ai.responses.stream(**ASK), drain),
    "embeddings": lambda ai: ai.embeddings.create(**ASK),
    "options": lambda ai: ai.with_options(timeout=9, max_retries=5).embeddings.create(**ASK),
}


async def adrain(stream):
    async for _ in stream:
        pass


async def awithin(manager, use):
    async with manager as inner:
        await use(inner)


async def _raw(ai):
    (await ai.chat.completions.with_raw_response.create(**CHAT)).parse()


async def _raw_stream(ai):
    await adrain((await ai.chat.completions.with_raw_response.create(**WITH_USAGE)).parse())


async def _stream(ai):
    await adrain(await ai.chat.completions.create(**WITH_USAGE))


async def _responses_stream(ai):
    await adrain(await ai.responses.create(**ASK, stream=True))


ASYNC = {
    "create": lambda ai: ai.chat.completions.create(**CHAT),
    "parse": lambda ai: ai.chat.completions.parse(**CHAT),
    "raw": _raw,
    "streaming_response": lambda ai: awithin(
        ai.chat.completions.with_streaming_response.create(**CHAT), lambda it: it.parse()
    ),
    "stream": _stream,
    "raw stream": _raw_stream,
    "stream()": lambda ai: awithin(
        ai.chat.completions.stream(**CHAT, stream_options={"include_usage": True}), adrain
    ),
    "responses": lambda ai: ai.responses.create(**ASK),
    "responses stream": _responses_stream,
    "responses stream()": lambda ai: awithin(ai.responses.stream(**ASK), adrain),
    "embeddings": lambda ai: ai.embeddings.create(**ASK),
}


def hold(rm, provider):
    """One call: one lane, one reservation, one settle, with the provider's own count."""
    counts, served = rm.statistics(), provider.statistics()
    assert (counts.submitted, counts.settled, counts.lanes_peak) == (1, 1, 1)
    assert counts.granted == served.requests
    good = [record for record in provider.log if record.status == 200]
    assert counts.output_tokens == sum(record.output_tokens for record in good)
    # What was sent and broke without an answer is charged its input, as estimated.
    in_vain = counts.input_tokens - sum(record.input_tokens for record in good)
    assert (in_vain > 0) is any(record.status == 0 for record in provider.log)
    assert in_vain >= 0
    (endpoint,) = counts.endpoints.values()
    assert (endpoint.in_flight, endpoint.requeues) == (0, served.requests - 1)


@pytest.mark.parametrize("way", SYNC)
@pytest.mark.parametrize("trouble", [(), (Status(429, retry_after=0.05), Status(503), Reset())])
def test_every_sync_way(way, trouble, provider, core, sync):
    """In all of the SDK's forms, at once or after troubles that pass."""
    rm = core()
    provider.script(list(trouble))
    SYNC[way](sync(provider, rm, retry=QUICK))
    assert provider.statistics().requests == 1 + len(trouble)
    hold(rm, provider)


@pytest.mark.parametrize("way", ASYNC)
@pytest.mark.parametrize("trouble", [(), (Status(429, retry_after=0.05), Status(503), Reset())])
async def test_every_async_way(way, trouble, provider, core, parallel):
    """The same in tasks."""
    rm = core()
    provider.script(list(trouble))
    await ASYNC[way](parallel(provider, rm, retry=QUICK))
    assert provider.statistics().requests == 1 + len(trouble)
    hold(rm, provider)


@pytest.mark.parametrize("way", ["create", "stream", "responses"])
def test_a_hung_sync_call_goes_again(way, provider, core, sync):
    """Its thread is woken from its read; the caller sees only the answer."""
    rm = core(leases=LeaseConfig(first_token_timeout_s=1.0, response_timeout_s=1.0))
    provider.script([Hang(), Reply("well")])
    SYNC[way](sync(provider, rm))
    counts = rm.statistics()
    assert (counts.reaped, counts.zombies, provider.statistics().requests) == (1, 0, 2)


@pytest.mark.parametrize("way", ["create", "stream", "responses"])
async def test_a_hung_async_call_goes_again(way, provider, core, parallel):
    """The same in a task."""
    rm = core(leases=LeaseConfig(first_token_timeout_s=1.0, response_timeout_s=1.0))
    provider.script([Hang(), Reply("well")])
    await ASYNC[way](parallel(provider, rm))
    counts = rm.statistics()
    assert (counts.reaped, counts.zombies, provider.statistics().requests) == (1, 0, 2)


@pytest.mark.parametrize("fault", [Reset(after_tokens=3), Stall(after_tokens=3)])
def test_a_begun_sync_stream_is_not_tried_again(fault, provider, core, sync):
    """Its consumer has a part of it already."""
    rm = core(leases=LeaseConfig(silence_timeout_s=1.0))
    provider.script([fault, Reply("never")])
    with pytest.raises(CUT):
        SYNC["stream"](sync(provider, rm))
    assert provider.statistics().requests == 1
    assert rm.statistics().output_tokens > 0


@pytest.mark.parametrize("fault", [Reset(after_tokens=3), Stall(after_tokens=3)])
async def test_a_begun_async_stream_is_not_tried_again(fault, provider, core, parallel):
    """The same in a task."""
    rm = core(leases=LeaseConfig(silence_timeout_s=1.0))
    provider.script([fault, Reply("never")])
    with pytest.raises(CUT):
        await ASYNC["stream"](parallel(provider, rm))
    assert provider.statistics().requests == 1
    assert rm.statistics().output_tokens > 0


@pytest.mark.parametrize(
    "fault", [Status(400), Status(401), Status(429, code="insufficient_quota")]
)
def test_what_cannot_be_cured_is_not_tried_again(fault, provider, core, sync):
    """The SDK's own error comes through, after one request."""
    provider.script([fault, Reply("never")])
    with pytest.raises(openai.APIStatusError):
        SYNC["create"](sync(provider, core()))
    assert provider.statistics().requests == 1


def test_streams_given_up_early_settle(provider, core, sync):
    """By `close`, by leaving the block: cancelled, charged by what came; the lane is free."""
    rm = core()
    ai = sync(provider, rm)
    stream = ai.chat.completions.create(**CHAT, stream=True)
    next(stream)
    assert rm.statistics().lanes_in_use == 1
    stream.close()
    # The role says nothing, so the first words were fetched with it.
    assert (rm.statistics().lanes_in_use, rm.statistics().output_tokens) == (0, 4)
    with ai.chat.completions.stream(**CHAT) as events:
        next(iter(events))
    assert rm.statistics().lanes_in_use == 0


async def test_cancelled_while_it_runs_and_while_it_waits(provider, core, parallel):
    """Both leave nothing behind."""
    rm = core()
    ai = parallel(provider, rm)
    provider.script([Hang()])
    first = asyncio.create_task(ai.chat.completions.create(**CHAT))
    while not rm.statistics().running:
        await asyncio.sleep(0.002)
    second = asyncio.create_task(ai.chat.completions.create(**CHAT))
    while not rm.statistics().waiting:
        await asyncio.sleep(0.002)
    for task in (second, first):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (rm.statistics().running, rm.statistics().waiting) == (0, 0)


def test_a_refused_call_holds_nothing_while_it_waits(provider, start, core, sync):
    """Another endpoint's call passes through the only lane meanwhile."""
    other, rm = start(seed=7), core()
    late, quick = sync(provider, rm), sync(other, rm)
    provider.script([Status(429, retry_after=0.4)])
    thread = threading.Thread(target=SYNC["create"], args=(late,))
    thread.start()
    while not any(site.requeues for site in rm.statistics().endpoints.values()):
        time.sleep(0.002)
    begun = time.monotonic()
    SYNC["create"](quick)
    assert time.monotonic() - begun < 0.3
    thread.join(20)
    assert rm.statistics().settled == 2


def test_for_whom(provider, core, sync):
    """A header of the call, the client's own, `rm.identity`, the call around it, or "main"."""
    rm = core(lanes=2)
    plain, named = sync(provider, rm), sync(provider, rm, agent="named", tenant="acme")
    headers = {"x-agentrm-agent": "said", "X-AgentRM-Priority": "batch"}
    plain.chat.completions.create(**CHAT)
    named.chat.completions.create(**CHAT)
    named.chat.completions.create(**CHAT, extra_headers=headers)
    with rm.identity(agent="outer"):
        plain.chat.completions.create(**CHAT)
    with rm.slot(agent="around"):
        plain.chat.completions.create(**CHAT)
    agents = rm.statistics().agents
    assert set(agents) == {"main", "acme/named", "acme/said", "outer", "around"}
    assert agents["acme/named"].tenant == "acme"


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_wrapped_model_around_a_managed_client_is_managed_once(way, provider, core, sync):
    """One lane, though there is one lane only; one settle."""
    rm = core()
    ai = sync(provider, rm)
    bare = ChatOpenAI(
        base_url=provider.base_url,
        api_key="test-key",
        model="simulated",
        root_client=ai,
        client=ai.chat.completions,
        stream_usage=True,
    )
    model = wrap_chat_model(bare, rm)
    drain(model.stream("go")) if way == "stream" else model.invoke("go")
    hold(rm, provider)


def test_managing_a_managed_client_is_managing_it_once(provider, core, sync):
    """The outer settings win."""
    rm = core()
    ai = manage_client(sync(provider, rm), rm, agent="outer")
    SYNC["create"](ai)
    hold(rm, provider)
    assert list(rm.statistics().agents) == ["outer"]


def test_it_is_the_users_client_still(provider, core):
    """Class, options and connections; the original is as it was; other requests pass."""
    rm = core()
    original = openai.OpenAI(base_url=provider.base_url, api_key="test-key", max_retries=4)
    ai = manage_client(original, rm)
    assert isinstance(ai, openai.OpenAI)
    assert (original.max_retries, ai.max_retries, ai.api_key) == (4, 4, "test-key")
    ai.models.list()
    original.chat.completions.create(**CHAT)
    assert rm.statistics().submitted == 0
    original.close()


def test_headers_of_calls_that_nobody_manages(start, core):
    """Through the transports alone the core learns limits, and counts refusals: once each."""
    provider, rm = start(seed=7, rpm=600, header_style="openai"), core()
    with managed_http(rm) as http:
        ai = openai.OpenAI(
            base_url=provider.base_url, api_key="test-key", http_client=http, max_retries=1
        )
        provider.script([Status(429, retry_after=0.01)])
        ai.chat.completions.create(**CHAT)
    (endpoint,) = rm.statistics().endpoints.values()
    assert endpoint.limit_hits == 1
    assert round(endpoint.rates["requests"].limit_per_min) == 600
    assert rm.statistics().submitted == 0


async def test_headers_of_async_calls(start, core):
    """The same in tasks, and a managed client over such a one counts a refusal once."""
    provider, rm = start(seed=7, rpm=600, header_style="openai"), core()
    http = managed_async_http_client(CoreObserver(rm))
    ai = manage_client(
        openai.AsyncOpenAI(base_url=provider.base_url, api_key="test-key", http_client=http), rm
    )
    provider.script([Status(429, retry_after=0.01)])
    await ai.chat.completions.create(**CHAT)
    (endpoint,) = rm.statistics().endpoints.values()
    assert (endpoint.limit_hits, endpoint.rates["requests"].source) == (1, "server")
    await http.aclose()


def test_bad_input(provider, core):
    """Named at once, with the way out and never with a key."""
    rm = core()
    client = openai.OpenAI(base_url=provider.base_url, api_key="test-key")
    for change, word in [
        ({"retry": 3}, "RetryPolicy"),
        ({"group": "none"}, "configured groups"),
        ({"priority": "urgent"}, "interactive"),
        ({"agent": ""}, "not empty"),
        ({"wait_timeout_s": -1}, "seconds"),
    ]:
        with pytest.raises(ConfigError, match=word):
            manage_client(client, rm, **change)
    with pytest.raises(ConfigError, match="OpenAI"):
        manage_client("test-key-as-client", rm)
    with pytest.raises(ConfigError, match="AgentRM"):
        manage_client(client, None)
    with pytest.raises(ConfigError, match="interactive"):
        manage_client(client, rm).chat.completions.create(
            **CHAT, extra_headers={"x-agentrm-priority": "urgent"}
        )
    rm.close()
    with pytest.raises(ClosedError):
        manage_client(client, rm)
    client.close()


def _plainly(request):
    """The simulated provider knows no deployments: ask it for the model of that name."""
    path = request.url.path.replace("/deployments/simulated", "")
    request.url = request.url.copy_with(path=path)


async def _aplainly(request):
    _plainly(request)


def test_azures_client(provider, core):
    """Azure's client is managed like the other; its endpoint is the deployment's."""
    rm, hooks = core(), {"request": [_plainly]}
    known = {"base_url": provider.base_url, "api_version": "2025-01-01", "api_key": "test-key"}
    with openai.AzureOpenAI(**known, http_client=httpx2.Client(event_hooks=hooks)) as bare:
        ai = manage_client(bare, rm)
        assert isinstance(ai, openai.AzureOpenAI)
        SYNC["create"](ai)
        hold(rm, provider)
        drain(ai.chat.completions.create(**WITH_USAGE))
    assert rm.statistics().settled == 2


async def test_azures_async_client(provider, core):
    """The same in a task."""
    rm, hooks = core(), {"request": [_aplainly]}
    known = {"base_url": provider.base_url, "api_version": "2025-01-01", "api_key": "test-key"}
    client = httpx2.AsyncClient(event_hooks=hooks)
    async with openai.AsyncAzureOpenAI(**known, http_client=client) as bare:
        await ASYNC["create"](manage_client(bare, rm))
        hold(rm, provider)
