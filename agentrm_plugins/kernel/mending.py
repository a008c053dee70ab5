"""After a bug: a step failed in its middle, and its call is taken out of all books.

Nothing is assumed of how far the step came: what can be counted is counted anew from the tickets
that are left, so one failure costs one call and no lane, no place, no reservation.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from agentrm_plugins.kernel.ticket import State
from agentrm_plugins.policy.leases import NEVER
from agentrm_plugins.types import effects as fx

if TYPE_CHECKING:
    from agentrm_plugins.kernel.agents import Agents
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.clocks import Clocks
    from agentrm_plugins.kernel.endpoints import Endpoints
    from agentrm_plugins.kernel.late_calls import LateCalls
    from agentrm_plugins.kernel.nested_calls import NestedCalls
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.kernel.wait_queue import WaitQueue

__all__ = ["Mending"]


class Mending:
    """Takes a call out of the books.

    Args:
        books: The kernel's books.
        clocks: Times running calls.
        agents: Who has called.
        endpoints: Where calls go.
        queue: Who waits.
        nested: Calls within calls.
        late: Late calls.
    """

    def __init__(
        self,
        books: Books,
        clocks: Clocks,
        agents: Agents,
        endpoints: Endpoints,
        queue: WaitQueue,
        nested: NestedCalls,
        late: LateCalls,
    ) -> None:
        self._books = books
        self._clocks = clocks
        self._agents = agents
        self._endpoints = endpoints
        self._queue = queue
        self._nested = nested
        self._late = late

    def give_up(self, number: int, error: Exception) -> None:
        """The call of that number is over, whatever state it is in."""
        books = self._books
        ticket = books.tickets.pop(number, None)
        if ticket is not None:
            for step in (self._unqueue, self._unseat, self._leave, self._untie):
                with suppress(Exception):  # what is broken here already was what failed
                    step(ticket)
            ticket.state = State.GONE
            ticket.held_by = ""
            self._recount(ticket)
            call, what = ticket.call, type(error).__name__
            where = call.tenant, call.group, call.endpoint
            books.out.append(
                fx.Refused(books.now_s, number, call.agent, "failed", 0.0, what, *where)
            )
        self._conserve()

    def _unqueue(self, ticket: Ticket) -> None:
        if ticket.number in self._queue.asleep or ticket.bid is not None:
            self._queue.remove(ticket, self._books.now_s)

    def _unseat(self, ticket: Ticket) -> None:
        pool = self._books.pool
        self._books.alarms.clear(ticket)
        if ticket.lent:
            ticket.lent = False
            pool.lend(ticket.group, -1)
        if ticket.rides:
            ticket.rides = False
            pool.riders -= 1
        seat, ticket.seat = ticket.seat, None
        if seat is not None:
            if ticket.started_s < NEVER:
                ticket.started_s = NEVER
                seat.pause()
            if pool.leave(seat):
                self._queue.unseated(seat.account, seat.group, self._books.now_s)

    def _leave(self, ticket: Ticket) -> None:
        endpoint = ticket.endpoint
        if endpoint is not None:
            endpoint.in_flight.pop(ticket.number, None)
            endpoint.hedging.ended(ticket.number)
            others = self._books.tickets.values()
            endpoint.calls = 1 + sum(other.endpoint is endpoint for other in others)
            self._endpoints.leave(endpoint)
        with suppress(Exception):
            self._books.ledgers.settle(ticket, None, self._books.now_s)

    def _untie(self, ticket: Ticket) -> None:
        self._late.stopped(ticket)
        self._books.hedges.pop(ticket.number, None)
        if ticket.first is not None and ticket.first.hedge is ticket:
            ticket.first.hedge = None
        if ticket.hedge is not None:
            ticket.hedge.first = None
        if ticket.parent is not None or ticket.kids is not None:
            self._nested.detach(ticket)

    def _recount(self, ticket: Ticket) -> None:
        """The agent's tallies, from its other calls."""
        account, asleep = ticket.account, self._queue.asleep
        own = [one for one in self._books.tickets.values() if one.account is account]
        before = account.waiting
        account.waiting = sum(one.bid is not None or one.number in asleep for one in own)
        account.tenant.waiting += account.waiting - before
        at_work = [one.started_s for one in own if one.started_s < NEVER]
        account.running, account.since_sum_s = len(at_work), sum(at_work)
        with suppress(Exception):  # it may have been told of service, and not have moved for it
            if self._books.scheduler.charged(account, self._books.now_s):
                self._queue.recharged(account, self._books.now_s)
        account.tickets = len(own) + 1
        self._agents.leave(account, self._books.now_s)

    def _conserve(self) -> None:
        """The totals, from all calls that are left."""
        books, queue, counters = self._books, self._queue, self._books.counters
        tickets = books.tickets.values()
        counters.running = sum(one.state is State.RUNNING for one in tickets)
        books.zombies = sum(one.state is State.ZOMBIE for one in tickets)
        books.gauges.recount(tickets, books.accounts.values())
        for group in queue.waiting:
            queue.waiting[group] = 0
        for one in tickets:
            if one.bid is not None or one.number in queue.asleep:
                queue.waiting[one.group] += 1
        queue.count = sum(queue.waiting.values())
        ended = counters.settled + sum(counters.refused.values()) + counters.lost
        counters.refused["failed"] += counters.submitted - ended - len(books.tickets)
