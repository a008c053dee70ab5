"""What every host promises: virtual time, threads, one event loop, two loops at once."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from agentrm_plugins import CallReaped, CallRefused, ClosedError
from agentrm_plugins.config import LaneGroup
from agentrm_plugins.errors import AgentEnded, QueueFull, WaitTimeout
from tests.hosts.worlds import World, running_loop

pytestmark = pytest.mark.lowest
LOOPS = {"virtual": 0, "threads": 0, "asyncio": 1, "two loops": 2}


@pytest.fixture(params=LOOPS)
def world(request):
    with ExitStack() as stack:
        loops = [stack.enter_context(running_loop()) for _ in range(LOOPS[request.param])]
        world = World(request.param, loops)
        yield world
        world.leave()


def test_at_most_n_run_and_the_rest_wait_their_turn(world):
    """Lanes are filled at once, never exceeded, and handed on when a call ends."""
    world.open(lanes=2, order="fifo")
    first, second = world.call("a"), world.call("b")
    first.expect_granted()
    second.expect_granted()
    third, fourth = world.queue("c"), world.queue("d")
    world.expect(lanes_in_use=2, waiting=2)
    second.end()
    third.expect_granted()
    assert world.rm.statistics().waiting == 1
    assert first.end() is None
    assert fourth.expect_granted().waited_s == 0.0
    assert world.rm.statistics().lanes_peak == 2


def test_waiting_is_measured_on_the_cores_clock(world):
    """A lease says how long it waited."""
    world.open(lanes=1)
    first = world.call("a")
    first.expect_granted()
    second = world.queue("b")
    world.clock.advance(7.5)
    first.end()
    assert second.expect_granted().waited_s == 7.5


def test_an_agent_with_less_service_goes_first(world):
    """The order is the kernel's, whatever world the callers live in."""
    world.open(lanes=1)
    greedy = world.call("greedy")
    greedy.expect_granted()
    again, newcomer = world.queue("greedy"), world.queue("newcomer")
    world.clock.advance(20.0)
    greedy.end()
    newcomer.expect_granted()
    assert not again.granted.is_set()


def test_a_call_waits_no_longer_than_it_wants(world):
    """Its deadline is kept though nothing else happens."""
    world.open(lanes=1)
    world.call("a").expect_granted()
    late = world.queue("b", wait_timeout_s=3.0)
    world.clock.advance(2.9)
    world.expect(waiting=1)
    world.clock.advance(0.2)
    assert late.expect_error(WaitTimeout).agent == "b"
    world.expect(waiting=0)


def test_a_full_queue_refuses(world):
    """One more than `max_waiting` is told so at once."""
    world.open(lanes=1, max_waiting=1)
    world.call("a").expect_granted()
    world.queue("b")
    assert world.call("c").expect_error(QueueFull).cause == "queue_full"


def test_a_silent_call_is_reaped_and_its_lane_given_on(world):
    """The lane is free at once; the call learns it; its late end frees no second lane."""
    world.open(lanes=1)
    silent = world.call("a")
    lease = silent.expect_granted()
    second, third = world.queue("b"), world.queue("c")
    world.clock.advance(601.0)
    second.expect_granted()
    assert lease.reaped
    assert lease.reap_cause == "response"
    silent.finish()
    error = silent.expect_error(CallReaped)
    assert (error.agent, error.cause) == ("a", "response")
    world.expect(lanes_in_use=1, waiting=1, zombies=0, reaped=1)
    assert not third.granted.is_set()


def test_beats_keep_a_call_alive(world):
    """Progress counts, not age; silence after the last beat does."""
    world.open(lanes=1)
    lively = world.call("a", streaming=True)
    lease = lively.expect_granted()
    for _ in range(10):
        world.clock.advance(50.0)
        lease.beat(4)
    assert not lease.reaped
    world.clock.advance(60.0)
    assert lease.reap_cause == "silence"


def test_a_queue_is_no_silence(world):
    """A call that waited for hours has all its time when it gets a lane."""
    world.open(lanes=1)
    first = world.call("a", total_timeout_s=10_000.0)
    lease = first.expect_granted()
    second = world.queue("b")
    for _ in range(30):
        world.clock.advance(29.0)
        lease.beat()
    first.end()
    got = second.expect_granted()
    world.clock.advance(119.0)
    assert not got.reaped


def test_ending_an_agent_withdraws_its_childrens_calls(world):
    """A parent that is gone leaves no waiting call behind; others stay."""
    world.open(lanes=1)
    world.call("other").expect_granted()
    child = world.queue("child", parent_agent="parent")
    own = world.queue("parent")
    stays = world.queue("other")
    world.rm.end_agent("parent")
    child.expect_error(AgentEnded)
    own.expect_error(AgentEnded)
    assert not stays.ended.is_set()
    world.expect(waiting=1)


def test_closing_refuses_who_waits_and_lets_who_runs_end(world):
    """After close nobody waits for ever, and a running call settles as ever."""
    world.open(lanes=1)
    running = world.call("a")
    running.expect_granted()
    waiting = world.queue("b")
    world.rm.close()
    waiting.expect_error(ClosedError)
    assert running.end() is None
    assert isinstance(world.call("c").expect_error(ClosedError), RuntimeError)


def test_cancelling_a_waiting_call(world):
    """It leaves the queue, and no lane is lost."""
    world.open(lanes=1)
    first = world.call("a")
    first.expect_granted()
    second, third = world.queue("b"), world.queue("c")
    if not world.cancels:
        pytest.skip("a thread that waits cannot be cancelled; Ctrl-C is tested elsewhere")
    second.cancel()
    second.expect_error((asyncio.CancelledError, CallRefused))
    world.expect(waiting=1)
    first.end()
    third.expect_granted()


def test_cancelling_a_running_call(world):
    """Its lane goes to the next."""
    world.open(lanes=1)
    first = world.call("a")
    first.expect_granted()
    second = world.queue("b")
    if not world.cancels:
        pytest.skip("a thread that runs cannot be cancelled")
    first.cancel()
    second.expect_granted()
    world.expect(lanes_in_use=1, waiting=0)


def test_ceilings_and_guarantees_hold(world):
    """A group keeps to its capacity while another takes the lanes that it may."""
    groups = (LaneGroup("model", 2, per_agent=1), LaneGroup("tool", 1, guaranteed=1))
    world.open(lanes=2, groups=groups)
    world.call("a").expect_granted()
    second = world.queue("a")
    tool = world.call("a", group="tool")
    tool.expect_granted()
    world.expect(lanes_in_use=2, waiting=1)
    assert not second.granted.is_set()


def test_everything_is_in_the_event_stream_in_order(world):
    """Each call tells its story: submitted, granted, settled."""
    world.open(lanes=1)
    events = world.rm.events()
    call = world.call("a")
    ticket = call.expect_granted().ticket
    call.end()
    story = [(type(event).__name__, event.ticket) for event in events.drain()]
    assert story == [("Submitted", ticket), ("Granted", ticket), ("Settled", ticket)]
    assert [type(event).__name__ for event in world.rm.story(ticket)] == [name for name, _ in story]
