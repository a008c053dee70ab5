"""Threads that wait for what only those can give back who wait for them: it is said, soon."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import signal
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor, as_completed, wait

import pytest

from agentrm_plugins import AgentRM, Call
from agentrm_plugins.errors import WouldDeadlock
from agentrm_plugins.hosts import standing_still
from agentrm_plugins.integration import Attempt, core_of

pytestmark = pytest.mark.lowest


def hold(rm):
    with rm.slot(agent="helper"):
        return "held"


def mapped(pool, rm):
    return list(pool.map(hold, [rm, rm]))


def first_of(pool, rm):
    return [one.result() for one in as_completed([pool.submit(hold, rm), pool.submit(hold, rm)])]


def all_of(pool, rm):
    done, _ = wait([pool.submit(hold, rm), pool.submit(hold, rm)])
    return [one.result() for one in done]


def at_second_hand(pool, rm):
    return pool.submit(lambda: pool.submit(hold, rm).result()).result()


def joined(_, rm):
    told = []

    def work():
        try:
            told.append(hold(rm))
        except WouldDeadlock as error:
            told.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if isinstance(told[0], Exception):
        raise told[0]
    return told


WAYS = pytest.mark.parametrize("way", [mapped, first_of, all_of, at_second_hand, joined])


@WAYS
async def test_a_loop_waits_for_helpers_that_wait_for_its_tasks(way):
    """`batch`, `RunnableParallel.invoke` and the like, on the thread of a running loop."""
    with AgentRM(lanes=1) as rm, ThreadPoolExecutor(4) as pool:
        async with rm.slot(agent="task"):
            with pytest.raises(WouldDeadlock, match=r"event loop's task that waits.*abatch"):
                await _elsewhere(way, pool, rm)
            counts = rm.statistics()
            assert counts.running == 1
        await _elsewhere(way, pool, rm)  # free lanes are no matter


async def _elsewhere(way, pool, rm):
    """In a task that is not inside the slot: a call in there would ride on its lane."""

    async def run():
        return way(pool, rm)

    return await asyncio.create_task(run(), context=contextvars.Context())


async def test_one_lane_that_a_thread_holds_is_waited_for():
    """It goes on, and is over at some time; so the helpers get their turn."""
    with AgentRM(lanes=2) as rm, ThreadPoolExecutor(4) as pool:
        held, free = threading.Event(), threading.Event()

        def thread():
            with rm.slot(agent="thread"):
                held.set()
                free.wait(20)

        other = threading.Thread(target=thread)
        other.start()
        held.wait(20)
        timer = threading.Timer(0.8, free.set)
        timer.start()
        async with rm.slot(agent="task"):
            assert await _elsewhere(mapped, pool, rm) == ["held", "held"]
        other.join(20)


def test_a_look_keeps_nothing_alive():
    """Neither the calls that were looked at nor the frames: no circle, and nothing in the error."""
    gc.collect()
    gc.disable()
    try:
        with AgentRM(lanes=1) as rm:
            core = core_of(rm)
            held, waits = core.admit(Call("a")), core.host.submit(Call("b"))
            standing_still.check_helpers(waits)  # a thread's lease, which may be over at any time
            gone = weakref.ref(held)
            del held
            assert gone() is None
            assert waits.granted
            waits.settle()
    finally:
        gc.enable()


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no alarms here")
def test_a_call_in_a_handler_whose_own_thread_has_the_lane():
    """What it interrupted cannot go on before the handler is over."""
    told, over = [], threading.Event()
    with AgentRM(lanes=1) as rm:
        core = core_of(rm)

        def work():
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            over.wait(20)
            return "main"

        def handler(*_):
            try:
                hold(rm)
            except WouldDeadlock as error:
                told.append(str(error))
            over.set()

        before = signal.signal(signal.SIGALRM, handler)
        try:
            call = Call("main", endpoint="host/m")
            made = core.call(call, lambda lease: Attempt(core.number, lease).on_worker(work))
        finally:
            signal.signal(signal.SIGALRM, before)
        assert made == "main"
        assert len(told) == 1
        assert "a thread that waits for this one" in told[0]
        assert rm.statistics().waiting == 0


@pytest.mark.parametrize("lazily", [map, lambda work, items: (work(item) for item in items)])
def test_what_a_caller_hands_over_bit_by_bit_is_not_touched(lazily, monkeypatch):
    """`as_completed` of a generator that submits: it runs on the caller's thread alone."""
    monkeypatch.setattr("agentrm_plugins.hosts.parkers.FIRST_S", 0.001)
    looks, who, gate = threading.Semaphore(0), set(), threading.Event()
    told = standing_still._why

    def looked(lease):
        answer = told(lease)
        looks.release()
        return answer

    monkeypatch.setattr(standing_still, "_why", looked)
    with AgentRM(lanes=1) as rm, ThreadPoolExecutor(4) as pool, rm.slot(agent="holder") as held:

        def submit(item):
            who.add(threading.get_ident())
            if item == 2:
                gate.wait(20)
            return pool.submit(hold, rm)

        def ask():
            return [one.result() for one in as_completed(lazily(submit, range(4)))]

        with ThreadPoolExecutor(1) as asker:
            asked = asker.submit(ask)
            for _ in range(3):  # while the caller stands in its own generator
                assert looks.acquire(timeout=20)
            held.settle()
            gate.set()
            assert asked.result(20) == ["held"] * 4
        assert len(who) == 1
