"""Servers of many kinds, drawn at random: what a limit in windows costs in refusals and in time.

The rows of `windows` are twenty agents near a limit of 60. Here each *kind* is a way to count and a
way to tell of it; for each of them the quota, the window, the agents, the lines, the clocks, and
the moment are drawn. So nothing is tuned to a row: a seed that nobody has used is another test.
``python -m benchmarks.congestion.window_trials --seed 9000`` prints mean and worst of each kind,
beside what an oracle needs.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

from agentrm_plugins.testing.provider.limits import Quota
from benchmarks.congestion.window_world import Row, play

__all__ = ["KINDS", "Kind", "Trial", "drawn", "tried"]

_QUOTAS = ((60, 60.0), (60, 60.0), (600, 60.0), (20, 60.0), (8, 1.0), (30, 10.0))
_MINUTES = ((60, 60.0), (120, 60.0), (20, 60.0), (600, 60.0))
_CALL = 220  # tokens that are reserved for a call
_TRIPS_S = ((0.003, 0.015), (0.003, 0.015), (0.02, 0.2), (0.1, 1.0))
_SERVED_S = ((0.4, 1.0), (0.1, 0.3), (1.0, 6.0))
_UNUSED = ((0.1, 0.3), (0.4, 0.8))
_AGENTS = (5, 20, 20, 60)
_SKEWS_S = (0.0, 0.0, 0.4, -0.4, 2.5, -7.0)
_LINES = 5.0
_LEAST_WINDOWS, _LEAST_S, _MOST_CALLS, _LEAST_TURNS = 1.6, 12.0, 900, 3


@dataclass(frozen=True, slots=True)
class Kind:
    """A server.

    Args:
        count: How it counts: "clock", "fixed", "sliding" or "bucket".
        style: Whose headers.
        resets: Of what moment their resets are; None: they name none.
        retry_after: Whether refusals name a wait; None: it is drawn.
        silent: Whether a refusal is a status and nothing else.
        tokens: Whether tokens are limited, and not requests.
        refunds: Whether unused tokens come back.
        enforce_s: Steps in which the limit is enforced beside its window.
        minutes: Whether the window is always a minute.
        words: What a refusal says.
        alone: Whether headers name the limit alone.
    """

    count: Any
    style: Any = "gateway"
    resets: Any = None
    retry_after: bool | None = None
    silent: bool = False
    tokens: bool = False
    refunds: bool = True
    enforce_s: float | None = None
    minutes: bool = False
    words: str = ""
    alone: bool = False


def _told() -> Iterator[tuple[str, Kind]]:
    """Whoever names limit, window and reset."""
    for count in ("clock", "fixed", "sliding", "bucket"):
        for style in ("ietf", "ietf-07", "plain", "limiter"):
            yield f"{style}, {count}", Kind(count, style, resets="whole")
        yield f"openai, {count}", Kind(count, "openai", resets="whole", minutes=True)


def _next() -> Iterator[tuple[str, Kind]]:
    """Whoever names when there is more, and not when all is back."""
    for count in ("bucket", "sliding"):
        for style in ("ietf", "plain", "limiter"):
            yield f"{style}, {count}, next", Kind(count, style, resets="next")
        for style in ("openai", "cerebras"):
            yield f"{style}, {count}, next", Kind(count, style, resets="next", minutes=True)


def _half() -> Iterator[tuple[str, Kind]]:
    """Whoever names the limit and nothing else: in a refusal's words, or in a header."""
    words = "Rate limit exceeded: {limit} requests per minute."
    for count in ("clock", "fixed", "sliding", "bucket"):
        told = Kind(count, "none", minutes=True, retry_after=False, words=words)
        yield f"limit in words, {count}", told
        yield f"limit alone, {count}", Kind(count, minutes=True, retry_after=False, alone=True)


KINDS = {
    **dict(_told()),
    **dict(_next()),
    **dict(_half()),
    "limiter's words, clock": Kind("clock", "limiter", retry_after=False),
    "limiter's words, fixed": Kind("fixed", "limiter", retry_after=False),
    "no reset, clock": Kind("clock", minutes=True),
    "no reset, fixed": Kind("fixed", minutes=True),
    "no reset, sliding": Kind("sliding", minutes=True),
    "no reset, bucket": Kind("bucket", minutes=True),
    "in words, clock": Kind("clock", "none", minutes=True, retry_after=False),
    "in words, sliding": Kind("sliding", "none", minutes=True, retry_after=False),
    "silent, clock": Kind("clock", "none", silent=True, minutes=True, retry_after=False),
    "silent, fixed": Kind("fixed", "none", silent=True, minutes=True, retry_after=False),
    "silent, sliding": Kind("sliding", "none", silent=True, minutes=True, retry_after=False),
    "silent, bucket": Kind("bucket", "none", silent=True, minutes=True, retry_after=False),
    "silent, per second": Kind(
        "bucket", "none", silent=True, minutes=True, retry_after=False, enforce_s=1.0
    ),
    "per second, headers": Kind("bucket", minutes=True, enforce_s=1.0),
    "kept tokens, clock": Kind("clock", tokens=True, refunds=False, minutes=True),
    "kept tokens, bucket": Kind("bucket", tokens=True, refunds=False, minutes=True),
    "kept tokens, openai": Kind(
        "bucket", "openai", "whole", tokens=True, refunds=False, minutes=True
    ),
    "few tokens, openai": Kind("bucket", "openai", "whole", tokens=True, minutes=True),
    "few tokens, ietf": Kind("fixed", "ietf", "whole", tokens=True, minutes=True),
    "few tokens, no reset": Kind("clock", tokens=True, minutes=True),
}


