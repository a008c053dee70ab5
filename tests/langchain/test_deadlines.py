"""Deadlines, retries in all ways, breakers with fallbacks: the wrapped ChatOpenAI over HTTP."""

from __future__ import annotations

import asyncio
import email.utils
import time

import httpx2
import openai
import pytest
import tenacity
from langchain_core.messages import AIMessage

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import CallReaped, LeaseConfig, RetryPolicy
from agentrm_plugins.config.endpoints import BreakerConfig, BudgetConfig
from agentrm_plugins.errors import BudgetExceeded, EndpointUnavailable
from agentrm_plugins.testing.provider import Hang, Reply, Reset, Status
from agentrm_plugins.types.effects import BreakerChanged

WAYS = ("invoke", "stream", "ainvoke", "astream")
QUICK = RetryPolicy(wait=tenacity.wait_none())


async def told(way, model):
    """The whole answer's text, in one of the four ways."""
    if way == "invoke":
        return model.invoke("go").text
    if way == "stream":
        return "".join(chunk.text for chunk in model.stream("go"))
    if way == "ainvoke":
        return (await model.ainvoke("go")).text
    return "".join([chunk.text async for chunk in model.astream("go")])


def ask(way, model):
    """The same, in a loop of its own."""
    return asyncio.run(told(way, model))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", ["3600", "date"])
