"""Finalisers, signals and Ctrl-C at every line of the host: nothing hangs, no lane is lost."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import agentrm_plugins
from agentrm_plugins import AgentRM, BudgetConfig, Call, CallReaped, EndpointConfig
from agentrm_plugins.hosts import MonotonicClock, VirtualClock
from agentrm_plugins.integration import core_of
from agentrm_plugins.types.verdicts import Kind, LimitReport, Verdict
from tests.hosts.worlds import wait_until

pytestmark = pytest.mark.lowest
CORE = Path(agentrm_plugins.__file__).parent
CALLERS = tuple(
    str(CORE / name)
    for name in (
        "hosts/lease.py",
        "hosts/flow.py",
        "hosts/parkers.py",
        "hosts/slot.py",
        "manager.py",
    )
)
ALL = (str(CORE),)


@pytest.fixture(scope="module", autouse=True)
def _only_new_objects_are_collected():
    """What earlier tests have loaded stays: each of hundreds of collections would go through it."""
    gc.collect()
    gc.freeze()


@contextmanager
def at_each_line(action, where=ALL):
    """Call `action(n)` before the n-th line that this thread runs in those files."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if not frame.f_code.co_filename.startswith(where):
            return None
        if event == "line":
            count += 1
            action(count)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def use(rm):
    """A bit of everything that enters the core."""
    with rm.slot(agent="a", streaming=True) as lease:
        lease.beat(2)
        nested = core_of(rm).admit_nowait(Call("b"))
        rm.statistics()
        nested.settle()
    rm.end_agent("a")
    rm.statistics()


@pytest.mark.timeout(600)  # thousands of short runs, on a machine that may be loaded
def test_the_core_may_be_entered_again_at_every_line():
    """A finaliser (or a signal's handler) may look and settle in the middle of anything.

    With `threading.Event` and a plain lock inside, some of these lines would wait for ever.
    """
    line, reached, inside = 0, True, 0
    with AgentRM(lanes=1) as other:
        while reached:
            line, reached = line + 1, False
            with AgentRM(lanes=1, clock=VirtualClock()) as rm:

                def finaliser(count, line=line):
                    nonlocal inside, reached
                    if count != line:
                        return
                    sys.settrace(None)  # what comes after is another run's
                    reached = True
                    inside += rm._host._inside != 0
                    left = rm._host.submit(Call("left"))  # waits or runs, and is dropped at once
                    left.beat()
                    del left
                    assert rm.statistics(agents=False).lanes == 1
                    core_of(other).admit(Call("c")).settle()

                with at_each_line(finaliser):
                    use(rm)
                end = rm.statistics()
                assert (end.running, end.waiting, end.lanes_in_use) == (0, 0, 0), line
                rm._host.read(lambda kernel: kernel.validate())
    assert inside > 100
    assert line > 1000


