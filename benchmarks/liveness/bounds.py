"""What must hold of our own rows, and whether it does: the bounds beside what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.liveness.work import SITUATIONS

__all__ = ["BOUNDS", "Bound", "judged"]

OWN = ("ours", "ours, with the timeout")
_HANGS = ("hang5", "hang20", "hang40", "waves")
_HEALTHY = ("quick", "slow2", "slow10", "sized", "cold")
_CALLS = (*_HEALTHY, "slow100", *_HANGS)


@dataclass(frozen=True, slots=True)
class Bound:
    """One bound.

    Args:
        title: What it says.
        most: The most that is allowed.
        where: The situations in which it holds.
        worst: The figure of one row that must not be above it; None: the row does not say.
    """

    title: str
    most: float
    where: tuple[str, ...]
    worst: Callable[[dict[str, Any]], float | None]


def _of(name: str) -> Callable[[dict[str, Any]], float | None]:
    """The median of a figure."""
    return lambda row: None if row[name] is None else float(row[name][0])


def _requests_where_lost(row: dict[str, Any]) -> float | None:
    """The most requests of one call, if second attempts mostly lost."""
    return float(row["requests_max"]) if row["mostly_lost"] else None


def _off(row: dict[str, Any]) -> float | None:
    """Tokens charged that were not billed, or the other way round, requests that came aside."""
    money = row["charged_less_billed"]
    return None if money is None else float(abs(money))


BOUNDS = (
    Bound("calls that failed", 0, tuple(SITUATIONS), lambda row: float(row["failed"])),
    Bound("requests per healthy call, mean", 1.05, tuple(SITUATIONS), _of("requests_mean")),
    Bound(
        "requests of one call, where second attempts mostly lose", 3, _CALLS, _requests_where_lost
    ),
    Bound("wall time over the clairvoyant, on 8 lanes", 1.2, _HANGS, _of("x_clairvoyant")),
    Bound("excess tokens % where nothing hangs", 5, _HEALTHY, _of("excess_percent")),
    Bound("excess tokens % with hidden calls of 100x", 15, ("slow100",), _of("excess_percent")),
    Bound("tokens charged but not billed, or billed but not charged", 0, _CALLS, _off),
)


def judged(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each bound, the row that is worst by it, and whether it is met there; ours alone."""
    for bound in BOUNDS:
        found = [
            (value, row)
            for row in rows
            if row["way"] in OWN and row["situation"] in bound.where
            if (value := bound.worst(row)) is not None
        ]
        if not found:
            continue
        value, row = max(found, key=lambda pair: pair[0])
        missed = [one["situation"] for worst, one in found if worst > bound.most]
        yield {
            "bound": bound.title,
            "most": bound.most,
            "worst": value,
            "situation": row["situation"],
            "way": row["way"],
            "met": not missed,
            "missed_in": sorted(set(missed)),
            "rows": len(found),
        }
