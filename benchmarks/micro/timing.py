"""Races: contestants take turns in one process, so that the machine's moods meet all of them."""

from __future__ import annotations

import gc
import os
import platform
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

__all__ = ["Effort", "Sample", "machine", "race", "summary", "timed"]

PACKAGES = ("langchain-core", "aiolimiter", "pyrate-limiter", "tenacity")


@dataclass(frozen=True)
class Effort:
    """How much is measured: the full figures, or just enough to see that it runs."""

    rounds: int
    operations: int
    waiting: tuple[int, ...]
    handovers: int
    calls: int

    @classmethod
    def full(cls) -> Effort:
        return cls(15, 2000, (100, 10_000, 100_000), 2000, 400)

    @classmethod
    def quick(cls) -> Effort:
        return cls(3, 50, (10, 100, 1000), 20, 10)


@dataclass(frozen=True)
class Sample:
    """One contestant: microseconds for one operation, over the rounds."""

    median_us: float
    low_us: float
    high_us: float
    rounds: int


def timed(operations: int, operation: Callable[[], object]) -> float:
    """Seconds for so many operations."""
    begun = perf_counter()
    for _ in range(operations):
        operation()
    return perf_counter() - begun


def race(
    contestants: Mapping[str, Callable[[int], float]], *, rounds: int, operations: int
) -> dict[str, Sample]:
    """Each contestant runs `operations` and returns its seconds; `rounds` times, in turns.

    A round begins with another contestant each time; the first turn of each warms up and is not
    counted.
    """
    names = list(contestants)
    taken: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    for name in names:
        contestants[name](max(operations // 10, 1))
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            taken[name].append(contestants[name](operations) / operations * 1e6)
    return {name: summary(values) for name, values in taken.items()}


def summary(values: list[float]) -> Sample:
    """The median, and the range in which the middle 80 % lie."""
    ordered = sorted(values)
    margin = len(ordered) // 10
    return Sample(
        round(statistics.median(ordered), 3),
        round(ordered[margin], 3),
        round(ordered[-1 - margin], 3),
        len(ordered),
    )


def machine() -> dict[str, str]:
    """On what and with what this was measured."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    found = {
        "processor": f"{models[0] if models else platform.processor()} x {len(models) or '?'}",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    if hasattr(os, "getloadavg"):
        found["other work"] = f"load average {os.getloadavg()[0]:.1f} at the end"
    return found | {name: version(name) for name in PACKAGES}
