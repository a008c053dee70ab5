"""A window of which only refusals tell: how it is used again when it is over.

Law: a refusal's word says how much a window holds and when it is over. Then calls go as in TCP's
slow start: one, and two more for each that is served, until as many have gone as the window holds.
What is paced goes besides, all the time; so whoever is served beyond the whole limit shows that
another window has begun, and the count begins anew. A limit that the user told is opened likewise,
before anything was refused.

Regimes: closed until the end that was said last; reopening; used up (paced until a refusal names
the next end). One that refuses much before its limit, and names an end that is no window later,
slides or is shared: from then on calls are only paced.

Limits: a window that slides is not told from a fixed one before its second use, which may cost some
refusals, once. Guessed: the shares and seconds below.

Source: slow start, RFC 5681.
"""

from __future__ import annotations

from math import inf

from agentrm_plugins.types.verdicts import MINUTE_S

__all__ = ["Reopening"]

_PER_SERVED = 2.0
_WHOLE = 0.8  # of the limit
_SHARP_S = 2.0
_AFTER_S = 0.1  # after a window's end, for clocks that differ


class Reopening:
    """What may go of one window that is over, beyond the paced rate.

    Attributes:
        on: Whether the limit is counted in a window by a refusal's word.
    """

    __slots__ = ("_at_s", "_first_s", "_fixed", "_limit", "_sent", "_served", "on", "opening")

    def __init__(self) -> None:
        self.on = False
        self.opening = False
        self._first_s: float | None = None
        self._fixed = True
        self._limit = 0.0
        self._at_s = inf
        self._sent = 0.0
        self._served = 0.0

    def begins(self, limit: float, now_s: float) -> None:
        """The user says that a window holds `limit`, and nothing of it has been used."""
        self.on, self._limit, self._at_s = True, limit, now_s
        self._first_s = None
        self._sent = self._served = 0.0
        self.opening = True

    def spent_s(self, now_s: float) -> float | None:
        """Seconds until a window that began with the first call is over; None: some is left."""
        if self._first_s is None or self._sent < _WHOLE * self._limit:
            return None
        return max(0.0, self._first_s + MINUTE_S - now_s) + _AFTER_S

    def closed(self, limit: float, until_s: float, now_s: float) -> None:
        """A refusal says that a window of `limit` is over at `until_s`."""
        if limit != self._limit:
            self._fixed = True
        elif self.on and now_s >= self._at_s and self._served < _WHOLE * limit:
            later_s = until_s - self._at_s
            self._fixed = self._fixed and abs(later_s - MINUTE_S) <= _SHARP_S
        self.on, self._limit, self._at_s, self.opening = True, limit, until_s, False
        self._sent = self._served = 0.0

    def sent(self, amount: float, now_s: float) -> None:
        """A call of `amount` goes."""
        if self.on and now_s >= self._at_s:
            if self.opening and self._first_s is None:
                self._first_s = now_s
            self._sent += amount

    def served(self, amount: float, level: float, now_s: float) -> float:
        """A call of `amount` was served while `level` is there; gives what may go besides."""
        if not self.on or not self._fixed or now_s < self._at_s:
            return 0.0
        self._served += amount
        if self._served > self._limit:  # it is another window already
            self._sent = self._served = amount
        room = self._limit - self._sent - max(0.0, level)
        return max(0.0, min(_PER_SERVED * amount, room))
