"""Calls that somebody asks for while he reads a stream of his own, whose lane he holds."""

from __future__ import annotations

import pytest

from agentrm_plugins.config import LaneGroup
from agentrm_plugins.config.endpoints import EndpointConfig
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.effects import Reaped, Refused
from tests.kernel.world import World, config


def reading(world, agent="a", **more):
    """A stream of which something was said."""
    stream = world.submit(agent, streaming=True, **more)
    world.feed(ev.Beat(stream, 1, visible=True))
    return stream


def ask(world, stream, agent="a", **more):
    """Its reader asks for a call."""
    return world.submit(agent, stream, reads=True, **more)


def pull(world, *streams):
    """Their reader asks each for its next chunk, and has it."""
    for stream in streams:
        world.feed(ev.Idle(stream, idle=False))
        world.feed(ev.Beat(stream, 1, visible=True))


def test_a_readers_call_goes_on_the_lane_of_his_stream_where_no_other_is_free():
    """Before those who wait, as a nested one."""
    world = World(config(1), twin=True)
    stream = reading(world)
    other = world.submit("b")
    call = ask(world, stream)
    assert world.running == [stream, call]
    assert world.waiting == [other]
    world.settle(call)
    pull(world, stream)
    assert world.waiting == [other]
    world.settle(stream)
    assert world.running == [other]


def test_it_takes_a_free_lane_first():
    """Its stream's request is under way: two on one lane are more than were asked for."""
    world = World(config(2), twin=True)
    stream = reading(world)
    call = ask(world, stream)
    assert world.kernel.books.pool.in_use == 2
    pull(world, stream)
    assert world.kernel.books.tickets[call].parent is None
    other = world.submit("b")
    assert world.waiting == [other]
    world.settle(call)
    assert world.running == [stream, other]


@pytest.mark.parametrize("lanes", [1, 8])
def test_as_many_readers_as_lanes_all_have_their_calls(lanes):
    """None of them waits, and each lane has one call at work."""
    world = World(config(lanes), twin=True)
    streams = [reading(world, f"a{number}") for number in range(lanes)]
    calls = [ask(world, stream) for stream in streams]
    assert world.running == [*streams, *calls]
    assert world.kernel.books.pool.in_use == lanes
    world.settle(*calls)
    pull(world, *streams)
    world.settle(*streams)
    assert not world.running
    assert not world.kernel.books.pool.in_use


def test_a_call_of_another_group_takes_a_lane_there_beside_the_stream():
    """Its group has one, so the lane in all that it needs is that of the stream."""
    world = World(config(1, "fifo", LaneGroup("model", 1), LaneGroup("tool", 1)), twin=True)
    stream = reading(world)
    call = ask(world, stream, group="tool")
    assert world.running == [stream, call]
    pull(world, stream)
    pull(world, call)
    world.settle(call, stream)
    assert not world.kernel.books.pool.in_use


def test_two_streams_in_turns_share_a_lane():
    """Whichever is asked is at work, so one that hangs is heard of; the other one waits."""
    world = World(config(1, silence_timeout_s=10.0), twin=True)
    first = reading(world)
    second = ask(world, first, streaming=True)
    world.feed(ev.Beat(second, 1, visible=True))
    for _ in range(4):
        world.wait(8.0)
        pull(world, first)
        world.wait(8.0)
        pull(world, second)
    assert world.running == [first, second]
    third = ask(world, second)
    world.wait(60.0)
    world.settle(third)
    pull(world, first)
    effects = world.wait(11.0)
    assert [one.ticket for one in effects if isinstance(one, Reaped)] == [first]
    pull(world, second)
    world.settle(second)
    assert not world.kernel.books.pool.in_use


def test_three_streams_in_turns_end_in_any_order():
    """Inside a call of their own, whose lane they all share."""
    world = World(config(1), twin=True)
    outer = world.submit("a")
    first = world.submit("a", outer, streaming=True)
    second = ask(world, first, streaming=True)
    third = ask(world, second, streaming=True)
    for _ in range(3):
        pull(world, first, second, third)
    pull(world, second)
    world.settle(first)
    pull(world, third)
    pull(world, second)
    world.settle(third)
    pull(world, second)
    world.settle(second)
    assert world.running == [outer]
    world.settle(outer)
    assert not world.kernel.books.pool.in_use


