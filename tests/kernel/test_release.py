"""A server that has no room for some seconds: who waits already is kept, who comes later told."""

from __future__ import annotations

import pytest

from agentrm_plugins.types import effects as fx
from agentrm_plugins.types.verdicts import Kind
from tests.kernel.world import World, config

AT = "x/m#k"


def ask(world, agent="a", **more):
    return world.submit(agent, endpoint=AT, **more)


def refused(world, number):
    """The cause and the words of its refusal, and when."""
    for one in world.kernel.story(number):
        if isinstance(one, fx.Refused):
            return one.cause, one.detail, one.at_s
    return None


def known():
    """A server that was heard of."""
    world = World(config(20))
    for _ in range(5):
        world.settle(ask(world))
    return world


def full(world, seconds):
    """Whatever runs for so long is turned away."""
    for _ in range(round(10 * seconds)):
        for number in world.running:
            world.requeue(number, Kind.OVERLOADED, 0.0)
        world.wait(0.1)


@pytest.mark.parametrize("crowd", [1, 5, 20])
def test_a_release_of_twelve_seconds_refuses_nobody_who_waits(crowd):
    """The next look finds room, and all go."""
    world = known()
    calls = [ask(world, f"a{number}") for number in range(crowd)]
    full(world, 12.0)
    assert {world.state[number] for number in calls} <= {"queued", "running"}
    for _ in range(200):
        world.settle(*world.running)
        world.wait(0.1)
    assert {world.state[number] for number in calls} == {"done"}
    assert [refused(world, number) for number in calls] == [None] * crowd


def test_who_comes_later_is_told_at_once_or_after_the_look():
    """Its fallback acts within seconds, also where it came while one looked."""
    world = known()
    first = ask(world)
    full(world, 8.0)
    late = ask(world, "late")
    assert refused(world, late)[:2] == ("endpoint_unavailable", AT)
    while world.state[first] == "queued":
        world.wait(0.5)
    assert world.running == [first]
    during = ask(world, "during")
    assert world.state[during] == "queued"
    full(world, 0.1)
    assert refused(world, during)[:2] == ("endpoint_unavailable", AT)
    assert refused(world, first) is None


@pytest.mark.parametrize(("own", "patience_s"), [({}, 120.0), ({"wait_timeout_s": 30.0}, 30.0)])
def test_who_waits_waits_no_longer_than_its_patience(own, patience_s):
    """Two minutes, or what it says; the refusal names why."""
    world = known()
    ask(world)
    waits = ask(world, "b", **own)
    full(world, patience_s + 30.0)
    cause, detail, at_s = refused(world, waits)
    assert cause in {"endpoint_unavailable", "wait_timeout"}
    assert cause == "wait_timeout" or "has no room" in detail
    assert at_s <= patience_s + 12.0
