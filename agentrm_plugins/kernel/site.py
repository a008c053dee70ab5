"""One endpoint as the kernel sees it: its limits, its pulse, its usual outputs, and its tallies."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

from agentrm_plugins.policy.endpoint.breaker import Breaker, BreakerState
from agentrm_plugins.policy.endpoint.endpoint import Endpoint, Quota, Wait, amounts_of
from agentrm_plugins.policy.endpoint.output_estimate import OutputEstimator
from agentrm_plugins.policy.endpoint.pulse import Pulse
from agentrm_plugins.policy.rates import Rates
from agentrm_plugins.types.verdicts import RESOURCES, Kind, LimitReport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.config.endpoints import BreakerConfig, EndpointConfig
    from agentrm_plugins.kernel.line import Line
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.types.accounts import Bid
    from agentrm_plugins.types.calls import Call, Usage
    from agentrm_plugins.types.verdicts import Verdict

__all__ = ["Change", "Site"]

_WINDOW_S = 60.0
_SILENT = LimitReport()
_REFUSED = amounts_of(0.0, 0.0)  # a refused request counts, its tokens do not


class Change(NamedTuple):
    """A rate changed: of which resource, and why ("cut", "grown", "learnt" or "told")."""

    resource: str
    cause: str


class Site:
    """The state of one provider's model under one key.

    Args:
        name: "host/model#fingerprint".
        config: What the user says of it.
        breaker: When it counts as dead.
        now_s: When it is first seen.
        lanes: The core's lanes: so many calls go at once while nothing is known of its limits.
        news: Where it puts itself when it has changes to tell.

    `lines` are those in which calls wait for it. `first` is a bid that has waited longest and goes
    next there, whatever the order says; `overtaker` one that may go before a head that waits, with
    that head's call. `told_s` is until when everybody knows it to be closed, `tickets` how many
    calls may still need it.
    """

    def __init__(
        self,
        name: str,
        config: EndpointConfig,
        breaker: BreakerConfig,
        now_s: float,
        lanes: int,
        news: dict[Site, None],
    ) -> None:
        self.name = name
        self.config = config
        quota = Quota(
            rpm=config.rpm,
            tpm=config.tpm,
            input_tpm=config.input_tpm,
            output_tpm=config.output_tpm,
            concurrency=config.concurrency,
            burst=config.burst_s / _WINDOW_S,
            first=lanes,
        )
        switch = Breaker(
            share=breaker.share,
            least_calls=breaker.least_calls,
            window_s=breaker.window_s,
            cool_down_s=breaker.cool_down_s,
        )
        self.endpoint = Endpoint(name, quota, None, now_s, switch)
        self.outputs = OutputEstimator()
        self.pulse = Pulse()
        self.used = {resource: Rates() for resource in RESOURCES}
        self.running: dict[int, Ticket] = {}
        self.lines: dict[Line, None] = {}
        self.first: Bid | None = None
        self.overtaker: tuple[Bid, Ticket] | None = None
        self.changes: list[Change] = []
        self._news = news
        self.told_s = -inf
        self.tickets = 0
        self.idle_since_s = now_s
        self.foreign_calls = 0
        self.sent = 0
        self.limit_hits = 0
        self.failures = 0
        self.requeues = 0
        self.cost = 0.0

    # -- before a call ----------------------------------------------------------------------

    def need(self, call: Call) -> dict[str, float]:
        """What the call will probably take of each resource."""
        given, config = call.estimate, self.config
        most = call.max_output_tokens
        if most is None and given.output_tokens:
            output = given.output_tokens
        else:
            output = self.outputs.output_tokens(call.agent, most, reserve=config.reserve)
        cached = 0
        if not config.cached_input_counts:
            cached = given.cached_input_tokens or self.outputs.cached_tokens(
                call.agent, given.input_tokens
            )
        return amounts_of(given.input_tokens, output, cached)

    def wait(self, need: Mapping[str, float], now_s: float) -> Wait:
        """Until such a call may go, and for what: 0 is now, infinite until something happens."""
        grown = self.endpoint.advance(now_s)
        if grown:
            self._changed("grown", grown)
        return self.endpoint.wait(need, now_s)

    def too_large(self, need: Mapping[str, float]) -> str | None:
        """In words, of what the call needs more than there ever is; None if it fits."""
        resource = self.endpoint.too_large(need)
        if resource is None:
            return None
        meter = self.endpoint.meters[resource]
        most = (meter.controller.limit_per_s or inf) * meter.window_s
        return f"needs {need[resource]:g} {resource}, the limit is {most:g}"

    # -- a call goes and ends ---------------------------------------------------------------

    def go(self, ticket: Ticket, need: Mapping[str, float], now_s: float) -> None:
        """A call goes: take what it needs."""
        self.sent += 1
        self.running[ticket.number] = ticket
        for resource, rate in self.used.items():
            rate.add(need[resource], now_s)
        self.endpoint.sent(ticket.number, need, now_s)

    def answered(self, number: int, usage: Usage | None, agent: str, now_s: float) -> None:
        """A call ended well."""
        self.pulse.answered()
        self.endpoint.ended(number, self._used(usage), now_s, failed=False)
        if usage is not None and usage.total_tokens:
            self.outputs.used(
                agent, usage.input_tokens, usage.output_tokens, usage.cached_input_tokens
            )

    def given_up(self, number: int, usage: Usage | None, now_s: float) -> None:
        """A call was cancelled, or met an error that is not the endpoint's fault."""
        self.endpoint.ended(number, self._used(usage), now_s, failed=None)

    def reaped(self, number: int, now_s: float) -> None:
        """A call hung: what it took counts as used."""
        self.pulse.reaped()
        self.failures += 1
        self.endpoint.ended(number, None, now_s, failed=True, hung=True)

    def failed(
        self, number: int, verdict: Verdict, report: LimitReport | None, now_s: float
    ) -> None:
        """A call met an error that may be cured."""
        said = report or _SILENT
        if verdict.kind is Kind.LIMIT:
            self.limit_hits += 1
            self._changed("cut", self.endpoint.refused(number, said, now_s))
            return
        self.failures += 1
        if verdict.kind is Kind.OVERLOADED:
            self.endpoint.overloaded(number, said, now_s)
        else:
            self.endpoint.ended(number, _REFUSED, now_s, failed=True)

    def foreign(
        self, verdict: Verdict, report: LimitReport, sent_s: float | None, now_s: float
    ) -> None:
        """A request that is none of the kernel's calls met an error.

        It counts against the limits, but not for the breaker.
        """
        number = self.foreign_calls = self.foreign_calls - 1
        self.endpoint.sent(number, _REFUSED, now_s, at_s=sent_s, foreign=True)
        self.failed(number, verdict, report, now_s)

    def reported(self, report: LimitReport, sent_s: float | None, now_s: float) -> None:
        """The response to a request that went at `sent_s` said something of the limits."""
        if self.config.learn:
            self._changed("learnt", self.endpoint.reported(report, now_s, sent_s))

    def told(self) -> None:
        """Its limits are those that the user told."""
        meters = self.endpoint.meters.items()
        self._changed("told", [name for name, meter in meters if meter.controller.limit_per_s])

    def _changed(self, cause: str, resources: list[str]) -> None:
        if resources:
            self.changes += [Change(resource, cause) for resource in resources]
            self._news[self] = None

    def _used(self, usage: Usage | None) -> dict[str, float] | None:
        if usage is None:
            return None
        cached = 0 if self.config.cached_input_counts else usage.cached_input_tokens
        return amounts_of(usage.input_tokens, usage.output_tokens, cached)

    # -- looks ------------------------------------------------------------------------------

    @property
    def breaker(self) -> BreakerState:
        """Where its circuit breaker stands."""
        return self.endpoint.breaker.state

    def is_down(self, now_s: float) -> bool:
        """Whether calls to it fail fast."""
        breaker = self.endpoint.breaker
        return breaker.state is BreakerState.OPEN and breaker.time_until(now_s) > 0

    @property
    def closed_until_s(self) -> float:
        """Until when the server asked everybody to stay away."""
        return self.endpoint.gate.closed_until_s
