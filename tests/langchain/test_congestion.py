"""ChatOpenAI, wrapped, against a provider that says no: over HTTP, with small real waits."""

from __future__ import annotations

import asyncio
import threading
import time

import openai
import pytest
import tenacity
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI

from agentrm_langchain import AgentRMCallbackHandler, wrap_chat_model
from agentrm_plugins import CallReaped, CallRefused, LeaseConfig
from agentrm_plugins.config_endpoints import BudgetConfig, EndpointConfig
from agentrm_plugins.effects import EndpointClosed, LimitChanged, Requeued
from agentrm_plugins.errors import BudgetExceeded, CallTooLarge, EndpointUnavailable
from agentrm_plugins.integration import RetryPolicy
from agentrm_plugins.testing.provider import (
    Garbage,
    Hang,
    ModelConfig,
    Reply,
    Reset,
    SimulatedProvider,
    Stall,
    Status,
)

WAYS = ("invoke", "stream", "ainvoke", "astream")
QUICK = RetryPolicy(wait=tenacity.wait_none())


@pytest.fixture
def start():
    made = []

    def build(**settings):
        made.append(SimulatedProvider(**{"seed": 7, **settings}))
        return made[-1].__enter__()

    yield build
    for provider in made:
        provider.__exit__(None, None, None)


@pytest.fixture
def provider(start):
    return start()


def chat(provider, **fields):
    fields = {"model": "simulated", "max_tokens": 40, **fields}
    return ChatOpenAI(base_url=provider.base_url, api_key="test-key", **fields)


def ask(way, model, text="go"):
    """The whole answer's text, in one of the four ways."""
    if way == "invoke":
        return model.invoke(text).content
    if way == "stream":
        return "".join(chunk.content for chunk in model.stream(text))

    async def run():
        if way == "ainvoke":
            return (await model.ainvoke(text)).content
        return "".join([chunk.content async for chunk in model.astream(text)])

    return asyncio.run(run())


def only(rm):
    (endpoint,) = rm.statistics().endpoints.values()
    return endpoint


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("fault", "tally"),
    [
        (Status(429, retry_after=0.05), "limit_hits"),
        (Status(503), "failures"),
        (Status(529), "failures"),
        (Status(500), "failures"),
        (Status(408), "failures"),
        (Reset(), "failures"),
    ],
    ids=["429", "503", "529", "500", "408", "reset"],
)
def test_what_may_pass_goes_again(way, fault, tally, provider, core):
    """A passing trouble costs one more request, made once and by us alone, and is counted once."""
    rm = core()
    model = wrap_chat_model(chat(provider), rm, retry=QUICK)
    provider.script([fault, Reply("well")])
    assert ask(way, model) == "well"
    assert len(provider.log) == 2
    assert {record.attempt for record in provider.log} <= {0, 1}
    counts = rm.statistics()
    assert (counts.submitted, counts.settled, only(rm).requeues) == (1, 1, 1)
    assert getattr(only(rm), tally) == 1


@pytest.mark.parametrize("style", ["ms", "s"])
def test_the_servers_time_is_kept_and_holds_no_lane(style, start, core):
    """While a refused call waits for `retry-after`, another endpoint's call has the only lane."""
    provider = start(retry_after=style)
    other = start()
    rm = core(lanes=1)
    stream = rm.events()
    model = wrap_chat_model(chat(provider), rm, agent="late")
    passing = wrap_chat_model(chat(other), rm, agent="passing")
    wait_s = 0.3 if style == "ms" else 1
    provider.script([Status(429, retry_after=wait_s), Reply("well")])
    answers = []
    thread = threading.Thread(target=lambda: answers.append(model.invoke("go").content))
    thread.start()
    events = []
    while not any(isinstance(event, Requeued) for event in events):
        events += stream.drain()
        time.sleep(0.001)
    begun = time.monotonic()
    passing.invoke("go")
    took_s = time.monotonic() - begun
    assert not answers
    assert rm.statistics().lanes_in_use == 0
    thread.join(20)
    assert answers == ["well"]
    first, second = provider.log
    assert second.started_s - first.finished_s >= wait_s * 0.95
    assert took_s < wait_s
    events += stream.drain()
    closed = [event for event in events if isinstance(event, EndpointClosed)]
    assert [event.endpoint for event in closed] == [
        name for name in rm.statistics().endpoints if str(provider.port) in name
    ]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "fault",
    [
        Status(400),
        Status(401),
        Status(404),
        Status(429, code="insufficient_quota"),
        Status(400, code="content_filter"),
        Status(400, code="context_length_exceeded"),
    ],
    ids=["400", "401", "404", "quota", "policy", "context"],
)
def test_what_cannot_be_cured_is_not_tried_again(way, fault, provider, core):
    """The first answer is the last, and its error comes through as the SDK's own."""
    rm = core()
    model = wrap_chat_model(chat(provider), rm)
    provider.script([fault, Reply("never")])
    with pytest.raises(openai.APIStatusError) as error:
        ask(way, model)
    assert error.value.status_code == fault.status
    assert len(provider.log) == 1
    assert only(rm).requeues == 0


