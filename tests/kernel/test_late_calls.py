"""Late is not dead: what is learnt makes a call suspect, and nothing but configuration ends one."""

from __future__ import annotations

import pytest

from agentrm_plugins.config import LaneGroup
from agentrm_plugins.config.endpoints import EndpointConfig
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import Usage
from agentrm_plugins.types.verdicts import Kind
from tests.kernel.world import World, config, said

AT = "x/m#k"


def core(lanes=9, *groups, endpoint=None, **more):
    """A core that knows its endpoint: it answers in 0.2 s, forty times over."""
    endpoints = {"x/*": EndpointConfig(rpm=1e6, **(endpoint or {}))}
    world = World(config(lanes, "mlfq", *groups, endpoints=endpoints, **more), twin=True)
    for _ in range(40):
        answer(world)
    return world


def answer(world, after_s=0.2):
    number = ask(world, "quick")
    world.wait(after_s)
    world.settle(number, tokens=10)


def ask(world, agent="a", tokens=10, **more):
    """A call to the endpoint that may put out so many tokens."""
    estimate = Usage(5, tokens)
    return world.submit(agent, endpoint=AT, estimate=estimate, max_output_tokens=tokens, **more)


def suspects(world, seconds):
    """Who becomes late in the next seconds, and of what."""
    effects = world.wait(seconds)
    return [(one.ticket, one.cause) for one in effects if isinstance(one, fx.Suspected)]


def reaped(effects):
    return [(one.ticket, one.cause) for one in effects if isinstance(one, fx.Reaped)]


# -- nothing that is learnt ends a call ----------------------------------------------------------


@pytest.mark.parametrize("seconds", [6.0, 20.0, 45.0, 599.0])
def test_a_slow_call_among_quick_ones_lives(seconds):
    """Forty answers of 0.2 s, then one that takes much longer: it is late once, and is answered."""
    world = core()
    slow = ask(world)
    assert suspects(world, 5.0) == [(slow, "response")]
    assert not reaped(world.wait(seconds - 5.0))
    assert world.state[slow] == "running"
    world.settle(slow, tokens=10)
    assert world.kernel.statistics().reaped == 0


def test_without_history_only_the_configured_time_ends_it():
    """A ten-minute answer gets through; a second more, and the error says which limit that was."""
    world = World(config(1))
    number = ask(world)
    assert not reaped(world.wait(599.9))
    (effect,) = [one for one in world.wait(0.2) if isinstance(one, fx.Reaped)]
    told = effect.cause, effect.limit_s, effect.source
    assert told == ("response", 600.0, "the configuration")
    own = ask(world, total_timeout_s=700.0, first_token_timeout_s=3.0, timeout_source="the client")
    (effect,) = [one for one in world.wait(3.1) if isinstance(one, fx.Reaped)]
    assert (effect.ticket, effect.cause, effect.limit_s) == (own, "response", 3.0)
    assert effect.source == "the client"
    assert world.state[number] == "zombie"


def test_a_healthy_stream_that_pauses_lives():
    """Brisk streams, then one that is mute for half a minute: its lane is lent, it goes on."""
    world = core()
    for _ in range(30):
        number = ask(world, streaming=True)
        for _ in range(5):
            world.wait(0.05)
            world.beat(number, 1)
        world.settle(number, tokens=5)
    number = ask(world, streaming=True)
    world.feed(ev.Beat(number, 1, visible=True))
    assert suspects(world, 30.0) == [(number, "silence")]
    world.feed(ev.Beat(number, 1, visible=True))
    assert world.state[number] == "running"
    world.settle(number, tokens=2)


@pytest.mark.parametrize("where", ["core", "endpoint", "call"])
def test_what_is_learnt_can_be_switched_off(where):
    """Per core, per endpoint, per call: then nothing is ever late."""
    off = {"adaptive": False}
    world = core(endpoint=off if where == "endpoint" else {}, **off if where == "core" else {})
    more = off if where == "call" else {}
    number = ask(world, **more)
    assert suspects(world, 500.0) == []
    world.settle(number)


def test_a_call_may_have_it_where_its_core_has_not():
    """The nearer word counts."""
    world = core(adaptive=False)
    number = ask(world, adaptive=True)
    assert suspects(world, 20.0) == [(number, "response")]


# -- its lane is lent, its hedge goes ----------------------------------------------------------


def test_a_late_calls_lane_is_lent_to_who_waits():
    """Two lanes: one late call lends its lane, for at most half of them go on beside the lanes."""
    world = core(lanes=2)
    late = [ask(world, "a"), ask(world, "b")]
    waits = [ask(world, "c"), ask(world, "d")]
    world.wait(5.0)
    assert world.state[late[0]] == world.state[late[1]] == "running"
    assert world.state[waits[0]] == "running"
    assert world.state[waits[1]] == "queued"
    world.settle(late[0])
    assert world.state[waits[1]] == "running"


