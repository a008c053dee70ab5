"""ChatOpenAI, wrapped, against a provider that says no: over HTTP, with small real waits."""

from __future__ import annotations

import asyncio
import threading
import time

import openai
import pytest
import tenacity

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRMWarning, CallReaped, LeaseConfig, RetryPolicy
from agentrm_plugins.config.endpoints import BudgetConfig, EndpointConfig
from agentrm_plugins.errors import BudgetExceeded, CallTooLarge, EndpointUnavailable
from agentrm_plugins.testing.provider import (
    Garbage,
    Hang,
    Reply,
    Reset,
    Stall,
    Status,
)
from agentrm_plugins.types.effects import EndpointClosed, Requeued

WAYS = ("invoke", "stream", "ainvoke", "astream")
QUICK = RetryPolicy(wait=tenacity.wait_none())


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
def test_what_may_pass_goes_again(way, fault, tally, provider, core, chat):
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
def test_the_servers_time_is_kept_and_holds_no_lane(style, start, core, chat):
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
def test_what_cannot_be_cured_is_not_tried_again(way, fault, provider, core, chat):
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
def test_a_hung_call_goes_again(way, provider, core, chat):
    """It is given up after the silence allowed, and asked again; nothing of it stays behind."""
    rm = core(leases=LeaseConfig(first_token_timeout_s=1.0, response_timeout_s=1.0))
    model = wrap_chat_model(chat(provider), rm)
    provider.script([Hang(), Hang(), Reply("well")])
    assert ask(way, model) == "well"
    counts = rm.statistics()
    assert (counts.reaped, counts.lanes_in_use) == (2, 0)
    deadline = time.monotonic() + 10
    while rm.statistics().zombies and time.monotonic() < deadline:
        time.sleep(0.002)  # the workers were woken out of their reads
    assert rm.statistics().zombies == 0


def test_a_hung_sync_call_is_woken_from_its_read(provider, core, chat):
    """Without a worker too: the connection is shut down, and the caller gets `CallReaped`."""
    rm = core(leases=LeaseConfig(response_timeout_s=1.0))
    model = wrap_chat_model(chat(provider), rm, retry=None, abandon_hung=False)
    provider.script([Hang()])
    begun = time.monotonic()
    with pytest.raises(CallReaped):
        model.invoke("go")
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("fault", [Reset(after_tokens=3), Stall(after_tokens=3)])
def test_a_stream_that_has_begun_is_not_tried_again(way, fault, provider, core, chat):
    """What the consumer has cannot be taken back: the error is his, the lane is free."""
    rm = core(leases=LeaseConfig(silence_timeout_s=1.0))
    model = wrap_chat_model(chat(provider), rm)
    provider.script([fault, Reply("never")])
    with pytest.raises((openai.APIError, CallReaped)):
        ask(way, model)
    assert provider.statistics().requests == 1
    assert only(rm).requeues == 0
    assert rm.statistics().lanes_in_use == 0


@pytest.mark.parametrize("way", WAYS)
def test_tenacitys_objects_are_obeyed(way, provider, core, chat):
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


def test_sdk_retries_are_off_unless_kept(provider, core, chat):
    """Of one refused call one request is seen without a policy; the user's model stays as it is."""
    rm = core()
    bare = chat(provider, max_retries=2, stream_usage=True)
    managed = wrap_chat_model(bare, rm, retry=None)
    provider.script([Status(500)])
    with pytest.raises(openai.InternalServerError):
        managed.invoke("go")
    assert len(provider.log) == 1
    assert (bare.root_client.max_retries, bare.max_retries) == (2, 2)
    assert managed._get_llm_string() == bare._get_llm_string()
    provider.script([Status(500, headers={"retry-after-ms": "1"}), Reply("well")])
    with pytest.warns(AgentRMWarning, match="retry by itself"):
        kept = wrap_chat_model(bare, rm, retry=None, keep_sdk_retries=True)
    assert kept.invoke("go").content == "well"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("why", ["error", "budget", "large", "down"])
def test_fallbacks_take_over(way, why, provider, start, core, chat):
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


async def test_a_call_that_waits_to_go_again_can_be_cancelled(provider, core, chat):
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


def test_an_answer_that_cannot_be_read_is_asked_for_again(provider, core, chat):
    """A body that is no JSON was cut on its way: the call goes again."""
    rm = core()
    model = wrap_chat_model(chat(provider), rm)
    provider.script([Garbage("json"), Reply("well")])
    assert model.invoke("go").text == "well"
    assert provider.statistics().requests == 2
    assert rm.statistics().lanes_in_use == 0


def test_a_bad_retry_is_named(provider, core, chat):
    """Not a policy: said at construction, with the way out."""
    with pytest.raises(ValueError, match="RetryPolicy"):
        wrap_chat_model(chat(provider), core(), retry=3)
