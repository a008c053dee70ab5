"""Few calls and cold endpoints, in virtual time: ``python -m benchmarks.liveness.few``.

Where nearly nothing is known yet: do hung calls wait for their limit, and is an endpoint that is
slow by nature asked more often than it must be? Ratios are of the wall time, to an oracle where
calls hang and else to the same work without second attempts: the mean over the seeds, and the worst
one beside it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from statistics import mean

from benchmarks.liveness.agents import Policy, World, run
from benchmarks.liveness.virtual import BARE, ORACLE, RULE, both

__all__ = ["main", "report"]

HEAD = "| lanes | calls | what | wall / best | requests, mean (max) | excess tokens % | failed |"
SIZES = ((1, 20, 2), (2, 20, 4), (8, 40, 40), (32, 40, 40), (8, 200, 40), (32, 200, 40))
"""Lanes, calls and agents."""
HANGS = {
    "5 % hang": World(hang=0.05),
    "20 % hang": World(hang=0.20),
    "40 % hang": World(hang=0.40),
    "waves of hangs": World(waves=True),
}
SLOW = {
    "ten-minute answers": World(median_s=500.0, sigma=0.05),
    "minute answers": World(median_s=60.0),
    "5 % of 10x": World(slow=0.05, times=10.0),
    "5 % of 100x": World(slow=0.05, times=100.0),
}


def line(name: str, world: World, best: Policy, seeds: range) -> str:
    """One row: a situation over all seeds."""
    pairs = [
        (run(replace(world, seed=seed), RULE), run(replace(world, seed=seed), best))
        for seed in seeds
    ]
    requests = [count for one, _ in pairs for count in one.healthy]
    cells = (
        *(str(world.lanes), str(world.calls), name),
        both([one.wall_s / other.wall_s for one, other in pairs]),
        f"{mean(requests):.3f} ({max(requests)})",
        both([100.0 * (one.billed / other.billed - 1.0) for one, other in pairs], ".1f"),
        str(sum(one.failed for one, _ in pairs)),
    )
    return f"| {' | '.join(cells)} |"


def report(seeds: range) -> Iterator[str]:
    """The table in Markdown, line by line."""
    yield HEAD
    yield "|---|---|---|---|---|---|---|"
    for kinds, best in ((HANGS, ORACLE), (SLOW, BARE)):
        for lanes, calls, agents in SIZES:
            for name, kind in kinds.items():
                world = replace(kind, lanes=lanes, calls=calls, agents=agents)
                yield line(name, world, best, seeds)


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=1001, help="the first seed")
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args()
    for text in report(range(given.first, given.first + given.seeds)):
        print(text, flush=True)


if __name__ == "__main__":
    main()