@pytest.mark.parametrize("way", WAYS)
def test_a_hung_call_goes_again(way, provider, core):
    """It is given up after the silence allowed, and asked again; nothing of it stays behind."""
    rm = core(leases=LeaseConfig(first_token_timeout_s=0.2, response_timeout_s=0.2))
    model = wrap_chat_model(chat(provider), rm)
    provider.script([Hang(), Hang(), Reply("well")])
    assert ask(way, model) == "well"
    counts = rm.statistics()
    assert (counts.reaped, counts.lanes_in_use) == (2, 0)
    deadline = time.monotonic() + 10
    while rm.statistics().zombies and time.monotonic() < deadline:
        time.sleep(0.002)  # the workers were woken out of their reads
    assert rm.statistics().zombies == 0


def test_a_hung_sync_call_is_woken_from_its_read(provider, core):
    """Without a worker too: the connection is shut down, and the caller gets `CallReaped`."""
    rm = core(leases=LeaseConfig(response_timeout_s=0.2))
    model = wrap_chat_model(chat(provider), rm, retry=None, abandon_hung=False)
    provider.script([Hang()])
    begun = time.monotonic()
    with pytest.raises(CallReaped):
        model.invoke("go")
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("fault", [Reset(after_tokens=3), Stall(after_tokens=3)])
def test_a_stream_that_has_begun_is_not_tried_again(way, fault, provider, core):
    """What the consumer has cannot be taken back: the error is his, the lane is free."""
    rm = core(leases=LeaseConfig(silence_timeout_s=0.2))
    model = wrap_chat_model(chat(provider), rm)
    provider.script([fault, Reply("never")])
    with pytest.raises((openai.APIError, CallReaped, OSError, Exception)) as error:
        ask(way, model)
    assert not isinstance(error.value, AssertionError)
    assert len(provider.log) == 1
    assert only(rm).requeues == 0
    assert rm.statistics().lanes_in_use == 0


def test_what_never_fits_is_refused_at_once(provider, core):
    """A call larger than the limit itself is not sent, and the error says by how much."""
    rm = core(endpoints={"*": EndpointConfig(tpm=100)})
    model = wrap_chat_model(chat(provider, max_tokens=500), rm)
    with pytest.raises(CallTooLarge, match=r"needs .* the limit is 100"):
        model.invoke("go")
    assert not provider.log


def test_headers_of_a_success_teach_the_limit(start, core):
    """The limit is known, by the server's word, without a single refusal."""
    provider = start(rpm=600, tpm=120_000, header_style="openai")
    rm = core()
    wrap_chat_model(chat(provider), rm).invoke("go")
    requests = only(rm).rates["requests"]
    assert (round(requests.limit_per_min), requests.source) == (600, "server")
    assert round(only(rm).rates["tokens"].limit_per_min) == 120_000


def test_limits_that_change_are_followed(start, core):
    """Down and up again, as soon as an answer says so."""
    provider = start(rpm=6000, header_style="openai")
    rm = core()
    model = wrap_chat_model(chat(provider), rm)
    seen = []
    for factor in (1.0, 0.4, 1.0):
        provider.reconfigure(limit_factor=factor)
        model.invoke("go")
        seen.append(round(only(rm).rates["requests"].limit_per_min))
    assert seen == [6000, 2400, 6000]


async def test_one_storm_cuts_the_rate_once(provider, core):
    """Many calls refused in one moment are one congestion event, on the event log."""
    rm = core(lanes=16)
    model = wrap_chat_model(chat(provider), rm)
    await asyncio.gather(*[model.ainvoke("warm") for _ in range(16)])
    stream = rm.events()
    provider.script([Status(429, retry_after=0.2)] * 12)
    await asyncio.gather(*[model.ainvoke("go") for _ in range(16)])
    events = stream.drain()
    hits = [event for event in events if isinstance(event, Requeued)]
    cuts = [event for event in events if isinstance(event, LimitChanged) and event.cause == "cut"]
    assert len(hits) == 12
    by_resource = [event.resource for event in cuts]
    assert by_resource
    assert len(by_resource) == len(set(by_resource))


