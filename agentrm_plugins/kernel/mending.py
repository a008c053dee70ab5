"""After a step that failed, or was cut in its middle: what can be counted is counted anew.

A bug costs one call, which is given up. An exception that comes from outside (Ctrl-C, an alarm's
handler) cuts a step anywhere, and costs nobody anything: each call stays in the state that it is
in. Either way nothing else is believed: seats, queues, alarms, families of calls and all tallies
are made again from the tickets, so no lane, no place and no reservation is lost.

Limits: what is only added up (tokens charged, service, a rate's bucket) may miss the very line that
was cut, or count it twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
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
    from agentrm_plugins.kernel.waits import Waits
    from agentrm_plugins.policy.lanes import Seat

__all__ = ["Mending"]

_OVER = {State.DONE, State.GONE}


class Mending:
    """Makes the books whole.

    Args:
        books: The kernel's books.
        clocks: Times running calls.
        agents: Who has called.
        endpoints: Where calls go.
        queue: Who waits.
        nested: Calls within calls.
        late: Late calls.
        waits: For how long anybody waits.
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
        waits: Waits,
    ) -> None:
        self._books = books
        self._clocks = clocks
        self._agents = agents
        self._endpoints = endpoints
        self._queue = queue
        self._nested = nested
        self._late = late
        self._waits = waits

    def give_up(self, number: int, error: Exception) -> None:
        """A bug: the call of that number is over, whatever state it is in."""
        ticket = self._books.tickets.get(number)
        if ticket is not None:
            ticket.state = State.GONE
            ticket.held_by = ""
            call, what = ticket.call, type(error).__name__
            where = call.tenant, call.group, call.endpoint
            refused = fx.Refused(self._books.now_s, number, call.agent, "failed", 0.0, what, *where)
            self._books.out.append(refused)
        self.recount()

    def recount(self, half: int = 0) -> None:
        """Make the books anew from the tickets; may be cut and begun again.

        Args:
            half: The ticket that was being submitted: if it only waits, it is forgotten, and to be
                submitted again.
        """
        self._drop(half)
        self._agents_of()
        self._families()
        self._attempts()
        self._seats()
        self._queues()
        self._dates()
        self._endpoints_of()
        self._reserved()
        self._totals()

    # -- who is there --------------------------------------------------------------------------

    def _drop(self, half: int) -> None:
        tickets, now_s = self._books.tickets, self._books.now_s
        for number, ticket in list(tickets.items()):
            if ticket.state in _OVER or (number == half and ticket.state is State.QUEUED):
                with suppress(Exception):  # what is broken here already was what failed
                    ran = ticket.attempts > 0
                    self._books.ledgers.settle(ticket, None, now_s, ran=ran)
                del tickets[number]

    def _agents_of(self) -> None:
        books, agents = self._books, self._agents
        own = Counter(ticket.account for ticket in books.tickets.values())
        for account in own:
            books.accounts.setdefault(account.key, account)
        for tenant in {account.tenant for account in books.accounts.values()}:
            books.tenants[tenant.name] = tenant
            tenant.accounts = tenant.lanes = tenant.waiting = 0
        for key, account in books.accounts.items():
            account.tenant.accounts += 1
            account.tickets, account.children, account.bids = own[account], {}, {}
            account.waiting, account.running, account.since_sum_s = 0, 0, 0.0
            if account.tickets:
                agents.idle.pop(key, None)
            else:
                agents.idle.setdefault(key)
        for key in set(agents.idle) - set(books.accounts):
            del agents.idle[key]
        for account in books.accounts.values():
            above = books.accounts.get((account.tenant.name, account.parent or ""))
            if above is None:
                account.parent = None
            else:
                above.children[account.name] = None
        for name in [tenant.name for tenant in books.tenants.values() if not tenant.accounts]:
            del books.tenants[name]

    def _families(self) -> None:
        """Who is nested in whom: a call that runs or waits, in one that runs."""
        tickets = self._books.tickets
        for ticket in tickets.values():
            ticket.kids, ticket.nested = None, 0
        for ticket in tickets.values():
            parent = ticket.parent
            if parent is None:
                continue
            alive = tickets.get(parent.number) is parent and parent.state is State.RUNNING
            if not alive or ticket.state is State.ZOMBIE or parent.lent or parent.rides:
                ticket.parent, ticket.reads = None, False
                continue
            parent.kids = parent.kids or {}
            parent.kids[ticket.number] = ticket
            parent.nested = len(parent.kids)
        for ticket in tickets.values():
            rider = ticket.rider
            rides = rider is not None and rider.state is State.RUNNING and not rider.lent
            if rider is None or not rides or rider.number not in (ticket.kids or {}):
                ticket.rider = None

    def _attempts(self) -> None:
        """Which attempts belong to one call, and who of them is late."""
        books, late = self._books, self._late
        for ticket in books.tickets.values():
            running = ticket.state is State.RUNNING
            ticket.late = ticket.late and running
            ticket.lent = ticket.lent and ticket.late and not ticket.nested
            first, hedge = ticket.first, ticket.hedge
            if hedge is not None:
                alive = books.tickets.get(hedge.number) is hedge and hedge.first is ticket
                ticket.hedge = hedge if alive and running else None
            if first is not None:
                alive = books.tickets.get(first.number) is first and first.hedge is ticket
                if not alive or first.state is not State.RUNNING or ticket.state is State.ZOMBIE:
                    ticket.first = None
            first = ticket.first
            on_lane = first is not None and not first.lent and not first.nested and not first.rides
            ticket.rides = ticket.rides and running and on_lane
        mine = books.tickets.items()
        late.late = {number: ticket for number, ticket in mine if ticket.late}
        books.hedges.clear()
        for number, ticket in mine:
            if ticket.state is State.QUEUED and ticket.first is not None:
                books.hedges[number] = ticket

    # -- where they are ------------------------------------------------------------------------

    def _seats(self) -> None:
        books = self._books
        books.pool.clear()
        running = [one for one in books.tickets.values() if one.state is State.RUNNING]
        for ticket in books.tickets.values():
            ticket.seat = None
        for ticket in running:
            if ticket.lent:
                books.pool.lend(ticket.group, 1)
            else:
                self._seat(ticket)
        books.pool.riders = sum(ticket.rides for ticket in running)
        for ticket in running:
            at_work = not (ticket.nested or ticket.lent or ticket.is_ridden)
            since_s, ticket.started_s = ticket.started_s, NEVER
            if ticket.terms is None or (at_work and since_s == NEVER):
                self._clocks.limit(ticket)
                ticket.granted_s = min(ticket.granted_s, books.now_s)
            if at_work:
                self._clocks.start(ticket, min(since_s, books.now_s))
        books.left[:] = [ticket for ticket in running if ticket.nested]

    def _seat(self, ticket: Ticket) -> Seat:
        pool, above = self._books.pool, ticket.first if ticket.rides else None
        if ticket.seat is not None:
            return ticket.seat
        parent = ticket.parent
        if above is None and parent is not None and parent.rider is ticket:
            above = parent
        if above is None:
            ticket.seat = pool.take(ticket.group, ticket.account)
        elif above.group is ticket.group:
            ticket.seat = pool.share(self._seat(above))
        else:
            ticket.seat = pool.take(ticket.group, ticket.account, self._seat(above))
        return ticket.seat

    def _queues(self) -> None:
        books, queue = self._books, self._queue
        waiting = [one for one in books.tickets.values() if one.state is State.QUEUED]
        waiting.sort(key=lambda ticket: ticket.seq)
        for ticket in books.tickets.values():
            if ticket.bid is not None:
                ticket.turn = ticket.turn or max(0, ticket.bid.turn)
            ticket.bid = ticket.before = ticket.after = None
        queue.clear()
        self._nested.waiting.clear()
        for ticket in waiting:
            if ticket.wake_s < NEVER:
                queue.sleep(ticket)
            elif ticket.turn:
                queue.put_at_place(ticket, books.now_s)
            else:
                queue.put(ticket, books.now_s)
            if ticket.parent is not None and ticket.wake_s == NEVER:
                self._nested.awaits(ticket)

    def _dates(self) -> None:
        books = self._books
        books.alarms.forget()
        for ticket in books.tickets.values():
            ticket.alarm_s = ticket.armed_s = NEVER
            if ticket.state is State.QUEUED:
                self._waits.set_alarm(ticket)
            elif ticket.state is State.RUNNING:
                self._clocks.rearm(ticket)
            else:
                books.alarms.set(ticket, books.now_s + books.config.agent_idle_s)

    # -- what they take ------------------------------------------------------------------------

    def _endpoints_of(self) -> None:
        books, endpoints = self._books, self._endpoints
        calls = Counter(ticket.call.endpoint for ticket in books.tickets.values())
        for name, endpoint in books.endpoints.items():
            endpoint.calls = calls[name]
            running = {
                number
                for number, ticket in books.tickets.items()
                if ticket.endpoint is endpoint and ticket.state is State.RUNNING
            }
            for number in set(endpoint.in_flight) - running:
                with suppress(Exception):
                    endpoint.given_up(number, None, books.now_s)
                endpoint.in_flight.pop(number, None)
                endpoint.hedging.ended(number)
            for number in running - set(endpoint.in_flight):
                endpoint.sent(number, books.tickets[number].need, books.now_s)
            if endpoint.news:
                endpoints.tell(endpoint)
            if endpoint.calls:
                endpoints.idle.pop(name, None)
            else:
                endpoints.idle.setdefault(name)

    def _reserved(self) -> None:
        held: dict[tuple[int, str], float] = defaultdict(float)
        for ticket in self._books.tickets.values():
            if ticket.state is State.ZOMBIE:
                ticket.reserved = None
            else:
                ticket.charged = None
            for key, amount in ticket.reserved or ():
                held[key] += amount
        self._books.ledgers.recount(held)

    def _totals(self) -> None:
        """The totals, from all calls that are left."""
        books, counters = self._books, self._books.counters
        states = Counter(ticket.state for ticket in books.tickets.values())
        counters.running, books.zombies = states[State.RUNNING], states[State.ZOMBIE]
        books.gauges.recount(books.tickets.values(), books.accounts.values())
        ended = counters.settled + sum(counters.refused.values()) + counters.lost
        missing = counters.submitted - ended - len(books.tickets)
        if missing > 0:
            counters.refused["failed"] += missing
        else:
            counters.submitted -= missing
