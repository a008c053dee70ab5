"""The questions of late calls in virtual time: ``python -m benchmarks.liveness.virtual``.

How much longer than an oracle does it take where calls hang; what do slow calls among quick ones
cost; is there a storm where all is slow? Quoted are ratios over the seeds: the mean, and the worst
one beside it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from statistics import mean

from benchmarks.liveness.agents import Policy, Result, World, run

__all__ = ["main", "report"]

RULE, ORACLE = Policy(), Policy(adaptive=False, oracle=True)
BARE, FIXED = Policy(adaptive=False), Policy(adaptive=False, timeout_s=30.0)
LANES = (8, 32)
HANGS = {
    "5 %": World(hang=0.05),
    "20 %": World(hang=0.20),
    "40 %": World(hang=0.40),
    "waves": World(waves=True),
}
HEAD = (
    "| lanes | hung | wall / oracle | fixed 30 s | requests, mean (max) | excess % | p95 s "
    "| peak / lanes | failed | charged - billed |"
)
SLOW = {
    "none": World(),
    "5 % of 2x": World(slow=0.05, times=2.0),
    "5 % of 10x": World(slow=0.05, times=10.0),
    "1 % of 20x": World(slow=0.01, times=20.0),
    "5 % of 100x": World(slow=0.05, times=100.0),
    "overload": World(overload=(20.0, 80.0)),
}


def p95(values: list[float]) -> float:
    """The 95th percentile."""
    ordered = sorted(values)
    return ordered[int(0.95 * (len(ordered) - 1))]


def both(values: list[float], form: str = ".2f") -> str:
    """The mean, and the worst."""
    return f"{mean(values):{form}} ({max(values):{form}})"


def runs(world: World, policy: Policy, seeds: int) -> list[Result]:
    return [run(replace(world, seed=seed), policy) for seed in range(1, seeds + 1)]


def hanging(lanes: int, calls: int, seeds: int) -> Iterator[str]:
    """A row for each share of hung calls."""
    for name, kind in HANGS.items():
        world = replace(kind, lanes=lanes, calls=calls)
        oracle, fixed = runs(world, ORACLE, seeds), runs(world, FIXED, seeds)
        ours = runs(world, RULE, seeds)
        pairs = list(zip(ours, oracle, strict=True))
        walls = [one.wall_s / best.wall_s for one, best in pairs]
        slow = [one.wall_s / best.wall_s for one, best in zip(fixed, oracle, strict=True)]
        requests = [count for one in ours for count in one.healthy]
        cells = (
            *(str(lanes), name, both(walls), both(slow, ".1f")),
            f"{mean(requests):.3f} ({max(requests)})",
            both([100.0 * (one.billed / best.billed - 1.0) for one, best in pairs], ".1f"),
            f"{mean(p95(one.quick_s) for one in ours):.1f}",
            f"{max(one.peak for one in ours) / lanes:.1f}",
            str(sum(one.failed for one in ours)),
            str(sum(abs(one.charged - one.billed) for one in ours)),
        )
        yield f"| {' | '.join(cells)} |"


def slow(lanes: int, calls: int, seeds: int) -> Iterator[str]:
    """A row for each kind of healthy slow calls; nothing hangs."""
    for name, kind in SLOW.items():
        world = replace(kind, lanes=lanes, calls=calls)
        pairs = list(zip(runs(world, RULE, seeds), runs(world, BARE, seeds), strict=True))
        requests = [count for one, _ in pairs for count in one.healthy]
        cells = (
            *(str(lanes), name, both([one.wall_s / bare.wall_s for one, bare in pairs])),
            f"{mean(requests):.3f} ({max(requests)})",
            both([100.0 * (one.billed / bare.billed - 1.0) for one, bare in pairs], ".1f"),
            str(sum(one.failed for one, _ in pairs)),
        )
        yield f"| {' | '.join(cells)} |"


def report(calls: int, seeds: int) -> str:
    """Both tables, in Markdown."""
    lines = [
        HEAD,
        "|---|---|---|---|---|---|---|---|---|---|",
        *(row for lanes in LANES for row in hanging(lanes, calls, seeds)),
        "",
        "| lanes | slow | wall / bare | requests, mean (max) | excess % | failed |",
        "|---|---|---|---|---|---|",
        *(row for lanes in LANES for row in slow(lanes, calls, seeds)),
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    print(report(given.calls, given.seeds))


if __name__ == "__main__":
    main()
