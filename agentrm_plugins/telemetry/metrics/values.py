"""The values of the metrics at one moment, by metric and by the values of its labels."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from agentrm_plugins.telemetry.metrics.catalogue import METRICS
from agentrm_plugins.types.histogram import bound_s

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentrm_plugins.types.histogram import Histogram
    from agentrm_plugins.types.statistics import WaitStatistics

__all__ = ["BOUNDS_S", "Counted", "Values", "of_histogram", "of_waits"]

_PER_DOUBLING = 4
BOUNDS_S = tuple(bound_s(_PER_DOUBLING * place) for place in range(21))
"""Of the buckets that are exported: 1 ms, doubling, to 17 minutes. They are a part of those that
are counted in, so nothing is guessed between two bounds."""
_SLACK = 1.000_01  # bounds come as text of six digits


class Counted(NamedTuple):
    """A histogram: how many are at most as long as each of `BOUNDS_S`, how many in all, and sum."""

    at_most: tuple[int, ...]
    total: int
    sum_s: float


class Values:
    """What `put` was told.

    Where two owners share their labels (those beyond a bound are all "other"), what is counted is
    added, and of a time or a share the worst counts.
    """

    def __init__(self) -> None:
        self.by_metric: dict[str, dict[tuple[str, ...], float | Counted]] = {}

    def put(self, name: str, value: float | Counted | None, *labels: str) -> None:
        """One value; None is left out.

        Raises:
            KeyError: No such metric.
        """
        metric = METRICS[name]
        if value is None:
            return
        assert len(labels) == len(metric.labels), name  # noqa: S101 - a bug of ours
        found = self.by_metric.setdefault(name, {})
        old = found.get(labels)
        found[labels] = value if old is None else _joined(name, old, value)


def _joined(name: str, old: float | Counted, new: float | Counted) -> float | Counted:
    if isinstance(old, Counted) and isinstance(new, Counted):
        at_most = tuple(map(sum, zip(old.at_most, new.at_most, strict=True)))
        return Counted(at_most, old.total + new.total, old.sum_s + new.sum_s)
    assert not isinstance(old, Counted) and not isinstance(new, Counted)  # noqa: S101, PT018
    metric = METRICS[name]
    if metric.kind == "counter" or metric.unit.startswith("{"):
        return old + new
    return min(old, new) if name == "agentrm.rate.binds_in" else max(old, new)


def of_waits(waits: WaitStatistics) -> Counted:
    """From the statistics of waits, those for no time among them."""
    ends = [float(bound) for bound in waits.buckets]
    at_most = list(waits.buckets.values())
    # Where nothing was counted in buckets, nobody has waited.
    before = 0 if at_most else waits.calls
    return _counted(ends, at_most, before, max([waits.calls, *at_most]), waits.sum_s)


def of_histogram(times: Histogram) -> Counted:
    """From a histogram that counts all."""
    counts = sorted(times.counts.copy().items())
    ends, at_most, so_far = [], [], 0
    for bucket, count in counts:
        so_far += count
        ends.append(bound_s(bucket))
        at_most.append(so_far)
    return _counted(ends, at_most, 0, so_far, times.sum_s)


def _counted(
    ends: list[float], at_most: list[int], before: int, total: int, sum_s: float
) -> Counted:
    return Counted(tuple(_looked_up(ends, at_most, before)), total, sum_s)


def _looked_up(ends: list[float], at_most: list[int], before: int) -> Iterable[int]:
    for bound in BOUNDS_S:
        place = bisect_right(ends, bound * _SLACK)
        yield at_most[place - 1] if place else before
