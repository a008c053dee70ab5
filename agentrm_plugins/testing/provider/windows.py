"""Limits that are no token bucket: fixed, clock and sliding windows, and enforcement by the second.

Law of the fixed window: at each multiple of `window_s` after its start the whole quota returns;
between two of them nothing does. A *clock* window starts at a multiple of `window_s` of Unix time,
as a gateway's "current minute" does. Law of the sliding window: a request passes if what was taken
in the `window_s` before it, and itself, fit into the quota. Pure: time comes in as `now_s`.

Sources: LiteLLM counts by clock minute; Cloudflare's and Upstash's pages on rate limiting describe
fixed windows and sliding logs; OpenAI's guide says that 60,000 requests per minute may be enforced
as 1,000 per second.
"""

from __future__ import annotations

from collections import deque
from math import floor, inf
from typing import Protocol

__all__ = ["Enforced", "Meter", "SlidingWindow", "Window"]


class Meter(Protocol):
    """What each kind of limit can do."""

    @property
    def limit(self) -> float:
        """The quota of one window."""
        ...

    def wait_s(self, amount: float, now_s: float) -> float:
        """Seconds until `amount` would pass; 0 is now, infinity is never."""
        ...

    def charge(self, amount: float, now_s: float, *, floor_at: float = -inf) -> None:
        """Take `amount` (a negative one gives back), never going below `floor_at`."""
        ...

    def remaining(self, now_s: float) -> float:
        """What is left at this moment."""
        ...

    def reset_s(self, now_s: float) -> float:
        """Seconds until the whole quota is there again."""
        ...

    def next_s(self, now_s: float) -> float:
        """Seconds until something more is there; 0 if all is."""
        ...

    def resize(self, limit: float, now_s: float) -> None:
        """Change the quota in mid-run; what was taken stays taken."""
        ...


class Window:
    """A fixed window: the quota returns whole at each multiple of `window_s`.

    Args:
        limit: The quota of one window.
        window_s: Its length, seconds.
        start_s: When a window starts; all others follow from it.
    """

    __slots__ = ("_start_s", "_used", "_window_s", "limit")

    def __init__(self, limit: float, window_s: float, start_s: float) -> None:
        self.limit = limit
        self._window_s = window_s
        self._start_s = start_s
        self._used = 0.0

    def _roll(self, now_s: float) -> None:
        passed = floor((now_s - self._start_s) / self._window_s)
        if passed > 0:
            self._start_s += passed * self._window_s
            # What went over the quota is a debt, paid from the windows that follow.
            self._used = max(0.0, self._used - passed * self.limit)

    def wait_s(self, amount: float, now_s: float) -> float:
        """Seconds until `amount` would pass; infinity if it exceeds the whole quota."""
        if amount > self.limit:
            return inf
        self._roll(now_s)
        return 0.0 if self._used + amount <= self.limit else self.reset_s(now_s)

    def charge(self, amount: float, now_s: float, *, floor_at: float = -inf) -> None:
        """Take `amount`, or give it back if negative."""
        self._roll(now_s)
        used = self._used + amount
        if amount > 0:
            used = min(used, max(self.limit - floor_at, self._used))
        self._used = max(0.0, used)

    def remaining(self, now_s: float) -> float:
        """What is left of this window; negative while in debt."""
        self._roll(now_s)
        return self.limit - self._used

    def reset_s(self, now_s: float) -> float:
        """Seconds until the next window."""
        self._roll(now_s)
        return max(0.0, self._start_s + self._window_s - now_s)

    def next_s(self, now_s: float) -> float:
        """The same: nothing comes back before."""
        return self.reset_s(now_s)

    def resize(self, limit: float, now_s: float) -> None:
        """Change the quota; what was used in this window stays used."""
        self._roll(now_s)
        self.limit = limit


