"""When much is back at once, calls go in rounds of one, four and sixteen, and then all.

Law: whether a window is over by the server's clock, and on which side of that a request arrives, is
known by a little, not to the millisecond. So each round waits until a refusal of the one before
would be back: what was too early costs one refusal, and not one for each that waits.

Regimes: until it is known that all comes back, the first call is alone until it is answered.

Limits: rounds take time, a fiftieth of the window in all at most; behind a line on which a refusal
takes longer, more than a round may be refused. Guessed: that, and the shares.
"""

from __future__ import annotations

from math import inf

__all__ = ["Rounds"]

_GROWTH, _MOST = 4, 16
_LEAST_S, _USUAL_S = 0.02, 0.25
_SHARE = 0.005  # of the window: one of three pauses
_REFUSALS = 1.5  # times what a refusal took
_SAME_S = 1e-6


class Rounds:
    """The rounds of one limit.

    Attributes:
        on: Whether calls go in rounds.
    """

    __slots__ = ("_alone_s", "_at_s", "_gap_s", "_last_s", "_left", "_longest_s", "_size", "on")

    def __init__(self) -> None:
        self.on = False
        self._at_s = self._last_s = -inf
        self._gap_s = self._alone_s = 0.0
        self._left = self._size = 0
        self._longest_s = 0.0  # that a refusal took

    def begin(self, window_s: float, now_s: float, alone_s: float = 0.0) -> None:
        """Much of a window of so many seconds is back; no rounds where it comes back steadily.

        The first call is alone for `alone_s` unless it is answered before.
        """
        quiet_s, self._last_s = now_s - self._last_s, now_s
        most_s = _SHARE * window_s
        self._gap_s = min(max(_LEAST_S, _REFUSALS * self._longest_s or _USUAL_S), most_s)
        if quiet_s > _MOST * self._gap_s:
            self.on, self._left, self._size, self._at_s = True, 1, 1, inf
            self._alone_s = alone_s

    def wait_s(self, now_s: float) -> float:
        """Seconds until one more call may go."""
        gap_s = max(self._gap_s, self._alone_s) if self._size == 1 else self._gap_s
        return 0.0 if self._left > 0 else max(0.0, self._at_s + gap_s - now_s)

    def answered(self, sent_s: float) -> None:
        """A call of `sent_s` was answered."""
        if self._alone_s and sent_s >= self._at_s - _SAME_S:
            self._alone_s = 0.0

    def sent(self, now_s: float) -> None:
        """A call goes."""
        if self._left <= 0:
            self._size *= _GROWTH
            self._left, self._at_s = self._size, inf
        self._left -= 1
        self._at_s = now_s
        self.on = self._size <= _MOST

    def refused(self, sent_s: float, now_s: float) -> None:
        """A call was refused."""
        self._longest_s = max(self._longest_s, now_s - sent_s)
