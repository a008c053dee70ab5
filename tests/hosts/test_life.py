"""A core's life: opening, forking, draining, closing, being forgotten; and what callers may do."""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import os
import threading
import time

import pytest

from agentrm_plugins import AgentRM, Call, CallReaped, ClosedError, ConfigError, LeaseConfig
from agentrm_plugins.errors import AgentRMError, KernelBug
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.integration import asking, core_of
from agentrm_plugins.types.events import Settle
from tests.hosts.worlds import wait_until

pytestmark = pytest.mark.lowest


def pumps():
    return {thread for thread in threading.enumerate() if thread.name == "agentrm-pump"}


# -- fork


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_begins_with_all_lanes_free():
    """The parent's calls are not the child's; the child's own end there; nothing hangs."""
    with AgentRM(lanes=1) as rm:
        held = core_of(rm).admit(Call("parent"))
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                own = core_of(rm).admit(Call("child", wait_timeout_s=5.0))
                held.settle()  # the parent's, and nobody's here
                running = rm.statistics().running
                own.settle()
                rm.close(drain_s=1.0)
                os.write(writer, b"%d %d" % (running, rm.statistics().running))
            finally:
                os._exit(0)
        os.close(writer)
        assert os.waitpid(child, 0)[1] == 0
        assert os.read(reader, 100) == b"1 0"
        os.close(reader)
        assert rm.statistics().running == 1
        held.settle()
        assert rm.statistics().running == 0


def _in_child(rm, results):
    with rm.slot(agent="child", total_timeout_s=0.05) as lease:
        reaped = threading.Event()
        lease.on_reap(lambda _: reaped.set())
        seen = reaped.wait(10)  # the child's own pump keeps the date
        lease._reaped = None  # the exit should not raise here
    results.put((seen, rm.statistics().lanes_in_use))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system"
)
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_multiprocessing_with_fork_has_a_pump_of_its_own():
    """A process forked by multiprocessing manages its own calls, timers included."""
    with AgentRM(lanes=1) as rm:
        lease = core_of(rm).admit(Call("parent"))  # starts the parent's pump
        context = multiprocessing.get_context("fork")
        results = context.SimpleQueue()
        process = context.Process(target=_in_child, args=(rm, results))
        process.start()
        process.join(30)
        assert process.exitcode == 0
        assert results.get() == (True, 0)
        process.close()
        results.close()
        lease.settle()


# -- close


def test_close_in_every_state():
    """Never used, idle, running, waiting, twice: it returns, and says no from then on."""
    unused = AgentRM()
    unused.close()
    unused.close()
    with pytest.raises(ClosedError, match="closed"):
        core_of(unused).admit(Call("a"))
    with pytest.raises(ClosedError), unused.slot(agent="a"):
        pass
    with AgentRM(lanes=1) as idle:
        core_of(idle).admit(Call("a")).settle()
    assert idle.closed
    assert "closed" in repr(idle)
    running = AgentRM(lanes=1)
    lease = core_of(running).admit(Call("a"))
    running.close()
    assert running.statistics().running == 1
    lease.settle()
    assert running.statistics().running == 0


def test_draining_waits_for_running_calls_and_no_longer_than_told():
    """`close(drain_s)` returns as soon as the last call ended, or when its time is over."""
    rm = AgentRM(lanes=2)
    lease = core_of(rm).admit(Call("a"))
    before = time.monotonic()
    rm.close(drain_s=0.05)
    assert time.monotonic() - before >= 0.05
    closer = threading.Thread(target=rm.close, kwargs={"drain_s": 60.0})
    closer.start()
    wait_until(lambda: len(rm._host._on_idle) == 2)
    lease.settle()
    closer.join(20)
    assert not closer.is_alive()


async def test_draining_in_a_loop_does_not_block_it():
    """`aclose` suspends its task; the call that it waits for ends in the same loop."""
    async with AgentRM(lanes=1) as rm:
        entered = asyncio.Event()

        async def work():
            async with rm.slot(agent="a"):
                entered.set()
                await asyncio.sleep(0)

        task = asyncio.create_task(work())
        await entered.wait()
        await rm.aclose(drain_s=20.0)
        assert task.done() or rm.statistics().running == 0
        await task


async def test_a_drain_that_times_out_in_a_loop_is_forgotten():
    """It returns after its time, and a call that ends later harms nobody."""
    rm = AgentRM(lanes=1)
    lease = await core_of(rm).admit_async(Call("a"))
    await rm.aclose(drain_s=0.01)
    lease.settle()
    assert rm.statistics().running == 0


