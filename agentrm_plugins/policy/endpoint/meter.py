"""One resource of one endpoint: how fast it may be used, and what is there of it now.

The controller says the rate, the bucket keeps account, the mirror compares the account with what
the server reports, the refill estimator finds out how the server's own bucket is made. To ask a
meter changes nothing; that somebody is held up by it is told to it (`held_back`).
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from agentrm_plugins.policy.bucket import Bucket
from agentrm_plugins.policy.endpoint.mirror import Mirror
from agentrm_plugins.policy.endpoint.rate_search import RateController, RateSettings, Source
from agentrm_plugins.policy.endpoint.refill import RefillEstimator
from agentrm_plugins.policy.rates import Rates
from agentrm_plugins.types.verdicts import MINUTE_S, RESOURCES

if TYPE_CHECKING:
    from agentrm_plugins.config.endpoints import EndpointConfig
    from agentrm_plugins.types.verdicts import ServerLimit

__all__ = ["Meter", "meters_of"]

_START_PER_S = 40.0  # guessed: forty agents that start at once are under way in a second
_SAME_WINDOW = 0.01
_SAID = {Source.TOLD, Source.SERVER}
_BURST_S = 10.0  # guessed: a bucket found by probing lets so many seconds' worth through at once


def meters_of(config: EndpointConfig, first: float, now_s: float) -> dict[str, Meter]:
    """The meters of an endpoint, by resource.

    Args:
        config: What the user says that it allows.
        first: Requests that go at once while nothing is known: the core's lanes, for whoever asks
            for so many lanes expects to use them.
        now_s: When they begin.
    """
    told = (config.rpm, config.tpm, config.input_tpm, config.output_tpm)
    meters = {}
    for resource, limit in zip(RESOURCES, told, strict=True):
        controller = RateController(
            RateSettings(),
            told_per_s=None if limit is None else limit / MINUTE_S,
            start_per_s=_START_PER_S if resource == "requests" else None,
            now_s=now_s,
        )
        meters[resource] = Meter(controller, config.burst_s, first)
        meters[resource].apply(now_s)
    return meters


class Meter:
    """One resource: the controller says how fast, the bucket keeps account.

    Args:
        controller: The rate.
        burst_s: Seconds of the rate that may be used at once.
        first: Units that go at once while nothing is known.

    `most` is the largest amount that may ever go, by the word of the user or of the server;
    `used` what is taken lately. Neither is kept while there is no bucket.
    """

    __slots__ = (
        "_empty_s",
        "_heard",
        "_mirror",
        "_refill",
        "_size",
        "bucket",
        "burst_s",
        "controller",
        "first",
        "most",
        "used",
        "window_s",
    )

    def __init__(self, controller: RateController, burst_s: float, first: float = 1.0) -> None:
        self.controller = controller
        self.window_s = MINUTE_S
        self.burst_s = burst_s
        self.first = first
        self.bucket: Bucket | None = None
        self.most = inf
        self.used = Rates()
        self._heard = False
        self._mirror = Mirror()
        self._empty_s = -inf
        self._refill = RefillEstimator()
        self._size: float | None = None

    def apply(self, now_s: float) -> None:
        """The controller's rate is another: the bucket follows."""
        self._bound()
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

    def sent(self, amount: float, now_s: float) -> None:
        """A call goes that takes `amount`."""
        self.controller.sent(amount)
        if self.bucket is not None:
            self.bucket.take(amount, now_s)
            self.used.add(amount, now_s)
            if self._heard:
                self._mirror.note(self.bucket.level(now_s), amount, now_s)

    def ended(self, reserved: float, used: float, now_s: float) -> None:
        """A call that took `reserved` really used `used`."""
        if reserved != used:
            self.controller.corrected(used - reserved)
            self._settle(reserved, used, now_s)

    def give_back(self, amount: float, sent_s: float, now_s: float) -> None:
        """A call that took `amount` at `sent_s` was refused.

        If the bucket has been found empty since, that took back what we had believed of it.
        """
        if sent_s > self._empty_s:
            self._settle(amount, 0.0, now_s)

    def _settle(self, reserved: float, used: float, now_s: float) -> None:
        if self.bucket is not None and reserved != used:
            self.bucket.settle(reserved, used, now_s)
            if self._heard:
                self._mirror.note(self.bucket.level(now_s), 0.0, now_s)

    def wait_s(self, amount: float, now_s: float) -> float:
        """Seconds until `amount` is there; a size that is only believed keeps nothing out."""
        bucket = self.bucket
        if bucket is None:
            return 0.0
        return bucket.time_until(min(amount, bucket.capacity), now_s)

    def learn(self, limit: ServerLimit, later: float, sent_s: float, now_s: float) -> bool:
        """The server reports this resource, answering a request that went at `sent_s`.

        `later` is what was taken by calls under way that went after it. Says whether the limit is
        news.
        """
        if limit.limit and not limit.firm and limit.reset_s is None:
            # A refusal's text names what is missing and for how long: that is the rate itself.
            # Where it names less, what was measured is worth more than "per minute".
            return False
        begins = self.bucket is None
        news = fixed = False
        if limit.limit:  # some gateways say 0 where they know of no limit
            fixed = self._measure(limit.limit, limit)
            news = self.controller.learn(limit.limit / self.window_s, now_s, firm=limit.firm)
            if news:
                self.apply(now_s)
        if limit.remaining is not None and self.bucket is not None:
            if begins:
                level = self.bucket.level(now_s)
                self.bucket.shift(min(limit.remaining, level) - later - level, now_s)
            else:
                self._correct(self.bucket, limit.remaining, sent_s, now_s)
            self._heard = True
            if fixed and limit.reset_s is not None and limit.limit:
                self.bucket.expect_refill(now_s + limit.reset_s, limit.limit)
        return news

    def _measure(self, most: float, limit: ServerLimit) -> bool:
        """Find out the window; says whether all comes back at once at its end."""
        if not limit.firm:
            self.window_s = limit.window_s(self.window_s)
            return False
        if limit.remaining is None or limit.reset_s is None:
            return False
        known = self._refill.observe(most, limit.remaining, limit.reset_s)
        if known is None:
            return False
        self._size = None if known.fixed else known.size
        self._take_window(known.window_s)
        return known.fixed

    def _correct(self, bucket: Bucket, remaining: float, sent_s: float, now_s: float) -> None:
        """Compare our account with what the server says is left.

        What went before its first word is not remembered, so the second one is the first to count.
        """
        if self._heard:
            level, rate = bucket.level(now_s), bucket.rate_per_s
            bucket.shift(self._mirror.correction(remaining, level, rate, sent_s, now_s), now_s)

    def _take_window(self, window_s: float) -> None:
        # Measured windows tremble; only a real difference is a new rate.
        if abs(window_s - self.window_s) > _SAME_WINDOW * self.window_s:
            self.window_s = window_s
            self._bound()

    def _bound(self) -> None:
        controller, self.most = self.controller, inf
        if controller.source in _SAID and controller.limit_per_s is not None:
            self.most = controller.limit_per_s * self.window_s

    def _capacity(self, rate: float) -> float:
        source = self.controller.source
        if source is Source.SERVER and self._size is not None:
            return max(1.0, self._size)
        if source is Source.UNKNOWN:
            return max(self.first, rate / _START_PER_S)
        burst_s = self.burst_s * self.window_s / MINUTE_S
        return max(1.0, rate * (min(burst_s, _BURST_S) if source is Source.PROBED else burst_s))
