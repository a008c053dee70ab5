"""A refusal: "nothing left, whole again in hours", and no wait. It closes the endpoint."""

from __future__ import annotations

import pytest

from agentrm_plugins.config.endpoints import EndpointConfig
from agentrm_plugins.policy.endpoint.headers import parse_report
from agentrm_plugins.types.verdicts import Kind, LimitReport, ServerLimit
from tests.kernel.test_closed import AT, DAY_S, ask, core, refusal

A_DAY = LimitReport(requests=ServerLimit(100.0, 0.0, DAY_S))
TOKENS = LimitReport(tokens=ServerLimit(1e6, 3.0, DAY_S))
MINUTE = LimitReport(requests=ServerLimit(100.0, 0.0, 60.0))
UNTIL_FULL = LimitReport(tokens=ServerLimit(150_000.0, 149_984.0, 360.0))
UNKNOWN = parse_report(
    {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "30s",
        "x-ratelimit-limit-tokens": "0",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "86400s",
    },
    1.7e9,
)
NAMED = LimitReport(requests=ServerLimit(100.0, 0.0, DAY_S, per_s=DAY_S))


def refused(world, said, agent="a", **more):
    """A call goes and is refused, to go again."""
    number = ask(world, agent, **more)
    assert number in world.running
    world.requeue(number, Kind.LIMIT, 0.0, said)
    return number


@pytest.mark.parametrize("said", [A_DAY, TOKENS], ids=["requests", "tokens"])
def test_all_are_told_at_once(said):
    """The call that met it, the second, and ten at once: until when, and by whose word."""
    world = core(agent_idle_s=1e6)
    numbers = [refused(world, said), *(ask(world, f"a{n}") for n in range(11))]
    for number in numbers:
        cause, detail = refusal(world, number)
        assert cause == "endpoint_closed"
        assert f"{DAY_S:.0f} s more, as its server said" in detail


def test_one_looks_now_and_then_and_opens_the_way():
    """After a minute, then after two: it may have been no window, or another limit."""
    world = core(agent_idle_s=1e6)
    refused(world, A_DAY)
    world.wait(61.0)
    probe = ask(world)
    assert probe in world.running
    assert refusal(world, ask(world, "b"))[0] == "endpoint_closed"
    world.settle(probe, tokens=10)
    assert ask(world, "c") in world.running


@pytest.mark.parametrize(("left", "limit", "look_s"), [(0.0, 600.0, 6), (0.0, 60.0, 60)])
def test_one_looks_when_a_bucket_would_have_the_next(left, limit, look_s):
    """Six hundred an hour: it may be a window, or one is there in six seconds. It is said so."""
    world = core(agent_idle_s=1e6)
    said = LimitReport(requests=ServerLimit(limit, left, 3600.0))
    number = refused(world, said)
    cause, detail = refusal(world, number)
    assert cause == "endpoint_closed"
    assert f"3600 s more, as its server said; one call looks in {look_s} s;" in detail
    world.wait(look_s + 0.1)
    probe = ask(world, "b")
    assert probe in world.running
    assert refusal(world, ask(world, "c"))[0] == "endpoint_closed"
    world.settle(probe, tokens=10)
    assert ask(world, "d") in world.running


def test_a_look_that_is_refused_is_followed_by_a_rarer_one():
    """It was a window: the next is after a minute, whatever its limit is."""
    world = core(agent_idle_s=1e6)
    said = LimitReport(requests=ServerLimit(600.0, 0.0, 3600.0))
    refused(world, said)
    world.wait(6.1)
    refused(world, said, "b")
    world.wait(50.0)
    assert refusal(world, ask(world, "c"))[0] == "endpoint_closed"
    world.wait(10.0)
    assert ask(world, "d") in world.running


@pytest.mark.parametrize(
    "said",
    [MINUTE, UNTIL_FULL, LimitReport(requests=ServerLimit(100.0, 0.0)), UNKNOWN],
    ids=["minute", "until full", "no reset", "a limit of 0 that is none"],
)
def test_what_is_no_long_closure_is_waited_for(said):
    """A minute passes; a bucket that is nearly full refused for another reason."""
    world = core(agent_idle_s=1e6)
    number = refused(world, said)
    assert refusal(world, number) is None
    world.wait(61.0)
    assert number in world.running


@pytest.mark.parametrize("config", [None, EndpointConfig(rpm=600.0)])
@pytest.mark.parametrize("served", [2, 5])
def test_a_bucket_gives_the_next_before_it_is_full(config, served):
    """Sixty an hour: after two answers its resets grow with what is gone, and one is there soon."""
    world = core(agent_idle_s=1e6, **({} if config is None else {"endpoints": {"x/*": config}}))
    for left in range(served - 1, -1, -1):
        reset_s = 60.0 * (60 - left) - (served - 1 - left)
        world.settle(ask(world), tokens=10)
        world.observe(AT, LimitReport(requests=ServerLimit(60.0, float(left), reset_s)))
        world.wait(1.0)
    number = ask(world)
    world.wait(30.0)
    world.requeue(number, Kind.LIMIT, 0.0, LimitReport(requests=ServerLimit(60.0, 0.0, 3569.0)))
    assert refusal(world, number) is None
    (endpoint,) = world.kernel.statistics().endpoints.values()
    assert endpoint.closed_for_s <= 61.0


def test_a_large_call_closes_it_for_itself_alone():
    """Fifty tokens of a day are left, which are enough for the usual call."""
    world = core(agent_idle_s=1e6)
    for _ in range(40):
        number = ask(world, tokens=10)
        world.settle(number, tokens=10)
        world.wait(1.0)
    refused(world, LimitReport(tokens=ServerLimit(1e6, 50.0, DAY_S)), "large", tokens=200)
    (endpoint,) = world.kernel.statistics().endpoints.values()
    assert endpoint.closed_for_s == 0.0
    number = ask(world, "b", tokens=10)
    world.wait(2.0)
    assert number in world.running


def test_a_good_answer_that_says_so_closes_nothing():
    """It may be the last of a bucket, whose next unit is there in minutes."""
    world = core(agent_idle_s=1e6)
    world.settle(ask(world), tokens=10)
    world.observe(AT, A_DAY)
    (endpoint,) = world.kernel.statistics().endpoints.values()
    assert endpoint.closed_for_s == 0.0


def test_where_the_window_is_named_its_meter_knows_better():
    """The server's own account opens it, by the rate that the window says."""
    world = core(agent_idle_s=1e6)
    assert refusal(world, refused(world, NAMED))[0] == "endpoint_closed"
    assert ask(world, wait_timeout_s=2e3) in world.waiting
