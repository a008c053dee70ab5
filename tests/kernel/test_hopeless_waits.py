"""A call that cannot go within its wait timeout, by limits that somebody said, hears so at once."""

from __future__ import annotations

import pytest

from agentrm_plugins.config.endpoints import EndpointConfig
from agentrm_plugins.types.verdicts import Kind, LimitReport, ServerLimit
from tests.kernel.test_closed import AT, ask, core, refusal


def six_a_minute(**more):
    """Its first request is under way; the next one goes in ten seconds."""
    world = core(endpoints={"x/*": EndpointConfig(rpm=6.0, burst_s=1.0, **more)})
    return world, ask(world)


def test_it_is_refused_at_once_with_the_limit_and_the_time():
    """Not after its five seconds: nothing that happens could let it go by then."""
    world, _ = six_a_minute()
    cause, detail = refusal(world, ask(world, "b", wait_timeout_s=5.0))
    assert cause == "wait_timeout"
    assert "its limit of 6 requests in 60 s, as you said; one may go in 10 s" in detail


def test_who_may_go_in_time_waits():
    """Twelve seconds are enough."""
    world, _ = six_a_minute()
    number = ask(world, "b", wait_timeout_s=12.0)
    assert refusal(world, number) is None
    world.wait(10.1)
    assert number in world.running


def test_a_call_that_goes_again_is_refused_as_well():
    """It has waited for a part of its patience, and the rest is not enough."""
    world, _ = six_a_minute()
    number = ask(world, "b", wait_timeout_s=12.0)
    world.wait(10.1)
    world.requeue(number, Kind.TRANSIENT, 0.0)
    assert refusal(world, number)[0] == "wait_timeout"


@pytest.mark.parametrize("said", [None, LimitReport(requests=ServerLimit(6.0, 0.0, 10.0))])
def test_what_may_change_is_waited_for(said):
    """Nobody said how much may go, or the server's next requests are there in ten seconds."""
    world = core()
    if said is not None:
        world.observe(AT, said)
    number = ask(world, "b", wait_timeout_s=11.0)
    assert refusal(world, number) is None


def test_tokens_that_are_reserved_may_come_back():
    """The call under way may cost less than was thought: who waits for that waits."""
    told = EndpointConfig(tpm=600.0, burst_s=10.0)
    world = core(endpoints={"x/*": told})
    first = ask(world, tokens=100)
    number = ask(world, "b", tokens=100, wait_timeout_s=5.0)
    assert refusal(world, number) is None
    world.settle(first, tokens=10)
    world.wait(2.0)
    assert number in world.running


def test_nothing_under_way_gives_tokens_back():
    """Then it is known for tokens too."""
    world = core(endpoints={"x/*": EndpointConfig(tpm=600.0, burst_s=10.0)})
    world.settle(ask(world, tokens=100), tokens=100)
    assert refusal(world, ask(world, "b", tokens=100, wait_timeout_s=5.0))[0] == "wait_timeout"
