"""Congestion control inside the kernel: endpoints, budgets, calls that go again.

It decides for the kernel whether a call may enter, may go now, and what its end teaches. A call
that failed and goes again sleeps until its time without a lane and then stands at its old place; a
closed endpoint holds up its own line only.
"""

from __future__ import annotations

from collections import OrderedDict
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from agentrm_plugins import effects as fx
from agentrm_plugins.config_endpoints import EndpointConfig
from agentrm_plugins.kernel.endpoint import Endpoint, Need
from agentrm_plugins.kernel.ledgers import Ledgers
from agentrm_plugins.kernel.states import State, move
from agentrm_plugins.policy.leases import NEVER

if TYPE_CHECKING:
    from agentrm_plugins import events as ev
    from agentrm_plugins.calls import Usage
    from agentrm_plugins.kernel.endpoint import Change
    from agentrm_plugins.kernel.kernel import Kernel
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.policy.leases import Terms
    from agentrm_plugins.verdicts import LimitReport, Verdict

__all__ = ["Congestion"]

_PLACES = 4096
_UNKNOWN = EndpointConfig()


class Congestion:
    """Endpoints and budgets.

    Args:
        kernel: The kernel that they belong to.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.endpoints: dict[str, Endpoint] = {}
        self.ledgers = Ledgers(kernel)
        self.places: OrderedDict[int, tuple[int, int]] = OrderedDict()

    # -- entering ---------------------------------------------------------------------------

    def enter(self, ticket: Ticket, place_of: int | None) -> tuple[str, str] | None:
        """A call came: know its endpoint, its need, its place. The cause of a refusal, or None."""
        call = ticket.call
        if place_of is not None:
            place = self.places.pop(place_of, None)
            if place is not None:
                ticket.seq, ticket.turn = place
        if call.endpoint is not None:
            endpoint = ticket.endpoint = self._endpoint(call.endpoint)
            ticket.need = endpoint.need(call)
            if endpoint.is_down and endpoint.breaker.time_until(self._kernel.now_s) > 0:
                return "endpoint_unavailable", endpoint.name
            large = endpoint.too_large(ticket.need)
            if large is not None:
                most = endpoint.resources[large].window
                return "too_large", f"{getattr(ticket.need, large):g} {large}, limit {most:g}"
        spent = self.ledgers.enter(ticket)
        return None if spent is None else ("budget", spent)

    def may_start(self, ticket: Ticket) -> bool:
        """Whether a call that nobody precedes may go now."""
        endpoint = ticket.endpoint
        if endpoint is None:
            return True
        kernel = self._kernel
        if kernel.room.anybody_before(ticket):
            return False
        assert ticket.need is not None  # noqa: S101 - every call to an endpoint has one
        return endpoint.blocked_s(ticket.need, kernel.now_s) == 0

    def terms(self, ticket: Ticket, prior: Terms) -> Terms:
        """How long the call may be silent, by its endpoint's own pulse."""
        endpoint = ticket.endpoint
        return prior if endpoint is None else endpoint.pulse.terms(ticket.call, prior)

    def passable(self, ticket: Ticket) -> bool:
        """Whether the call's endpoint lets it go; if it will by itself, look again then."""
        endpoint, kernel = ticket.endpoint, self._kernel
        if endpoint is None:
            return True
        assert ticket.need is not None  # noqa: S101 - every call to an endpoint has one
        wait_s = endpoint.blocked_s(ticket.need, kernel.now_s)
        if 0 < wait_s < NEVER:
            look_s = min(kernel.now_s + wait_s, endpoint.next_look_s())
            kernel.room.look_s = min(kernel.room.look_s, look_s)
        return wait_s == 0

    # -- going and ending -------------------------------------------------------------------

    def go(self, ticket: Ticket) -> None:
        """The call got its lane: take what it needs."""
        endpoint, now_s = ticket.endpoint, self._kernel.now_s
        ticket.attempts += 1
        if endpoint is None:
            return
        assert ticket.need is not None  # noqa: S101 - every call to an endpoint has one
        endpoint.running[ticket.number] = ticket
        if endpoint.go(ticket.number, ticket.need, now_s):
            self._breaker_changed(endpoint, ticket)

    def beat(self, ticket: Ticket) -> None:
        """The call made progress."""
        endpoint, now_s = ticket.endpoint, self._kernel.now_s
        if endpoint is None:
            return
        pulse = endpoint.pulse
        name = "gap" if ticket.beats > 1 else "first"
        getattr(pulse, name).add(now_s - ticket.progress_s)
        pulse.answered()
        self._look_again(endpoint, name)

    def ended(
        self,
        ticket: Ticket,
        usage: Usage | None,
        verdict: Verdict | None,
        report: LimitReport | None,
    ) -> None:
        """The call ended, well (no verdict) or not."""
        self.ledgers.settle(ticket, usage)
        endpoint, now_s = ticket.endpoint, self._kernel.now_s
        if endpoint is None or endpoint.running.pop(ticket.number, None) is None:
            return
        need = ticket.need
        assert need is not None  # noqa: S101 - every call to an endpoint has one
        if verdict is not None and verdict.retryable:
            self._failed(endpoint, ticket, verdict, report)
        else:
            endpoint.answered(need, usage, ticket.call.agent, now_s)
            price = self.ledgers.price(endpoint.name)
            if price is not None and usage is not None:
                cached = usage.cached_input_tokens
                endpoint.cost += price.cost(usage.input_tokens, usage.output_tokens, cached)
            if verdict is None and not ticket.beats:
                endpoint.pulse.response.add(now_s - ticket.granted_s)
                endpoint.pulse.answered()
                self._look_again(endpoint, "response")
        if report is not None:
            self._learn(endpoint, report, ticket)
        if endpoint.judge(ticket.number, verdict, now_s):
            self._breaker_changed(endpoint, ticket)

    def given_up(self, ticket: Ticket, usage: Usage | None) -> None:
        """The call was cancelled: what came out of it was used."""
        self.ledgers.settle(ticket, usage)
        endpoint, need = ticket.endpoint, ticket.need
        if endpoint is None or endpoint.running.pop(ticket.number, None) is None:
            return
        assert need is not None  # noqa: S101 - every call to an endpoint has one
        endpoint.dropped(need, None, self._kernel.now_s)
        if endpoint.breaker.ended(ticket.number, failed=None, now_s=self._kernel.now_s):
            self._breaker_changed(endpoint, ticket)

    def reaped(self, ticket: Ticket) -> None:
        """The call hung: its endpoint failed it; if it goes again, then at its old place."""
        self.places[ticket.number] = ticket.seq, ticket.turn
        if len(self.places) > _PLACES:
            self.places.popitem(last=False)
        self.ledgers.settle(ticket, None)
        endpoint, need = ticket.endpoint, ticket.need
        if endpoint is None or endpoint.running.pop(ticket.number, None) is None:
            return
        assert need is not None  # noqa: S101 - every call to an endpoint has one
        endpoint.pulse.reaped()
        endpoint.failures += 1
        endpoint.dropped(need, None, self._kernel.now_s)
        if endpoint.breaker.ended(ticket.number, failed=True, now_s=self._kernel.now_s):
            self._breaker_changed(endpoint, ticket)

    # -- going again ------------------------------------------------------------------------

    def requeue(self, event: ev.Requeue) -> None:
        """A running call failed and goes again: back to the queue, at its own place."""
        kernel, now_s = self._kernel, self._kernel.now_s
        ticket = kernel.tickets.get(event.ticket)
        if ticket is None or ticket.state is not State.RUNNING:
            return
        held_s = now_s - ticket.granted_s
        kernel.vacate(ticket)
        move(ticket, State.QUEUED)
        kernel.nesting.requeued(ticket)
        endpoint = ticket.endpoint
        if endpoint is not None:
            endpoint.requeues += 1
        # Its budget stays reserved: the call is not over.
        self._attempt_failed(ticket, event.verdict, event.report)
        ticket.beats = ticket.beaten_tokens = 0
        ticket.queued_s = now_s
        number, agent = ticket.number, ticket.call.agent
        until_s = now_s + event.wait_s
        kernel.emit(fx.Requeued(now_s, number, agent, event.verdict.kind.value, held_s, until_s))
        if kernel.closed:
            kernel.refuse(ticket, "closed")
        elif endpoint is not None and endpoint.is_down:
            kernel.refuse(ticket, "endpoint_unavailable", endpoint.name)
        elif event.wait_s > 0:
            kernel.room.sleep(ticket)
            kernel.alarms.set(ticket, until_s)
        else:
            kernel.room.put_at_place(ticket, now_s)
        kernel.dispatch()

    def observe(self, event: ev.Observe) -> None:
        """A response was seen, of a managed call or of any other."""
        endpoint = self._endpoint(event.endpoint)
        now_s = self._kernel.now_s
        if event.verdict is not None and event.verdict.retryable:
            sent_s = now_s if event.sent_s is None else event.sent_s
            need = Need(1.0, 0.0, 0.0, 0.0)
            closed_s = endpoint.gate.closed_until_s
            changes = endpoint.failed(
                need, event.verdict, event.report, sent_s, now_s, in_flight=False
            )
            self._tell(endpoint, None, changes, closed_s)
        self._learn(endpoint, event.report, None)
        self._kernel.dispatch()

    # -- helpers ----------------------------------------------------------------------------

    def _endpoint(self, name: str) -> Endpoint:
        endpoint = self.endpoints.get(name)
        if endpoint is None:
            config, plain = self._kernel.config, name.partition("#")[0]
            fits = (
                given
                for pattern, given in config.endpoints.items()
                if fnmatchcase(plain, pattern) or fnmatchcase(name, pattern)
            )
            given = next(fits, _UNKNOWN)
            endpoint = Endpoint(name, given, config.breaker, self._kernel.now_s)
            self.endpoints[name] = endpoint
        return endpoint

    def _attempt_failed(self, ticket: Ticket, verdict: Verdict, report: LimitReport | None) -> None:
        endpoint = ticket.endpoint
        if endpoint is None or endpoint.running.pop(ticket.number, None) is None:
            return
        self._failed(endpoint, ticket, verdict, report)
        if report is not None:
            self._learn(endpoint, report, ticket)
        if endpoint.judge(ticket.number, verdict, self._kernel.now_s):
            self._breaker_changed(endpoint, ticket)

    def _failed(
        self, endpoint: Endpoint, ticket: Ticket, verdict: Verdict, report: LimitReport | None
    ) -> None:
        need, now_s = ticket.need, self._kernel.now_s
        assert need is not None  # noqa: S101 - every call to an endpoint has one
        closed_s = endpoint.gate.closed_until_s
        changes = endpoint.failed(need, verdict, report, ticket.granted_s, now_s)
        self._tell(endpoint, ticket, changes, closed_s)

    def _learn(self, endpoint: Endpoint, report: LimitReport, ticket: Ticket | None) -> None:
        others = [other.need for other in endpoint.running.values() if other is not ticket]
        outstanding = Need(*(sum(parts) for parts in zip(*others, strict=True))) if others else _NO
        closed_s = endpoint.gate.closed_until_s
        changes = endpoint.observe(report, outstanding, self._kernel.now_s)
        self._tell(endpoint, ticket, changes, closed_s)

    def _tell(
        self, endpoint: Endpoint, ticket: Ticket | None, changes: list[Change], closed_s: float
    ) -> None:
        kernel = self._kernel
        number = ticket.number if ticket is not None else 0
        agent = ticket.call.agent if ticket is not None else ""
        for name, cause in changes:
            rate = endpoint.resources[name].controller
            kernel.emit(
                fx.LimitChanged(
                    kernel.now_s,
                    number,
                    agent,
                    cause,
                    endpoint.name,
                    name,
                    rate.rate_per_s,
                    rate.limit_per_s,
                    rate.source.value,
                )
            )
        until_s = endpoint.gate.closed_until_s
        if until_s > closed_s:
            cause = "retry_after"
            kernel.emit(
                fx.EndpointClosed(kernel.now_s, number, agent, cause, endpoint.name, until_s)
            )

    def _breaker_changed(self, endpoint: Endpoint, ticket: Ticket) -> None:
        kernel = self._kernel
        state = endpoint.breaker.state.value
        number, agent = ticket.number, ticket.call.agent
        kernel.emit(fx.BreakerChanged(kernel.now_s, number, agent, state, endpoint.name))
        if endpoint.is_down:
            for other in list(kernel.tickets.values()):
                waits = other.bid is not None or other.number in kernel.room.asleep
                if other.endpoint is endpoint and waits:
                    kernel.room.remove(other, kernel.now_s)
                    kernel.refuse(other, "endpoint_unavailable", endpoint.name)

    def _look_again(self, endpoint: Endpoint, name: str) -> None:
        """The pulse is known better: whoever runs in silence may not do so for longer than that."""
        if endpoint.pulse.is_news(name):
            for ticket in endpoint.running.values():
                self._kernel.clocks.rearm(ticket)


_NO = Need(0.0, 0.0, 0.0, 0.0)