def test_the_hedge_goes_at_the_calls_own_place_and_the_winner_takes_it():
    """Before those that came later; the first is then cancelled, and what each cost is charged."""
    world = core(lanes=2)
    first = ask(world, "a")
    blocker = world.submit("b")
    later = [ask(world, name) for name in "cd"]
    world.wait(0.1)
    world.wait(3.0)
    hedge = world.hedge(first)
    world.settle(blocker)
    assert world.state[hedge] == "running"
    before = world.kernel.statistics().output_tokens
    world.settle(hedge, tokens=10)
    world.supersede(first, tokens=3)
    assert world.kernel.statistics().output_tokens == before + 13
    assert [world.state[number] for number in later] == ["running", "running"]


def test_a_call_that_comes_alive_again_is_a_running_call():
    """Its hedge is not needed any more; it goes on without the lane that it lent."""
    world = core(lanes=2)
    first = ask(world, "a", streaming=True)
    world.wait(30.0)
    world.beat(first, 1)
    world.wait(4.0)
    assert world.kernel.statistics().lanes_in_use == 0
    world.settle(first, tokens=1)


def test_at_the_bound_the_hedge_rides_on_the_lane_of_the_first():
    """Of two late calls on two lanes one has lent its lane; the other keeps it, and shares it."""
    world = core(lanes=2)
    late = [ask(world, "a"), ask(world, "b")]
    world.wait(3.0)
    other = [world.submit("z") for _ in range(2)]
    hedges = [world.hedge(number) for number in late]
    assert world.state[hedges[1]] == "running"
    assert world.kernel.statistics().lanes_in_use == 2
    world.settle(hedges[1], tokens=1)
    world.supersede(late[1])
    world.settle(other[0])
    assert world.state[hedges[0]] == "running"


def test_the_newest_gives_way_and_the_first_stays():
    """A hedge that is late itself is ended, told so, and another may go at once."""
    world = core()
    first = ask(world)
    world.wait(3.0)
    hedge = world.hedge(first)
    effects = world.wait(60.0)
    assert reaped(effects) == [(hedge, "gave_way")]
    assert world.state[first] == "running"
    world.feed(ev.Settle(hedge, Usage(5, 0)))
    again = world.hedge(first)
    assert world.state[again] == "running"
    world.settle(again, tokens=10)
    world.supersede(first)


def test_only_one_hedge_and_none_of_what_was_seen_or_is_over():
    """Such a second attempt is refused, for there is nothing that it could help."""
    world = core()
    first = ask(world, streaming=True)
    world.wait(30.0)
    hedge = world.hedge(first)
    refused = [world.hedge(first), world.hedge(hedge)]
    world.settle(hedge, tokens=1)
    world.supersede(first)
    refused.append(world.hedge(first))
    seen = ask(world, streaming=True)
    world.feed(ev.Beat(seen, 1, visible=True))
    refused.append(world.hedge(seen))
    assert [world.state[number] for number in refused] == ["gone"] * 4
    causes = {
        one.cause for n in refused for one in world.kernel.story(n) if isinstance(one, fx.Refused)
    }
    assert causes == {"superseded"}


def test_a_hedge_that_waits_goes_away_with_the_call():
    """The first is answered: nobody needs a second attempt, and it is told so."""
    world = core(lanes=1)
    first = ask(world, "a")
    world.wait(3.0)
    blocker = world.submit("b")
    hedge = world.hedge(first)
    assert world.state[blocker] == "running"
    assert world.state[hedge] == "queued"
    assert ("Refused", hedge, "superseded") in said(world.settle(first, tokens=10))


def test_if_the_first_fails_the_hedge_is_the_only_one():
    """Whichever is alive goes on; what is left then is late by itself, and may be hedged again."""
    world = core()
    first = ask(world)
    world.wait(3.0)
    hedge = world.hedge(first)
    world.fail(first, Kind.TRANSIENT)
    assert suspects(world, 60.0) == [(hedge, "response")]
    second = world.hedge(hedge)
    assert world.state[second] == "running"
    world.settle(second, tokens=1)
    world.supersede(hedge)


# -- how many --------------------------------------------------------------------------------


def test_where_all_is_slow_there_is_no_storm():
    """Rounds of calls that all take up to a hundred times as long: few are sent a second time."""
    world = core(lanes=8)
    world.twin = None
    for turn in range(60):
        slow = [ask(world, name) for name in "abcdefgh"]
        for _ in range(12 + turn % 9):
            world.wait(1.0)
            for number in list(world.kernel.late.late):
                world.hedge(number)
        for number in slow:
            hedge = world.kernel.books.tickets[number].hedge
            world.settle(number, tokens=10)
            if hedge is not None and world.state[hedge.number] == "running":
                world.supersede(hedge.number, tokens=5)
    assert world.kernel.statistics().hedges.sent < 0.1 * 480


