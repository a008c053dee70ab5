"""Rate limits as a provider enforces them. Pure: time comes in as `now_s`, nothing is read.

Law of the continuous bucket: `level = min(size, level + rate * dt)`; a request of `n` passes when
`level >= n`, otherwise it may come back after `(n - level) / rate` seconds. A level below zero is
a debt, made by a reply that was larger than what was reserved for it.

The other kinds of limit are in `windows.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, inf
from typing import TYPE_CHECKING, Literal

from agentrm_plugins.testing.provider.windows import Enforced, Meter, SlidingWindow, Window

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Admission", "Bucket", "Kind", "LimitSet", "Quota"]

Resource = Literal["requests", "tokens", "input_tokens", "output_tokens"]
Kind = Literal["bucket", "fixed", "clock", "sliding"]


class Bucket:
    """A token bucket with continuous refill.

    Args:
        limit: The quota of one window.
        window_s: The length of the window, seconds.
        burst: The bucket's size as a share of the quota, 0 < burst <= 1.
        now_s: The time at which it starts, full.
    """

    __slots__ = ("_burst", "_level", "_rate", "_size", "_stamp_s", "_window_s", "limit")

    def __init__(self, limit: float, window_s: float, burst: float, now_s: float) -> None:
        self._window_s = window_s
        self._burst = burst
        self._stamp_s = now_s
        self._set(limit)
        self._level = self._size

    def _set(self, limit: float) -> None:
        self.limit = limit
        self._rate = limit / self._window_s
        # A bucket smaller than one unit would never let anything pass.
        self._size = max(1.0, limit * self._burst)

    def _refill(self, now_s: float) -> None:
        if now_s > self._stamp_s:
            self._level = min(self._size, self._level + self._rate * (now_s - self._stamp_s))
            self._stamp_s = now_s

    def wait_s(self, amount: float, now_s: float) -> float:
        """Seconds until `amount` would pass; infinity if it is larger than the bucket."""
        if amount > self._size:
            return inf
        self._refill(now_s)
        # A float's rounding must not turn an exact refill into one more rejection.
        missing = amount - self._level
        return missing / self._rate if missing > 1e-9 else 0.0

    def charge(self, amount: float, now_s: float, *, floor_at: float = -inf) -> None:
        """Take `amount`, or give it back if negative; never above the size."""
        self._refill(now_s)
        level = self._level - amount
        if amount > 0:
            level = max(level, min(floor_at, self._level))
        self._level = min(self._size, level)

    def remaining(self, now_s: float) -> float:
        """The level after the refill; negative while in debt."""
        self._refill(now_s)
        return self._level

    def reset_s(self, now_s: float) -> float:
        """Seconds until the bucket is full."""
        self._refill(now_s)
        return (self._size - self._level) / self._rate

    def next_s(self, now_s: float) -> float:
        """Seconds until the next whole unit is there; 0 in a full bucket."""
        self._refill(now_s)
        next_unit = min(self._size, floor(self._level + 1e-9) + 1.0)
        return max(0.0, (next_unit - self._level) / self._rate)

    def resize(self, limit: float, now_s: float) -> None:
        """Change rate and size; a level above the new size is cut to it."""
        self._refill(now_s)
        self._set(limit)
        self._level = min(self._level, self._size)


@dataclass(frozen=True, slots=True)
class Quota:
    """The quotas of one scope for one window; None is no limit.

    `window_s` is the length of "a minute", `burst` the bucket's share of the quota, `kind` the way
    in which what was taken returns, `enforce_s` the length of the shorter steps in which the limit
    is enforced beside its window (None: in none).
    """

    requests: float | None = None
    tokens: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    window_s: float = 60.0
    burst: float = 1.0
    kind: Kind = "bucket"
    enforce_s: float | None = None

    def made_alike(self, other: Quota) -> bool:
        """Whether only the quotas differ."""
        mine = (self.window_s, self.burst, self.kind, self.enforce_s)
        return mine == (other.window_s, other.burst, other.kind, other.enforce_s)


@dataclass(frozen=True, slots=True)
class Admission:
    """The verdict on one request: admitted, or which limit binds and for how long.

    `wait_s` is infinite when the request is larger than the limit itself.
    """

    admitted: bool
    resource: Resource | None = None
    wait_s: float = 0.0
    limit: float = 0.0
    used: float = 0.0
    requested: float = 0.0


_ADMITTED = Admission(admitted=True)


class LimitSet:
    """All the limits of one scope (a model, a key, or both).

    Args:
        quota: Its quotas.
        now_s: When it begins.
        wall_offset_s: Unix time less `now_s`, for windows that follow the clock.
    """

    __slots__ = ("_meters", "_quota", "_wall_offset_s")

    def __init__(self, quota: Quota, now_s: float, *, wall_offset_s: float = 0.0) -> None:
        self._quota = quota
        self._wall_offset_s = wall_offset_s
        self._meters: dict[Resource, Meter] = {}
        for resource, limit in self._limits(quota):
            self._meters[resource] = self._new(limit, now_s)

    @property
    def window_s(self) -> float:
        """Seconds of one window."""
        return self._quota.window_s

    @staticmethod
    def _limits(quota: Quota) -> Iterator[tuple[Resource, float]]:
        pairs: tuple[tuple[Resource, float | None], ...] = (
            ("requests", quota.requests),
            ("tokens", quota.tokens),
            ("input_tokens", quota.input_tokens),
            ("output_tokens", quota.output_tokens),
        )
        return ((resource, limit) for resource, limit in pairs if limit is not None)

    def _new(self, limit: float, now_s: float) -> Meter:
        quota = self._quota
        meter: Meter
        match quota.kind:
            case "bucket":
                meter = Bucket(limit, quota.window_s, quota.burst, now_s)
            case "sliding":
                meter = SlidingWindow(limit, quota.window_s)
            case "clock":
                into_s = (now_s + self._wall_offset_s) % quota.window_s
                meter = Window(limit, quota.window_s, now_s - into_s)
            case "fixed":
                meter = Window(limit, quota.window_s, now_s)
        if quota.enforce_s is None:
            return meter
        share = quota.enforce_s / quota.window_s
        steps = Bucket(limit * share, quota.enforce_s, 1.0, now_s)
        return Enforced(meter, steps, share)

    def apply(self, quota: Quota, now_s: float) -> None:
        """Follow new quotas in mid-run. A new kind of window starts afresh."""
        same_kind = quota.made_alike(self._quota)
        self._quota = quota
        old, self._meters = self._meters, {}
        for resource, limit in self._limits(quota):
            meter = old.get(resource) if same_kind else None
            if meter is None:
                meter = self._new(limit, now_s)
            else:
                meter.resize(limit, now_s)
            self._meters[resource] = meter

    def admit(
        self, now_s: float, *, input_tokens: float, output_tokens: float, rejection_cost: float
    ) -> Admission:
        """Take one request and its tokens, all or nothing.

        `rejection_cost` requests are charged when it is rejected, down to an empty bucket and
        not below it.
        """
        meters = self._meters
        if not meters:
            return _ADMITTED
        amounts: dict[Resource, float] = {
            "requests": 1.0,
            "tokens": input_tokens + output_tokens,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
        }
        worst: Resource | None = None
        longest = 0.0
        for resource, meter in meters.items():
            wait = meter.wait_s(amounts[resource], now_s)
            if wait > longest:
                worst, longest = resource, wait
        if worst is None:
            for resource, meter in meters.items():
                meter.charge(amounts[resource], now_s)
            return _ADMITTED
        binding = meters[worst]
        used = binding.limit - binding.remaining(now_s)
        if rejection_cost and "requests" in meters:
            meters["requests"].charge(rejection_cost, now_s, floor_at=0.0)
            if worst == "requests":
                longest = binding.wait_s(1.0, now_s)
        return Admission(
            admitted=False,
            resource=worst,
            wait_s=longest,
            limit=binding.limit,
            used=used,
            requested=amounts[worst],
        )

    def settle(self, now_s: float, *, input_tokens: float, output_tokens: float) -> None:
        """Correct the charge by these differences (real minus reserved)."""
        for resource, amount in (
            ("tokens", input_tokens + output_tokens),
            ("input_tokens", input_tokens),
            ("output_tokens", output_tokens),
        ):
            meter = self._meters.get(resource)  # type: ignore[call-overload]
            if meter is not None and amount:
                meter.charge(amount, now_s)

    def meters(self) -> Iterator[tuple[Resource, Meter]]:
        """Each limited resource with its meter, for the headers."""
        return iter(self._meters.items())
