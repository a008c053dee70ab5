"""A consumer that does not ask for more: nothing of that time counts as silence."""

from __future__ import annotations

from agentrm_plugins.types import events as ev
from tests.kernel.world import World, config, said


def idle(world, number, idle=True):
    return world.feed(ev.Idle(number, idle))


def streaming(**limits):
    """A stream that has said something and is at work."""
    world = World(config(silence_timeout_s=10.0, **limits), twin=True)
    number = world.submit(streaming=True)
    world.beat(number, 3)
    return world, number


def test_while_the_consumer_does_not_ask_nothing_is_silence():
    """An hour of a reader that is busy elsewhere; then ten seconds in which the server is mute."""
    world, number = streaming(total_timeout_s=20.0)
    world.wait(4.0)
    idle(world, number)
    idle(world, number)
    world.wait(3600.0)
    assert number in world.running
    idle(world, number, False)
    world.wait(5.9)
    assert number in world.running
    assert said(world.wait(0.2)) == [("Reaped", number, "silence")]


def test_nor_does_it_count_for_the_total_timeout():
    """Twenty seconds of work, however long the reader took in between."""
    world, number = streaming(total_timeout_s=20.0)
    for _ in range(3):
        world.wait(5.0)
        idle(world, number)
        world.wait(100.0)
        idle(world, number, False)
        world.beat(number)
    world.wait(4.0)
    assert number in world.running
    assert said(world.wait(1.1)) == [("Reaped", number, "total")]


def test_a_pause_may_be_told_late():
    """What counts is when it began; no earlier than the last progress, for that was asked for."""
    for began_s, left_s in ((3.0, 7.0), (-5.0, 10.0), (500.0, 1.0)):
        world, number = streaming()
        world.wait(9.0)
        now_s = world.now_s
        world.feed(ev.Idle(number, True, now_s - 9.0 + began_s))
        world.wait(3600.0)
        assert number in world.running
        idle(world, number, False)
        world.wait(left_s - 0.1)
        assert number in world.running
        assert said(world.wait(0.2)) == [("Reaped", number, "silence")]


def test_who_is_given_something_has_asked_for_it():
    """A piece that is said to the consumer ends the pause; a ping on the wire does not."""
    world, number = streaming()
    idle(world, number)
    world.wait(50.0)
    world.beat(number)
    world.wait(50.0)
    assert number in world.running
    world.feed(ev.Beat(number, 1, visible=True))
    assert said(world.wait(10.1)) == [("Reaped", number, "silence")]


def test_a_call_that_waits_or_is_over_has_no_consumer():
    """A late word changes nothing."""
    world = World(config(1), twin=True)
    first, second = world.submit(), world.submit("b")
    assert idle(world, second) == []
    world.settle(first)
    assert idle(world, first) == []
    assert idle(world, 99) == []
    world.settle(second)


def test_a_pause_beyond_the_total_ends_where_somebody_waits_for_the_lane():
    """Nobody would ever get it from a stream that is held and not read."""
    world = World(config(1, silence_timeout_s=10.0, total_timeout_s=20.0), twin=True)
    held = world.submit("a", streaming=True)
    world.beat(held, 3)
    idle(world, held)
    other = world.submit("b")
    world.wait(19.0)
    assert (world.running, world.waiting) == ([held], [other])
    world.wait(1.1)
    assert world.running == [other]
    assert [
        told.cause for told in world.kernel.story(held) if told.__class__.__name__ == "Reaped"
    ] == ["total"]


def test_who_comes_to_wait_later_gets_it_soon():
    """As long as nobody did, the reader took his time."""
    world = World(config(1, silence_timeout_s=10.0, total_timeout_s=20.0), twin=True)
    held = world.submit("a", streaming=True)
    world.beat(held, 3)
    idle(world, held)
    world.wait(100.0)
    assert world.running == [held]
    other = world.submit("b")
    world.wait(6.0)
    assert world.running == [other]


def test_a_lane_that_nobody_lacks_is_no_reason():
    """Somebody waits for the endpoint, or for his own other call; a lane is free."""
    world = World(config(2, silence_timeout_s=10.0, total_timeout_s=20.0), twin=True)
    held, other = world.submit("a", streaming=True), world.submit("b")
    world.beat(held, 3)
    idle(world, held)
    world.wait(15.0)
    world.settle(other)
    world.wait(15.0)
    assert world.running == [held]
