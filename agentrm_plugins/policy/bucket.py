"""Token bucket: one resource of one endpoint (requests, tokens, input or output tokens).

Law: ``level(t) = min(capacity, level + rate * dt)``. A call of ``n`` may go when ``level >= n``;
otherwise in ``(n - level) / rate`` seconds; never, if ``n > capacity``.

Regimes: *reserve* takes an estimate before the call; *settle* gives back what was not used, or
takes more: the level may fall below zero, and that debt is paid from the refill. *Shift* corrects
the account by what the server's figures show (`policy.mirror`). A fixed window is one refill at a
known time.

Limits: the level is a belief. Other processes that share the key are seen only through `shift`.
"""

from __future__ import annotations

from math import inf

__all__ = ["Bucket"]

# A float's rounding must not make an exact refill wait once more.
_ROUNDING = 1e-9


class Bucket:
    """A level that refills.

    Args:
        rate_per_s: Units per second, finite, 0 or more.
        capacity: The most that it may hold, above 0; infinite for no bound.
        level: Where it begins; None is full.
        now_s: When it begins.

    Attributes:
        held: The level when the account changed last: time only adds to it.

    Raises:
        ValueError: A rate or capacity that no bucket can have.
    """

    __slots__ = ("_at_s", "_refill_at_s", "_refill_to", "capacity", "held", "rate_per_s")

    def __init__(
        self, rate_per_s: float, capacity: float, *, level: float | None = None, now_s: float = 0.0
    ) -> None:
        _check(rate_per_s, capacity)
        self.rate_per_s = rate_per_s
        self.capacity = capacity
        self.held = capacity if level is None else min(level, capacity)
        self._at_s = now_s
        self._refill_at_s = inf
        self._refill_to = 0.0

    def level(self, now_s: float) -> float:
        """What is there then; negative in debt. A time before the last one counts as that."""
        level = self.held
        if now_s > self._at_s:
            level = min(self.capacity, level + self.rate_per_s * (now_s - self._at_s))
        if self._refill_at_s <= now_s:
            level = max(level, min(self._refill_to, self.capacity))
        return level

    def time_until(self, amount: float, now_s: float) -> float:
        """Seconds until `amount` is there: 0 is now, infinite is never (larger than the bucket)."""
        if amount > self.capacity + _ROUNDING * self.capacity:
            return inf
        if self.held >= amount:  # and time only adds to it
            return 0.0
        level = self.held
        if now_s > self._at_s or self._refill_at_s <= now_s:
            level = self.level(now_s)
        missing = min(amount, self.capacity) - level
        if missing <= _ROUNDING * max(1.0, amount):
            return 0.0
        wait_s = missing / self.rate_per_s if self.rate_per_s else inf
        if self._refill_to >= amount:
            wait_s = min(wait_s, self._refill_at_s - now_s)
        return wait_s

    def take(self, amount: float, now_s: float) -> None:
        """Reserve `amount`, whether it is there or not."""
        if self._refill_at_s <= now_s:
            self.shift(-amount, now_s)
            return
        level = self.held
        if now_s > self._at_s:
            level = min(self.capacity, level + self.rate_per_s * (now_s - self._at_s))
            self._at_s = now_s
        self.held = level - amount

    def settle(self, reserved: float, used: float, now_s: float) -> None:
        """The call that reserved `reserved` really used `used`."""
        self.shift(reserved - used, now_s)

    def drain(self, now_s: float) -> float:
        """The server said no: nothing is there, whatever we believed. Gives the difference."""
        level = self.held
        if now_s > self._at_s or self._refill_at_s <= now_s:  # else it was just looked at
            level = self._bring(now_s)
        self.held = min(level, 0.0)
        return self.held - level

    def set_rate(self, rate_per_s: float, capacity: float, now_s: float) -> float:
        """From now on another rate and size; what has come until now came at the old rate.

        Returns:
            By how much that changed the level: what does not fit is lost.

        Raises:
            ValueError: As at construction.
        """
        if not (0 <= rate_per_s < inf and capacity > 0):
            _check(rate_per_s, capacity)
        level = self._bring(now_s)
        self.rate_per_s = rate_per_s
        self.capacity = capacity
        self.held = min(level, capacity)
        return self.held - level

    def shift(self, difference: float, now_s: float) -> float:
        """The account was wrong by `difference`; positive: there is more. Gives what fits of it."""
        level = self._bring(now_s)
        self.held = min(self.capacity, level + difference)
        return self.held - level

    def put(self, level: float, now_s: float) -> float:
        """So much is there, whatever we believed. Gives by how much that changed the level."""
        before = self._bring(now_s)
        self.held = min(self.capacity, level)
        return self.held - before

    @property
    def coming(self) -> tuple[float, float] | None:
        """When a fixed window refills, and up to which level; None if none is expected."""
        return None if self._refill_at_s == inf else (self._refill_at_s, self._refill_to)

    def expect_refill(self, at_s: float, level: float) -> None:
        """A fixed window: at `at_s` the level rises to `level` at once."""
        self._refill_at_s = at_s
        self._refill_to = level

    def land(self, now_s: float) -> float:
        """What was expected by now has come; gives by how much that raised the level."""
        came = self._refill_at_s <= now_s
        self._refill_at_s, expected_s = inf, self._refill_at_s
        before = self.level(now_s)
        self._refill_at_s = expected_s
        level = self._bring(now_s)
        return level - before if came else 0.0

    def _bring(self, now_s: float) -> float:
        """Bring the account up to now. Gives its level."""
        level = self.held
        if now_s > self._at_s:
            level = min(self.capacity, level + self.rate_per_s * (now_s - self._at_s))
            self._at_s = now_s
        if self._refill_at_s <= now_s:
            level = max(level, min(self._refill_to, self.capacity))
            self._refill_at_s = inf
        self.held = level
        return level


def _check(rate_per_s: float, capacity: float) -> None:
    if not 0 <= rate_per_s < inf:
        raise ValueError(f"rate_per_s={rate_per_s!r}: give a finite number, 0 or more")
    if not capacity > 0:
        raise ValueError(f"capacity={capacity!r}: give a number above 0")