async def test_two_endpoints_do_not_disturb_each_other(start, core):
    """One that is closed by its server holds up its own calls only, in one and the same core."""
    closed, open_ = start(), start()
    rm = core(lanes=4)
    slow, quick = wrap_chat_model(chat(closed), rm), wrap_chat_model(chat(open_), rm)
    closed.script([Status(429, retry_after=0.6)])
    waiting = [asyncio.create_task(slow.ainvoke("go")) for _ in range(6)]
    while not any(site.closed_for_s for site in rm.statistics().endpoints.values()):
        await asyncio.sleep(0.002)
    begun = time.monotonic()
    for _ in range(5):
        await quick.ainvoke("go")
    assert time.monotonic() - begun < 0.5
    assert not all(task.done() for task in waiting)
    await asyncio.gather(*waiting)


@pytest.mark.parametrize("way", WAYS)
def test_tenacitys_objects_are_obeyed(way, provider, core):
    """`stop` and `retry` decide, `wait` is kept at least, and each is asked once a failure."""
    rm = core()
    asked = []

    def wait(state):
        asked.append(state.attempt_number)
        return 0.05

    policy = RetryPolicy(
        stop=tenacity.stop_after_attempt(3),
        wait=wait,
        retry=tenacity.retry_if_exception_type(openai.InternalServerError),
    )
    model = wrap_chat_model(chat(provider), rm, retry=policy)
    provider.script([Status(500)] * 5)
    with pytest.raises(openai.InternalServerError):
        ask(way, model)
    assert asked == [1, 2]
    first, second, third = provider.log
    assert second.started_s - first.finished_s >= 0.045
    assert third.started_s - second.finished_s >= 0.045


def test_sdk_retries_are_off_unless_kept(provider, core):
    """Of one refused call one request is seen without a policy; the user's model stays as it is."""
    rm = core()
    bare = chat(provider, max_retries=2, stream_usage=True)
    managed = wrap_chat_model(bare, rm, retry=None)
    provider.script([Status(500)] * 3)
    with pytest.raises(openai.InternalServerError):
        managed.invoke("go")
    assert len(provider.log) == 1
    assert (bare.root_client.max_retries, bare.max_retries) == (2, 2)
    assert managed._get_llm_string() == bare._get_llm_string()
    provider.script([Status(500, headers={"retry-after-ms": "1"}), Reply("well")])
    kept = wrap_chat_model(bare, rm, retry=None, keep_sdk_retries=True)
    assert kept.invoke("go").content == "well"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("why", ["error", "budget", "large", "down"])
def test_fallbacks_take_over(way, why, provider, start, core):
    """LangChain's `with_fallbacks` works over our wrapper, whoever it was that said no."""
    other = start()
    other.script([Reply("instead")])
    settings = {
        "error": {},
        "budget": {"budgets": (BudgetConfig(agent="me", limit=1, resource="calls"),)},
        "large": {"endpoints": {f"*:{provider.port}/*": EndpointConfig(tpm=10)}},
        "down": {},
    }
    rm = core(**settings[why])
    model = wrap_chat_model(chat(provider), rm, agent="me", retry=None)
    second = wrap_chat_model(chat(other), rm, agent="you")
    errors = {
        "error": openai.APIError,
        "budget": BudgetExceeded,
        "large": CallTooLarge,
        "down": EndpointUnavailable,
    }
    if why == "budget":
        model.invoke("go")
    elif why == "error":
        provider.script([Status(500)])
    elif why == "down":
        provider.script([Status(500)] * 60)
        for _ in range(60):
            with pytest.raises((openai.APIError, EndpointUnavailable)):
                model.invoke("go")
    safe = model.with_fallbacks([second], exceptions_to_handle=(errors[why],))
    assert ask(way, safe) == "instead"


