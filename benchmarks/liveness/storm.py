"""Interrupts at random instants: ``python -m benchmarks.liveness.storm [--calls N] [--seed N]``.

Eight threads and three event loops share four lanes. A quarter of the calls is cancelled (a task's
cancellation, a wait that is given up, an error inside, a lease that is dropped), and each thread is
hit by `KeyboardInterrupt` at random instants, inside the core as well: `PyThreadState_SetAsyncExc`
for the threads and the loops, SIGINT for the main thread. At the end no lane may be lost, no ticket
left, and every invariant of the kernel must hold.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import random
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from agentrm_plugins import AgentRM, Call, CallRefused, EndpointConfig
from agentrm_plugins.config import BudgetConfig
from agentrm_plugins.integration import core_of

__all__ = ["Storm", "main"]

LANES, THREADS, LOOPS, AT_ONCE = 4, 8, 3, 40
_CANCELLED = 0.25
_RAISE = ctypes.pythonapi.PyThreadState_SetAsyncExc
_ENDPOINTS = (None, "storm/a", "storm/b")


class _Oops(Exception):
    """A call failed."""


@dataclass
class Storm:
    """One storm.

    Args:
        calls: Calls in all, those of the main thread aside.
        every_s: Mean pause between two interrupts.
        seed: Of chance.
        deadline_s: When it is given up: something hangs.

    Attributes:
        asked: Calls that were made.
        interrupts: How often somebody was interrupted.
        caught: How many of these arrived where a call was made.
        stuck: Names of threads that hang at the end.
    """

    calls: int = 20_000
    every_s: float = 0.005
    seed: int = 7
    deadline_s: float = 900.0
    asked: int = 0
    interrupts: int = 0
    caught: int = 0
    stuck: list[str] = field(default_factory=list)
    rm: AgentRM = field(init=False)

    def __post_init__(self) -> None:
        self.rm = AgentRM(
            lanes=LANES,
            endpoints={"storm/b": EndpointConfig(concurrency=2, rpm=1e6, tpm=1e9)},
            budgets=(BudgetConfig(1e12, tenant="*"),),
        )
        self._left = iter(range(self.calls))
        self._lock = threading.Lock()
        self._over = threading.Event()

    # -- the callers ------------------------------------------------------------------------

    def _more(self) -> bool:
        with self._lock:
            number = next(self._left, None)  # an interrupt may come before the next line
            self.asked = self.calls if number is None else number + 1
            return number is not None

    def _in_thread(self, number: int) -> None:
        rng = random.Random(f"{self.seed}/thread/{number}")
        while True:
            try:
                while self._more():
                    self._call(rng)
            except KeyboardInterrupt:
                self.caught += 1
            except (CallRefused, _Oops):
                pass
            else:
                return

    def _call(self, rng: random.Random) -> None:
        agent, how = f"agent-{rng.randrange(20)}", rng.random() / _CANCELLED
        endpoint = rng.choice(_ENDPOINTS)
        if how < 0.25:  # gives up soon
            with self.rm.slot(agent=agent, endpoint=endpoint, wait_timeout_s=rng.random() / 1000):
                pass
        elif how < 0.5:  # fails inside
            with self.rm.slot(agent=agent, endpoint=endpoint):
                raise _Oops
        elif how < 1.0:  # vanishes, lease and all
            core_of(self.rm).admit(Call(agent, endpoint=endpoint))
        else:
            with self.rm.slot(agent=agent, endpoint=endpoint, streaming=True) as lease:
                lease.beat(1)
                if how > 3.5:
                    with self.rm.slot(agent=f"{agent}/sub"):
                        pass

    def _in_loop(self, number: int) -> None:
        rng = random.Random(f"{self.seed}/loop/{number}")
        while not self._over.is_set():
            try:
                asyncio.run(self._tasks(rng))
            except (KeyboardInterrupt, RuntimeError, AttributeError):
                self.caught += 1  # the loop is dead with all its tasks; the next one goes on
            else:
                return

    async def _tasks(self, rng: random.Random) -> None:
        tasks: list[asyncio.Task[None]] = []
        while self._more():
            tasks.append(asyncio.create_task(self._task(rng)))
            if rng.random() < _CANCELLED:
                for _ in range(rng.randrange(6)):
                    await asyncio.sleep(0)
                rng.choice(tasks[-AT_ONCE:]).cancel()
            if len(tasks) >= AT_ONCE:
                await asyncio.gather(*tasks, return_exceptions=True)
                tasks.clear()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _task(self, rng: random.Random) -> None:
        endpoint = rng.choice(_ENDPOINTS)
        async with self.rm.slot(agent=f"agent-{rng.randrange(20)}", endpoint=endpoint) as lease:
            for _ in range(rng.randrange(4)):
                await asyncio.sleep(0)
                lease.beat(1)

    # -- the storm --------------------------------------------------------------------------

    def run(self) -> None:
        """Let it rage; the main thread makes calls as well, if this is it."""
        threads = [self._thread(self._in_thread, number) for number in range(THREADS)]
        threads += [self._thread(self._in_loop, number) for number in range(LOOPS)]
        ends_s = time.monotonic() + self.deadline_s
        rain = self._thread(self._rain, threads)
        in_main, before = threading.current_thread() is threading.main_thread(), None
        if in_main:
            before = self._in_main(threads, ends_s)
        for thread in threads:
            thread.join(max(0.0, ends_s - time.monotonic()))
        self._over.set()
        rain.join(10)
        if in_main:  # no sooner: its last drop may still fall
            signal.signal(signal.SIGINT, before)
        self.stuck = [thread.name for thread in threads if thread.is_alive()]

    def _thread(self, work: object, *args: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        thread.start()
        return thread

    def _rain(self, threads: list[threading.Thread]) -> None:
        rng = random.Random(f"{self.seed}/rain")
        main = threading.main_thread().ident or 0
        while not self._over.wait(rng.expovariate(1.0 / self.every_s)):
            alive = [thread.ident for thread in threads if thread.is_alive()]
            if not alive:
                return
            self.interrupts += 1
            at = rng.randrange(len(alive) + 1)
            if at < len(alive):
                _RAISE(ctypes.c_ulong(alive[at] or 0), ctypes.py_object(KeyboardInterrupt))
            elif self._main_calls:
                signal.pthread_kill(main, signal.SIGINT)

    _main_calls = False

    def _in_main(self, threads: list[threading.Thread], ends_s: float) -> Any:
        """Make calls, as long as others do; gives the handler that is to be put back."""
        rng = random.Random(f"{self.seed}/main")
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self._main_calls = True
        while any(thread.is_alive() for thread in threads) and time.monotonic() < ends_s:
            try:
                while any(thread.is_alive() for thread in threads) and time.monotonic() < ends_s:
                    self._call(rng)
            except KeyboardInterrupt:
                self.caught += 1
            except (CallRefused, _Oops):
                pass
        while True:
            try:
                self._main_calls = False
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                break
            except KeyboardInterrupt:
                continue
        return before

    # -- and after it -----------------------------------------------------------------------

    def verdict(self) -> list[str]:
        """What is lost, in words; empty if nothing is."""
        if self.stuck:
            return [f"threads that hang: {', '.join(self.stuck)}"]
        ends_s = time.monotonic() + 20
        while True:
            gc.collect()
            end = self.rm.statistics()
            if end.running == end.waiting == 0 or time.monotonic() > ends_s:
                break
            time.sleep(0.05)
        lost = [
            f"{name}: {count}"
            for name, count in (
                ("running", end.running),
                ("waiting", end.waiting),
                ("lanes", end.lanes_in_use),
                ("zombies", end.zombies),
                ("leases", core_of(self.rm).host.is_used),
            )
            if count
        ]
        if end.submitted != end.settled + sum(end.refused.values()):
            lost.append(f"tickets: {end.submitted} of {end.settled} and {end.refused}")
        try:
            core_of(self.rm).host.read(lambda kernel: kernel.validate())
        except Exception as error:  # noqa: BLE001 - it is said
            lost.append(f"books: {error}")
        return lost


def main() -> int:
    """Run one and say what is lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--every-ms", type=float, default=5.0, help="between two interrupts")
    given = parser.parse_args()
    storm = Storm(given.calls, given.every_ms / 1000, given.seed)
    began_s = time.monotonic()
    storm.run()
    lost = storm.verdict()
    took_s = time.monotonic() - began_s
    print(
        f"{storm.asked} calls, {storm.interrupts} interrupts, {storm.caught} of them met a call, "
        f"{took_s:.1f} s: {'; '.join(lost) or 'no lane lost, no ticket left'}"
    )
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
