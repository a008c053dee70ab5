"""One endpoint: buckets, rates, gate, concurrency limit and breaker, composed.

``wait`` says whether a call may go; whatever becomes of it comes back through ``limited``,
``overloaded`` or ``ended``. Nothing here knows of tickets' states, lanes or agents.

Law: a call may go when the breaker and the gate let it, a place is free, and each bucket holds its
amount. A refusal is laid at the door of the resource that the server names, or else of the one that
its figures show as empty, or else of the one that came nearest to its limit; of all that are in
question where that is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from agentrm_plugins.policy.aimd import RateController, RateSettings, Source
from agentrm_plugins.policy.breaker import Breaker
from agentrm_plugins.policy.bucket import Bucket
from agentrm_plugins.policy.concurrency import ConcurrencyController
from agentrm_plugins.policy.gate import Gate
from agentrm_plugins.policy.refill import RefillEstimator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.verdicts import LimitReport, ServerLimit

__all__ = ["RESOURCES", "Endpoint", "Meter", "Quota", "Sent", "Wait", "amounts_of"]

RESOURCES = ("requests", "tokens", "input_tokens", "output_tokens")
_MINUTE_S = 60.0
_START_PER_S = 40.0  # guessed: forty agents that start at once are under way in a second
_SAME_WINDOW = 0.01
_NEAR = 0.8  # guessed: shares of use closer than this cannot be told apart
_IN_USE = 0.5  # guessed: a limit of which less was used is not the one that refused
_BURST_S = 10.0  # guessed: a bucket found by probing lets so many seconds' worth through at once


@dataclass(frozen=True, slots=True)
class Quota:
    """What the user says an endpoint allows; None for not known.

    Args:
        rpm: Requests per window.
        tpm: Tokens per window, input and output together.
        input_tpm: Input tokens per window.
        output_tpm: Output tokens per window.
        concurrency: Calls in flight.
        window_s: Seconds of a window: a minute.
        burst: Share of a window's quota that may go at once.
        first: Requests that go at once while nothing is known: the core's lanes, for whoever asks
            for so many lanes expects to use them.
    """

    rpm: float | None = None
    tpm: float | None = None
    input_tpm: float | None = None
    output_tpm: float | None = None
    concurrency: int | None = None
    window_s: float = _MINUTE_S
    burst: float = 1.0
    first: float = 1.0


class Wait(NamedTuple):
    """How long a call must wait, and for what; 0 is now, infinite until something happens."""

    seconds: float
    cause: str


class Sent(NamedTuple):
    """A call under way."""

    amounts: Mapping[str, float]
    at_s: float
    foreign: bool = False


def amounts_of(input_tokens: float, output_tokens: float, cached: float = 0.0) -> dict[str, float]:
    """What a call takes of each resource. Cached input counts only where both are one limit."""
    return {
        "requests": 1.0,
        "tokens": input_tokens + output_tokens,
        "input_tokens": input_tokens - cached,
        "output_tokens": output_tokens,
    }


class Meter:
    """One resource: the controller says how fast, the bucket keeps account."""

    __slots__ = ("_refill", "_size", "bucket", "burst", "controller", "first", "window_s")

    def __init__(
        self, controller: RateController, window_s: float, burst: float, first: float = 1.0
    ) -> None:
        self.controller = controller
        self.window_s = window_s
        self.burst = burst
        self.first = first
        self.bucket: Bucket | None = None
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
        else:
            self.bucket.set_rate(rate, capacity, now_s)

    def empty(self, now_s: float) -> None:
        """The server says that nothing is left, and the controller has cut the rate."""
        self.apply(now_s)
        assert self.bucket is not None  # noqa: S101 - a rate that was cut is finite
        self.bucket.drain(now_s)

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

    def learn(self, limit: ServerLimit, outstanding: float, now_s: float) -> bool:
        """The server reports this resource. Says whether its limit is news."""
        most, left, reset_s = limit.limit, limit.remaining, limit.reset_s
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
            self.bucket.observe(left, outstanding, now_s)
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
            return max(self.first, rate / _START_PER_S)
        window_s = self.burst * self.window_s
        return max(1.0, rate * (min(window_s, _BURST_S) if source is Source.PROBED else window_s))


class Endpoint:
    """The state of one endpoint.

    Args:
        name: Host, model and the key's fingerprint in one word.
        quota: What the user says it allows.
        settings: How rates are searched.
        now_s: When it begins.
        breaker: When it counts as dead; None: the usual figures.
    """

    __slots__ = (
        "_answered_s",
        "_began_s",
        "_epoch",
        "_epoch_s",
        "_last_blamed",
        "breaker",
        "concurrency",
        "gate",
        "in_flight",
        "meters",
        "name",
        "outstanding",
    )

    def __init__(
        self,
        name: str,
        quota: Quota,
        settings: RateSettings | None = None,
        now_s: float = 0.0,
        breaker: Breaker | None = None,
    ) -> None:
        settings = settings or RateSettings()
        self.name = name
        told = {
            "requests": quota.rpm,
            "tokens": quota.tpm,
            "input_tokens": quota.input_tpm,
            "output_tokens": quota.output_tpm,
        }
        self.meters: dict[str, Meter] = {}
        for resource in RESOURCES:
            limit = told[resource]
            controller = RateController(
                settings,
                told_per_s=None if limit is None else limit / quota.window_s,
                start_per_s=_START_PER_S if resource == "requests" else None,
                now_s=now_s,
            )
            meter = self.meters[resource] = Meter(
                controller, quota.window_s, quota.burst, quota.first
            )
            meter.apply(now_s)
        self.gate = Gate()
        self.breaker = breaker or Breaker()
        self.concurrency = ConcurrencyController(told=quota.concurrency)
        self.in_flight: dict[int, Sent] = {}
        self.outstanding = dict.fromkeys(RESOURCES, 0.0)
        self._answered_s = -inf
        self._last_blamed: list[str] = []
        self._began_s = now_s
        self._epoch_s = -inf
        self._epoch = dict.fromkeys(RESOURCES, 0.0)

    # -- may it go? ---------------------------------------------------------------------------

    def too_large(self, amounts: Mapping[str, float]) -> str | None:
        """The resource of which a call takes more than there ever is; None if it fits."""
        for resource, meter in self.meters.items():
            if meter.too_large(amounts[resource]):
                return resource
        return None

    def wait(self, amounts: Mapping[str, float], now_s: float) -> Wait:
        """How long a call of `amounts` must wait now, and for what."""
        wait_s = self.breaker.time_until(now_s)
        if wait_s > 0:
            return Wait(wait_s, "breaker")
        wait_s = self.gate.time_until(now_s)
        if wait_s > 0:
            return Wait(wait_s, "closed")
        if not self.concurrency.allows(len(self.in_flight)):
            return Wait(inf, "concurrency")
        longest = Wait(0.0, "")
        for resource, meter in self.meters.items():
            wait_s = meter.wait_s(amounts[resource], now_s)
            if wait_s > longest.seconds:
                longest = Wait(wait_s, resource)
        return longest

    def next_s(self) -> float:
        """When `advance` may change something."""
        return min(meter.controller.next_s() for meter in self.meters.values())

    def advance(self, now_s: float) -> list[str]:
        """Let time pass; gives the resources of which the rate changed."""
        changed = []
        for resource, meter in self.meters.items():
            if meter.controller.advance(now_s):
                meter.apply(now_s)
                changed.append(resource)
        return changed

    # -- what becomes of it -------------------------------------------------------------------

    def sent(
        self,
        ticket: int,
        amounts: Mapping[str, float],
        now_s: float,
        *,
        at_s: float | None = None,
        foreign: bool = False,
    ) -> None:
        """A call goes, or is heard of now that went `at_s`.

        A foreign one is none of ours: it never is the probe, and of those only errors are heard,
        so the breaker does not count them.
        """
        gap_s = 0.0
        for resource, meter in self.meters.items():
            amount = amounts[resource]
            meter.controller.sent(amount)
            self.outstanding[resource] += amount
            self._epoch[resource] += amount
            if meter.bucket is not None:
                meter.bucket.take(amount, now_s)
                gap_s = max(gap_s, amount / meter.controller.rate_per_s)
        went_s = now_s if at_s is None else min(at_s, now_s)
        self.in_flight[ticket] = Sent(amounts, went_s, foreign)
        if not foreign:
            self.gate.sent(gap_s, now_s)
            self.breaker.sent(ticket, now_s)

    def reported(self, report: LimitReport, now_s: float) -> list[str]:
        """The server named its limits; gives the resources whose limit is news."""
        news = []
        for resource, limit in report.limits().items():
            if self.meters[resource].learn(limit, self.outstanding[resource], now_s):
                news.append(resource)
        return news

    def limited(self, ticket: int, report: LimitReport, now_s: float) -> list[str]:
        """The server refused a call for its limits (429); gives the resources that were cut."""
        cut = self.refused(ticket, report, now_s)
        self.reported(report, now_s)
        return cut

    def refused(self, ticket: int, report: LimitReport, now_s: float) -> list[str]:
        """The same, but for what the server says that its limits are."""
        sent = self._back(ticket, now_s)
        if sent is None:
            return []
        blamed = self._blamed(report, sent, now_s)
        cut = []
        for resource, meter in self.meters.items():
            if resource not in blamed:
                meter.controller.taken_back(sent.amounts[resource], sent.at_s)
            elif meter.controller.hit(sent.amounts[resource], sent.at_s, now_s):
                cut.append(resource)
                meter.empty(now_s)
        if cut:
            self._last_blamed = blamed
            self._epoch_s = now_s
            self._epoch = dict.fromkeys(RESOURCES, 0.0)
        if report.retry_after_s is not None:
            self.gate.close(report.retry_after_s, now_s)
        self.breaker.ended(ticket, failed=False, now_s=now_s)
        return cut

    def overloaded(self, ticket: int, report: LimitReport, now_s: float) -> bool:
        """The server had no room (503, 529). Says whether that cut the concurrency limit."""
        sent = self._back(ticket, now_s)
        if sent is None:
            return False
        for resource in RESOURCES:
            self.meters[resource].controller.taken_back(sent.amounts[resource], sent.at_s)
        accepted = len(self.in_flight)
        cut = self.concurrency.refused(accepted, sent.at_s, now_s)
        if report.retry_after_s is not None or not accepted:
            self.gate.close(report.retry_after_s, now_s)
        # Full is not dead: it is a failure only if nobody was served since this call was sent.
        alive = accepted > 0 or self._answered_s > sent.at_s or sent.foreign
        self.breaker.ended(ticket, failed=None if alive else True, now_s=now_s)
        return cut

    def ended(
        self,
        ticket: int,
        used: Mapping[str, float] | None,
        now_s: float,
        *,
        failed: bool | None = False,
        hung: bool = False,
    ) -> bool:
        """A call ended; `used` is what it really took, None if nobody knows.

        Returns:
            Whether the breaker's state changed.
        """
        sent = self.in_flight.pop(ticket, None)
        if sent is None:
            return False
        for resource, meter in self.meters.items():
            reserved = sent.amounts[resource]
            self.outstanding[resource] -= reserved
            if used is not None:
                meter.controller.corrected(used[resource] - reserved)
                self._epoch[resource] += used[resource] - reserved
                if meter.bucket is not None:
                    meter.bucket.settle(reserved, used[resource], now_s)
        if failed is False:
            self._answered_s = now_s
            self.concurrency.answered()
            self.gate.accepted()
        if sent.foreign or (hung and self._answered_s > sent.at_s):
            failed = None  # others were served meanwhile: this one is lost, the endpoint lives
        return self.breaker.ended(ticket, failed=failed, now_s=now_s)

    # -- steps --------------------------------------------------------------------------------

    def _back(self, ticket: int, now_s: float) -> Sent | None:
        """A refused call took nothing; only the request itself may have counted."""
        sent = self.in_flight.pop(ticket, None)
        if sent is not None:
            for resource, meter in self.meters.items():
                amount = sent.amounts[resource]
                self.outstanding[resource] -= amount
                if sent.at_s > self._epoch_s:
                    self._epoch[resource] -= amount
                if meter.bucket is not None and resource != "requests":
                    meter.bucket.settle(amount, 0.0, now_s)
        return sent

    def _blamed(self, report: LimitReport, sent: Sent, now_s: float) -> list[str]:
        if report.resource is not None:
            return [report.resource]
        empty = [
            resource
            for resource, limit in report.limits().items()
            if limit.remaining is not None and limit.remaining < sent.amounts[resource]
        ]
        return empty or self._most_used(sent.at_s, now_s)

    def _most_used(self, sent_s: float, now_s: float) -> list[str]:
        """The server does not say: which of requests and tokens came near to its limit lately?"""
        if sent_s <= self._epoch_s:
            return self._last_blamed
        seconds = max(now_s - max(self._epoch_s, self._began_s), 1e-3)
        limits = {name: meter.controller.limit_per_s for name, meter in self.meters.items()}
        use = {name: self._epoch[name] / seconds / limit for name, limit in limits.items() if limit}
        unknown = [] if "requests" in use else ["requests"]
        if not any(name in use for name in RESOURCES[1:]):
            unknown.append("tokens")
        if unknown:  # it is one of these, or one that is known and was really in use
            return unknown + [name for name, share in use.items() if share >= _IN_USE]
        most = max(use.values())
        if most <= 0 and self._last_blamed:
            return self._last_blamed  # nothing went through since: it is the same trouble
        return [resource for resource, share in use.items() if share >= _NEAR * most]
