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
from agentrm_plugins.kernel.ledgers import Ledgers
from agentrm_plugins.kernel.site import Site
from agentrm_plugins.kernel.states import State, move
from agentrm_plugins.policy.leases import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentrm_plugins import events as ev
    from agentrm_plugins.calls import Usage
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
        self.sites: dict[str, Site] = {}
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
            site = ticket.site = self.site(call.endpoint)
            ticket.need = site.need(call)
            if site.is_down(self._kernel.now_s):
                return "endpoint_unavailable", site.name
            large = site.too_large(ticket.need)
            if large is not None:
                return "too_large", large
        spent = self.ledgers.enter(ticket)
        return None if spent is None else ("budget", spent)

    def may_start(self, ticket: Ticket) -> bool:
        """Whether a call that nobody precedes may go now."""
        site, kernel = ticket.site, self._kernel
        if site is None:
            return True
        if kernel.room.anybody_before(ticket):
            return False
        return site.blocked_s(ticket.need, kernel.now_s) == 0

    def passable(self, ticket: Ticket) -> bool:
        """Whether the call's endpoint lets it go; if it will by itself, look again then."""
        site, kernel = ticket.site, self._kernel
        if site is None:
            return True
        wait_s = site.blocked_s(ticket.need, kernel.now_s)
        if 0 < wait_s < NEVER:
            kernel.room.look_at(site, kernel.now_s + wait_s)
        return wait_s == 0

    def terms(self, ticket: Ticket, prior: Terms) -> Terms:
        """How long the call may be silent, by its endpoint's own pulse."""
        site = ticket.site
        return prior if site is None else site.pulse.terms(ticket.call, prior)

    # -- going and ending -------------------------------------------------------------------

    def go(self, ticket: Ticket) -> None:
        """The call got its lane: take what it needs."""
        ticket.attempts += 1
        site = ticket.site
        if site is None:
            return
        before = site.breaker
        site.go(ticket, ticket.need, self._kernel.now_s)
        self._tell(site, ticket, NEVER, before)

    def beat(self, ticket: Ticket) -> None:
        """The call made progress."""
        site, now_s = ticket.site, self._kernel.now_s
        if site is None:
            return
        name = "gap" if ticket.beats > 1 else "first"
        getattr(site.pulse, name).add(now_s - ticket.progress_s)
        self._look_again(site, name)

    def ended(
        self,
        ticket: Ticket,
        usage: Usage | None,
        verdict: Verdict | None,
        report: LimitReport | None,
    ) -> None:
        """The call ended, well (no verdict) or not."""
        self.ledgers.settle(ticket, usage)
        for site in self._leaving(ticket):
            now_s, number = self._kernel.now_s, ticket.number
            if verdict is None:
                site.answered(number, usage, ticket.call.agent, now_s)
                self._well(site, ticket, usage)
            elif verdict.retryable:
                site.failed(number, verdict, report, now_s)
            else:
                site.given_up(number, usage, now_s)
            if report is not None:
                site.reported(report, now_s)

    def given_up(self, ticket: Ticket, usage: Usage | None) -> None:
        """The call was cancelled: what came out of it was used."""
        self.ledgers.settle(ticket, usage)
        for site in self._leaving(ticket):
            site.given_up(ticket.number, usage, self._kernel.now_s)

    def reaped(self, ticket: Ticket) -> None:
        """The call hung: its endpoint failed it; if it goes again, then at its old place."""
        self.places[ticket.number] = ticket.seq, ticket.turn
        if len(self.places) > _PLACES:
            self.places.popitem(last=False)
        self.ledgers.settle(ticket, None)
        for site in self._leaving(ticket):
            site.reaped(ticket.number, self._kernel.now_s)

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
        for site in self._leaving(ticket):  # Its budget stays reserved: the call is not over.
            site.requeues += 1
            site.failed(ticket.number, event.verdict, event.report, now_s)
            if event.report is not None:
                site.reported(event.report, now_s)
        ticket.beats = ticket.beaten_tokens = 0
        ticket.queued_s = now_s
        number, agent = ticket.number, ticket.call.agent
        until_s = now_s + event.wait_s
        kernel.emit(fx.Requeued(now_s, number, agent, event.verdict.kind.value, held_s, until_s))
        if kernel.closed:
            kernel.refuse(ticket, "closed")
        elif ticket.site is not None and ticket.site.is_down(now_s):
            kernel.refuse(ticket, "endpoint_unavailable", ticket.site.name)
        elif event.wait_s > 0:
            kernel.room.sleep(ticket)
            kernel.alarms.set(ticket, until_s)
        else:
            kernel.room.put_at_place(ticket, now_s)
        kernel.dispatch()

    def observe(self, event: ev.Observe) -> None:
        """A response was seen, of a managed call or of any other."""
        site, now_s = self.site(event.endpoint), self._kernel.now_s
        closed_s, before = site.closed_until_s, site.breaker
        if event.verdict is not None and event.verdict.retryable:
            site.foreign(event.verdict, event.report, now_s)
        site.reported(event.report, now_s)
        self._tell(site, None, closed_s, before)
        self._kernel.dispatch()

    # -- helpers ----------------------------------------------------------------------------

    def site(self, name: str) -> Site:
        """The endpoint of that name, new or known."""
        site = self.sites.get(name)
        if site is None:
            config, plain = self._kernel.config, name.partition("#")[0]
            fits = (
                given
                for pattern, given in config.endpoints.items()
                if fnmatchcase(plain, pattern) or fnmatchcase(name, pattern)
            )
            site = Site(name, next(fits, _UNKNOWN), config.breaker, self._kernel.now_s)
            self.sites[name] = site
        return site

    def _leaving(self, ticket: Ticket) -> Iterator[Site]:
        """The site that the call was at, while it is told how that ended; none if at none."""
        site = ticket.site
        if site is None or site.running.pop(ticket.number, None) is None:
            return
        closed_s, before = site.closed_until_s, site.breaker
        yield site
        self._tell(site, ticket, closed_s, before)

    def _well(self, site: Site, ticket: Ticket, usage: Usage | None) -> None:
        site.pulse.answered()
        if not ticket.beats:
            site.pulse.response.add(self._kernel.now_s - ticket.granted_s)
            self._look_again(site, "response")
        price = self.ledgers.price(site.name)
        if price is not None and usage is not None:
            site.cost += price.cost(
                usage.input_tokens, usage.output_tokens, usage.cached_input_tokens
            )

    def tell_growth(self, site: Site) -> None:
        """Tell of rates that grew by themselves."""
        if site.changes:
            self._tell(site, None, NEVER, site.breaker)

    def _tell(self, site: Site, ticket: Ticket | None, closed_s: float, before: object) -> None:
        kernel = self._kernel
        number = ticket.number if ticket is not None else 0
        agent = ticket.call.agent if ticket is not None else ""
        changes, site.changes = site.changes, []
        for name, cause in changes:
            rate = site.endpoint.meters[name].controller
            kernel.emit(
                fx.LimitChanged(
                    kernel.now_s,
                    number,
                    agent,
                    cause,
                    site.name,
                    name,
                    rate.rate_per_s,
                    rate.limit_per_s,
                    rate.source.value,
                )
            )
        until_s = site.closed_until_s
        if until_s > max(closed_s, kernel.now_s):
            kernel.emit(
                fx.EndpointClosed(kernel.now_s, number, agent, "retry_after", site.name, until_s)
            )
        if site.breaker is not before:
            state = site.breaker.value
            kernel.emit(fx.BreakerChanged(kernel.now_s, number, agent, state, site.name))
            if site.is_down(kernel.now_s):
                self._turn_away(site)

    def _turn_away(self, site: Site) -> None:
        """The breaker opened: whoever waits for the endpoint is told so."""
        kernel = self._kernel
        for ticket in list(kernel.tickets.values()):
            waits = ticket.bid is not None or ticket.number in kernel.room.asleep
            if ticket.site is site and waits:
                kernel.room.remove(ticket, kernel.now_s)
                kernel.refuse(ticket, "endpoint_unavailable", site.name)

    def _look_again(self, site: Site, name: str) -> None:
        """The pulse is known better: whoever is silent now may not be so for longer than that."""
        if site.pulse.is_news(name):
            for ticket in site.running.values():
                self._kernel.clocks.rearm(ticket)
