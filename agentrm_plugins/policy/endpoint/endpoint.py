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

from agentrm_plugins.policy.endpoint.breaker import Breaker
from agentrm_plugins.policy.endpoint.closure import Gate
from agentrm_plugins.policy.endpoint.concurrency import ConcurrencyController
from agentrm_plugins.policy.endpoint.meter import START_PER_S, Meter
from agentrm_plugins.policy.endpoint.rate_search import RateController, RateSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.types.verdicts import LimitReport

__all__ = ["RESOURCES", "Endpoint", "Quota", "Sent", "Wait", "amounts_of"]

RESOURCES = ("requests", "tokens", "input_tokens", "output_tokens")
_MINUTE_S = 60.0
_NEAR = 0.8  # guessed: shares of use closer than this cannot be told apart
_IN_USE = 0.5  # guessed: a limit of which less was used is not the one that refused


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
                start_per_s=START_PER_S if resource == "requests" else None,
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
            for meter in self.meters.values():
                meter.controller.stopped()
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
            self._epoch[resource] += amount
            if meter.bucket is not None:
                meter.take(amount, now_s)
                gap_s = max(gap_s, amount / meter.controller.rate_per_s)
        went_s = now_s if at_s is None else min(at_s, now_s)
        self.in_flight[ticket] = Sent(amounts, went_s, foreign)
        if not foreign:
            self.gate.sent(gap_s, now_s)
            self.breaker.sent(ticket, now_s)

    def reported(self, report: LimitReport, now_s: float, sent_s: float | None = None) -> list[str]:
        """The server named its limits; gives the resources whose limit is news.

        `sent_s` is when the request went that it answers; None: just now.
        """
        news = []
        went_s = now_s if sent_s is None else min(sent_s, now_s)
        for resource, limit in report.limits().items():
            meter, later = self.meters[resource], 0.0
            if meter.bucket is None:
                calls = self.in_flight.values()
                later = sum(sent.amounts[resource] for sent in calls if sent.at_s > went_s)
            if meter.learn(limit, later, went_s, now_s):
                news.append(resource)
        return news

    def limited(self, ticket: int, report: LimitReport, now_s: float) -> list[str]:
        """The server refused a call for its limits (429); gives the resources that were cut."""
        sent = self.in_flight.get(ticket)
        cut = self.refused(ticket, report, now_s)
        self.reported(report, now_s, None if sent is None else sent.at_s)
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
            if used is not None:
                meter.controller.corrected(used[resource] - reserved)
                self._epoch[resource] += used[resource] - reserved
                meter.settle(reserved, used[resource], now_s)
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
                if sent.at_s > self._epoch_s:
                    self._epoch[resource] -= amount
                if resource != "requests":
                    meter.give_back(amount, sent.at_s, now_s)
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