def test_the_endpoint_is_host_model_and_fingerprint(provider, core, caplog):
    """The key itself is nowhere: not in names, statistics, events, errors or logs."""
    rm = core()
    stream = rm.events()
    key = "never-show-this-key"
    model = wrap_chat_model(
        ChatOpenAI(base_url=provider.base_url, api_key=key, model="simulated"), rm, retry=QUICK
    )
    provider.script([Status(500), Reply("well")])
    model.invoke("go")
    (name,) = rm.statistics().endpoints
    host, _, fingerprint = name.partition("#")
    assert host == f"127.0.0.1:{provider.port}/simulated"
    assert len(fingerprint) == 8
    shown = [repr(rm.statistics()), repr(stream.drain()), repr(model), caplog.text, repr(rm)]
    assert not any(key in text for text in shown)
    model.invoke("go", model="another")
    assert f"127.0.0.1:{provider.port}/another#{fingerprint}" in rm.statistics().endpoints


def test_the_estimate_is_near_the_truth(core):
    """Input by the model's own encoding, tools and images included; output by the call's bound."""
    rm = core()
    model = wrap_chat_model(ChatOpenAI(api_key="test-key", model="gpt-4o", max_tokens=77), rm)
    from agentrm_langchain.hooks import run_of

    def need(content, **kwargs):
        call = model._call(run_of(None), [HumanMessage(content)], kwargs)
        return call.estimate.input_tokens, call.max_output_tokens

    words = " ".join(["hello"] * 1000)
    assert 1000 <= need(words)[0] <= 1010
    assert need("hi")[1] == 77
    assert need("hi", max_completion_tokens=5, n=3)[1] == 15
    tool = {"type": "function", "function": {"name": "look", "description": words}}
    assert need("hi", tools=[tool])[0] > 1000
    image = {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}
    assert need([image])[0] > 500


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_a_callback_tells_the_endpoint_of_errors(way, provider, core):
    """It cannot try again, but the core learns whose call failed and how."""
    rm = core()
    handler = AgentRMCallbackHandler(rm)
    bare = chat(provider, max_retries=0).with_config(callbacks=[handler])
    provider.script([Status(429, retry_after=0.1)])
    with pytest.raises(openai.RateLimitError):
        ask(way, bare)
    assert only(rm).limit_hits == 1
    assert list(rm.statistics().endpoints) == [f"127.0.0.1:{provider.port}/simulated"]
    assert rm.statistics().lanes_in_use == 0


async def test_a_call_that_waits_to_go_again_can_be_cancelled(provider, core):
    """It leaves nothing behind: no place in the queue, no lane, no reservation."""
    rm = core()
    model = wrap_chat_model(chat(provider), rm)
    provider.script([Status(429, retry_after=30)])
    task = asyncio.create_task(model.ainvoke("go"))
    while not (rm.statistics().endpoints and only(rm).requeues):
        await asyncio.sleep(0.002)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    counts = rm.statistics()
    assert (counts.waiting, counts.running, only(rm).in_flight) == (0, 0, 0)


def test_an_answer_that_cannot_be_read_is_final(provider, core):
    """A body that is no JSON is not the network's fault: it is not asked for again for ever."""
    rm = core()
    model = wrap_chat_model(chat(provider), rm)
    provider.script([Garbage("json"), Reply("well")])
    with pytest.raises(Exception):  # noqa: B017 - whatever the SDK makes of it
        model.invoke("go")
    assert rm.statistics().lanes_in_use == 0


def test_a_bad_retry_is_named(provider, core):
    """Not a policy: said at construction, with the way out."""
    with pytest.raises(ValueError, match="RetryPolicy"):
        wrap_chat_model(chat(provider), core(), retry=3)


def test_a_refusal_names_its_cause(provider, core):
    """An open breaker refuses with its endpoint's name."""
    rm = core()
    model = wrap_chat_model(chat(provider), rm, retry=None)
    provider.script([Status(500)] * 60)
    refused = None
    for _ in range(60):
        try:
            model.invoke("go")
        except CallRefused as error:
            refused = error
            break
        except openai.APIError:
            continue
    assert isinstance(refused, EndpointUnavailable)
    assert "simulated" in str(refused)


def test_two_models_of_one_provider_have_limits_of_their_own(start, core):
    """One model's quota is not the other's."""
    provider = start(models={"small": ModelConfig(rpm=60)}, rpm=6000, header_style="openai")
    rm = core()
    for name in ("small", "large"):
        wrap_chat_model(chat(provider, model=name), rm).invoke("go")
    limits = {
        name.partition("#")[0].rpartition("/")[2]: round(found.rates["requests"].limit_per_min)
        for name, found in rm.statistics().endpoints.items()
    }
    assert limits == {"small": 60, "large": 6000}
