"""Pressure: the share of time in which somebody waited, as Linux tells it of a machine (PSI).

Law: ``pressure(w) = time in the last w seconds in which at least one call waited / w``. Ten calls
    that wait together count once: it says how often the resource is short, not for how many.

Regimes: "lanes" (a lane would let somebody go), "rate" (an endpoint's limit holds somebody up),
    "context" (a turn waits for compaction). Time before the beginning counts as calm.

Limits: kept in bins of a second, so a window is exact to the part of one bin; 301 bins at most.
"""

from __future__ import annotations

from collections import deque

__all__ = ["PRESSURE_S", "Stall"]

PRESSURE_S = (10.0, 60.0, 300.0)
_BIN_S = 1.0


class Stall:
    """One resource: whether somebody waits for it, and for how long somebody did lately.

    Args:
        now_s: When it begins.
    """

    __slots__ = ("_bins", "_since_s", "stalled", "total_s")

    def __init__(self, now_s: float = 0.0) -> None:
        self._bins: deque[list[float]] = deque(maxlen=int(PRESSURE_S[-1] / _BIN_S) + 1)
        self._since_s = now_s
        self.stalled = False
        self.total_s = 0.0

    def set(self, stalled: bool, now_s: float) -> None:
        """Somebody waits from now on, or nobody does."""
        if self.stalled:
            self._count(now_s)
        self.stalled, self._since_s = stalled, now_s

    def _count(self, now_s: float) -> None:
        self.total_s += now_s - self._since_s
        begin_s = max(self._since_s, now_s - PRESSURE_S[-1] - _BIN_S)
        while begin_s < now_s:
            number = begin_s // _BIN_S
            end_s = min(now_s, (number + 1) * _BIN_S)
            if end_s <= begin_s:  # so far from the beginning that a second is lost in rounding
                return
            if self._bins and self._bins[-1][0] == number:
                self._bins[-1][1] += end_s - begin_s
            else:
                self._bins.append([number, end_s - begin_s])
            begin_s = end_s

    def shares(self, now_s: float) -> tuple[float, float, float]:
        """The pressure over the last 10, 60 and 300 seconds, each 0 to 1. Changes nothing."""
        sums = [
            max(0.0, min(now_s - self._since_s, w)) if self.stalled else 0.0 for w in PRESSURE_S
        ]
        for number, part_s in reversed(self._bins):
            end_s = (number + 1) * _BIN_S
            for at, window_s in enumerate(PRESSURE_S):
                sums[at] += part_s * min(1.0, max(0.0, (end_s - (now_s - window_s)) / _BIN_S))
        ten, sixty, most = (
            min(1.0, total / window) for total, window in zip(sums, PRESSURE_S, strict=True)
        )
        return ten, sixty, most

    def waited_s(self, now_s: float) -> float:
        """Seconds in which somebody waited, since the beginning."""
        return self.total_s + (now_s - self._since_s if self.stalled else 0.0)