def test_the_pump_ends_when_its_core_is_closed_or_forgotten():
    """A core that nobody closed is collected, and its thread with it."""
    before = pumps()
    rm = AgentRM(lanes=1)
    lease = core_of(rm).admit(Call("a"))
    (pump,) = pumps() - before
    lease.settle()
    del rm, lease
    gc.collect()
    pump.join(20)
    assert not pump.is_alive()
    closed = AgentRM(lanes=1)
    core_of(closed).admit(Call("a")).settle()
    (pump,) = pumps() - before
    closed.close()
    assert not pump.is_alive()


def test_the_pump_keeps_dates_though_nobody_calls():
    """A silent call is reaped by the clock alone, and the callback may close the core itself."""
    rm = AgentRM(lanes=1)
    seen, done = [], threading.Event()
    lease = core_of(rm).admit(Call("a", total_timeout_s=0.02))

    def reaped(error):
        seen.append((error.cause, rm.statistics().lanes_in_use, threading.current_thread().name))
        rm.close()
        done.set()

    lease.on_reap(reaped)
    assert done.wait(20)
    assert seen == [("total", 0, "agentrm-pump")]
    with pytest.raises(CallReaped, match="total_timeout_s"):
        lease.raise_if_reaped()
    lease.settle()


# -- callbacks, events, looks


def test_callbacks_may_look_and_call():
    """They run outside the core: statistics, new calls and events all work in there."""
    clock = VirtualClock()
    with AgentRM(lanes=1, clock=clock) as rm, rm.events() as events:
        lease = core_of(rm).admit(Call("a"))
        found = []

        def reaped(error):
            found.append(rm.statistics().reaped)
            core_of(rm).admit(Call("b")).settle()
            found.append([type(event).__name__ for event in events.drain()].count("Granted"))
            found.append(error.held_s)

        lease.on_reap(reaped)
        clock.advance(601)
        lease.on_reap(lambda error: found.append(error.agent))
        assert found == [1, 2, 600.0, "a"]
        lease.settle()


def test_a_failing_callback_is_logged_and_harms_nobody(caplog):
    """The thread in which it happens to run has nothing to do with it."""
    clock = VirtualClock()
    with AgentRM(lanes=1, clock=clock) as rm:
        lease = core_of(rm).admit(Call("a"))
        lease.on_reap(lambda _: 1 / 0)
        with caplog.at_level(logging.ERROR, "agentrm"):
            clock.advance(601)
        assert "callback of reaped call" in caplog.text
        assert rm.statistics().lanes_in_use == 0
        lease.settle()


def test_a_bug_of_ours_is_told_and_does_not_stop_the_core(caplog):
    """An impossible event is logged with the ticket's story; others go on."""
    with AgentRM(lanes=1) as rm, caplog.at_level(logging.ERROR, "agentrm"):
        first = core_of(rm).admit(Call("a"))
        second = rm._host.submit(Call("b"))
        rm._host.feed(Settle(second.ticket))
        assert "KernelBug" in caplog.text or "waits and was settled" in caplog.text
        with pytest.raises(KernelBug, match="settled"):
            second.result()
        first.settle()


def test_the_event_stream_is_bounded_and_counts_what_it_drops():
    """The newest stay, the core never waits, and statistics tells of the loss."""
    with AgentRM(lanes=1) as rm:
        small, large = rm.events(capacity=4), rm.events()
        for _ in range(10):
            core_of(rm).admit(Call("a")).settle()
        assert (len(small), small.dropped, large.dropped) == (4, 26, 0)
        assert [event.ticket for event in small.drain()] == [9, 10, 10, 10]
        assert rm.statistics().events_dropped == 26
        small.close()
        small.close()
        core_of(rm).admit(Call("a")).settle()
        assert len(small) == 0
        assert rm.statistics().events_dropped == 26
        assert len(large.drain()) == 33
    for capacity in (0, -1, 2.5, "many"):
        with pytest.raises(ConfigError, match="capacity="):
            rm.events(capacity)


def test_no_event_is_lost_or_counted_twice_between_threads():
    """Read plus dropped is all that happened, with a reader in full flight."""
    with AgentRM(lanes=1, order="fifo") as rm:
        stream, read, stop = rm.events(capacity=16), 0, threading.Event()

        def reader():
            nonlocal read
            while not stop.is_set():
                read += len(stream.drain())

        thread = threading.Thread(target=reader)
        thread.start()
        for _ in range(2000):
            core_of(rm).admit(Call("a")).settle()
        stop.set()
        thread.join()
        read += len(stream.drain())
        assert read + stream.dropped == 6000


