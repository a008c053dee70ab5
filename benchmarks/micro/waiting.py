"""Many wait: is the cost of an event flat, and how much memory does a waiting call take?

One turn is three events in the kernel: a running call settles, a waiting one is granted, a new one
is submitted and waits. Time is virtual, so agents use up quanta and boosts happen.
"""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from collections.abc import Callable, Iterator
from time import perf_counter

from agentrm_plugins import AgentRM, Call, Config, SchedulerConfig, Usage
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.types.effects import Granted
from agentrm_plugins.types.events import Settle, Submit
from benchmarks.micro.timing import Effort, Sample, race

__all__ = ["ORDERS", "SCENARIOS", "fill", "measure", "measure_memory"]

ORDERS = ("mlfq", "fifo", "round_robin", "priority", "hrrn")
LANES = 8
TURN_S = 0.05
USAGE = Usage(1000, 100)
NAMES = [f"agent-{number}" for number in range(200_000)]
TENANTS = [f"tenant-{number}" for number in range(100)]


def one_agent(_: int) -> Call:
    return Call("agent")


def many_agents(number: int) -> Call:
    return Call(NAMES[number % len(NAMES)])


def many_tenants(number: int) -> Call:
    return Call(NAMES[number % len(NAMES)], TENANTS[number % len(TENANTS)])


SCENARIOS: dict[str, Callable[[int], Call]] = {
    "one agent": one_agent,
    "an agent for each call": many_agents,
    "an agent for each call, 100 tenants": many_tenants,
}


class Crowd:
    """A kernel with full lanes and so many waiting calls."""

    def __init__(self, order: str, waiting: int, make: Callable[[int], Call]) -> None:
        scheduler = SchedulerConfig(order=order)
        config = Config(lanes=LANES, scheduler=scheduler, max_waiting=waiting + LANES)
        self.kernel = Kernel(config)
        self.now_s = 0.0
        self.numbers: Iterator[int] = itertools.count(1)
        self.make = make
        self.running: list[int] = []
        for _ in range(waiting + LANES):
            self.submit()

    def submit(self) -> None:
        number = next(self.numbers)
        self.act(Submit(number, self.make(number)))

    def act(self, event: Submit | Settle) -> None:
        for effect in self.kernel.handle(self.now_s, event):
            if effect.__class__ is Granted:
                self.running.append(effect.ticket)

    def turns(self, count: int) -> float:
        running = self.running
        begun = perf_counter()
        for _ in range(count):
            self.now_s += TURN_S
            self.act(Settle(running.pop(0), USAGE))
            self.submit()
        return perf_counter() - begun


def measure(effort: Effort) -> dict[str, dict[str, dict[str, Sample]]]:
    """By scenario and order: one turn (settle, grant, submit) with so many waiting calls."""
    found: dict[str, dict[str, dict[str, Sample]]] = {}
    rounds = max(3, effort.rounds // 3)
    for scenario, make in SCENARIOS.items():
        found[scenario] = {}
        for order in ORDERS:
            crowds = {str(waiting): Crowd(order, waiting, make) for waiting in effort.waiting}
            contestants = {name: crowd.turns for name, crowd in crowds.items()}
            samples = race(contestants, rounds=rounds, operations=effort.operations)
            found[scenario][order] = samples
            for crowd in crowds.values():
                crowd.kernel.queue.count  # noqa: B018 - the crowds live until here
    return found


def fill(order: str, waiting: int, make: Callable[[int], Call]) -> float:
    """Microseconds for each call that joins, from an empty queue to a full one."""
    begun = perf_counter()
    Crowd(order, waiting, make)
    return round((perf_counter() - begun) / waiting * 1e6, 2)


def measure_memory(effort: Effort) -> dict[str, dict[str, float]]:
    """Bytes for one waiting call: in the kernel, and with the lease of a caller."""
    waiting = effort.waiting[-1] // 10
    return {
        scenario: {
            "kernel": _bytes_each(lambda make=make: Crowd("mlfq", waiting, make), waiting),
            "kernel and lease": _bytes_each(lambda make=make: _leases(waiting, make), waiting),
            "join_us": fill("mlfq", effort.waiting[-1], make),
        }
        for scenario, make in SCENARIOS.items()
    }


def _leases(waiting: int, make: Callable[[int], Call]) -> object:
    rm = AgentRM(lanes=1, clock=VirtualClock())
    leases = [rm._host.submit(make(number)) for number in range(waiting + 1)]  # noqa: SLF001
    return rm, leases


def _bytes_each(build: Callable[[], object], waiting: int) -> float:
    build()  # what is made only once
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = build()
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
        del kept
    finally:
        tracemalloc.stop()
    return round(taken / waiting)