@dataclass(frozen=True, slots=True)
class Trial:
    """One server, its agents, and what came of it."""

    kind: str
    row: Row
    turns: int
    phase_s: float
    skew_s: float
    seed: int
    first: int = 0
    later: int = 0
    ratio: float = 0.0
    lost: int = 0

    def run(self, *, told: bool = False) -> Trial:
        """Let ours and an oracle work."""
        options: dict[str, Any] = {
            "seed": self.seed,
            "phase_s": self.phase_s,
            "turns": self.turns,
            "skew_s": self.skew_s,
        }
        ours = play(self.row, "ours", told=told, **options)
        best = play(self.row, "oracle", **options)
        return replace(
            self,
            first=ours.first,
            later=ours.later,
            ratio=ours.wall_s / best.wall_s,
            lost=self.row.agents - ours.finished,
        )


def drawn(name: str, seed: int) -> Trial:
    """A server of that kind."""
    kind, rng = KINDS[name], random.Random(f"{name} {seed}")
    limit, window_s = rng.choice(_MINUTES if kind.minutes else _QUOTAS)
    agents = rng.choice([one for one in _AGENTS if one <= limit])  # others are refused unheard
    served_s = rng.choice(_SERVED_S)
    # Where a window is no longer than a line, nobody can say in which one a request will come.
    trips_s = [one for one in _TRIPS_S if one[1] <= window_s / _LINES]
    sizes: dict[str, Any] = {"tokens": limit * _CALL} if kind.tokens else {"requests": limit}
    quota = Quota(window_s=window_s, kind=kind.count, enforce_s=kind.enforce_s, **sizes)
    retries = rng.random() < 0.5 if kind.retry_after is None else kind.retry_after
    row = Row(
        quota,
        style=kind.style,
        resets=kind.resets,
        retry_after="s" if retries else "none",
        refunds=kind.refunds,
        silent=kind.silent,
        trip_s=rng.choice(trips_s),
        cold=rng.random() < 0.2,
        agents=agents,
        served_s=served_s,
        after=rng.random() < 0.5,
        unused=rng.choice(_UNUSED),
        words=kind.words,
        alone=kind.alone,
    )
    windows = max(_LEAST_WINDOWS, _LEAST_S / window_s) * rng.uniform(1.0, 2.0)
    calls = min(_MOST_CALLS, windows * limit)
    turns = max(_LEAST_TURNS, round(calls / agents))
    phase_s, skew_s = rng.uniform(0.0, window_s), rng.choice(_SKEWS_S)
    return Trial(name, row, turns, phase_s, skew_s, rng.randrange(10**6))


def tried(
    seeds: Sequence[int], names: Iterable[str] = KINDS, *, told: bool = False
) -> Iterator[tuple[str, list[Trial]]]:
    """The trials of each kind."""
    for name in names:
        yield name, [drawn(name, seed).run(told=told) for seed in seeds]


def _line(name: str, trials: list[Trial]) -> str:
    def cell(values: list[float], form: str) -> str:
        return f"{mean(values):{form}} ({max(values):{form}})"

    over = sum(one.first > 5 or one.later > 1 or one.ratio > 1.1 for one in trials)
    first = cell([one.first for one in trials], ".3g")
    later = cell([one.later for one in trials], ".3g")
    ratio = cell([one.ratio for one in trials], ".2f")
    lost = sum(one.lost for one in trials)
    return f"| {name} | {first} | {later} | {ratio} | {over}/{len(trials)} | {lost} |"


def main(argv: list[str] | None = None) -> None:
    """Draw, run, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.congestion.window_trials")
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--trials", type=int, default=10, help="of each kind")
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    parser.add_argument("--told", action="store_true", help="ours is told the limits")
    parser.add_argument("--each", action="store_true", help="print each trial")
    options = parser.parse_args(argv)
    print("| server | refusals in the first window, mean (worst) | in the worst later one "
          "| x allowed | beyond a target | agents lost |\n|---|---|---|---|---|---|")  # fmt: skip
    seeds = range(options.seed, options.seed + options.trials)
    for name, trials in tried(seeds, options.kind or list(KINDS), told=options.told):
        print(_line(name, trials), flush=True)
        for one in trials if options.each else ():
            print("   ", one)


if __name__ == "__main__":
    main()
