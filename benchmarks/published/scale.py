"""A million simulated calls of a hundred thousand agents on one core."""

from __future__ import annotations

import random
import resource
import sys
import time
from collections import deque
from heapq import heappop, heappush
from math import inf

from agentrm_plugins.config import Config, SchedulerConfig
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.sim import SCENARIOS, simulate
from agentrm_plugins.types.calls import Call, Priority, Usage
from agentrm_plugins.types.effects import Granted
from agentrm_plugins.types.events import Settle, Submit, Tick
from benchmarks.published.report import lines, number, progress, table, write

AGENTS, CALLS, LANES = 100_000, 1_000_000, 512
WAITING = (10, 100, 1_000, 10_000, 100_000)
ORDERS = ("mlfq", "mlfq_textbook", "fifo")
HINTS = (Priority.INTERACTIVE, Priority.BATCH, Priority.BACKGROUND)
MEDIANS_S = (3.0, 8.0, 16.0)


def kernel_of(order: str, lanes: int) -> Kernel:
    scheduler = SchedulerConfig(order=order)  # type: ignore[arg-type]
    return Kernel(Config(lanes=lanes, max_waiting=10**7, scheduler=scheduler))


def million(agents: int = AGENTS, calls: int = CALLS) -> dict[str, float]:
    """Agents that ask again after each answer, all at once at first; one core, one thread."""
    kernel, rng = kernel_of("mlfq", LANES), random.Random(1)
    agenda: list[tuple[float, int, bool]] = []
    who: dict[int, int] = {}
    made = done = events = peak = 0
    began_s, now_s = time.process_time(), 0.0
    agenda.extend(sorted((rng.uniform(0.0, 60.0), -agent - 1, False) for agent in range(agents)))
    usage = Usage(400, 200)
    while done < calls:
        next_s = agenda[0][0] if agenda else inf
        deadline_s = kernel.next_deadline()
        if deadline_s <= next_s:
            now_s = max(now_s, deadline_s)
            effects = kernel.handle(now_s, Tick())
        else:
            now_s, number_, ends = heappop(agenda)
            if ends:
                agent = who.pop(number_)
                effects = kernel.handle(now_s, Settle(number_, usage))
                done += 1
                if made + len(agenda) < calls + LANES:
                    heappush(agenda, (now_s + rng.expovariate(0.1), -agent - 1, False))
                if done % (calls // 10) == 0:
                    progress(f"scale: {done} of {calls} calls")
            else:
                agent = -number_ - 1
                made += 1
                who[made] = agent
                call = Call(f"agent-{agent}", priority=HINTS[agent % 3])
                effects = kernel.handle(now_s, Submit(made, call))
        for effect in effects:
            if effect.__class__ is Granted:
                length_s = MEDIANS_S[who[effect.ticket] % 3] * rng.lognormvariate(0.0, 0.6)
                heappush(agenda, (now_s + min(length_s, 100.0), effect.ticket, True))
                events += 1
        events += 1
        peak = max(peak, kernel.queue.count)
    seconds = time.process_time() - began_s
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "agents": agents,
        "calls": done,
        "lanes": LANES,
        "seconds": round(seconds, 1),
        "events": events,
        "events_per_s": round(events / seconds),
        "most_waiting": peak,
        "memory_mib": round(rss / (1024 if sys.platform != "darwin" else 1024**2)),
    }


def cost_us(order: str, waiting: int, rounds: int = 3000) -> float:
    """Microseconds for an end, the grant that follows it and a new call, with so many waiting."""
    kernel, running = kernel_of(order, 4), deque()

    def feed(at_s: float, event: object) -> None:
        for effect in kernel.handle(at_s, event):  # type: ignore[arg-type]
            if effect.__class__ is Granted:
                running.append(effect.ticket)

    def call(number_: int) -> Call:
        agent = number_ % (waiting + 4)
        return Call(f"a{agent}", priority=HINTS[agent % 3])

    for number_ in range(waiting + 4):
        feed(number_ * 1e-4, Submit(number_, call(number_)))
    now_s, best, made = waiting * 1e-4, inf, waiting + 4
    for _ in range(5):
        began_s = time.process_time()
        for turn in range(rounds // 5):
            now_s += 0.05 * (1 + turn % 7)
            feed(now_s, Settle(running.popleft(), Usage(10, 10)))
            feed(now_s, Submit(made, call(made)))
            made += 1
        best = min(best, time.process_time() - began_s)
    return 1e6 * best / (rounds // 5)


def uncontended_us(order: str, rounds: int = 20_000) -> float:
    """Microseconds for a call that finds a free lane, and its end."""
    kernel, best, now_s, made = kernel_of(order, 8), inf, 0.0, 0
    calls = [Call(f"a{number_}") for number_ in range(50)]
    usage = Usage(100, 50)
    for _ in range(5):
        began_s = time.process_time()
        for turn in range(rounds // 5):
            made += 1
            now_s += 0.8
            kernel.handle(now_s, Submit(made, calls[turn % 50]))
            kernel.handle(now_s + 0.3, Settle(made, usage))
        best = min(best, time.process_time() - began_s)
    return 1e6 * best / (rounds // 5)


def simulated_per_s() -> float:
    """Agenda events of the simulator per second of one core, in the paper's High load."""
    best = 0.0
    for _ in range(3):
        loads = [SCENARIOS["high-load"].build(seed) for seed in range(5)]
        began_s = time.process_time()
        events = sum(simulate(load).events for load in loads)
        best = max(best, events / (time.process_time() - began_s))
    return best


def run() -> None:
    """Run it all and write the results."""
    progress("scale: cost of one event")
    cost = {order: {str(n): round(cost_us(order, n), 1) for n in WAITING} for order in ORDERS}
    free = {order: round(uncontended_us(order), 2) for order in ORDERS}
    per_s = round(simulated_per_s())
    whole = million()
    data = {"million": whole, "simulated_events_per_s": per_s, "waiting_us": cost, "free_us": free}
    rows = [
        [order, *(number(cost[order][str(n)]) for n in WAITING), free[order]] for order in ORDERS
    ]
    head = ("us", *(f"{n:,} waiting" for n in WAITING), "a free lane")
    text = [
        (
            f"{whole['calls']:,} calls of {whole['agents']:,} agents on {LANES} lanes, up to "
            f"{whole['most_waiting']:,} waiting: **{whole['seconds']:g} s** of one core, "
            f"{whole['events_per_s']:,} events (calls, grants, ends) per second, at most "
            f"{whole['memory_mib']:,} MiB. The simulator does {per_s:,} events per second in the "
            "paper's High load.\n"
        ),
        "Cost of a call's end, the grant that follows and a new call, by how many wait:\n",
        table(head, rows),
    ]
    curves = {order: [[n, cost[order][str(n)]] for n in WAITING] for order in ORDERS}
    plot = lines("Cost by how many wait", "waiting", "us", curves)
    write("scale", "Scale: a million calls on one core", data, "\n".join(text), [plot])
