"""Who held which lane, from when to when: rows of the Gantt chart, thinned where there are many.

The core counts lanes and does not number them, so a call is drawn in the lowest row of its group
that is free. Law of thinning: of more than `most` spans those stay that a picture can show. First
come hangs, errors and attempts that went again, then the long ones; among equals a hash of the
ticket decides, so that what is left is spread evenly. How many were left out is always said.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import NamedTuple

__all__ = ["Rows", "Span", "Spans"]

_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 / golden ratio: Knuth's multiplicative hash, TAOCP 6.4
_KIND_RANK = {"hang": 2, "error": 1, "retry": 1}


class Span(NamedTuple):
    """One attempt that held a lane. Seconds since the beginning; `late_s` is when it became late.

    `kind` is "ok", "error", "cancelled", "hang" (it was reaped), "retry" (it failed and goes
    again) or "open" (it still runs).
    """

    row: str
    begin_s: float
    end_s: float
    agent: str
    ticket: int
    kind: str
    attempt: int
    waited_s: float
    late_s: float | None
    endpoint: str
    tokens: int
    cause: str


class Spans:
    """The spans that ended, at most `most` after each thinning (twice as many in between)."""

    def __init__(self, most: int, window_s: float | None = None) -> None:
        self.most, self.window_s = most, window_s
        self.kept: list[Span] = []
        self.seen = 0
        self.aged = 0

    def add(self, span: Span) -> None:
        """One more."""
        self.seen += 1
        self.kept.append(span)
        if len(self.kept) >= 2 * self.most:
            if self.window_s is not None:
                self.age(span.end_s)
            if len(self.kept) >= 2 * self.most:
                self.kept = self.thinned()

    def age(self, now_s: float) -> None:
        """Forget what ended before the window."""
        if self.window_s is not None:
            first_s = now_s - self.window_s
            before = len(self.kept)
            self.kept = [span for span in self.kept if span.end_s >= first_s]
            self.aged += before - len(self.kept)

    def thinned(self) -> list[Span]:
        """At most `most` of them, in the order in which they ended."""
        if len(self.kept) <= self.most:
            return list(self.kept)
        best = sorted(self.kept, key=_weight, reverse=True)[: self.most]
        return sorted(best, key=lambda span: span.end_s)

    @property
    def left_out(self) -> int:
        """How many ended within the window and are not shown by `thinned`."""
        return self.seen - self.aged - min(len(self.kept), self.most)


def _weight(span: Span) -> tuple[int, float, int]:
    spread = span.ticket * _GOLDEN & 0xFFFFFFFFFFFFFFFF
    return _KIND_RANK.get(span.kind, 0), span.end_s - span.begin_s, spread


class Rows:
    """The rows of each lane group: the lowest free one is taken."""

    def __init__(self) -> None:
        self._free: dict[str, list[int]] = {}
        self._made: dict[str, int] = {}

    def take(self, group: str) -> str:
        """A row, named ``group number``."""
        free = self._free.setdefault(group, [])
        if free:
            return f"{group} {heappop(free)}"
        self._made[group] = number = self._made.get(group, 0) + 1
        return f"{group} {number}"

    def give_back(self, row: str) -> None:
        """The row is free again."""
        group, _, number = row.rpartition(" ")
        heappush(self._free.setdefault(group, []), int(number))

    def names(self) -> list[str]:
        """All rows that were ever used, group by group."""
        return [
            f"{group} {number}"
            for group, made in self._made.items()
            for number in range(1, made + 1)
        ]
