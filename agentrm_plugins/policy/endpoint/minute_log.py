"""What went in the last window: a limit told with ``burst_s=None``, kept in each that one can lay.

Law: of a limit ``L`` in ``w`` seconds, a call of ``n`` may go when what went in the last ``w``
seconds and ``n`` are at most ``L``. So a server never sees more than it allows, whether it counts
by fixed windows, by the clock or by a window that slides (the sliding log). A bucket that refills
would have let more through in its first window; a limit with a burst is paced as that one would.

Limits: an answer says what its call used, and not when that call went: what is given back is taken
from what went last.
"""

from __future__ import annotations

from collections import deque
from math import inf

__all__ = ["MinuteLog"]

_AFTER_S = 0.1  # after a window's end, for clocks that differ
_STEP_S = 0.05  # calls of one step are one entry, which counts as long as its last
_ROUNDING = 1e-9


class MinuteLog:
    """Amounts and when they went, as long as they count.

    Args:
        limit: What may go in a window, above 0.
        window_s: Its length.

    `total` is what went and still counts.
    """

    __slots__ = ("_gone", "limit", "total", "window_s")

    def __init__(self, limit: float, window_s: float) -> None:
        self.limit = limit
        self.window_s = window_s + _AFTER_S
        self._gone: deque[list[float]] = deque()
        self.total = 0.0

    def take(self, amount: float, now_s: float) -> None:
        """A call of `amount` goes."""
        while self._gone and self._gone[0][0] + self.window_s <= now_s:
            self.total -= self._gone.popleft()[1]
        if not self._gone:
            self.total = 0.0  # nothing is left of what floats round
        if self._gone and now_s - self._gone[-1][0] < _STEP_S:
            self._gone[-1][1] += amount
        else:
            self._gone.append([now_s, amount])
        self.total += amount

    def settle(self, reserved: float, used: float) -> None:
        """A call that took `reserved` used `used`."""
        back = reserved - used
        for entry in reversed(self._gone):
            change = min(back, entry[1])
            entry[1] -= change
            self.total -= change
            back -= change
            if not back:
                return

    def time_until(self, amount: float, now_s: float) -> float:
        """Seconds until a call of `amount` may go; one above the limit goes alone."""
        over = self.total + min(amount, self.limit) - self.limit
        ends_s = -inf
        for at_s, taken in self._gone:
            if over <= _ROUNDING * self.limit:
                break
            over -= taken
            ends_s = at_s + self.window_s
        return max(0.0, ends_s - now_s)