def test_garbage_collected_inside_the_core():
    """Abandoned streams, finalised by the collector inside the core, give their lanes back."""
    finalised_inside, calls = 0, 0

    class Stream:
        def __init__(self, rm):
            self.me = self  # a cycle: only the collector ends it
            self.rm = rm
            self.lease = core_of(rm).admit_nowait(Call("stream"))

        def __del__(self):
            nonlocal finalised_inside
            finalised_inside += self.rm._host._inside == threading.get_ident()
            assert self.rm.statistics(agents=False).lanes == 2
            if self.lease is not None:
                self.lease.beat(1)
                self.lease.settle()

    class CollectingClock(MonotonicClock):
        def now_(self):
            nonlocal calls
            calls += 1
            if calls % 7 == 0:
                gc.collect()
            return time.monotonic()

        def __init__(self):
            self.now = self.now_

    def work(rm):
        for _ in range(100):
            Stream(rm)
            lease = core_of(rm).admit_nowait(Call("user"))
            if lease is not None:
                lease.settle()

    with AgentRM(lanes=2, clock=CollectingClock()) as rm:
        threads = [threading.Thread(target=work, args=(rm,), daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads), "the core is deadlocked"
        gc.collect()
        wait_until(lambda: rm.statistics(agents=False).running == 0)
        assert rm.statistics().granted > 100
    assert finalised_inside > 10


@pytest.mark.parametrize("look", ["sweep", "a wait on a loop"])
def test_a_collection_while_leases_are_looked_over(look):
    """It may end some of them in the middle: nobody is told that a dictionary changed."""

    class Holder:
        def __init__(self, rm):
            self.me, self.lease = self, core_of(rm).admit_nowait(Call("dropped"))

    before = gc.get_threshold()
    with AgentRM(lanes=800, clock=VirtualClock()) as rm:
        kept = [core_of(rm).admit_nowait(Call("kept")) for _ in range(400)]
        host, loop = core_of(rm).host, asyncio.new_event_loop()
        waits = host.submit(Call("next"))
        waits.loop = loop
        pairs = [(n, n) for n in range(5_000)]  # else there are used ones at hand, made of nothing
        gc.disable()
        dropped = [Holder(rm) for _ in range(200)]
        gc.collect(0)
        del dropped  # garbage of the middle generation, collected when the next pairs are made
        gc.set_threshold(50, 0, 1_000)
        gc.enable()
        try:
            if look == "sweep":
                host.sweep()
            else:
                host.check_wait(waits)
        finally:
            gc.set_threshold(*before)
            loop.close()
        gc.collect()
        assert rm.statistics().running == len(kept) + 1
        assert len(pairs) == 5_000


@pytest.mark.timeout(600)  # thousands of short runs, on a machine that may be loaded
def test_an_interrupt_at_any_line_of_a_call_loses_no_lane():
    """Ctrl-C may hit between any two lines of waiting, holding and leaving; the lane comes back.

    (Not inside `feed` and below: no Python code can make its own state changes atomic to it.)
    """
    line, finished = 0, False
    while not finished:
        line += 1
        rest = line

        def interrupt(_):
            nonlocal rest
            if rm._host._inside == 0:
                rest -= 1
                if rest == 0:
                    raise KeyboardInterrupt

        with AgentRM(lanes=1, clock=VirtualClock()) as rm:
            try:
                with at_each_line(interrupt, CALLERS):
                    with rm.slot(agent="a") as lease:
                        lease.beat()
                    finished = True
            except KeyboardInterrupt:
                pass
            lease = None
            rm._host.tick()
            end = rm.statistics()
            assert (end.running, end.waiting) == (0, 0), line
            core_of(rm).admit(Call("next")).settle()
    assert line > 30


def busy(rm):
    """Calls with endpoints and budgets, nested, failing, waiting and dropped: most of the core."""
    core = core_of(rm)
    with rm.slot(agent="a", endpoint="two/m", streaming=True, wait_timeout_s=0.0) as lease:
        lease.beat(2)
        with rm.slot(agent="a/sub", endpoint="three/m", wait_timeout_s=0.0):
            waiting = core.host.submit(Call("b", endpoint="one/m", wait_timeout_s=50.0))
        core.host.submit(Call("c", endpoint="two/m"))  # dropped at once
    failed = core.host.submit(Call("d", endpoint="two/m"))
    assert failed.decided
    failed.requeue((Verdict(Kind.LIMIT, 429), LimitReport(retry_after_s=1.0)))
    for one in (core.admit_nowait(Call("e")), failed, waiting):
        if one is not None:
            one.withdraw()
    rm.end_agent("a")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_finaliser_that_is_cut_at_once_loses_no_lane(monkeypatch):
    """Before its first line was run, and though a hook keeps the lease, as test runners do."""
    kept = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: kept.append(told.exc_value))

    def cut(_count):
        if sys._getframe(2).f_code.co_name == "__del__" and not kept:
            raise KeyboardInterrupt

    with AgentRM(lanes=1, clock=VirtualClock()) as rm:
        host = core_of(rm).host
        lease = host.submit(Call("dropped"))
        assert lease.granted
        with at_each_line(cut):
            del lease
        assert len(kept) == 1
        assert rm.statistics().running == 1
        host.sweep()
        assert rm.statistics().running == 0


class Alarm(Exception):
    """What a handler of SIGALRM may raise."""


