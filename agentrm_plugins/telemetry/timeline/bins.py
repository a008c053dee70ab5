"""Figures over time in a bounded number of bins, whether a recording lasts a second or a week.

Law: there are at most `most` bins. When time runs past the last one, either the bins become twice
as wide and each two are merged (a recording is seen whole), or the oldest are dropped (a live page
sees a window). A sum merges by adding, a peak by the larger, a level by the later one.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor
from typing import Generic, TypeVar

__all__ = ["Bins", "Named", "Series", "later", "total"]

T = TypeVar("T")


def total(early: float, late: float) -> float:
    """How counts merge."""
    return early + late


def later(early: float, late: float) -> float:
    """How levels merge: what was so at the end."""
    del early
    return late


class Bins:
    """The time axis that all series share.

    Args:
        most: Bins at most; 600 is about what a screen's width can show.
        width_s: Seconds of a bin at first.
        rolling: Whether old bins are dropped, rather than merged.
    """

    def __init__(self, most: int = 600, width_s: float = 0.25, *, rolling: bool = False) -> None:
        self.most, self.width_s, self.rolling = most, width_s, rolling
        self.first = self.last = 0
        self.series: list[Series] = []

    def at(self, second: float) -> int:
        """The bin of a second since the beginning; time moves on to it if it is later."""
        index = max(self.first, floor(second / self.width_s))
        if index > self.last:
            if not self.rolling:
                while index >= self.most:
                    self._widen()
                    index = floor(second / self.width_s)
            self.last = max(self.last, index)
            if self.rolling and self.last - self.first >= self.most:
                self.first = self.last - self.most + 1
                for series in self.series:
                    series.forget_before(self.first)
        return index

    def _widen(self) -> None:
        self.width_s *= 2.0
        self.last //= 2
        for series in self.series:
            series.halve()

    def seconds(self) -> list[float]:
        """Where each bin begins."""
        return [round(index * self.width_s, 3) for index in range(self.first, self.last + 1)]


class Series:
    """One figure over the bins that had any.

    Args:
        bins: The time axis.
        merge: What becomes of two values in one bin: `total`, `max` or `later`.
        gauge: Whether a bin without a value has the value of the one before it, rather than 0.
    """

    def __init__(self, bins: Bins, merge: Callable[[float, float], float], *, gauge: bool) -> None:
        self.bins, self.merge, self.gauge = bins, merge, gauge
        self.values: dict[int, float] = {}
        self._ends: dict[int, float] = {}  # the level at each bin's end, which the next begins with
        self.now: float | None = None
        self._before: float | None = None  # the level at the first bin that is kept
        bins.series.append(self)

    def put(self, second: float, value: float) -> None:
        """A value, or so many more of a sum."""
        index = self.bins.at(second)
        before = self.values.get(index)
        if before is None and self.merge is max:
            before = self.now  # a peak in a bin is at least the level that held when it began
        self.values[index] = value if before is None else self.merge(before, value)
        self.now = value
        if self.gauge:
            self._ends[index] = value

    def halve(self) -> None:
        """The bins are twice as wide from here on."""
        merged: dict[int, float] = {}
        for index, value in sorted(self.values.items()):
            half = index // 2
            merged[half] = self.merge(merged[half], value) if half in merged else value
        self.values = merged
        self._ends = {index // 2: level for index, level in sorted(self._ends.items())}

    def forget_before(self, first: int) -> None:
        """Old bins are dropped; the level that held then is kept."""
        while self.values and (index := next(iter(self.values))) < first:
            del self.values[index]  # in the order of time, for time only goes on
        while self._ends and (index := next(iter(self._ends))) < first:
            self._before = self._ends.pop(index)

    def dense(self) -> list[float | None]:
        """One value per bin; None before a level was known."""
        bins = self.bins
        span = range(bins.first, bins.last + 1)
        if not self.gauge:
            return [self.values.get(index, 0.0) for index in span]
        found: list[float | None] = []
        level = self._before
        for index in span:
            found.append(self.values.get(index, level))
            level = self._ends.get(index, level)
        return found

    def recent(self, bins: int) -> float:
        """The sum of the last so many bins."""
        last = self.bins.last
        return sum(self.values.get(index, 0.0) for index in range(last - bins + 1, last + 1))


class Named(Generic[T]):
    """Things by name, at most `most` of them: whatever comes later is not kept, but counted."""

    def __init__(self, most: int, make: Callable[[str], T]) -> None:
        self.most, self._make = most, make
        self.found: dict[str, T] = {}
        self.left_out = 0

    def of(self, name: str) -> T | None:
        """What goes by this name, new or known; None if there are too many."""
        found = self.found.get(name)
        if found is None:
            if len(self.found) >= self.most:
                self.left_out += 1
                return None
            found = self.found[name] = self._make(name)
        return found
