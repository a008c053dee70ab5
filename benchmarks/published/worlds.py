"""What the experiments share: orders, seeds, liars, and medians with their intervals."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from math import ceil, floor, isnan, nan, sqrt
from statistics import median

from agentrm_plugins.sim import CLAIRVOYANT, Model, Turn, Workload, measure, run_model
from agentrm_plugins.sim.measure import Measures
from agentrm_plugins.types.calls import Priority

ORDERS = ("fifo", "round_robin", "priority", "hrrn", "mlfq_textbook", "mlfq", CLAIRVOYANT)
NAMES = {
    "fifo": "FIFO",
    "round_robin": "Round Robin",
    "priority": "Priority Queue",
    "hrrn": "HRRN",
    "mlfq_textbook": "textbook MLFQ",
    "mlfq": "ours",
    CLAIRVOYANT: "clairvoyant",
}
FIELDS = (
    *("p95_s", "interactive_p95_s", "slowdown", "worst_slowdown", "in_time", "per_min"),
    *("finished", "zombies", "past_timeout", "waste_s", "recovered", "lags", "starved", "jain"),
)


def figures(found: Measures) -> dict[str, float]:
    """The measures of one run that the tables use."""
    values = {name: getattr(found, name) for name in FIELDS if name != "interactive_p95_s"}
    values["interactive_p95_s"] = found.by_kind.get("interactive", (nan, nan))[1]
    return {name: float(values[name]) for name in FIELDS}


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The median with its 95 % confidence interval by order statistics (binomial, p = 1/2)."""
    ordered = sorted(value for value in values if not isnan(value))
    n = len(ordered)
    if not n:
        return nan, nan, nan
    half = 0.98 * sqrt(n)  # 1.96 times sqrt(n) / 2
    low = max(floor(n / 2 - half) - 1, 0)
    high = min(ceil(n / 2 + half), n - 1)
    return median(ordered), ordered[low], ordered[high]


def many(
    build: Callable[[int], Workload], model: Model, seeds: Sequence[int]
) -> dict[str, list[float]]:
    """Field by field, the figures of the runs of all seeds."""
    runs = [figures(measure(run_model(build(seed), model))) for seed in seeds]
    return {name: [run[name] for run in runs] for name in FIELDS}


def summary(runs: dict[str, list[float]]) -> dict[str, list[float]]:
    """Median and interval of each field, rounded to what the seeds can tell."""
    return {
        name: [float(f"{value:.4g}") for value in interval(values)] for name, values in runs.items()
    }


def with_lanes(build: Callable[[int], Workload], lanes: int) -> Callable[[int], Workload]:
    """The same turns on another number of lanes."""
    return lambda seed: dataclasses.replace(build(seed), lanes=lanes)


def scaled(build: Callable[[int], Workload], factor: float) -> Callable[[int], Workload]:
    """The same turns, each `factor` times as long."""

    def scale(seed: int) -> Workload:
        load = build(seed)
        turns = tuple(
            dataclasses.replace(turn, service_s=turn.service_s * factor) for turn in load.turns
        )
        return dataclasses.replace(load, turns=turns)

    return scale


def is_liar(turn: Turn) -> bool:
    """Every other agent whose work is not interactive."""
    number = int(turn.agent.rpartition("-")[2])
    return turn.kind is not Priority.INTERACTIVE and number % 2 == 1


def lying(turn: Turn) -> Priority:
    """Liars say "interactive"; all others the truth."""
    return Priority.INTERACTIVE if is_liar(turn) else turn.kind


def silent_liars(turn: Turn) -> Priority | None:
    """Who would lie says nothing instead; all others the truth."""
    return None if is_liar(turn) else turn.kind
