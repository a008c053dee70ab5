"""The endpoints that the kernel knows, by name: whom a call goes to, and what its end teaches.

An endpoint is known from the first call or answer on. One without any call for `agent_idle_s` is
forgotten. A closed endpoint holds up its own queue only.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from math import inf
from typing import TYPE_CHECKING, TypeVar

from agentrm_plugins.config.endpoints import EndpointConfig
from agentrm_plugins.policy.endpoint.breaker import BreakerState
from agentrm_plugins.policy.endpoint.endpoint import Endpoint
from agentrm_plugins.policy.endpoint.long_waits import LONG_S
from agentrm_plugins.policy.endpoint.meters import too_long
from agentrm_plugins.policy.endpoint.shared_endpoint import SharedEndpoint
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types.verdicts import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.config import Config
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.clocks import Clocks
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.types import events as ev
    from agentrm_plugins.types.calls import Usage
    from agentrm_plugins.types.verdicts import LimitReport, Verdict

__all__ = ["Endpoints", "configured", "fitting"]

_UNKNOWN = EndpointConfig()
T = TypeVar("T")


class Endpoints:
    """The registry.

    Args:
        books: The kernel's books.
        clocks: Told when an endpoint is known better.
    """

    def __init__(self, books: Books, clocks: Clocks) -> None:
        self._books = books
        self._clocks = clocks
        self.known = books.endpoints
        self.idle: dict[str, None] = {}

    # -- entering and leaving -----------------------------------------------------------------

    def enter(self, ticket: Ticket, name: str) -> tuple[str, str] | None:
        """A call to an endpoint came: what it needs. The cause of a refusal, or None."""
        endpoint = ticket.endpoint = self.known.get(name) or self.of(name)
        if not endpoint.calls:
            self.idle.pop(name, None)
        endpoint.calls += 1
        if endpoint.news:
            self.tell(endpoint, ticket)
        ticket.need = endpoint.need(ticket.call)
        return self.impossible(ticket, endpoint)

    def leave(self, endpoint: Endpoint) -> None:
        """One of its calls is over."""
        endpoint.calls -= 1
        if not endpoint.calls:  # it was taken out when it was called, and is the newest now
            endpoint.idle_since_s = self._books.now_s
            self.idle[endpoint.name] = None

    def impossible(self, ticket: Ticket, endpoint: Endpoint) -> tuple[str, str] | None:
        """Why the call is refused at once, if its endpoint is dead or too small for it."""
        if endpoint.breaker.state is BreakerState.OPEN and endpoint.is_down(self._books.now_s):
            down = self._down(ticket, endpoint)
            if down is not None:
                return "endpoint_unavailable", down
        if endpoint.retry_after.ever:
            patience_s, since_s = self._patience_s(ticket), ticket.queued_s
            closed = endpoint.retry_after.too_long(patience_s, since_s, self._books.now_s)
            if closed is not None:
                return "endpoint_closed", f"{endpoint.name} {closed}"
        for meter in endpoint.meters.values():
            if meter.window_s > LONG_S:
                held = self._held(ticket, endpoint)
                if held is not None:
                    return "endpoint_closed", f"{endpoint.name} {held}"
                break
        resource = endpoint.too_large(ticket.need, self._books.now_s)
        if resource is None:
            return None
        most = endpoint.meters[resource].most
        return "too_large", f"needs {ticket.need[resource]:g} {resource}, the limit is {most:g}"

    def _held(self, ticket: Ticket, endpoint: Endpoint) -> str | None:
        """Why a call does not wait for a limit in a long window; None if it does."""
        patience_s, now_s = self._patience_s(ticket), self._books.now_s
        return too_long(endpoint.meters, ticket.need, patience_s, ticket.queued_s, now_s)

    def _down(self, ticket: Ticket, endpoint: Endpoint) -> str | None:
        """Why a call does not wait for the next probe of an endpoint that fails; None if it does.

        One that was never heard of may be loading still, and one without room soon have some: the
        calls of the former, and those that came before it was found to be full, wait as they like.
        """
        if endpoint.heard and not endpoint.breaker.keeps(ticket.submitted_s):
            return endpoint.name
        patience_s, now_s = self._patience_s(ticket), self._books.now_s
        if now_s - ticket.queued_s + endpoint.breaker.time_until(now_s) <= patience_s:
            return None
        why = "has no room" if endpoint.heard else "has not answered yet"
        return f"{endpoint.name} {why}; patience: {patience_s:g} s"

    def _patience_s(self, ticket: Ticket) -> float:
        """For how long the call would wait for an endpoint that is closed."""
        config, own = self._books.config, ticket.call.wait_timeout_s
        if own is None:
            own = config.wait_timeout_s
        if own is not None:
            return max(0.0, own - ticket.waited_s)
        return inf if config.endpoint_wait_timeout_s is None else config.endpoint_wait_timeout_s

    # -- going and ending -----------------------------------------------------------------------

    def go(self, ticket: Ticket, endpoint: Endpoint) -> None:
        """The call got its lane: take what it needs."""
        endpoint.sent(ticket.number, ticket.need, self._books.now_s)
        if ticket.first is not None:
            ticket.first.hedges += 1
            endpoint.hedging.tally.sent += 1
            call = ticket.call
            where = call.tenant, call.group, call.endpoint
            what = ticket.number, call.agent, "late", ticket.first.number
            self._books.out.append(fx.Hedged(self._books.now_s, *what, *where))
            endpoint.hedging.sent(ticket.number, ticket.expected_tokens, self._books.now_s)
        if endpoint.news:
            self.tell(endpoint, ticket)
        for meter in endpoint.meters.values():
            if meter.long.since_s < inf:  # others may have to wait for too long
                self._books.failing.append(endpoint)
                break

    def beat(self, ticket: Ticket, endpoint: Endpoint) -> None:
        """The call made progress."""
        endpoint.heard = True
        silent_s = self._books.now_s - ticket.progress_s
        if endpoint.times.add(ticket.call, silent_s, beats=ticket.beats):
            self._clocks.reconsider(endpoint)  # others may be late before they would have been

    def ended(
        self, ticket: Ticket, endpoint: Endpoint, usage: Usage | None, event: ev.Settle | None
    ) -> None:
        """The call ended; without the event of its end nobody knows how."""
        now_s, number = self._books.now_s, ticket.number
        if number not in endpoint.in_flight:  # it was reaped: that has been told
            return
        verdict = None if event is None else event.verdict
        if verdict is not None and verdict.retryable:
            endpoint.failed(number, verdict, None if event is None else event.report, now_s)
        elif verdict is None and event is not None:
            endpoint.answered(number, usage, ticket.call.agent, now_s)
            silent_s = now_s - ticket.granted_s
            if not ticket.beats and endpoint.times.add(ticket.call, silent_s, beats=0):
                self._clocks.reconsider(endpoint)
        else:
            endpoint.heard = endpoint.heard or verdict is not None
            endpoint.given_up(number, usage, now_s)
        if event is not None and event.report is not None:
            endpoint.reported(event.report, now_s, ticket.granted_s)
        if endpoint.news:
            self.tell(endpoint, ticket)
        for meter in endpoint.meters.values():
            if meter.long.since_s < inf:  # others may have to wait for too long
                self._books.failing.append(endpoint)
                break

    def ended_alone(self, endpoint: Endpoint, cost: Usage) -> None:
        """A call went well, and never had another attempt beside it."""
        hedging, tokens = endpoint.hedging, cost.input_tokens + cost.output_tokens
        if tokens:
            hedging.billed(tokens, self._books.now_s)
        hedging.answered()
        if endpoint.times.expect(hedging.hung):
            self._clocks.reconsider(endpoint)

    def failed(self, ticket: Ticket, verdict: Verdict, report: LimitReport | None) -> None:
        """The call met an error that may be cured, and goes again."""
        endpoint, now_s = ticket.endpoint, self._books.now_s
        if endpoint is None:
            return
        endpoint.requeues += 1
        endpoint.failed(ticket.number, verdict, report, now_s)
        if report is not None:
            endpoint.reported(report, now_s, ticket.granted_s)
        self.tell(endpoint, ticket)

    def unsent(self, ticket: Ticket) -> None:
        """The call was let go and not sent."""
        endpoint = ticket.endpoint
        if endpoint is not None:
            nothing = dict.fromkeys(endpoint.meters, 0.0)
            endpoint.ended(ticket.number, nothing, self._books.now_s, failed=None)
            self.tell(endpoint, ticket)

    def reaped(self, ticket: Ticket, *, failed: bool) -> None:
        """The call is ended: its endpoint `failed` it, or it gave way to another attempt."""
        endpoint = ticket.endpoint
        if endpoint is None:
            return
        if failed:
            endpoint.reaped(ticket.number, self._books.now_s)
        else:
            endpoint.given_up(ticket.number, None, self._books.now_s)
        self.tell(endpoint, ticket)

    def observe(self, event: ev.Observe) -> None:
        """A response was seen, of a managed call or of any other."""
        endpoint, now_s = self.of(event.endpoint), self._books.now_s
        if event.verdict is not None and event.verdict.retryable:
            endpoint.foreign(event.verdict, event.report, event.sent_s, now_s)
        endpoint.reported(event.report, now_s, event.sent_s)
        self.tell(endpoint)
        if not endpoint.calls:
            self._idle(endpoint)

    def advance(self, endpoint: Endpoint) -> None:
        """Time has passed at this endpoint."""
        endpoint.advance(self._books.now_s)
        if endpoint.news:
            self.tell(endpoint)

    # -- the registry ----------------------------------------------------------------------------

    def of(self, name: str) -> Endpoint:
        """The endpoint of that name, new or known."""
        endpoint = self.known.get(name)
        if endpoint is None:
            self._forget()
            kind = SharedEndpoint if self._books.pool.supplied else Endpoint
            endpoint = configured(self._books.config, name, self._books.now_s, kind)
            self.known[name] = endpoint
        return endpoint

    def tell(self, endpoint: Endpoint, ticket: Ticket | None = None) -> None:
        """Tell everybody what has changed, and who brought it about."""
        now_s, out = self._books.now_s, self._books.out
        number, agent = (0, "") if ticket is None else (ticket.number, ticket.call.agent)
        if ticket is not None and endpoint.doubt.meant:
            self._books.failing.append(endpoint)  # Who waits may be too large now.
        news, endpoint.news = endpoint.news, []
        for what, cause in news:
            head = now_s, number, agent, cause, endpoint.name
            if what in RESOURCES:
                rate = endpoint.meters[what].controller
                source, limit_per_s = rate.known
                known = rate.rate_per_s, limit_per_s, source.value
                out.append(fx.LimitChanged(*head, what, *known))
            elif what == "closed":
                out.append(fx.EndpointClosed(*head, endpoint.retry_after.closed_until_s))
                self._books.failing.append(endpoint)
            else:
                out.append(fx.BreakerChanged(*head))
                if endpoint.is_down(now_s):
                    self._books.failing.append(endpoint)

    def note_idle(self, endpoint: Endpoint) -> None:
        """An endpoint that nobody calls was heard of."""
        self._idle(endpoint)

    def _idle(self, endpoint: Endpoint) -> None:
        endpoint.idle_since_s = self._books.now_s
        self.idle.pop(endpoint.name, None)
        self.idle[endpoint.name] = None

    def _forget(self) -> None:
        """Forget endpoints that nobody has called for long; looked at when a new one comes."""
        oldest_s = self._books.now_s - self._books.config.agent_idle_s
        while self.idle:
            name = next(iter(self.idle))
            if self.known[name].idle_since_s > oldest_s:
                return
            del self.idle[name]
            self._books.counters.hedges.join(self.known.pop(name).hedging.tally)


def configured(
    config: Config, name: str, now_s: float, kind: type[Endpoint] = Endpoint
) -> Endpoint:
    """A new endpoint of that name, as the configuration has it."""
    return kind(
        name,
        fitting(config.endpoints, name) or _UNKNOWN,
        now_s,
        breaker=config.breaker,
        first=config.lanes,
        price=fitting(config.prices, name),
    )


def fitting(given: Mapping[str, T], name: str) -> T | None:
    """What is given for the first shell pattern that fits the name, with its key or without."""
    plain = name.partition("#")[0]
    for pattern, value in given.items():
        if fnmatchcase(plain, pattern) or fnmatchcase(name, pattern):
            return value
    return None
