"""How long calls waited, as a histogram that costs a few numbers for each agent.

Law: a wait of ``w`` seconds counts in bucket ``floor(4 * log2(w / 1 ms)) + 1``, so a bucket ends
    19 % above where it begins, and a quantile read from it is right within 10 %. Shorter waits
    count in bucket 0. No more than the longest wait is ever told.
"""

from __future__ import annotations

from math import log2
from typing import NamedTuple

__all__ = ["Histogram", "bound_s"]

_LEAST_S = 0.001
_PER_DOUBLING = 4
_MOST = 120  # buckets: up to 12 days


class Quantiles(NamedTuple):
    """Three of them, in seconds."""

    p50_s: float
    p95_s: float
    p99_s: float


def bound_s(bucket: int) -> float:
    """The upper end of a bucket, in seconds."""
    return float(_LEAST_S * 2.0 ** (bucket / _PER_DOUBLING))


class Histogram:
    """Counts waits that were waits; those of no time at all are the owner's other calls."""

    __slots__ = ("counts", "most_s", "sum_s", "total")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.total = 0
        self.sum_s = 0.0
        self.most_s = 0.0

    def add(self, wait_s: float) -> None:
        """Count one wait, of 0 seconds or more."""
        bucket = 0
        if wait_s >= _LEAST_S:
            bucket = min(int(_PER_DOUBLING * log2(wait_s / _LEAST_S)) + 1, _MOST)
        counts = self.counts
        counts[bucket] = counts.get(bucket, 0) + 1
        self.total += 1
        self.sum_s += wait_s
        self.most_s = max(self.most_s, wait_s)

    def join(self, other: Histogram) -> None:
        """Count all that the other one counted."""
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.total += other.total
        self.sum_s += other.sum_s
        self.most_s = max(self.most_s, other.most_s)

    def quantiles(self, instant: int) -> Quantiles:
        """The median, the 95th and the 99th percentile.

        Args:
            instant: Calls beside those counted here, which did not wait at all.
        """
        total, buckets = instant + self.total, sorted(self.counts)
        return Quantiles(*(self._at(share * total - instant, buckets) for share in _SHARES))

    def _at(self, rank: float, buckets: list[int]) -> float:
        """The wait of that rank among those counted, the shortest first."""
        if rank <= 0:
            return 0.0
        for bucket in buckets:
            count = self.counts[bucket]
            if rank <= count:
                lower_s = bound_s(bucket - 1) if bucket else 0.0
                upper_s = min(bound_s(bucket), self.most_s)
                return min(self.most_s, lower_s + (upper_s - lower_s) * rank / count)
            rank -= count
        return self.most_s


_SHARES = (0.5, 0.95, 0.99)
