"""Closed is said, not slept through; a long closure is probed, an absurd limit doubted."""

from __future__ import annotations

import pytest

from agentrm_plugins.config.endpoints import EndpointConfig
from agentrm_plugins.errors import WaitTimeout
from agentrm_plugins.hosts.refusals import refusal as refusal_error
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types.calls import Call, Usage
from agentrm_plugins.types.verdicts import Kind, LimitReport, ServerLimit
from tests.kernel.world import World, config

AT = "x/m#k"
DAY_S = 86_400.0


def ask(world, agent="a", tokens=100, **more):
    estimate = Usage(0, tokens)
    return world.submit(agent, endpoint=AT, estimate=estimate, max_output_tokens=tokens, **more)


def core(lanes=20, **more):
    return World(config(lanes, **more), twin=True)


def refusal(world, number):
    """Why the call was refused, and in which words."""
    found = [one for one in world.kernel.story(number) if isinstance(one, fx.Refused)]
    return (found[0].cause, found[0].detail) if found else None


def close(world, seconds):
    """A call of somebody else meets a 429 with that time."""
    world.observe(AT, LimitReport(retry_after_s=seconds), Kind.LIMIT)


@pytest.mark.parametrize("seconds", [300.0, DAY_S, 57 * 365 * DAY_S])
def test_a_call_that_would_wait_too_long_is_told_at_once(seconds):
    """The second, the tenth and ten at once: none of them sleeps, each hears until when and why."""
    world = core()
    close(world, seconds)
    for number in [ask(world, f"a{n}") for n in range(12)]:
        cause, detail = refusal(world, number)
        assert cause == "endpoint_closed"
        assert AT in detail
        assert f"{seconds:.0f} s more, as its server said" in detail


def test_who_waits_already_is_told_when_it_closes():
    """Calls in the queue and asleep are not left there."""
    world = core(endpoints={"x/*": EndpointConfig(rpm=60.0, burst_s=1.0)})
    first, waits = ask(world), ask(world, "b")
    sleeper = ask(world, "c")
    assert world.waiting == [waits, sleeper]
    world.requeue(first, Kind.TRANSIENT, 5.0)
    close(world, DAY_S)
    assert [refusal(world, n)[0] for n in (first, waits, sleeper)] == ["endpoint_closed"] * 3


@pytest.mark.parametrize(
    ("seconds", "fields", "core_wide", "waits"),
    [
        (100.0, {}, {}, True),
        (130.0, {}, {}, False),
        (130.0, {"wait_timeout_s": 200.0}, {}, True),
        (10.0, {"wait_timeout_s": 5.0}, {}, False),
        (130.0, {}, {"wait_timeout_s": 300.0}, True),
        (20.0, {}, {"endpoint_wait_timeout_s": 10.0}, False),
        (1e6, {}, {"endpoint_wait_timeout_s": None}, True),
    ],
)
def test_patience_is_what_the_call_says_or_the_core(seconds, fields, core_wide, waits):
    """The wait timeout where there is one, else two minutes, which are for closures alone."""
    world = core(**core_wide)
    close(world, seconds)
    assert (ask(world, **fields) in world.waiting) is waits


def test_a_wait_for_a_lane_is_not_bounded_by_it():
    """An hour in the queue for a lane, as long as the endpoint is open."""
    world = World(config(1, total_timeout_s=None, response_timeout_s=1e5, adaptive=False))
    first, second = ask(world), ask(world, "b")
    world.wait(3600.0)
    assert second in world.waiting
    close(world, 100.0)
    assert second in world.waiting  # that hour was not the endpoint's
    world.wait(101.0)
    world.settle(first)
    assert second in world.running


def test_closing_again_and_again_uses_up_patience():
    """A server that turns all away for a minute, and then for another, is not waited for."""
    world = core()
    close(world, 50.0)
    probe, number = ask(world), ask(world, "b")
    world.wait(40.0)
    close(world, 50.0)
    assert {probe, number} == set(world.waiting)
    world.wait(40.0)
    assert world.running == [probe]
    close(world, 50.0)
    assert refusal(world, number)[0] == "endpoint_closed"


def test_an_endpoint_that_is_closed_for_long_is_probed_and_opens():
    """One call goes after a minute; it is answered, and everybody may go again."""
    world = core()
    close(world, DAY_S)
    assert refusal(world, ask(world)) is not None
    world.wait(61.0)
    probe, other = ask(world), ask(world, "b")
    assert probe in world.running
    assert refusal(world, other)[0] == "endpoint_closed"
    world.settle(probe, tokens=10)
    after = ask(world, "c")
    world.wait(5.0)
    assert after in world.running