def test_a_time_beyond_the_deadline_is_not_waited_for(way, form, provider, core, chat):
    """An hour, as of a limit per day: the provider's own error comes at once, and says so."""
    text = form if form != "date" else email.utils.formatdate(time.time() + 3600, usegmt=True)
    rm = core()
    provider.script([Status(429, headers={"retry-after": text})])
    begun = time.monotonic()
    with pytest.raises(openai.RateLimitError):
        ask(way, wrap_chat_model(chat(provider), rm))
    assert time.monotonic() - begun < 10
    (endpoint,) = rm.statistics().endpoints.values()
    assert endpoint.closed_for_s == pytest.approx(3600, abs=20)  # nobody else goes there either
    assert (endpoint.limit_hits, endpoint.waiting) == (1, 0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("nonsense", ["-5", "soon", "1e99", "nan"])
def test_a_time_that_is_none_does_no_harm(way, nonsense, provider, core, chat):
    """It counts as not sent: the call goes again when the limits allow it."""
    provider.script([Status(429, headers={"retry-after": nonsense}), Reply("well")])
    assert ask(way, wrap_chat_model(chat(provider), core(), retry=QUICK)) == "well"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", [Status(500), Reset(), Hang()], ids=["500", "reset", "hang"])
def test_combined_objects_of_tenacity_bound_the_attempts(way, fault, provider, core, chat):
    """Of `stop_any`, `wait_combine` and `retry_any`, in threads and in tasks, for each failure."""
    rm = core(leases=LeaseConfig(0.15, 0.15, 0.15))
    policy = RetryPolicy(
        stop=tenacity.stop_after_attempt(3) | tenacity.stop_after_delay(60),
        wait=tenacity.wait_fixed(0.01) + tenacity.wait_random(0, 0.01),
        retry=tenacity.retry_if_exception_type(openai.APIError)
        | tenacity.retry_if_exception_type(CallReaped),
    )
    provider.script([fault] * 3 + [Reply("never")])
    with pytest.raises((openai.APIError, CallReaped)):
        ask(way, wrap_chat_model(chat(provider), rm, retry=policy))
    # A client may see its connection reset before the provider has counted the request.
    provider.wait_for(lambda seen: seen.requests >= 3, timeout_s=30.0)
    assert provider.statistics().requests == 3


@pytest.mark.parametrize("way", WAYS)
def test_the_total_deadline_ends_it(way, provider, core, chat):
    """`stop_after_delay` counts from the first attempt, waits included."""
    policy = RetryPolicy(stop=tenacity.stop_after_delay(0.3), wait=tenacity.wait_fixed(0.12))
    provider.script([Status(500)] * 30)
    begun = time.monotonic()
    with pytest.raises(openai.InternalServerError):
        ask(way, wrap_chat_model(chat(provider), core(), retry=policy))
    assert time.monotonic() - begun >= 0.3
    assert 2 <= provider.statistics().requests <= 4


@pytest.mark.parametrize("way", WAYS)
async def test_a_dead_provider_is_left_to_the_fallback_until_its_probe(way, start, core, chat):
    """One storm opens the breaker; from then on the fallback answers and the dead one is spared.

    After the cool-down one probe goes, and when that is well, so does everybody.
    """
    dead, alive = start(error_rate=1.0, error_statuses=(500,)), start()
    alive.script([Reply("instead")] * 5000)
    breaker = BreakerConfig(least_calls=4, cool_down_s=0.4, window_s=60)
    rm = core(lanes=4, breaker=breaker)
    stream = rm.events()
    policy = RetryPolicy(stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_none())
    async with httpx2.AsyncClient() as http:
        first = wrap_chat_model(chat(dead, http_async_client=http), rm, retry=policy)
        second = wrap_chat_model(chat(alive, http_async_client=http), rm)
        safe = first.with_fallbacks([second])
        answers = [await told(way, safe) for _ in range(8)]
        assert answers == ["instead"] * 8
        assert dead.statistics().requests < 8  # four, and a probe or two if this took long
        with pytest.raises(EndpointUnavailable, match="simulated"):
            await told(way, first)
        dead.reconfigure(error_rate=0.0)
        dead.script([Reply("back")] * 9)
        deadline = time.monotonic() + 20
        while await told(way, safe) != "back":
            assert time.monotonic() < deadline
        assert await told(way, safe) == "back"
        causes = [event.cause for event in stream.drain() if isinstance(event, BreakerChanged)]
        assert causes[0] == "open"
        assert causes[-2:] == ["half_open", "closed"]
        assert causes.count("closed") == 1


def test_a_hard_budget_says_whose_it_is_and_what_is_left(provider, core, chat):
    """The refusal names the owner, the need, the rest, and when there is room again."""
    budgets = (
        BudgetConfig(2, "calls", agent="crawler-*"),
        BudgetConfig(1, "calls", tenant="acme", window_s=3600),
    )
    rm = core(budgets=budgets)
    boss = wrap_chat_model(chat(provider), rm, agent="crawler-1")
    boss.invoke("go")
    boss.invoke("go")
    total = r"budget of calls of agent default/crawler-1: needs 1, has 0 of 2\]"
    with pytest.raises(BudgetExceeded, match=total):
        boss.invoke("go")
    other = wrap_chat_model(chat(provider), rm, agent="x", tenant="acme")
    assert isinstance(other.invoke("go"), AIMessage)
    window = r"budget of calls of tenant acme: needs 1, has 0 of 1; room again in \d{4} s"
    with pytest.raises(BudgetExceeded, match=window):
        other.invoke("go")
    wrap_chat_model(chat(provider), rm, agent="crawler-2").invoke("go")  # a ledger of its own


async def test_a_day_of_closure_is_left_to_the_fallback(start, core, chat):
    """The first, the second, the tenth and ten at once are answered by the other model."""
    closed, alive = start(), start()
    closed.script([Status(429, retry_after=86_400.0)])
    alive.script([Reply("instead")] * 99)
    rm = core(lanes=4)
    async with httpx2.AsyncClient() as http:
        first = wrap_chat_model(chat(closed, http_async_client=http), rm)
        safe = first.with_fallbacks([wrap_chat_model(chat(alive, http_async_client=http), rm)])
        answers = [(await safe.ainvoke("go")).text for _ in range(10)]
        answers += [
            one.text for one in await asyncio.gather(*(safe.ainvoke("go") for _ in "x" * 10))
        ]
    assert answers == ["instead"] * 20
    assert closed.statistics().requests == 1
