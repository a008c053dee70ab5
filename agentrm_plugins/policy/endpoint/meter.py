"""One resource of one endpoint: how fast it may be used, and what is there of it now.

The controller says the rate, the bucket keeps account, the mirror compares the account with what
the server reports, the refill estimator finds out how the server's own bucket is made.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from agentrm_plugins.policy.bucket import Bucket
from agentrm_plugins.policy.endpoint.mirror import Mirror
from agentrm_plugins.policy.endpoint.rate_search import RateController, Source
from agentrm_plugins.policy.endpoint.refill import RefillEstimator

if TYPE_CHECKING:
    from agentrm_plugins.types.verdicts import ServerLimit

__all__ = ["START_PER_S", "Meter"]

START_PER_S = 40.0  # guessed: forty agents that start at once are under way in a second
_SAME_WINDOW = 0.01
_BURST_S = 10.0  # guessed: a bucket found by probing lets so many seconds' worth through at once


class Meter:
    """One resource: the controller says how fast, the bucket keeps account."""

    __slots__ = (
        "_empty_s",
        "_mirror",
        "_refill",
        "_size",
        "bucket",
        "burst",
        "controller",
        "first",
        "window_s",
    )

    def __init__(
        self, controller: RateController, window_s: float, burst: float, first: float = 1.0
    ) -> None:
        self.controller = controller
        self.window_s = window_s
        self.burst = burst
        self.first = first
        self.bucket: Bucket | None = None
        self._mirror = Mirror()
        self._empty_s = -inf
        self._refill = RefillEstimator()
        self._size: float | None = None

    def apply(self, now_s: float) -> None:
        """The controller's rate is another: the bucket follows."""
        rate = self.controller.rate_per_s
        if rate == inf:
            return
        capacity = self._capacity(rate)
        if self.bucket is None:
            self.bucket = Bucket(rate, capacity, now_s=now_s)
            return
        before = self.bucket.level(now_s)
        self.bucket.set_rate(rate, capacity, now_s)
        self._mirror.moved(self.bucket.level(now_s) - before)

    def empty(self, now_s: float) -> None:
        """The server says that nothing is left, and the controller has cut the rate."""
        self.apply(now_s)
        assert self.bucket is not None  # noqa: S101 - a rate that was cut is finite
        before = self.bucket.level(now_s)
        self.bucket.drain(now_s)
        self._mirror.moved(self.bucket.level(now_s) - before)
        self._empty_s = now_s

    def take(self, amount: float, now_s: float) -> None:
        """A call goes that needs `amount`; to be told only where there is a bucket."""
        assert self.bucket is not None  # noqa: S101 - the endpoint has looked
        self.bucket.take(amount, now_s)
        self._mirror.note(self.bucket.level(now_s), amount, now_s)

    def give_back(self, amount: float, sent_s: float, now_s: float) -> None:
        """A call that took `amount` at `sent_s` was refused.

        If the bucket has been found empty since, that took back what we had believed of it.
        """
        if sent_s > self._empty_s:
            self.settle(amount, 0.0, now_s)

    def settle(self, reserved: float, used: float, now_s: float) -> None:
        """A call that took `reserved` used `used`."""
        if self.bucket is not None and reserved != used:
            self.bucket.settle(reserved, used, now_s)
            self._mirror.note(self.bucket.level(now_s), 0.0, now_s)

    def wait_s(self, amount: float, now_s: float) -> float:
        """Seconds until `amount` is there; a size that is only believed keeps nothing out."""
        if self.bucket is None:
            return 0.0
        wait_s = self.bucket.time_until(min(amount, self.bucket.capacity), now_s)
        if wait_s > 0:
            self.controller.held_back()
        return wait_s

    def too_large(self, amount: float) -> bool:
        """Whether `amount` will never fit, by the word of the user or of the server."""
        if self.bucket is None or self.controller.source not in {Source.TOLD, Source.SERVER}:
            return False
        limit = self.controller.limit_per_s
        return limit is not None and amount > limit * self.window_s

    def learn(self, limit: ServerLimit, later: float, sent_s: float, now_s: float) -> bool:
        """The server reports this resource, answering a request that went at `sent_s`.

        `later` is what was taken by calls under way that went after it. Says whether the limit is
        news.
        """
        most, left, reset_s = limit.limit, limit.remaining, limit.reset_s
        begins = self.bucket is None
        news = fixed = False
        if most:  # some gateways say 0 where they know of no limit
            known = None
            if not limit.firm:
                # A refusal's text names what is missing and for how long: that is the rate itself.
                # Where it names less, what was measured is worth more than "per minute".
                if reset_s is None:
                    return False
                self.window_s = limit.window_s(self.window_s)
            elif left is not None and reset_s is not None:
                known = self._refill.observe(most, left, reset_s)
            if known is not None:
                fixed = known.fixed
                self._size = None if fixed else known.size
                self._take_window(known.window_s)
            news = self.controller.learn(most / self.window_s, now_s, firm=limit.firm)
            if news:
                self.apply(now_s)
        if left is not None and self.bucket is not None:
            level = self.bucket.level(now_s)
            if begins:
                self.bucket.shift(min(left, level) - later - level, now_s)
            else:
                rate = self.bucket.rate_per_s
                off = self._mirror.correction(left, level, rate, sent_s, now_s)
                self.bucket.shift(off, now_s)
            if fixed and reset_s is not None and most is not None:
                self.bucket.expect_refill(now_s + reset_s, most)
        return news

    def _take_window(self, window_s: float) -> None:
        # Measured windows tremble; only a real difference is a new rate.
        if abs(window_s - self.window_s) > _SAME_WINDOW * self.window_s:
            self.window_s = window_s

    def _capacity(self, rate: float) -> float:
        source = self.controller.source
        if source is Source.SERVER and self._size is not None:
            return max(1.0, self._size)
        if source is Source.UNKNOWN:
            return max(self.first, rate / START_PER_S)
        window_s = self.burst * self.window_s
        return max(1.0, rate * (min(window_s, _BURST_S) if source is Source.PROBED else window_s))
