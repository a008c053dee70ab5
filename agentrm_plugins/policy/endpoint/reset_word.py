"""Of what moment a server's resets are: when all is back, or when there is more.

Law: a report that names a reset of the whole *promises* that once that time has passed all is there
but what went since, however the server counts. A request that goes after that moment shows what has
come. A promise of which less than half has come is broken: the reset was of a bucket's next unit,
or of the moment at which the oldest call of a sliding window leaves. In a sliding window all that
had gone is back after the longest reset that was ever named; in a bucket it is not then either.

Regimes: one promise at a time is looked at, of a report by which much is gone. The word is believed
until one is broken; where one was kept before, until next to nothing comes, or twice too little,
for others break promises too. Some that are kept restore a word that was broken once.

Limits: where few calls are gone at a time nothing shows, and nothing is at stake. What others take
at the same moment looks like a broken promise if it is most of the limit. Guessed: the margins.
"""

from __future__ import annotations

from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentrm_plugins.policy.endpoint.window_watch import WindowWatch

__all__ = ["Moment", "Promise", "ResetWord"]

_FEW, _AWAY = 4.0, 0.05  # units, and a part of the limit: less that is gone says nothing
_NOTHING, _BROKEN, _KEPT = 0.8, 0.5, 0.25  # of what was gone, missing
_AHEAD_S = 0.05
_CLOCKS_S = 0.5  # by which they may differ unseen
_SOON, _LEAST_SOON_S = 0.5, 5.0  # of the time that was named: later, others may have used it
_MORE = 1.5  # times as much gone makes a better promise
_TRUSTED = 2  # kept promises, after which others are blamed first
_AGAIN = 3  # kept promises in a row that restore a word
_UNITS = 2.0


class Moment(StrEnum):
    """Of what a reset is the time."""

    WHOLE = "whole"
    OLDEST = "oldest"
    NEXT = "next"
    MORE = "more"  # one of these two


class Promise:
    """Whether so much is back when it was to be.

    Attributes:
        refuted: Whether it mostly is not.
        kept: How often it was.
        rate_per_s: As much came at least, in one such time.
    """

    __slots__ = (
        *("_broken", "_due_s", "_from_s", "_gone", "_in_a_row", "_since", "_then"),
        *("_made_s", "_void", "_whole", "kept", "rate_per_s", "refuted"),
    )

    def __init__(self) -> None:
        self.refuted = False
        self.kept = 0
        self.rate_per_s = 0.0
        self._broken = self._in_a_row = 0
        self._made_s = 0.0
        self._due_s = inf
        self._from_s = inf
        self._whole = self._gone = self._since = self._then = self._void = 0.0

    def refused(self, amount: float, sent_s: float) -> None:
        """A call of `sent_s` took nothing."""
        if sent_s > self._from_s:
            self._void += amount

    def look(
        self, left: float, sure: float, total: float, reset_s: float, sent_s: float, now_s: float
    ) -> None:
        """By the answer to a request of `sent_s` so much is left.

        All that ever went is `total` by now; of that, `sure` had come to the server before.
        """
        if sent_s < self._due_s:
            return
        gone = self._whole - left
        late = sent_s > self._due_s + max(_LEAST_SOON_S, _SOON * reset_s)
        most = gone - max(0.0, sure - self._then - self._void)
        if late or self._judge(gone - (total - self._since - self._void), most):
            came_per_s = (self._gone - most) / (now_s - self._made_s)
            self.rate_per_s = max(self.rate_per_s, came_per_s)
            self._due_s = self._from_s = inf

    def make(
        self, left: float, whole: float, sure: float, total: float, sent_s: float, due_s: float
    ) -> None:
        """So much of `whole` is left, and the rest to be back at `due_s`."""
        gone, from_s = whole - left, sent_s - _AHEAD_S
        if self._due_s == inf or gone > _MORE * self._gone:
            self._made_s = self._from_s = from_s
            self._whole, self._gone, self._void, self._due_s = whole, gone, 0.0, due_s
            self._since, self._then = max(sure, min(gone, total)), total
        elif sure >= self._then:  # a newer word of the same
            self._due_s = min(self._due_s, due_s)

    def _judge(self, least: float, most: float) -> bool:
        """So much is missing. Says whether that shows anything."""
        if least > _BROKEN * self._gone:
            self._broken, self._in_a_row = self._broken + 1, 0
            nothing = least > _NOTHING * self._gone and self.kept < _TRUSTED
            self.refuted = self.refuted or nothing or self._broken > 1 or not self.kept
        elif most <= _KEPT * self._gone:
            self.kept, self._in_a_row = self.kept + 1, self._in_a_row + 1
            if not self.refuted:
                self._broken = max(0, self._broken - 1)
            elif self._broken == 1 and self._in_a_row >= _AGAIN:
                self.refuted, self._broken = False, 0
        else:
            return False
        return True


