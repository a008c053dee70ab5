"""Leases: silence while holding a lane costs it, waiting never does, and nothing is freed twice."""

from __future__ import annotations

import pytest

from agentrm_plugins.types import events as ev
from tests.kernel.world import World, config, said

pytestmark = pytest.mark.lowest

LEASES = {
    "first_token_timeout_s": 10.0,
    "silence_timeout_s": 2.0,
    "response_timeout_s": 20.0,
    "total_timeout_s": 30.0,
}


def test_time_to_first_token_and_between_tokens_have_bounds_of_their_own() -> None:
    """A streaming call may think for long before its first token and not for long after it."""
    world = World(config(2, **LEASES))
    silent, stalled = world.submit("a", streaming=True), world.submit("b", streaming=True)
    world.wait(1.0)
    world.beat(stalled, 1)
    assert said(world.wait(2.0)) == [("Reaped", stalled, "silence")]
    assert said(world.wait(7.0)) == [("Reaped", silent, "first_token")]


def test_call_that_cannot_beat_has_the_response_timeout() -> None:
    """Without streaming, silence is normal: until the response timeout."""
    world = World(config(1, **LEASES))
    number = world.submit("a")
    assert said(world.wait(20.0)) == [("Reaped", number, "response")]


def test_beats_keep_the_lane_until_the_deadline() -> None:
    """Progress renews the lease, yet nobody holds a lane for longer than the total timeout."""
    world = World(config(1, **LEASES))
    number = world.submit("a", streaming=True, total_timeout_s=5.0)
    effects = []
    for _ in range(10):
        effects += world.wait(1.0)
        world.beat(number)
    assert said(effects) == [("Reaped", number, "total")]
    assert effects[0].held_s == 5.0


def test_a_ping_begins_the_silence_anew_and_is_no_progress() -> None:
    """Before the first token the limit for that one goes on to hold; after it, that for silence."""
    world = World(config(1, **LEASES))
    number = world.submit("a", streaming=True)
    world.wait(8.0)
    world.feed(ev.Beat(number, ping=True))
    assert said(world.wait(9.0)) == []
    assert world.kernel.statistics().calls[0].silent_s == 9.0
    world.beat(number, 1)
    world.wait(1.5)
    world.feed(ev.Beat(number, ping=True))
    assert said(world.wait(1.9)) == []
    assert said(world.wait(0.1)) == [("Reaped", number, "silence")]


def test_a_server_that_only_pings_is_late_as_any_other() -> None:
    """It is there, but its answer is not: the learnt time goes on to run."""
    world = World(config(2, adaptive=True))
    number = world.submit("a", streaming=True, endpoint="x/m")
    seen = []
    for _ in range(7):
        world.feed(ev.Beat(number, ping=True))
        seen += said(world.wait(9.0))
    assert ("Suspected", number, "first_token") in seen
    assert world.state[number] == "running"


def test_own_timeouts_go_before_the_configured() -> None:
    """Each of a call's own timeouts replaces the configured one."""
    world = World(config(2, **LEASES))
    first = world.submit("a", streaming=True, first_token_timeout_s=1.0)
    second = world.submit("b", streaming=True, silence_timeout_s=0.5)
    world.beat(second)
    effects = world.wait(1.0)
    assert said(effects) == [("Reaped", second, "silence"), ("Reaped", first, "first_token")]


def test_no_total_timeout_at_all() -> None:
    """`total_timeout_s=None` lets a call that beats hold its lane for ever."""
    world = World(config(1, **{**LEASES, "total_timeout_s": None}))
    number = world.submit("a", streaming=True)
    for _ in range(100):
        world.wait(1.9)
        world.beat(number)
    assert world.running == [number]


def test_queue_time_never_counts() -> None:
    """A call that waited for long has its whole lease from the moment it has a lane."""
    world = World(config(1, **LEASES))
    first = world.submit("a", streaming=True)
    waiting = world.submit("b", streaming=True)
    for _ in range(28):
        world.wait(1.0)
        world.beat(first)
    world.settle(first)
    assert world.running == [waiting]
    assert world.wait(9.0) == []
    assert said(world.wait(1.0)) == [("Reaped", waiting, "first_token")]


def test_reaped_lane_is_free_at_once_and_once() -> None:
    """The next call has the zombie's lane; the zombie's late end is charged and frees nothing."""
    world = World(config(1, **LEASES))
    zombie, second, third = world.submit("a"), world.submit("b"), world.submit("c")
    effects = world.wait(20.0)
    assert said(effects) == [("Reaped", zombie, "response"), ("Granted", second, "order")]
    statistics = world.kernel.statistics()
    assert (statistics.zombies, statistics.zombie_lane_s) == (1, 20.0)
    assert world.beat(zombie, 5) == []
    assert said(world.settle(zombie, tokens=100)) == [("Settled", zombie, "late")]
    assert world.waiting == [third]
    assert world.kernel.statistics().agents["a"].tokens == 100
    assert world.settle(zombie, tokens=100) == []


def test_zombie_that_never_comes_back_is_forgotten() -> None:
    """A caller that is gone for good leaves nothing behind, and no refusal."""
    world = World(config(1, agent_idle_s=50.0, **LEASES))
    number = world.submit("a")
    world.wait(20.0)
    assert world.kernel.books.zombies == 1
    assert world.wait(50.0) == []
    assert world.kernel.books.zombies == 0
    assert world.settle(number) == []
    assert not world.kernel.books.tickets


def test_late_host_meets_all_deadlines_in_their_order() -> None:
    """A host that overslept reaps in the order in which it should have."""
    world = World(config(3, **LEASES))
    slow = world.submit("a", first_token_timeout_s=9.0, streaming=True)
    fast = world.submit("b", first_token_timeout_s=3.0, streaming=True)
    moved = world.submit("c", silence_timeout_s=5.0, streaming=True, first_token_timeout_s=2.0)
    world.now_s = 1.0
    world.beat(moved)
    world.now_s = 20.0
    reaped = [effect.ticket for effect in world.feed()]
    assert reaped == [fast, moved, slow]


def test_beats_for_calls_that_do_not_run_are_nothing() -> None:
    """A beat for a waiting, ended or unknown call changes nothing."""
    world = World(config(1))
    first, second = world.submit("a"), world.submit("b")
    assert world.beat(second) == []
    world.settle(first)
    assert world.beat(first) == []
    assert world.beat(99) == []


def test_errors_are_settled_as_errors() -> None:
    """How a call ended is told as its caller saw it."""
    world = World(config(1))
    assert said(world.fail(world.submit("a"))) == [("Settled", 1, "error")]