def test_probes_that_are_refused_become_rare():
    """A day of one call a minute: some dozens of them are sent, none waits."""
    world = core(agent_idle_s=1e6)
    world.twin = None
    close(world, DAY_S)
    sent = 0
    for _ in range(600):
        world.wait(60.0)
        number = ask(world)
        if number in world.running:
            sent += 1
            left_s = max(1.0, DAY_S - world.now_s)
            world.fail(number, Kind.LIMIT, LimitReport(retry_after_s=left_s))
        assert number not in world.waiting
    assert 20 <= sent <= 60


def test_after_its_time_the_endpoint_works_again():
    """However many were refused meanwhile."""
    world = core()
    close(world, 400.0)
    for _ in range(3):
        assert refusal(world, ask(world)) is not None
        world.wait(15.0)
    world.wait(400.0)
    number = ask(world)
    assert number in world.running
    world.settle(number, tokens=10)


def test_an_answer_to_an_older_call_opens_nothing():
    """It was sent before the server closed."""
    world = core()
    old = ask(world)
    world.wait(1.0)
    close(world, DAY_S)
    world.wait(1.0)
    world.settle(old, tokens=10)
    assert refusal(world, ask(world))[0] == "endpoint_closed"


# -- absurd limits ---------------------------------------------------------------------------------


def absurd(world, limit=3.0):
    """A good answer whose headers name a limit below any call."""
    number = ask(world)
    world.settle(number, tokens=50)
    world.observe(AT, LimitReport(tokens=ServerLimit(limit, limit, 1.0)))


def test_an_absurd_limit_is_tried_once_and_not_believed_again():
    """One call goes to find out, the others wait for it; it is served, and so are they."""
    world = core()
    absurd(world)
    trial, others = ask(world), [ask(world, name) for name in "bc"]
    assert trial in world.running
    assert world.waiting == others
    world.settle(trial, tokens=80)
    world.observe(AT, LimitReport(tokens=ServerLimit(3.0, 0.0, 60.0)))
    world.wait(1.0)
    assert set(others) <= set(world.running)


def test_an_absurd_limit_that_is_meant_is_told():
    """The trial is refused: who waits goes as the next one, a minute later; others hear it."""
    world = core()
    absurd(world)
    trial, other = ask(world), ask(world, "b")
    world.fail(trial, Kind.LIMIT, LimitReport(tokens=ServerLimit(3.0, 0.0, 1.0)))
    world.observe(AT, LimitReport(tokens=ServerLimit(4.0, 4.0, 1.0)))
    assert other not in world.running
    assert refusal(world, ask(world, "c"))[0] == "too_large"
    world.wait(61.0)
    assert world.running == [other]


def test_what_the_user_says_is_not_doubted():
    """His limit is below the call: that is said at once."""
    world = core(endpoints={"x/*": EndpointConfig(tpm=3.0)})
    assert refusal(world, ask(world))[0] == "too_large"


# -- who waited in vain ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "report", "words"),
    [
        ({}, {"requests": ServerLimit(1.0, 0.0, 60.0)}, ("limit of 1 requests in 60 s", "server")),
        ({"rpm": 1.0}, {}, ("limit of 1 requests in 60 s", "as you said")),
        ({"concurrency": 1}, {}, ("limit of 1 calls in flight", "as you said")),
    ],
)
def test_a_wait_in_vain_names_what_of_the_endpoint_was_in_the_way(settings, report, words):
    """All lanes are free: which limit, and who said so; and not that lanes lack.

    What a limit lets go is known and said at once; a call in flight may end at any time.
    """
    world = core(endpoints={"x/*": EndpointConfig(**settings)})
    first = ask(world)
    world.observe(AT, LimitReport(**report))
    if "concurrency" not in settings:
        world.settle(first, tokens=50)
    number = ask(world, "b", wait_timeout_s=6.0)
    if "concurrency" in settings:
        assert number in world.waiting
        world.wait(6.1)
    cause, detail = refusal(world, number)
    assert cause == "wait_timeout"
    for word in (AT, *words):
        assert word in detail
    error = refused(world, number)
    assert isinstance(error, WaitTimeout)
    assert detail in str(error)
    assert "lane" not in str(error)


def test_a_wait_for_a_lane_in_vain_says_so():
    world = World(config(1))
    ask(world)
    number = ask(world, "b", wait_timeout_s=6.0)
    world.wait(6.1)
    assert refusal(world, number) == ("wait_timeout", "")
    assert "add lanes" in str(refused(world, number))


def refused(world, number):
    """The error that the caller gets."""
    effect = next(one for one in world.kernel.story(number) if isinstance(one, fx.Refused))
    return refusal_error(effect, Call("b"))
