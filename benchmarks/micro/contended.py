"""Lanes are short: how fast does a freed lane reach the next caller, and how many calls pass?"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from time import perf_counter

from agentrm_plugins import AgentRM, Call
from agentrm_plugins.integration import core_of
from benchmarks.micro.timing import Effort, Sample, summary

__all__ = ["measure_beats", "measure_handover", "measure_throughput"]

THREADS, LOOPS, LANES, STREAMS = 8, 3, 4, 100
Enter = Callable[[], Callable[[], object]]
AsyncEnter = Callable[[], Awaitable[Callable[[], object]]]


def measure_handover(effort: Effort) -> dict[str, Sample]:
    """From the moment before the holder gives back to the moment after the waiter has it."""
    with AgentRM(lanes=1) as rm:
        call = Call("agent")
        semaphore = threading.Semaphore()

        def admit() -> Callable[[], object]:
            return core_of(rm).admit(call).settle

        def acquire() -> Callable[[], object]:
            semaphore.acquire()
            return semaphore.release

        async def admit_async() -> Callable[[], object]:
            return (await core_of(rm).admit_async(call)).settle

        async def tasks() -> tuple[list[float], list[float]]:
            lock = asyncio.Semaphore()

            async def lock_async() -> Callable[[], object]:
                await lock.acquire()
                return lock.release

            ours = await _task_handovers(effort.handovers, admit_async)
            return ours, await _task_handovers(effort.handovers, lock_async)

        ours, theirs = asyncio.run(tasks())
        waiting = lambda: rm.statistics(agents=False).waiting == 1  # noqa: E731
        return {
            "AgentRM, thread to thread": summary(_handovers(effort.handovers, admit, waiting)),
            "threading.Semaphore, thread to thread": summary(
                _handovers(effort.handovers, acquire, lambda: True)
            ),
            "AgentRM, task to task": summary(ours),
            "asyncio.Semaphore, task to task": summary(theirs),
        }


def _handovers(count: int, enter: Enter, parked: Callable[[], bool]) -> list[float]:
    """One thread holds, another waits; both begin anew each time."""
    taken: list[float] = []
    ready, done, go = threading.Event(), threading.Event(), threading.Event()
    arrived = [0.0]

    def wait() -> None:
        for _ in range(count):
            go.wait()
            go.clear()
            ready.set()
            leave = enter()
            arrived[0] = perf_counter()
            leave()
            done.set()

    thread = threading.Thread(target=wait, name="agentrm-bench-waiter")
    thread.start()
    pause = threading.Event()
    for _ in range(count):
        leave = enter()
        go.set()
        ready.wait()
        ready.clear()
        pause.wait(0.0002)  # the waiter goes from `ready` into its wait
        while not parked():
            pause.wait(0.0001)
        begun = perf_counter()
        leave()
        done.wait()
        done.clear()
        taken.append((arrived[0] - begun) * 1e6)
    thread.join()
    return taken


async def _task_handovers(count: int, enter: AsyncEnter) -> list[float]:
    taken: list[float] = []
    for _ in range(count):
        leave = await enter()

        async def wait() -> float:
            leave_again = await enter()
            arrived = perf_counter()
            leave_again()
            return arrived

        task = asyncio.create_task(wait())
        for _ in range(3):
            await asyncio.sleep(0)
        begun = perf_counter()
        leave()
        taken.append((await task - begun) * 1e6)
    return taken


def measure_throughput(effort: Effort) -> dict[str, float]:
    """Calls a second through few lanes, each doing nothing, for threads and loops at once."""
    calls = effort.calls
    with AgentRM(lanes=LANES) as rm:

        def blocking(number: int) -> None:
            call = Call(f"thread-{number}")
            for _ in range(calls):
                core_of(rm).admit(call).settle()

        async def caller(call: Call) -> None:
            for _ in range(calls // 10):
                (await core_of(rm).admit_async(call)).settle()

        async def looping(number: int) -> None:
            calls_of = [Call(f"loop-{number}-{task}") for task in range(10)]
            await asyncio.gather(*(caller(call) for call in calls_of))

        jobs: list[Callable[[], None]] = [
            *(lambda number=number: blocking(number) for number in range(THREADS)),
            *(lambda number=number: asyncio.run(looping(number)) for number in range(LOOPS)),
        ]
        ours = _together(jobs)
        peak = rm.statistics().lanes_peak
        total = rm.statistics().settled
    semaphore = threading.Semaphore(LANES)

    def guarded() -> None:
        for _ in range(calls):
            with semaphore:
                pass

    theirs = _together([guarded] * (THREADS + LOOPS))
    return {
        "AgentRM calls per second": round(total / ours),
        "threading.Semaphore, 11 threads, calls per second": round(
            calls * (THREADS + LOOPS) / theirs
        ),
        "lanes": LANES,
        "peak lanes in use": peak,
        "calls": total,
    }


def _together(jobs: list[Callable[[], None]]) -> float:
    threads = [threading.Thread(target=job, name="agentrm-bench-job") for job in jobs]
    begun = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return perf_counter() - begun


def measure_beats(effort: Effort) -> dict[str, Sample]:
    """100 streams at once: what one token more costs, with the core and without."""
    beats = max(effort.operations // STREAMS, 2)

    async def stream(beat: Callable[[int], object]) -> None:
        for _ in range(beats):
            beat(1)
            await asyncio.sleep(0)

    async def run(rm: AgentRM | None) -> float:
        calls = [Call(f"stream-{number}", streaming=True) for number in range(STREAMS)]
        leases = [await core_of(rm).admit_async(call) for call in calls] if rm else []
        beat = [lease.beat for lease in leases] or [_nothing] * STREAMS
        begun = perf_counter()
        await asyncio.gather(*map(stream, beat))
        taken = perf_counter() - begun
        for lease in leases:
            lease.settle()
        return taken / (beats * STREAMS) * 1e6

    ours, bare = [], []
    with AgentRM(lanes=STREAMS) as rm, asyncio.Runner() as runner:
        for _ in range(effort.rounds):
            ours.append(runner.run(run(rm)))
            bare.append(runner.run(run(None)))
    return {"100 streams, each beat": summary(ours), "100 streams, no core": summary(bare)}


def _nothing(_: int) -> None:
    return None