def test_a_healthy_stream_is_not_ended_for_the_time_that_its_readers_call_takes():
    """Neither by its silence nor by its total."""
    world = World(config(1, silence_timeout_s=5.0, total_timeout_s=20.0), twin=True)
    stream = reading(world)
    call = ask(world, stream, total_timeout_s=500.0, first_token_timeout_s=500.0)
    world.wait(1.0)
    world.feed(ev.Idle(stream, idle=True, since_s=0.0))
    world.wait(100.0)
    world.settle(call)
    world.wait(1.0)
    pull(world, stream)
    world.wait(4.0)
    assert world.running == [stream]
    effects = world.wait(2.0)
    assert [one.cause for one in effects if isinstance(one, Reaped)] == ["silence"]


def test_a_step_that_was_cut_while_they_changed_places_leaves_whole_books():
    """All that is counted is made anew from the tickets."""
    world = World(config(1))
    first = reading(world)
    second = ask(world, first, streaming=True)
    pull(world, first)
    world.kernel.recount()
    world.feed(ev.Tick())
    pull(world, second, first)
    world.settle(first, second)
    assert not world.kernel.books.pool.in_use


def at_limit(**endpoint):
    told = EndpointConfig(**endpoint)
    return World(config(8, endpoints={"x/*": told, "z/*": told}), twin=True)


def test_a_limit_of_calls_in_flight_that_readers_use_up_themselves_is_said_at_once():
    """It was configured, so nobody goes beyond it; to wait would be for ever."""
    world = at_limit(concurrency=2)
    streams = [reading(world, agent, endpoint="x/m#k") for agent in ("a", "b")]
    first = ask(world, streams[0], "a", endpoint="x/m#k")
    assert world.waiting == [first]  # the other stream may end
    second = ask(world, streams[1], "b", endpoint="x/m#k")
    refused = [effect for effect in world.kernel.history() if isinstance(effect, Refused)]
    told = [(one.ticket, one.cause, one.detail) for one in refused]
    assert told == [(first, "would_deadlock", "2")]
    assert world.waiting == [second]  # the first one's reader reads on
    pull(world, streams[0])
    world.settle(streams[0])
    assert world.running == [streams[1], second]


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("other", [None, "y/m#k"])
def test_who_waits_at_such_a_limit_for_a_call_that_goes_on_is_not_refused(reads, other):
    """The one stream's call works elsewhere: then that stream goes on, ends and makes room."""
    world = at_limit(concurrency=2)
    first, second = (reading(world, agent, endpoint="x/m#k") for agent in ("a", "b"))
    works = world.submit("a", first, endpoint=other, reads=reads)
    call = world.submit("b", second, endpoint="x/m#k", reads=reads)
    assert world.waiting == [call]
    world.settle(works)
    pull(world, first)
    world.settle(first)
    assert world.running == [second, call]


def test_limits_of_two_endpoints_that_wait_for_each_other_are_told():
    """Each is used up by a stream whose reader asks the other one."""
    world = at_limit(concurrency=1)
    first, second = reading(world, "a", endpoint="x/m#k"), reading(world, "b", endpoint="z/m#k")
    there = ask(world, first, "a", endpoint="z/m#k")
    assert world.waiting == [there]
    ask(world, second, "b", endpoint="x/m#k")
    refused = [effect for effect in world.kernel.history() if isinstance(effect, Refused)]
    assert [one.cause for one in refused] == ["would_deadlock"]


def test_a_limit_of_calls_in_flight_that_was_found_out_does_not_stop_them_for_ever():
    """It is a guess of ours: one more call may cost an error, a wait costs them all."""
    world = at_limit()
    endpoint_of = world.kernel.books.endpoints
    stream = reading(world, endpoint="x/m#k")
    endpoint_of["x/m#k"].concurrency.limit = 1.0
    world.twin.books.endpoints["x/m#k"].concurrency.limit = 1.0
    call = ask(world, stream, endpoint="x/m#k")
    assert world.running == [stream, call]
