"""Congestion control inside the kernel: endpoints, budgets, calls that go again.

It decides for the kernel whether a call may enter, may go now, and what its end teaches. A call
that failed and goes again sleeps until its time without a lane and then stands at its old place; a
closed endpoint holds up its own line only.
"""

from __future__ import annotations

from collections import OrderedDict
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from agentrm_plugins.config.endpoints import EndpointConfig
from agentrm_plugins.kernel.ledgers import Ledgers
from agentrm_plugins.kernel.site import Site
from agentrm_plugins.kernel.states import State, move
from agentrm_plugins.policy.leases import NEVER
from agentrm_plugins.types import effects as fx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentrm_plugins.kernel.kernel import Kernel
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.policy.endpoint.breaker import BreakerState
    from agentrm_plugins.policy.leases import Terms
    from agentrm_plugins.types import events as ev
    from agentrm_plugins.types.calls import Usage
    from agentrm_plugins.types.verdicts import LimitReport, Verdict

__all__ = ["Congestion"]

_PLACES = 4096
_LATER_S = 1.0  # guessed: nobody plans on less
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
        self.idle: dict[str, None] = {}
        self.news: dict[Site, None] = {}
        self.opened: list[Site] = []

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
            site.tickets += 1
            self.idle.pop(site.name, None)
            ticket.need = site.need(call)
            refusal = self._impossible(ticket, site)
            if refusal is not None:
                return refusal
        spent = self.ledgers.enter(ticket)
        return None if spent is None else ("budget", spent)

    def leave(self, site: Site) -> None:
        """One of its calls is over."""
        site.tickets -= 1
        if not site.tickets:
            self._idle(site)

    def may_start(self, ticket: Ticket) -> bool:
        """Whether a call that has a lane may go now, before anybody who waits."""
        site, kernel = ticket.site, self._kernel
        if site is None:
            return True
        if kernel.room.anybody_before(site):
            return False
        return site.wait(ticket.need, kernel.now_s).seconds == 0

    def passable(self, ticket: Ticket) -> bool:
        """Whether a nested call's endpoint lets it go; if it will by itself, look again then.

        To be asked when nobody else may go (any more).
        """
        site, kernel = ticket.site, self._kernel
        if site is None:
            return True
        wait_s, now_s = site.wait(ticket.need, kernel.now_s).seconds, kernel.now_s
        if 0 < wait_s < NEVER:
            kernel.room.look_at(site, now_s + wait_s, now_s)
        return wait_s == 0 and kernel.room.may_overtake(ticket, site, now_s)

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
        self._tell(site, ticket, before)

    def beat(self, ticket: Ticket) -> None:
        """The call made progress."""
        site, silent_s = ticket.site, self._kernel.now_s - ticket.progress_s
        if site is None:
            return
        if ticket.beats > 1:
            self._pulse(site, ticket, "gap", silent_s)
        else:
            site.pulse.answered()
            name = "first" if ticket.call.streaming else "response"
            self._pulse(site, ticket, name, silent_s)

    def ended(
        self,
        ticket: Ticket,
        usage: Usage | None,
        verdict: Verdict | None,
        report: LimitReport | None,
    ) -> None:
        """The call ended, well (no verdict) or not."""
        self.ledgers.settle(ticket, usage)
        self._cost(ticket, usage)
        for site in self._leaving(ticket):
            now_s, number = self._kernel.now_s, ticket.number
            if verdict is None:
                site.answered(number, usage, ticket.call.agent, now_s)
                if not ticket.beats:
                    self._pulse(site, ticket, "response", now_s - ticket.granted_s)
            elif verdict.retryable:
                site.failed(number, verdict, report, now_s)
            else:
                site.given_up(number, usage, now_s)
            if report is not None:
                site.reported(report, ticket.granted_s, now_s)

    def given_up(self, ticket: Ticket, usage: Usage | None) -> None:
        """The call was cancelled, or nobody knows how it ended: what came out of it was used."""
        self.ledgers.settle(ticket, usage)
        self._cost(ticket, usage)
        for site in self._leaving(ticket):
            site.given_up(ticket.number, usage, self._kernel.now_s)

    def reaped(self, ticket: Ticket) -> None:
        """The call hung: its endpoint failed it; if it goes again, then at its old place."""
        self.places[ticket.number] = ticket.seq, ticket.turn
        if len(self.places) > _PLACES:
            self.places.popitem(last=False)
        self.ledgers.settle(ticket, None, hung=True)
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
        for site in self._leaving(ticket):  # Its budget stays reserved: the call is not over.
            site.requeues += 1
            site.failed(ticket.number, event.verdict, event.report, now_s)
            if event.report is not None:
                site.reported(event.report, ticket.granted_s, now_s)
        kernel.charge(ticket, None)
        ticket.beats = ticket.beaten_tokens = 0
        ticket.overtaken = 0.0
        ticket.queued_s = now_s
        number, agent = ticket.number, ticket.call.agent
        until_s = now_s + event.wait_s
        kernel.emit(fx.Requeued(now_s, number, agent, event.verdict.kind.value, held_s, until_s))
        kernel.nesting.requeued(ticket)
        refusal = None if ticket.site is None else self._impossible(ticket, ticket.site)
        if kernel.closed:
            kernel.refuse(ticket, "closed")
        elif refusal is not None:
            kernel.refuse(ticket, *refusal)
        else:
            kernel.waits.again(ticket, event.wait_s)
        kernel.dispatch()

    def observe(self, event: ev.Observe) -> None:
        """A response was seen, of a managed call or of any other."""
        site, now_s = self.site(event.endpoint), self._kernel.now_s
        before = site.breaker
        if event.verdict is not None and event.verdict.retryable:
            site.foreign(event.verdict, event.report, event.sent_s, now_s)
        site.reported(event.report, event.sent_s, now_s)
        self._tell(site, None, before)
        if not site.tickets:
            self._idle(site)
        self._kernel.dispatch()

    # -- helpers ----------------------------------------------------------------------------

    def site(self, name: str) -> Site:
        """The endpoint of that name, new or known."""
        site = self.sites.get(name)
        if site is None:
            self._forget()
            kernel, plain = self._kernel, name.partition("#")[0]
            fits = (
                given
                for pattern, given in kernel.config.endpoints.items()
                if fnmatchcase(plain, pattern) or fnmatchcase(name, pattern)
            )
            config = next(fits, _UNKNOWN)
            limits, lanes = kernel.config.breaker, kernel.config.lanes
            site = Site(name, config, limits, kernel.now_s, lanes, self.news)
            site.told()
            self.sites[name] = site
        return site

    def _idle(self, site: Site) -> None:
        site.idle_since_s = self._kernel.now_s
        self.idle.pop(site.name, None)
        self.idle[site.name] = None

    def _forget(self) -> None:
        """Forget endpoints that nobody has called for long; looked at when a new one comes."""
        oldest_s = self._kernel.now_s - self._kernel.config.agent_idle_s
        while self.idle:
            name = next(iter(self.idle))
            if self.sites[name].idle_since_s > oldest_s:
                return
            del self.idle[name]
            self.news.pop(self.sites.pop(name), None)

    def _impossible(self, ticket: Ticket, site: Site) -> tuple[str, str] | None:
        """Why the call is refused at once, if its endpoint is dead or too small for it."""
        if site.is_down(self._kernel.now_s):
            return "endpoint_unavailable", site.name
        large = site.too_large(ticket.need)
        return None if large is None else ("too_large", large)

    def _leaving(self, ticket: Ticket) -> Iterator[Site]:
        """The site that the call was at, while it is told how that ended; none if at none."""
        site = ticket.site
        if site is None or site.running.pop(ticket.number, None) is None:
            return
        before = site.breaker
        yield site
        self._tell(site, ticket, before)

    def _cost(self, ticket: Ticket, usage: Usage | None) -> None:
        site = ticket.site
        price = None if site is None or usage is None else self.ledgers.price(site.name)
        if price is not None and site is not None and usage is not None:
            inputs, outputs = usage.input_tokens, usage.output_tokens
            site.cost += price.cost(inputs, outputs, usage.cached_input_tokens)

    def tell_news(self) -> None:
        """Tell of rates that grew by themselves."""
        while self.news:
            site = next(iter(self.news))
            self._tell(site, None, site.breaker)

    def _tell(self, site: Site, ticket: Ticket | None, before: BreakerState) -> None:
        kernel, now_s = self._kernel, self._kernel.now_s
        number, agent = (0, "") if ticket is None else (ticket.number, ticket.call.agent)
        if site.changes:
            self.news.pop(site, None)
            changes, site.changes = site.changes, []
            for name, cause in changes:
                rate = site.endpoint.meters[name].controller
                per_s, limit_per_s, source = rate.rate_per_s, rate.limit_per_s, rate.source.value
                kernel.emit(
                    fx.LimitChanged(
                        *(now_s, number, agent, cause, site.name, name),
                        *(per_s, limit_per_s, source),
                    )
                )
        until_s = site.closed_until_s
        # Each refusal of one storm has its own time: only one that is really later is news.
        if until_s > now_s and until_s > site.told_s + _LATER_S:
            site.told_s = until_s
            kernel.emit(fx.EndpointClosed(now_s, number, agent, "retry_after", site.name, until_s))
        if site.breaker is not before:
            state = site.breaker.value
            kernel.emit(fx.BreakerChanged(now_s, number, agent, state, site.name))
            if site.is_down(now_s):
                self.opened.append(site)

    def turn_away(self) -> None:
        """Breakers have opened: whoever waits for these endpoints is told so."""
        kernel = self._kernel
        while self.opened:
            site = self.opened.pop()
            for ticket in list(kernel.tickets.values()):
                if ticket.site is site and ticket.state is State.QUEUED:
                    kernel.room.remove(ticket, kernel.now_s)
                    kernel.refuse(ticket, "endpoint_unavailable", site.name)

    def _pulse(self, site: Site, ticket: Ticket, name: str, silent_s: float) -> None:
        """The pulse is known better: whoever is silent now may not be so for longer than that."""
        if site.pulse.add(name, silent_s, ticket.call):
            for other in site.running.values():
                self._kernel.clocks.rearm(other)