def alarm(_signal, _frame):
    raise Alarm


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in finalisers
@pytest.mark.parametrize(("interrupt", "step"), [(KeyboardInterrupt, 19), (Alarm, 41)])
def test_an_interrupt_at_any_line_of_the_core_loses_nothing(interrupt, step):
    """Inside the kernel too: it is made whole, others' calls go on, and the books are right."""
    line, finished = 0, False  # each line was tried: all of them take a minute
    settings = {
        "endpoints": {"one/*": EndpointConfig(concurrency=1, rpm=600.0)},
        "budgets": (BudgetConfig(1e9, tenant="*"),),
    }
    while not finished:
        line += step
        with AgentRM(lanes=3, clock=VirtualClock(), **settings) as rm:
            stays = core_of(rm).admit(Call("other", endpoint="one/m"))  # somebody else's
            queued = [core_of(rm).host.submit(Call("queued", endpoint="one/m"))]

            def cut(count, line=line):
                if count == line:
                    if interrupt is Alarm:
                        alarm(signal.SIGALRM, sys._getframe(2))
                    raise KeyboardInterrupt

            try:
                with at_each_line(cut):
                    busy(rm)
                    finished = True
            except interrupt:
                pass
            host = core_of(rm).host
            if rm.statistics().running + rm.statistics().waiting > 2:
                gc.collect()  # a lease that hangs in a circle with the error
            host.sweep()
            host.tick()
            host.read(lambda kernel: kernel.validate())
            assert (rm.statistics().running, rm.statistics().waiting) == (1, 1), line
            assert (stays.reaped, queued[0].decided) == (False, False), line
            stays.settle()
            assert queued[0].decided, line
            queued.pop().settle()
            end = rm.statistics()
            assert (end.running, end.waiting, end.lanes_in_use, end.zombies) == (0, 0, 0, 0), line
            ended = end.settled + sum(end.refused.values())
            assert end.submitted == ended, line
            assert not host.is_used, line
            host.read(lambda kernel: kernel.validate())
    assert line > 1000


def test_ctrl_c_while_a_thread_waits():
    """A real SIGINT ends the wait of the main thread; the call has left the queue."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals come to the main thread")
    with AgentRM(lanes=1) as rm:
        held = core_of(rm).admit(Call("holder"))

        def press():
            wait_until(lambda: rm.statistics().waiting == 1)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=press)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            thread.start()
            with pytest.raises(KeyboardInterrupt), rm.slot(agent="impatient"):
                raise AssertionError("there was no lane")
        finally:
            thread.join()
            signal.signal(signal.SIGINT, before)
        assert rm.statistics().waiting == 0
        assert rm.statistics().lanes_in_use == 1
        held.settle()


def test_an_abandoned_async_generator_gives_its_lane_back():
    """A stream left half read is finalised by the loop, or by the collector after it."""

    async def stream(rm):
        async with rm.slot(agent="a", streaming=True) as lease:
            for token in range(10):
                lease.beat(1)
                yield token

    async def leave_early(rm):
        async for _ in stream(rm):
            break
        gc.collect()
        for _ in range(3):
            await asyncio.sleep(0)
        assert rm.statistics().running == 0

    with AgentRM(lanes=1) as rm:
        asyncio.run(leave_early(rm))


def test_a_loop_closed_while_a_task_waits():
    """The lane that would have been that task's goes to the next, in the same thread too."""
    with AgentRM(lanes=1, order="fifo") as rm:
        held = core_of(rm).admit(Call("holder"))
        loop = asyncio.new_event_loop()
        task = loop.create_task(core_of(rm).admit_async(Call("ghost")))
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(asyncio.sleep(0))
        assert rm.statistics().waiting == 1
        loop.close()
        next_one = rm._host.submit(Call("next"))
        held.settle()
        assert next_one.decided
        assert rm.statistics().waiting == 0
        assert rm.statistics().running == 1
        next_one.settle()
        task._log_destroy_pending = False
        task.get_coro().close()
        del task
        gc.collect()
        assert rm.statistics().running == 0


def test_cancellation_and_grant_at_the_same_moment():
    """A lane granted to a task that is cancelled before it wakes is not lost."""

    async def main(rm):
        held = await core_of(rm).admit_async(Call("holder"))
        waiter = asyncio.create_task(core_of(rm).admit_async(Call("waiter")))
        await asyncio.sleep(0)
        held.settle()
        assert rm.statistics().running == 1
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert rm.statistics().running == 0

    with AgentRM(lanes=1) as rm:
        asyncio.run(main(rm))


def test_a_reaped_task_is_cancelled_with_our_error_and_not_with_theirs():
    """The block ends as CallReaped; a cancellation from outside stays a cancellation."""

    async def main(rm, clock):
        async def hang():
            async with rm.slot(agent="hung"):
                await asyncio.get_running_loop().create_future()

        reaped = asyncio.create_task(hang())
        await asyncio.sleep(0)
        clock.advance(601)
        with pytest.raises(CallReaped, match="response_timeout_s"):
            await reaped
        assert reaped.cancelling() == 0
        cancelled = asyncio.create_task(hang())
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled

    clock = VirtualClock()
    with AgentRM(lanes=1, clock=clock) as rm:
        asyncio.run(main(rm, clock))
        assert rm.statistics().running == 0
