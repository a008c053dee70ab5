"""The steps of a call's life, each on the books: granted, refused, vacated, charged, forgotten.

None of them lets anybody else go: that is the kernel's dispatch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.kernel.ticket import State, move
from agentrm_plugins.policy.leases import NEVER
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types.calls import Usage
from agentrm_plugins.types.histogram import Histogram
from agentrm_plugins.types.verdicts import Kind

if TYPE_CHECKING:
    from agentrm_plugins.kernel.agents import Agents
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.clocks import Clocks
    from agentrm_plugins.kernel.endpoints import Endpoints
    from agentrm_plugins.kernel.nested_calls import NestedCalls
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.kernel.wait_queue import WaitQueue
    from agentrm_plugins.types.verdicts import Verdict

__all__ = ["Steps", "cost_of"]

_NOTHING = Usage()
_FOR_NOTHING = frozenset({"unconnected", "billing", "too_long"})  # why nobody works on a call


def cost_of(ticket: Ticket, verdict: Verdict | None = None) -> Usage:
    """What an attempt that was sent has cost where nobody has counted it.

    Input always, output by what was seen; nothing where the server answered with an error before it
    said anything, refused it by the account or its length, or where there was no connection to it.
    """
    if verdict is not None and not ticket.beats:
        refused = verdict.kind in {Kind.LIMIT, Kind.OVERLOADED} or verdict.status is not None
        if refused or verdict.why in _FOR_NOTHING:
            return _NOTHING
    return Usage(ticket.call.estimate.input_tokens, ticket.beaten_tokens)


class Steps:
    """What happens to a ticket.

    Args:
        books: The kernel's books.
        clocks: Times running calls.
        agents: Who has called.
        endpoints: Where calls go.
        queue: Who waits.
        nested: Calls within calls.
    """

    def __init__(
        self,
        books: Books,
        clocks: Clocks,
        agents: Agents,
        endpoints: Endpoints,
        queue: WaitQueue,
        nested: NestedCalls,
    ) -> None:
        self._books = books
        self._clocks = clocks
        self._agents = agents
        self._endpoints = endpoints
        self._queue = queue
        self._nested = nested
        self._token_service_s = books.config.scheduler.service_s_per_1k_tokens / 1000.0

    def grant(self, ticket: Ticket, cause: str) -> None:
        """Let `ticket` go, on its seat."""
        books, account, group = self._books, ticket.account, ticket.group
        now_s, counters, tenant = books.now_s, books.counters, account.tenant
        books.at_work = ticket.number
        move(ticket, State.RUNNING)
        ticket.granted_s = now_s
        if ticket.held_by:
            books.gauges.hold(ticket, "")
        books.gauges.running[ticket.number] = ticket
        counters.granted += 1
        counters.running += 1
        waited_s = now_s - ticket.queued_s
        if waited_s:
            ticket.waited_s += waited_s
            account.waited_s += waited_s
            tenant.waited_s += waited_s
            counters.waited_s += waited_s
            if account.waits is None:
                account.waits = Histogram()
            account.waits.add(waited_s)
            tenant.waits.add(waited_s)
            group.waits.add(waited_s)
            if ticket.endpoint is not None:
                ticket.endpoint.waits.add(waited_s)
        account.grants += 1
        tenant.grants += 1
        group.grants += 1
        if group.per_agent is not None:
            self._queue.seated(account, group)
        if ticket.parent is not None:
            self._nested.granted(ticket)
        if ticket.is_hedge:
            books.hedges.pop(ticket.number, None)
        ticket.attempts += 1
        if ticket.endpoint is not None:
            self._endpoints.go(ticket, ticket.endpoint)
        self._clocks.begin(ticket)
        call = ticket.call
        where = call.tenant, call.endpoint
        books.out.append(
            fx.Granted(now_s, ticket.number, call.agent, cause, group.name, waited_s, *where)
        )
        boost = books.scheduler.dispatched(now_s)
        if boost is not None:
            self.boosted(boost)

    def refuse(self, ticket: Ticket, cause: str, detail: str = "") -> None:
        """A call that does not wait (any more) will not run."""
        books, account = self._books, ticket.account
        books.at_work = ticket.number
        move(ticket, State.GONE)
        waited_s = books.now_s - ticket.submitted_s
        if ticket.held_by:
            books.gauges.hold(ticket, "")
        account.refused += 1
        account.tenant.refused += 1
        books.counters.refused[cause] += 1
        number, call = ticket.number, ticket.call
        where = call.tenant, call.group, call.endpoint
        books.out.append(
            fx.Refused(books.now_s, number, call.agent, cause, waited_s, detail, *where)
        )
        books.ledgers.settle(ticket, _NOTHING, books.now_s, ran=ticket.attempts > 0)
        self.forget(ticket)

    def turn_away(self, ticket: Ticket, cause: str, detail: str = "") -> None:
        """A call that waits will not run."""
        self._books.at_work = ticket.number
        self._queue.remove(ticket, self._books.now_s)
        self.refuse(ticket, cause, detail)

    def vacate(self, ticket: Ticket, *, until_s: float = NEVER) -> None:
        """The call runs no longer; only until `until_s` does it count as service."""
        pool = self._books.pool
        self._books.at_work = ticket.number
        self._books.counters.running -= 1
        del self._books.gauges.running[ticket.number]
        if ticket.lent:
            ticket.lent = False
            pool.lend(ticket.group, -1)
        else:
            self.leave_lane(ticket, until_s)
        if ticket.alarm_s < NEVER:
            self._books.alarms.clear(ticket)
        if ticket.hedge is not None and ticket.hedge.rides:
            ticket.hedge.rides = False  # The lane is its own now.
            pool.riders -= 1
        if ticket.rides:
            ticket.rides = False
            pool.riders -= 1
            first = ticket.first
            if first is not None and first.seat is not None and not first.nested:
                self._clocks.start(first)  # It has its lane for itself again.

    def leave_lane(self, ticket: Ticket, until_s: float) -> None:
        """The call leaves its lane; only until `until_s` does it count as service."""
        books, queue = self._books, self._queue
        self._clocks.stop(ticket, until_s)
        seat = ticket.seat
        assert seat is not None  # noqa: S101 - every running ticket has one, or has lent it
        free = books.pool.leave(seat)
        ticket.seat = None
        if books.pool.slice_s <= books.now_s and free:
            books.pool.withhold(seat.group)
        if free and queue.count:
            if seat.group.per_agent is not None:
                queue.unseated(seat.account, seat.group, books.now_s)
            if len(books.tenants) > 1:  # One alone has no price.
                queue.reprice(seat.account.tenant)

    def charge(self, ticket: Ticket, usage: Usage) -> float:
        """The tokens count for the agent, its tenant, its endpoint and the totals: the cost."""
        endpoint, spent = ticket.endpoint, 0.0
        if endpoint is not None and endpoint.price is not None:
            spent = endpoint.price.cost(usage)
            endpoint.cost += spent
            self._books.counters.cost += spent
            ticket.account.cost += spent
            ticket.account.tenant.cost += spent
        input_tokens, output_tokens = usage.input_tokens, usage.output_tokens
        tokens = input_tokens + output_tokens
        if not tokens:
            return spent
        books, account = self._books, ticket.account
        now_s, tenant, counters = books.now_s, account.tenant, books.counters
        account.input_tokens += input_tokens
        account.output_tokens += output_tokens
        account.recent.add(tokens, now_s)
        tenant.input_tokens += input_tokens
        tenant.output_tokens += output_tokens
        tenant.recent.add(tokens, now_s)
        ticket.group.recent.add(tokens, now_s)
        if endpoint is not None:
            endpoint.recent.add(tokens, now_s)
        account.attained_s += tokens * self._token_service_s
        books.shares.charge(tenant, tokens, now_s)
        counters.input_tokens += input_tokens
        counters.output_tokens += output_tokens
        if tokens > ticket.beaten_tokens:
            counters.token_rate.add(tokens - ticket.beaten_tokens, now_s)
        return spent

    def give_back(self, ticket: Ticket, tokens: int) -> float:
        """So many tokens of input were charged to a call too much, by estimate: what they cost."""
        books, account, endpoint = self._books, ticket.account, ticket.endpoint
        usage, spent = Usage(tokens), 0.0
        owners = (account, account.tenant, books.counters)
        if endpoint is not None and endpoint.price is not None:
            spent = endpoint.price.cost(usage)
            endpoint.cost -= spent
            for owner in owners:
                owner.cost -= spent
        for owner in owners:
            owner.input_tokens -= tokens
        if books.ledgers.asked:
            books.ledgers.charge(ticket, usage, books.now_s, sign=-1)
        return spent

    def recharge(self, ticket: Ticket) -> None:
        """The agent received service: it may have gone down a level."""
        books, account = self._books, ticket.account
        if books.scheduler.charged(account, books.now_s):
            self._queue.recharged(account, books.now_s)

    def forget(self, ticket: Ticket) -> None:
        """The ticket is done; see to what hung on it."""
        books = self._books
        if ticket.alarm_s < NEVER:
            books.alarms.clear(ticket)
        if ticket.endpoint is not None:
            self._endpoints.leave(ticket.endpoint)
        if ticket.parent is not None or ticket.kids is not None:
            self._nested.detach(ticket)
        books.hedges.pop(ticket.number, None)
        if ticket.first is not None and ticket.first.hedge is ticket:
            ticket.first.hedge = None
        if ticket.hedge is not None:
            ticket.hedge.first = None
        self._agents.leave(ticket.account, books.now_s)
        del books.tickets[ticket.number]  # last: what fails before this can be mended

    def boosted(self, cause: str) -> None:
        """All agents went up to the top level."""
        self._books.counters.boosts += 1
        self._books.out.append(fx.Boosted(self._books.now_s, 0, "", cause))