# -- nesting and identity


def test_a_nested_call_rides_on_its_parents_lane():
    """One lane in all: a call inside a call does not wait for itself."""
    with AgentRM(lanes=1) as rm, rm.slot(agent="a") as outer:
        with rm.slot(wait_timeout_s=5.0) as inner:
            assert inner.call.agent == "a"
            assert core_of(rm).active_call().ticket == inner.ticket
            with rm.slot(agent="tool", wait_timeout_s=5.0):
                assert rm.statistics().lanes_in_use == 1
        assert core_of(rm).active_call().ticket == outer.ticket


async def test_nested_calls_of_parallel_tasks_share_one_lane():
    """The same in async code, with three children at once."""
    async with AgentRM(lanes=1) as rm:

        async def child():
            async with rm.slot(wait_timeout_s=20.0):
                await asyncio.sleep(0)

        async with rm.slot(agent="a"):
            await asyncio.gather(*(child() for _ in range(3)))
        assert core_of(rm).active_call() is None
        assert rm.statistics().granted == 4


def test_identity_is_inherited_and_overridden():
    """What is declared around a call holds unless the call says otherwise."""
    with AgentRM(lanes=4) as rm:
        with rm.identity(agent="outer", tenant="t", priority="batch"):
            with rm.slot() as lease:
                call = lease.call
                assert (call.agent, call.tenant, call.priority) == ("outer", "t", "batch")
            with rm.identity(agent="inner", parent_agent="outer"):
                with rm.slot() as lease:
                    call = lease.call
                    assert (call.agent, call.tenant, call.parent_agent) == ("inner", "t", "outer")
                with rm.slot(tenant="u") as lease:  # the namesake in another tenant has no parent
                    call = lease.call
                    assert (call.agent, call.tenant, call.parent_agent) == ("inner", "u", None)
            with rm.identity(agent="inner", tenant="u", parent_agent="outer"), rm.slot() as lease:
                call = lease.call
                assert (call.agent, call.tenant, call.parent_agent) == ("inner", "u", "outer")
            assert asking.current_identity().agent == "outer"
        assert asking.current_identity().agent is None
        with rm.slot() as lease:
            assert lease.call.agent == "main"
        with pytest.raises(ConfigError, match="priority="), rm.identity(priority="urgent"):
            pass


async def test_identity_holds_for_tasks_begun_inside_it():
    """Tasks take it with them, each its own."""

    async def who(rm):
        async with rm.slot() as lease:
            return lease.call.agent

    async with AgentRM(lanes=4) as rm:
        tasks = []
        for name in ("a", "b"):
            with rm.identity(agent=name):
                tasks.append(asyncio.create_task(who(rm)))
        assert await asyncio.gather(*tasks) == ["a", "b"]


def test_two_cores_know_nothing_of_each_other():
    """A call inside another core's call is not nested and takes a lane of its own."""
    with AgentRM(lanes=1) as one, AgentRM(lanes=1) as two:
        with one.slot(agent="a"), two.slot() as lease:
            assert lease.call.agent == "main"
            assert one.statistics().lanes_in_use == two.statistics().lanes_in_use == 1
            assert core_of(one).active_call() is None


def test_a_slot_is_for_one_block():
    """Entering it again is an error that names the way out."""
    with AgentRM(lanes=1) as rm:
        slot = rm.slot(agent="a")
        with slot:
            pass
        with pytest.raises(AgentRMError, match=r"rm\.slot\(\.\.\.\) for each block"), slot:
            pass
        with pytest.raises(ConfigError, match="group='gpu'"):
            rm.slot(group="gpu")


def test_reaped_in_a_sync_block():
    """The block runs to its end, then the caller learns that its lane was taken."""
    clock = VirtualClock()
    leases = LeaseConfig(response_timeout_s=1.0)
    with AgentRM(lanes=1, clock=clock, leases=leases) as rm:
        with pytest.raises(CallReaped, match="response_timeout_s"), rm.slot(agent="a"):
            clock.advance(1.5)
        with pytest.raises(ZeroDivisionError), rm.slot(agent="a"):
            clock.advance(1.5)
            raise ZeroDivisionError
        assert rm.statistics().reaped == 2
        assert rm.statistics().zombies == 0
