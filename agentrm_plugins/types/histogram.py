"""How long calls waited, as a histogram that costs a few numbers for each agent.

Law: a wait of ``w`` seconds counts in bucket ``floor(4 * log2(w / 1 ms)) + 1``, so a bucket ends
    19 % above where it begins, and a quantile read from it is right within 10 %. Shorter waits
    count in bucket 0. No more than the longest wait is ever told.
"""

from __future__ import annotations

from array import array
from math import log2
from typing import NamedTuple

__all__ = ["Histogram", "bound_s"]

_LEAST_S = 0.001
_PER_DOUBLING = 4
_MOST = 120  # buckets: up to 12 days
_NOTED = 32  # waits that are noted before they are counted


class Quantiles(NamedTuple):
    """Three of them, in seconds."""

    p50_s: float
    p95_s: float
    p99_s: float


def bound_s(bucket: int) -> float:
    """The upper end of a bucket, in seconds."""
    return float(_LEAST_S * 2.0 ** (bucket / _PER_DOUBLING))


class Histogram:
    """Counts waits that were waits; those of no time at all are the owner's other calls.

    A wait is only noted when it is told; waits are counted some dozens at a time, or by whoever
    reads them. So a call pays for a note, and an agent of few calls keeps a few numbers.
    """

    __slots__ = ("_counts", "_most_s", "_noted", "_sum_s", "_total")

    def __init__(self) -> None:
        self._noted = array("d")
        self._counts: dict[int, int] | None = None
        self._total = 0
        self._sum_s = 0.0
        self._most_s = 0.0

    def add(self, wait_s: float) -> None:
        """Count one wait, of 0 seconds or more."""
        noted = self._noted
        noted.append(wait_s)
        if len(noted) >= _NOTED:
            self._count()

    @property
    def counts(self) -> dict[int, int]:
        """How many waits each bucket has."""
        return self._count()

    @property
    def total(self) -> int:
        """How many waits there were."""
        return self._total + len(self._noted)

    @property
    def sum_s(self) -> float:
        """All of them together, in seconds."""
        return self._sum_s + sum(self._noted)

    @property
    def most_s(self) -> float:
        """The longest, in seconds."""
        return max(self._most_s, *self._noted) if self._noted else self._most_s

    def join(self, other: Histogram) -> None:
        """Count all that the other one counted."""
        counts = self._count()
        for bucket, count in other.counts.items():
            counts[bucket] = counts.get(bucket, 0) + count
        self._total += other.total
        self._sum_s += other.sum_s
        self._most_s = max(self._most_s, other.most_s)

    def _count(self) -> dict[int, int]:
        """Count what was noted."""
        if self._counts is None:
            self._counts = {}
        counts, noted = self._counts, self._noted
        if noted:
            for wait_s in noted:
                bucket = 0
                if wait_s >= _LEAST_S:
                    bucket = min(int(_PER_DOUBLING * log2(wait_s / _LEAST_S)) + 1, _MOST)
                counts[bucket] = counts.get(bucket, 0) + 1
            self._total, self._sum_s, self._most_s = self.total, self.sum_s, self.most_s
            self._noted = array("d")
        return counts

    def quantiles(self, instant: int) -> Quantiles:
        """The median, the 95th and the 99th percentile.

        Args:
            instant: Calls beside those counted here, which did not wait at all.
        """
        if not self.total:
            return _NONE
        buckets = sorted(self._count())
        total = instant + self._total
        return Quantiles(*(self._at(share * total - instant, buckets) for share in _SHARES))

    def _at(self, rank: float, buckets: list[int]) -> float:
        """The wait of that rank among those counted, the shortest first."""
        if rank <= 0:
            return 0.0
        counts = self._count()
        for bucket in buckets:
            count = counts[bucket]
            if rank <= count:
                lower_s = bound_s(bucket - 1) if bucket else 0.0
                upper_s = min(bound_s(bucket), self._most_s)
                return min(self._most_s, lower_s + (upper_s - lower_s) * rank / count)
            rank -= count
        return self._most_s


_SHARES = (0.5, 0.95, 0.99)
_NONE = Quantiles(0.0, 0.0, 0.0)