class ResetWord:
    """Of what moment one limit's resets are.

    Attributes:
        moment: That, as far as it is known; the whole until that is refuted.
        longest_s: The longest that was named.
    """

    __slots__ = (
        *("_all", "_limit", "_most", "_oldest"),
        *("longest_s", "moment"),
    )

    _limit: float
    _most: float
    _all: Promise
    _oldest: Promise
    longest_s: float

    def __init__(self) -> None:
        self.moment = Moment.WHOLE
        self._begin(0.0)

    def _begin(self, limit: float) -> None:
        """What was promised of one limit says nothing of another."""
        self._limit, self._most = limit, 0.0
        self.longest_s = 0.0
        self._all, self._oldest = Promise(), Promise()

    @property
    def rate_per_s(self) -> float:
        """Units that came back per second, at least."""
        return max(self._all.rate_per_s, self._oldest.rate_per_s)

    @property
    def kept(self) -> int:
        """How often all was back when it was to be."""
        return self._all.kept

    def refused(self, amount: float, sent_s: float) -> None:
        """A call of `sent_s` took nothing."""
        self._all.refused(amount, sent_s)
        self._oldest.refused(amount, sent_s)

    def observe(
        self,
        limit: float,
        left: float,
        reset_s: float,
        step_s: float | None,
        period_s: float,
        sent_s: float,
        now_s: float,
        watch: WindowWatch,
    ) -> bool:
        """A report came to a request that went at `sent_s`. Says whether that shows another moment.

        `step_s` is to what a moment is rounded (None: a duration), `period_s` one unit's share of a
        window and to what resets are rounded; `watch` knows what went, used or not.
        """
        total, unit, before = watch.gross, watch.largest, self.moment
        # One that is much longer than all before shows that those were the end of a window.
        if limit != self._limit or reset_s > _UNITS * self.longest_s + period_s:
            self._begin(limit)
        slack_s = 0.0 if step_s is None else step_s + _CLOCKS_S
        self.longest_s = max(self.longest_s, reset_s)
        self._most = max(self._most, left)
        whole = min(limit, self._most + unit)  # a bucket may be smaller than its limit
        sure = watch.gross_at(sent_s - _AHEAD_S)
        much = reset_s > 0 and whole - left >= max(_FEW * unit, _AWAY * limit)
        for promise, in_s in ((self._all, reset_s), (self._oldest, self.longest_s)):
            promise.look(left, sure, total, in_s, sent_s, now_s)
            if much:
                due_s = now_s + in_s + slack_s
                promise.make(left, whole, sure, total, sent_s, due_s)
        if not self._all.refuted:
            self.moment = Moment.WHOLE
        elif self._oldest.refuted:
            self.moment = Moment.NEXT
        elif self._oldest.kept or self.longest_s > _UNITS * period_s:
            self.moment = Moment.OLDEST
        else:
            self.moment = Moment.MORE
        return self.moment is not before