class SlidingWindow:
    """A sliding window: what was taken comes back `window_s` seconds after it was.

    Args:
        limit: The quota of any `window_s` seconds.
        window_s: Their length, seconds.
    """

    __slots__ = ("_taken", "_used", "_window_s", "limit")

    def __init__(self, limit: float, window_s: float) -> None:
        self.limit = limit
        self._window_s = window_s
        self._taken: deque[tuple[float, float]] = deque()  # when, and how much
        self._used = 0.0

    def _slide(self, now_s: float) -> None:
        while self._taken and self._taken[0][0] + self._window_s <= now_s:
            self._used -= self._taken.popleft()[1]

    def wait_s(self, amount: float, now_s: float) -> float:
        """Seconds until `amount` would pass; infinity if it exceeds the whole quota."""
        if amount > self.limit:
            return inf
        self._slide(now_s)
        missing = self._used + amount - self.limit
        for at_s, taken in self._taken:
            if missing <= 1e-9:
                return 0.0
            missing -= taken
            if missing <= 1e-9:
                return at_s + self._window_s - now_s
        return 0.0

    def charge(self, amount: float, now_s: float, *, floor_at: float = -inf) -> None:
        """Take `amount`, or give back the newest if negative."""
        self._slide(now_s)
        if amount > 0:
            amount = min(amount, max(self.limit - floor_at - self._used, 0.0))
            self._taken.append((now_s, amount))
            self._used += amount
            return
        while amount < 0 and self._taken:
            at_s, taken = self._taken.pop()
            back = min(taken, -amount)
            self._used -= back
            amount += back
            if taken > back:
                self._taken.append((at_s, taken - back))

    def remaining(self, now_s: float) -> float:
        """What is left; negative while in debt."""
        self._slide(now_s)
        return self.limit - self._used

    def reset_s(self, now_s: float) -> float:
        """Seconds until all that was taken is back."""
        self._slide(now_s)
        return self._taken[-1][0] + self._window_s - now_s if self._taken else 0.0

    def next_s(self, now_s: float) -> float:
        """Seconds until the oldest leaves."""
        self._slide(now_s)
        return self._taken[0][0] + self._window_s - now_s if self._taken else 0.0

    def resize(self, limit: float, now_s: float) -> None:
        """Change the quota; what was taken stays taken."""
        self._slide(now_s)
        self.limit = limit


class Enforced:
    """A limit told per window and enforced in shorter steps too.

    Args:
        told: The limit that the headers tell of.
        steps: The limit of one step; an amount larger than it passes when it is whole.
        share: The steps' quota as a share of the told one, above 0.
    """

    __slots__ = ("_share", "_steps", "_told")

    def __init__(self, told: Meter, steps: Meter, share: float) -> None:
        self._told = told
        self._steps = steps
        self._share = share

    @property
    def limit(self) -> float:
        """The quota of one told window."""
        return self._told.limit

    def wait_s(self, amount: float, now_s: float) -> float:
        """Seconds until `amount` would pass both."""
        least = min(amount, max(1.0, self._steps.limit))
        return max(self._told.wait_s(amount, now_s), self._steps.wait_s(least, now_s))

    def charge(self, amount: float, now_s: float, *, floor_at: float = -inf) -> None:
        """Take `amount` of both."""
        self._told.charge(amount, now_s, floor_at=floor_at)
        self._steps.charge(amount, now_s, floor_at=floor_at)

    def remaining(self, now_s: float) -> float:
        """What is left of the told window: the steps show in no header."""
        return self._told.remaining(now_s)

    def reset_s(self, now_s: float) -> float:
        """Seconds until the told window is whole."""
        return self._told.reset_s(now_s)

    def next_s(self, now_s: float) -> float:
        """Seconds until there is more of the told window."""
        return self._told.next_s(now_s)

    def resize(self, limit: float, now_s: float) -> None:
        """Change the quota of both."""
        self._told.resize(limit, now_s)
        self._steps.resize(limit * self._share, now_s)
