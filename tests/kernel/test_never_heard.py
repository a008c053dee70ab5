"""An endpoint that never said a word may be loading still: its calls wait, and single ones look."""

from __future__ import annotations

import pytest

from agentrm_plugins.config.endpoints import EndpointConfig
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import Outcome, Usage
from agentrm_plugins.types.verdicts import Kind, Verdict
from tests.kernel.world import World, config

AT = "localhost/m#k"
NOBODY = Verdict(Kind.TRANSIENT, why="unconnected")


def core(**settings):
    endpoints = {"localhost/*": EndpointConfig(rpm=1e6)}
    return World(config(8, "mlfq", endpoints=endpoints, **settings))


def ask(world, agent="a", **more):
    return world.submit(agent, endpoint=AT, **more)


def breaker(world):
    return world.kernel.statistics().endpoints[AT].breaker


def timed_out(world, calls=20, limit_s=1.0):
    """So many calls pass the user's own limit, one after the other, and nobody is answered."""
    for _ in range(calls):
        number = ask(world, first_token_timeout_s=limit_s)
        world.wait(limit_s)
        world.feed(ev.Settle(number, Usage(), Outcome.ERROR))


def refusals(effects):
    return [(one.ticket, one.cause, one.detail) for one in effects if isinstance(one, fx.Refused)]


def test_calls_wait_for_the_probe_where_only_the_users_own_limit_was_passed():
    """Twenty timeouts: one call in ten seconds looks, the others wait; all go once it answers."""
    world = core()
    timed_out(world)
    assert breaker(world) == "open"
    waits = [ask(world, f"b{number}", first_token_timeout_s=1.0) for number in range(6)]
    assert {world.state[number] for number in waits} == {"queued"}
    world.wait(40.0)  # a cool-down that doubled would have looked twice
    assert [world.state[number] for number in waits].count("zombie") == 3
    world.wait(3.5)
    (probe,) = world.running
    world.settle(probe, tokens=1)
    assert breaker(world) == "closed"
    assert len(world.running) == 2


def test_a_call_waits_no_longer_than_its_patience():
    """Two minutes by default, or what the call says; the refusal names endpoint and patience."""
    world = core()
    timed_out(world)
    short = ask(world, "b", wait_timeout_s=5.0)
    assert world.state[short] == "gone"
    assert world.kernel.story(short)[-1].cause == "endpoint_unavailable"
    waits = [ask(world, f"c{number}", first_token_timeout_s=1.0) for number in range(30)]
    effects = world.wait(200.0)
    gone = [detail for _, cause, detail in refusals(effects) if cause == "endpoint_unavailable"]
    assert gone
    assert all(AT in detail and "patience: 120 s" in detail for detail in gone)
    first = next(one.at_s for one in effects if isinstance(one, fx.Refused))
    assert 110.0 <= first - 20.0 <= 122.0  # a probe that fails takes a second
    assert "queued" not in {world.state[number] for number in waits}


def test_where_nobody_listens_yet_no_call_is_refused():
    """Each finds that out by itself, within milliseconds; the first after the start is served."""
    world = core()
    for _ in range(100):
        number = ask(world)
        world.feed(ev.Settle(number, None, Outcome.ERROR, NOBODY))
        world.wait(0.1)
    assert breaker(world) == "closed"
    served = ask(world)
    assert world.state[served] == "running"


@pytest.mark.parametrize("word", ["an answer", "a first token", "a status", "a refusal"])
def test_one_that_was_heard_of_and_fails_is_left_alone_at_once(word):
    """Whatever it said: that it fails all now is news, and its calls go elsewhere."""
    world = core()
    number = ask(world, streaming=True)
    if word == "a first token":
        world.beat(number, 1)
    verdicts = {
        "a status": Verdict(Kind.TRANSIENT, 500),
        "a refusal": Verdict(Kind.PERMANENT, 401),
    }
    verdict = verdicts.get(word)
    outcome = Outcome.OK if verdict is None else Outcome.ERROR
    world.feed(ev.Settle(number, None, outcome, verdict))
    world.wait(100.0)
    for _ in range(25):
        number = ask(world)
        if world.state[number] == "running":
            world.feed(ev.Settle(number, None, Outcome.ERROR, NOBODY))
    assert breaker(world) == "open"
    assert world.state[number] == "gone"
