"""Is what a server counts given back all the time, or at once? Told from ``remaining`` alone.

Law: let D be what is left plus all that was taken since the beginning. In a *token bucket* D grows
by the rate, in a *window* it stands still until the window is over. Each report bounds D: what went
clearly before it was counted, what went until its answer came may have been. The bounds of all
reports must overlap; a model whose bounds do not is refuted. So is a bucket by a refusal while the
account says that something must have come back, and by a ``retry-after`` much longer than one
call's share of the rate.

Regimes:

- *unknown*: taken for a bucket until that is refuted; what only a bucket would have given back is
  tried with one call at a time, so that a window costs one refusal and not one for each second;
- *bucket*: D grew by no more than the rate explains;
- *window*, its end unknown: one call is sent ahead at each moment at which it may be over (the next
  multiple of the window in the server's clock, then a window after the first call) while all others
  wait; what the server says is left to the first that is served tells a fixed window (nearly all)
  from a sliding one (what went a window before);
- *fixed*: all is back at each multiple after the end that was seen;
- *sliding*: each amount is back a window after it was taken.

Limits: where others use the same limit, D falls, which no model explains: then all begins anew. A
window is a minute unless the server says else, for no header names it. Guessed: the margins.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from enum import StrEnum
from math import ceil, inf
from typing import NamedTuple

__all__ = ["Return", "Shape", "WindowWatch"]

_AHEAD_S = 0.05  # a call that went so shortly before may not have arrived yet
_AFTER_S = 0.1  # after a window's end, for clocks that differ
_MEMORY = 4096
_CLEAR = 1.5  # units by which bounds must miss each other
_JUMP = 0.25  # of the limit: less is no new window where none is expected
_MOST = 0.8  # of the limit: that much at once is a new window
_LONG_WAIT = 3.0  # shares of the rate: no bucket asks one call to wait so long
_TRIES = 4
_GROUP = 512
_ROUNDING_S = 1e-6
_SHARP_S = 2.0
_TRIED_S = 2.0  # an answer that takes longer is not waited for
_TOGETHER_S = 0.5  # what went so close together comes back as one


class Shape(StrEnum):
    """How what was taken comes back."""

    UNKNOWN = "unknown"
    BUCKET = "bucket"
    WINDOW = "window"
    FIXED = "fixed"
    SLIDING = "sliding"


_WINDOWED = frozenset({Shape.WINDOW, Shape.FIXED, Shape.SLIDING})


class Return(NamedTuple):
    """When something is back, and how much is there then at least."""

    at_s: float
    amount: float
    whole: bool


class WindowWatch:
    """What is known of one limit's window.

    Attributes:
        windowed: Whether nothing comes back but at certain moments.
        window_s: Seconds of the window.
        tried_s: When a call went that tries what is not known to be back; None: none has.
        gross: All that ever went, whether it was used or not.
        largest: What the largest call took; 1 at least.
    """

    __slots__ = (
        *("_answered_s", "_clock_s", "_ended", "_ends_s", "_floor", "_from_s", "_high", "_last_s"),
        *("_low", "_low_bucket", "_most", "_shape", "_sharp", "_sure", "_taken", "_tested_s"),
        *("_total", "_unit", "gross", "largest", "tried_s", "window_s", "windowed"),
    )

    def __init__(self) -> None:
        self.shape = Shape.UNKNOWN
        self.window_s = 60.0
        # When, the total then, and all that had gone.
        self._taken: deque[tuple[float, float, float]] = deque(maxlen=_MEMORY)
        self._total = self.gross = 0.0
        self.largest = 1.0  # what is less cannot be told apart
        self._ended: deque[tuple[float, float]] = deque(maxlen=_GROUP)  # when, what had by then
        self._clock_s: float | None = None  # Unix time less our clock
        self._ends_s: float | None = None  # a moment at which a window ended or will
        self._most = 0.0
        self._sure = False  # its resets have shown that it is a bucket
        self._tested_s = 0.0
        self._answered_s = -inf  # when the first call of this window was answered
        self._unit = 1.0
        self._floor = -inf  # what had been taken and was left, by the report that says most
        self.tried_s: float | None = None
        self._sharp = True  # whether it is known to a second when windows end
        self._begin(-inf)

    def _begin(self, from_s: float) -> None:
        """No report of a request before `from_s` counts any more."""
        self._from_s = from_s
        self._high = inf
        self._low = self._low_bucket = -inf
        self._last_s = from_s

    @property
    def shape(self) -> Shape:
        """How what was taken comes back, as far as it is known."""
        return self._shape

    @shape.setter
    def shape(self, shape: Shape) -> None:
        self._shape = shape
        self.windowed = shape in _WINDOWED

    @property
    def total(self) -> float:
        """All that was ever taken."""
        return self._total

    @property
    def is_new(self) -> bool:
        """Whether nothing has been said of this window yet."""
        return self._high == inf

    # -- what happens ----------------------------------------------------------------------------

    def taken(self, amount: float, now_s: float) -> None:
        """A call takes `amount` (negative: it comes back, for it was not used)."""
        if self._shape is Shape.UNKNOWN and amount > self._floor - self._total > -inf:
            self.tried_s = now_s
        self._total += amount
        if amount > 0.0:
            self.gross += amount
            self.largest = max(self.largest, amount)
        self._taken.append((now_s, self._total, self.gross))

    def left(self) -> float:
        """What a window has left at most, by all reports of it; infinite before the first."""
        return self._high - self._total

    def total_at(self, at_s: float) -> float:
        """What had been taken until then."""
        end = bisect_right(self._taken, (at_s, inf))
        return self._taken[end - 1][1] if end else 0.0

    def gross_at(self, at_s: float) -> float:
        """What had gone until then, used or not."""
        end = bisect_right(self._taken, (at_s, inf))
        return self._taken[end - 1][2] if end else 0.0

    def since(self, from_s: float) -> tuple[float, float]:
        """What was taken from then on, and when the first of it went (infinite: nothing did)."""
        start = bisect_left(self._taken, (from_s,))
        before = self._taken[start - 1][1] if start else 0.0
        first_s = self._taken[start][0] if start < len(self._taken) else inf
        return self._total - before, first_s

    def clock(self, wall_s: float, now_s: float) -> None:
        """The server's clock shows `wall_s`."""
        self._clock_s = wall_s - now_s

    def told(self, shape: Shape, ends_s: float = inf, *, sure: bool = True) -> None:
        """The server's resets have shown how it counts; `ends_s` is when a fixed window is over.

        Not `sure`: they are of no moment at which all is back, and so much that leaves open.
        """
        self.shape, self._sure = shape, sure
        if shape is Shape.FIXED:
            self._ends_s, self._sharp = ends_s - _AFTER_S, True
        elif not sure:
            self._ends_s = None

    def over(self, now_s: float) -> None:
        """The window is over, as expected: what was left of it does not count any more."""
        self._high, self._from_s, self._last_s = inf, now_s - _AHEAD_S, now_s

    def report(
        self,
        left: float,
        limit: float,
        unit: float,
        sent_s: float,
        now_s: float,
        under_way: float = 0.0,
        own: float = 0.0,
    ) -> None:
        """The server says what is left, to a request that went at `sent_s`.

        `unit` is what a call takes, for what is nearer than that cannot be told apart; `under_way`
        what is taken by calls that have not ended, which may still be on their way to the server;
        `own` what the answered one takes at least.
        """
        before = self.total_at(sent_s - _AHEAD_S)
        sure = left + self._ended_before(sent_s, self._total - under_way, own, now_s)
        # What went before may have arrived after it: that makes no window larger than it is.
        self._floor = max(self._floor, sure, min(left + before, limit))
        self._answered(sent_s)
        if sent_s < self._from_s:
            return
        if self._answered_s <= self._from_s:
            self._answered_s = now_s
        self._unit = unit
        self._most = max(self._most, left + 1.0)
        low = left + min(before, self._total - under_way) + 1.0
        rate_per_s = limit / self.window_s
        high = min(left + self.total_at(now_s), self._whole(limit, rate_per_s, now_s))
        if sure + 1.0 > self._high + _CLEAR * unit:
            self._grown(sure + 1.0 - self._high, left, limit, rate_per_s, sent_s, now_s)
            high = min(left + self.total_at(now_s), self._whole(limit, rate_per_s, now_s))
        if not self.windowed and not self._sure:
            self._try_bucket(left, low, high, rate_per_s, sent_s, now_s)
        if high < self._high:
            self._high, self._last_s = high, now_s

    def refused(
        self, amount: float, limit: float, wait_s: float | None, sent_s: float, now_s: float
    ) -> None:
        """The server refused a request of `amount`, and may have said for how long."""
        self._answered(sent_s)
        rate_per_s = limit / self.window_s
        long = wait_s is not None and wait_s * rate_per_s > _LONG_WAIT * amount
        if long and self._shape in {Shape.UNKNOWN, Shape.WINDOW, Shape.FIXED}:
            self.shape = Shape.WINDOW if self._shape is Shape.UNKNOWN else self._shape
            self._ends_s = now_s + (wait_s or 0.0)
        high = self.total_at(now_s)
        if not self.windowed and not self._sure:
            self._try_bucket(0.0, -inf, high, rate_per_s, sent_s, now_s)
        elif self._shape is Shape.FIXED and self._high - self.total_at(sent_s) > self._most / 2:
            self.shape, self._ends_s = Shape.WINDOW, None
        if high < self._high:
            self._high, self._last_s = high, now_s

    def try_s(self, amount: float, now_s: float) -> float:
        """Seconds until one more call may try what a bucket would have given back by now.

        Who knows of no such thing but what is left tries with one call at a time.
        """
        if self._shape is not Shape.UNKNOWN or self._sure or self.tried_s is None:
            return 0.0
        if amount <= self._floor - self._total:
            return 0.0
        return max(0.0, self.tried_s + _TRIED_S - now_s)

    def _ended_before(self, sent_s: float, ended: float, own: float, now_s: float) -> float:
        """What had ended before that went: no more had surely arrived, for lines are of any length.

        `ended` is what has by now, beside the call of `own` that is answered.
        """
        start = bisect_right(self._ended, (sent_s, inf))
        found = self._ended[start - 1][1] if start else 0.0
        self._ended.append((now_s, ended + own))
        return min(found, ended)

    def _answered(self, sent_s: float) -> None:
        if self.tried_s is not None and sent_s >= self.tried_s - 1e-6:
            self.tried_s = None

    # -- what follows ----------------------------------------------------------------------------

    def next_return(self, limit: float, scout: float, now_s: float) -> Return:
        """When something of a windowed limit is there again; `scout` is what one call takes."""
        if self._shape is Shape.SLIDING:
            return self._slides(scout, now_s)
        if self._ends_s is not None:
            passed = max(0, ceil((now_s - self._ends_s - _AFTER_S) / self.window_s + 1e-9))
            at_s = self._ends_s + passed * self.window_s + _AFTER_S
            whole = self._shape is Shape.FIXED and self._sharp
            return Return(at_s, limit if whole else scout, whole)
        return Return(self._candidate(now_s), scout, whole=False)

    def _candidate(self, now_s: float) -> float:
        """The next moment at which the window may be over, its end not being known."""
        first_s = max(self._first_s(), self._from_s)
        # The first call came to the server when it went at the soonest, and when it was answered at
        # the latest: the first connections of all are slow.
        begins = (first_s, max(first_s, self._answered_s))
        moments = [
            at_s + number * self.window_s + _AFTER_S
            for at_s in begins
            for number in range(1, _TRIES)
        ]
        if self._clock_s is not None:
            wall_s = now_s - _AFTER_S + self._clock_s
            moments.append(
                ceil(wall_s / self.window_s + 1e-9) * self.window_s - self._clock_s + _AFTER_S
            )
        later = [at_s for at_s in moments if at_s > now_s + 1e-6]
        return min(later, default=now_s + self.window_s)

    def _slides(self, scout: float, now_s: float) -> Return:
        """The amounts that went a window ago come back as they went."""
        # What is back at this very moment must not come back a second time for a float's rounding.
        since_s = now_s - self.window_s - _AFTER_S + _ROUNDING_S
        start = bisect_right(self._taken, (since_s, inf))
        before = self._taken[start - 1][1] if start else 0.0
        first_s, last_s, total = inf, inf, before
        for number in range(start, min(start + _GROUP, len(self._taken))):
            at_s, then, _ = self._taken[number]
            if at_s > first_s + _TOGETHER_S:
                if total > before:
                    break
                first_s = inf  # what went was refused: nothing comes back
            first_s, last_s, total = min(first_s, at_s), at_s, then
        if total <= before:
            return Return(now_s + self.window_s / 4, scout, whole=False)
        return Return(last_s + self.window_s + _AFTER_S, total - before, whole=False)

    # -- steps -------------------------------------------------------------------------------------

    def _grown(
        self, by: float, left: float, limit: float, rate_per_s: float, sent_s: float, now_s: float
    ) -> None:
        """More is left than a window allows: it is over, or it is none."""
        if (
            self._shape in {Shape.UNKNOWN, Shape.FIXED}
            and by < _JUMP * limit
            and (by > rate_per_s * (now_s - self._last_s) + 2 * _CLEAR * self._unit)
        ):
            return  # too little for a new window, too much for a bucket: it counts with a delay
        explained = by <= rate_per_s * (now_s - self._last_s) + 2 * _CLEAR * self._unit
        if self._shape is Shape.BUCKET or (self._shape is Shape.UNKNOWN and explained):
            self.shape = Shape.BUCKET
        elif self._shape is Shape.SLIDING or (self._sure and self.windowed):
            pass
        elif left >= _MOST * min(limit, self._most):
            self.shape = Shape.FIXED
            if self._ends_s is None or abs(self._off(sent_s)) > 1.0:
                self._ends_s = self._boundary(sent_s, now_s)
        elif self._shape is not Shape.UNKNOWN:
            self.shape = Shape.SLIDING
        self._high, self._from_s, self._last_s = inf, sent_s - _AHEAD_S, now_s
        self._low = -inf
        if self.windowed:
            self._low_bucket = -inf

    def _off(self, at_s: float) -> float:
        """Seconds between a moment and the nearest end of a window that we knew of."""
        assert self._ends_s is not None  # noqa: S101 - who asks has looked
        off = (at_s - self._ends_s) % self.window_s
        return min(off, self.window_s - off) if off > self.window_s / 2 else 0.0

    def _boundary(self, sent_s: float, now_s: float) -> float:
        """The end of the window that was over when a request that went at `sent_s` was counted."""
        if self._clock_s is not None:
            end_s = (now_s + self._clock_s) // self.window_s * self.window_s - self._clock_s
            if end_s >= sent_s - 1.0:
                self._sharp = True
                return end_s
        self._sharp = now_s - sent_s <= _SHARP_S
        return sent_s

    def _try_bucket(
        self, left: float, low: float, high: float, rate_per_s: float, sent_s: float, now_s: float
    ) -> None:
        """Whether a bucket could say this; else it is a window, if that still could be."""
        gap_s, self._tested_s = now_s - self._tested_s, now_s
        if left >= self._most / 2 or gap_s * rate_per_s >= self._most / 2:
            self._low_bucket = -inf  # it may have been full in between, where nothing comes in
            return
        if high < self._low - _CLEAR * self._unit:
            self._low = self._low_bucket = -inf  # others take of it: neither model knows of them
            return
        self._low = max(self._low, low)
        high -= rate_per_s * (sent_s - self._zero_s())
        if high + 1.0 < self._low_bucket - _CLEAR * self._unit:
            self.shape, self._low_bucket = Shape.WINDOW, -inf
            return
        self._low_bucket = max(self._low_bucket, low - rate_per_s * (now_s - self._zero_s()))

    def _whole(self, limit: float, rate_per_s: float, now_s: float) -> float:
        """D can be no more than a whole limit, and in a bucket what has come in since."""
        grown_s = 0.0 if self.windowed else now_s - max(self._from_s, self._zero_s())
        return limit + self.total_at(self._from_s) + rate_per_s * grown_s

    def _zero_s(self) -> float:
        return self._taken[0][0] if self._taken else 0.0

    def _first_s(self) -> float:
        start = bisect_right(self._taken, (self._from_s, inf))
        return self._taken[min(start, len(self._taken) - 1)][0] if self._taken else 0.0
