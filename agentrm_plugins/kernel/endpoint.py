"""One endpoint: composes what is known of its limits, and says when a call may go there.

A call may go when the breaker lets it, the endpoint is not closed (`retry-after`) or dripping,
there is room for it (concurrency), and each bucket holds what it needs. What it needs is reserved
when it goes and corrected when it ends. Until the first answer has said anything about limits, the
number of calls in flight grows with the answers, as TCP's window does (slow start).
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

from agentrm_plugins.kernel.pulse import Pulse
from agentrm_plugins.policy.aimd import RateController, RateSettings, Source
from agentrm_plugins.policy.breaker import Breaker, BreakerState
from agentrm_plugins.policy.bucket import Bucket
from agentrm_plugins.policy.concurrency import ConcurrencyController
from agentrm_plugins.policy.gate import Gate
from agentrm_plugins.policy.output_estimate import OutputEstimator
from agentrm_plugins.policy.rates import Rates
from agentrm_plugins.verdicts import Kind

if TYPE_CHECKING:
    from agentrm_plugins.calls import Call, Usage
    from agentrm_plugins.config_endpoints import BreakerConfig, EndpointConfig
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.verdicts import LimitReport, Verdict

__all__ = ["Change", "Endpoint", "Need", "Resource"]

_SLOW_START = 4.0  # calls in flight; RFC 6928 starts TCP with ten segments, a call is worth more
_PER_MIN = 60.0
_SETTINGS = RateSettings()


class Need(NamedTuple):
    """What one call takes from each resource."""

    requests: float
    tokens: float
    input_tokens: float
    output_tokens: float


class Change(NamedTuple):
    """A rate changed: for the event stream."""

    resource: str
    cause: str


class Resource:
    """One limited resource of the endpoint: how fast it may be used, and what is there now."""

    __slots__ = ("bucket", "burst_s", "controller", "name", "seen", "used", "window")

    def __init__(self, name: str, per_min: float | None, burst_s: float, now_s: float) -> None:
        told = None if per_min is None else per_min / _PER_MIN
        self.name = name
        self.burst_s = burst_s
        self.window = inf if told is None else told * _PER_MIN
        self.seen = 0.0  # the most that the server ever said was left: so much its bucket holds
        self.controller = RateController(_SETTINGS, told_per_s=told, now_s=now_s)
        self.bucket: Bucket | None = None
        self.used = Rates()
        self.pace(now_s)

    def pace(self, now_s: float) -> None:
        """Let the bucket follow the controller."""
        rate = self.controller.rate_per_s
        if rate == inf:
            self.bucket = None
            return
        capacity = max(rate * self.burst_s, self.seen, 1.0)
        if self.bucket is None:
            self.bucket = Bucket(rate, capacity, now_s=now_s)
        elif self.bucket.rate_per_s != rate or self.bucket.capacity != capacity:
            self.bucket.set_rate(rate, capacity, now_s)

    def time_until(self, amount: float, now_s: float) -> float:
        """Seconds until `amount` may be taken. More than the bucket holds goes when it is full."""
        bucket = self.bucket
        if bucket is None or amount <= 0:
            return 0.0
        return bucket.time_until(min(amount, bucket.capacity), now_s)


class Endpoint:
    """The state of one provider's model under one key.

    Args:
        name: "host/model#fingerprint".
        config: What the user says of it.
        breaker: When it counts as dead.
        now_s: When it is first seen.
    """

    def __init__(
        self, name: str, config: EndpointConfig, breaker: BreakerConfig, now_s: float
    ) -> None:
        self.name = name
        self.config = config
        per_min = {"requests": config.rpm, "tokens": config.tpm}
        if config.input_tpm is not None or config.output_tpm is not None:
            per_min |= {"input_tokens": config.input_tpm, "output_tokens": config.output_tpm}
        self.resources = {
            resource: Resource(resource, rate, config.burst_s, now_s)
            for resource, rate in per_min.items()
        }
        told = any(rate is not None for rate in per_min.values())
        self.window = inf if told or config.concurrency is not None else _SLOW_START
        self.concurrency = ConcurrencyController(told=config.concurrency)
        self.gate = Gate()
        self.breaker = Breaker(
            share=breaker.share,
            least_calls=breaker.least_calls,
            window_s=breaker.window_s,
            cool_down_s=breaker.cool_down_s,
        )
        self.outputs = OutputEstimator()
        self.pulse = Pulse()
        self.running: dict[int, Ticket] = {}
        self.in_flight = 0
        self.sent = 0
        self.limit_hits = 0
        self.failures = 0
        self.requeues = 0
        self.cost = 0.0

    # -- before a call ----------------------------------------------------------------------

    def need(self, call: Call) -> Need:
        """What the call will probably take."""
        given, config = call.estimate, self.config
        most = call.max_output_tokens
        if most is None and given.output_tokens:
            output = float(given.output_tokens)
        else:
            output = float(self.outputs.output_tokens(call.agent, most, reserve=config.reserve))
        counted = given.input_tokens
        if not config.cached_input_counts:
            cached = given.cached_input_tokens or self.outputs.cached_tokens(call.agent, counted)
            counted -= min(cached, counted)
        return Need(1.0, counted + output, float(counted), output)

    def too_large(self, need: Need) -> str | None:
        """The resource of which the call needs more than a whole window, or None."""
        for name, resource in self.resources.items():
            known = resource.controller.source in {Source.TOLD, Source.SERVER}
            if known and getattr(need, name) > resource.window:
                return name
        return None

    def blocked_s(self, need: Need, now_s: float) -> float:
        """Seconds until such a call may go: 0 is now, infinite until something else happens."""
        wait_s = max(self.breaker.time_until(now_s), self.gate.time_until(now_s))
        if self.in_flight >= self.window or not self.concurrency.allows(self.in_flight):
            return inf
        for name, resource in self.resources.items():
            if resource.bucket is None:
                continue
            if resource.controller.advance(now_s):
                resource.pace(now_s)
            bound_s = resource.time_until(getattr(need, name), now_s)
            if bound_s > 0:
                resource.controller.held_back()
                wait_s = max(wait_s, bound_s)
        return wait_s

    def next_look_s(self) -> float:
        """When a rate may grow by itself; infinite for never."""
        looks = (r.controller.next_s() for r in self.resources.values() if r.bucket is not None)
        return min(looks, default=inf)

    # -- a call goes and ends ---------------------------------------------------------------

    def go(self, ticket: int, need: Need, now_s: float) -> bool:
        """A call goes: take what it needs. Says whether it is the breaker's probe."""
        self.in_flight += 1
        self.sent += 1
        gap_s = 0.0
        for name, resource in self.resources.items():
            amount = getattr(need, name)
            resource.controller.sent(amount)
            resource.used.add(amount, now_s)
            if resource.bucket is not None:
                resource.bucket.take(amount, now_s)
                gap_s = max(gap_s, amount / resource.bucket.rate_per_s)
        self.gate.sent(gap_s, now_s)
        return self.breaker.sent(ticket, now_s)

    def answered(self, need: Need, usage: Usage | None, agent: str, now_s: float) -> None:
        """A call ended well, or gave up: correct what it took."""
        self.in_flight -= 1
        self.gate.accepted()
        self.concurrency.answered()
        if self.window < inf:
            self.window += 1.0
        if usage is None:
            return
        counted = usage.input_tokens
        if not self.config.cached_input_counts:
            counted -= usage.cached_input_tokens
        used = Need(1.0, counted + usage.output_tokens, counted, usage.output_tokens)
        self._correct(need, used, now_s)
        if usage.total_tokens:
            self.outputs.used(
                agent, usage.input_tokens, usage.output_tokens, usage.cached_input_tokens
            )

    def dropped(self, need: Need, used: Need | None, now_s: float) -> None:
        """A call was given up on: what it took is spent, unless it is known what it used."""
        self.in_flight -= 1
        if used is not None:
            self._correct(need, used, now_s)

    def failed(
        self,
        need: Need,
        verdict: Verdict,
        report: LimitReport | None,
        sent_s: float,
        now_s: float,
        *,
        in_flight: bool = True,
    ) -> list[Change]:
        """A call met an error. Gives the rates that changed by it."""
        if in_flight:
            self.in_flight -= 1
        # A refused call still cost a request; its tokens were not taken.
        self._correct(need, Need(1.0, 0.0, 0.0, 0.0), now_s)
        if verdict.kind is Kind.LIMIT:
            return self._hit(need, report, sent_s, now_s)
        if verdict.kind is Kind.OVERLOADED:
            self.window = inf
            self.concurrency.refused(self.in_flight, sent_s, now_s)
            if report is not None and report.retry_after_s is not None:
                self.gate.close(report.retry_after_s, now_s)
        if verdict.failed:
            self.failures += 1
        return []

    def _hit(
        self, need: Need, report: LimitReport | None, sent_s: float, now_s: float
    ) -> list[Change]:
        self.limit_hits += 1
        self.window = inf
        name = self._culprit(need, report)
        resource = self.resources[name]
        changes = []
        if resource.controller.hit(getattr(need, name), sent_s, now_s):
            changes.append(Change(name, "cut"))
        resource.pace(now_s)
        if resource.bucket is not None:
            resource.bucket.drain(now_s)
        if report is not None and report.retry_after_s is not None:
            self.gate.close(report.retry_after_s, now_s)
        return changes

    def _culprit(self, need: Need, report: LimitReport | None) -> str:
        """Which resource refused: what the server says, or else what is nearest to its limit."""
        if report is not None:
            if report.resource in self.resources:
                return str(report.resource)
            shares = {
                name: limit.remaining - getattr(need, name)
                for name, limit in report.limits().items()
                if limit.remaining is not None and name in self.resources
            }
            short = {name: left for name, left in shares.items() if left < 0}
            if short:
                return min(short, key=lambda name: short[name])
        paced = [name for name, resource in self.resources.items() if resource.bucket is not None]
        if len(paced) == 1:
            return paced[0]
        return "tokens" if need.tokens > need.requests else "requests"

    def _correct(self, need: Need, used: Need, now_s: float) -> None:
        for name, resource in self.resources.items():
            reserved, real = getattr(need, name), getattr(used, name)
            if reserved != real:
                resource.controller.corrected(real - reserved)
                if resource.bucket is not None:
                    resource.bucket.settle(reserved, real, now_s)

    # -- the server's word ------------------------------------------------------------------

    def observe(self, report: LimitReport, outstanding: Need, now_s: float) -> list[Change]:
        """A response said something of the limits; `outstanding` may not have reached it yet."""
        changes: list[Change] = []
        if not self.config.learn:
            return changes
        for name, limit in report.limits().items():
            resource = self.resources.get(name)
            if resource is None:
                resource = Resource(name, None, self.config.burst_s, now_s)
                self.resources[name] = resource
            if limit.limit:
                resource.window = limit.limit
                if resource.controller.learn(limit.limit / limit.window_s(), now_s):
                    resource.seen = 0.0
                    changes.append(Change(name, "learnt"))
                self.window = inf
                resource.pace(now_s)
            if limit.remaining is not None and limit.remaining > resource.seen:
                resource.seen = limit.remaining
                resource.pace(now_s)
            if resource.bucket is not None and limit.remaining is not None:
                resource.bucket.observe(limit.remaining, getattr(outstanding, name), now_s)
        return changes

    # -- the breaker ------------------------------------------------------------------------

    def judge(self, ticket: int, verdict: Verdict | None, now_s: float) -> bool:
        """A call ended with this verdict (None: well). Says whether the breaker changed."""
        failed = False if verdict is None else verdict.failed
        return self.breaker.ended(ticket, failed=failed, now_s=now_s)

    @property
    def is_down(self) -> bool:
        """Whether calls to it fail fast."""
        return self.breaker.state is BreakerState.OPEN
