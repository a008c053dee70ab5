"""Rates over the last 1, 10 and 60 seconds.

Law: ``rate(w) = amount counted in the last w seconds / w``. Amounts are kept in bins of a tenth of
    a second, so a rate is exact to one bin and the memory is 600 bins at most.
"""

from __future__ import annotations

from collections import deque

__all__ = ["WINDOWS_S", "Rates"]

WINDOWS_S = (1.0, 10.0, 60.0)
_BIN_S = 0.1


class Rates:
    """Counts something over sliding windows."""

    __slots__ = ("bins",)

    def __init__(self) -> None:
        self.bins: deque[list[float]] = deque(maxlen=int(WINDOWS_S[-1] / _BIN_S) + 1)

    def add(self, amount: float, now_s: float) -> None:
        """Count `amount` now. Times never run backwards."""
        number = now_s // _BIN_S
        bins = self.bins
        if bins and bins[-1][0] >= number:
            bins[-1][1] += amount
        else:
            bins.append([number, amount])

    def per_s(self, now_s: float) -> tuple[float, float, float]:
        """Amounts per second over 1, 10 and 60 s."""
        sums = [0.0] * len(WINDOWS_S)
        for number, amount in reversed(self.bins):
            age_s = now_s - number * _BIN_S
            for index, window_s in enumerate(WINDOWS_S):
                if age_s <= window_s:
                    sums[index] += amount
        one, ten, sixty = (total / window for total, window in zip(sums, WINDOWS_S, strict=True))
        return one, ten, sixty