def test_a_set_concurrency_counts_late_calls_and_is_never_passed():
    """Full of calls that hang it would stand still for ten minutes: the oldest makes room."""
    world = core(lanes=4, endpoint={"concurrency": 2})
    hung = [ask(world, "a"), ask(world, "b")]
    waits = ask(world, "c")
    effects = world.wait(30.0)
    assert reaped(effects)[0] == (hung[0], "gave_way")
    assert world.state[waits] == "running"
    assert world.kernel.statistics().endpoints[AT].in_flight <= 2


def test_late_calls_of_a_group_leave_half_of_its_lanes_to_the_others():
    """A bulkhead lends at most half of its own capacity."""
    world = core(9, LaneGroup("model", 2), LaneGroup("node", 7))
    late = [ask(world, name) for name in "ab"]
    waits = [ask(world, name) for name in "cd"]
    world.wait(5.0)
    assert [world.state[n] for n in [*late, *waits]] == ["running", "running", "running", "queued"]


def test_a_call_that_was_never_told_its_size_is_compared_with_all():
    """Long answers are compared with long ones, once enough of them are known."""
    world = World(config(99), twin=False)
    for _ in range(40):
        long, short = ask(world, tokens=4000), ask(world, tokens=10)
        world.wait(0.2)
        world.settle(short, tokens=10)
        world.wait(20.0)
        world.settle(long, tokens=4000)
    late, quick = ask(world, tokens=4000), ask(world, tokens=10)
    assert suspects(world, 19.0) == [(quick, "response")]
    assert world.state[late] == "running"


def test_many_calls_that_are_silent_together_on_a_new_endpoint_are_not_late():
    """It is slow by nature, or cold: nothing was answered yet, and all are alike."""
    world = World(config(9, "mlfq", endpoints={"x/*": EndpointConfig(rpm=1e6)}), twin=True)
    for number in range(8):
        ask(world, f"a{number}")
    assert suspects(world, 590.0) == []


def test_a_lone_call_of_a_new_endpoint_is_late_after_a_third_of_a_minute():
    """And as soon as another one is answered, that tells more."""
    world = World(config(9, "mlfq", endpoints={"x/*": EndpointConfig(rpm=1e6)}), twin=True)
    number = ask(world)
    assert suspects(world, 19.0) == []
    assert suspects(world, 2.0) == [(number, "response")]
    other, quick = ask(world, "b"), ask(world, "c")
    world.wait(1.0)
    world.settle(quick)
    assert suspects(world, 10.0) == [(other, "response")]


def test_a_call_whose_attempts_all_hang_goes_again_before_its_limit():
    """Three hang, nobody has won yet, and others were answered quickly."""
    world = World(config(9, "mlfq", endpoints={"x/*": EndpointConfig(rpm=1e6)}), twin=True)
    first = ask(world)
    for number in range(20):
        quick = ask(world, f"b{number}")
        world.wait(0.2)
        world.settle(quick)
    hedge = None
    while world.now_s < 500.0 and world.kernel.statistics().hedges.sent < 3:
        world.wait(1.0)
        if hedge is None or world.state[hedge] not in {"running", "queued"}:
            hedge = world.hedge(first)
    assert world.state[hedge] == "running"
    assert 240.0 <= world.now_s < 260.0


def test_a_late_attempt_that_none_may_follow_yet_frees_its_lane():
    """Nothing was learnt from hangs, and two more attempts hang: no lane is held meanwhile."""
    world = core()
    first, hedge = ask(world), None
    while world.now_s < 150.0:
        for effect in world.wait(1.0):
            if isinstance(effect, fx.Reaped):
                world.feed(ev.Settle(effect.ticket, Usage(5, 0)))
            if isinstance(effect, fx.Reaped | fx.Suspected):
                hedge = world.hedge(first)
    seen = world.kernel.statistics()
    assert (seen.hedges.sent, seen.lanes_in_use) == (2, 0)
    assert (world.state[first], world.state[hedge]) == ("running", "queued")


def test_a_larger_call_may_take_longer_before_any_like_it_was_answered():
    """Forty small answers in 0.2 s say little of one that may put out sixteen times as much."""
    world = core()
    large, small = ask(world, tokens=160), ask(world, tokens=10)
    assert suspects(world, 5.0) == [(small, "response")]
    assert suspects(world, 60.0) == [(large, "response")]
