"""What is due: calls that hung or waited for too long, and zombies never heard of again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.kernel.steps import cost_of
from agentrm_plugins.kernel.ticket import State, move
from agentrm_plugins.policy.leases import NEVER
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types.calls import Outcome, Usage

if TYPE_CHECKING:
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.clocks import Clocks
    from agentrm_plugins.kernel.endpoints import Endpoints
    from agentrm_plugins.kernel.lane_lending import LaneLending
    from agentrm_plugins.kernel.late_calls import LateCalls
    from agentrm_plugins.kernel.nested_calls import NestedCalls
    from agentrm_plugins.kernel.requeue import Requeue
    from agentrm_plugins.kernel.steps import Steps
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.kernel.waits import Waits

__all__ = ["Reaper"]

_AGAIN_S = 5.0  # guessed: so often it is looked whether somebody waits for a lane that stands idle


class Reaper:
    """Looks after dates.

    Args:
        books: The kernel's books.
        steps: What happens to a ticket.
        endpoints: Told of calls that hung.
        waits: Told of waits that are over.
        requeue: Keeps the places of calls that hung.
        nested: Who is nested in whom.
        lending: Sees to the parents of those who have left.
        clocks: Says what is due.
        late: Late calls.
    """

    def __init__(
        self,
        books: Books,
        steps: Steps,
        endpoints: Endpoints,
        waits: Waits,
        requeue: Requeue,
        nested: NestedCalls,
        lending: LaneLending,
        clocks: Clocks,
        late: LateCalls,
    ) -> None:
        self._books = books
        self._steps = steps
        self._endpoints = endpoints
        self._waits = waits
        self._requeue = requeue
        self._nested = nested
        self._lending = lending
        self._clocks = clocks
        self._late = late

    def expire(self) -> None:
        """See to each call whose date has come."""
        books = self._books
        while (item := books.alarms.due(books.now_s)) is not None:
            ticket: Ticket = item  # type: ignore[assignment]
            if ticket.state is State.QUEUED:
                self._waits.rung(ticket)
            elif ticket.state is State.RUNNING:
                self._look(ticket)
            else:
                self._lose(ticket)
            if books.left:
                self._lending.settle()

    def _look(self, ticket: Ticket) -> None:
        """A running call's date: it has passed a limit, or it is late, or a hedge is."""
        now_s, first = self._books.now_s, ticket.first
        if ticket.idle_s < NEVER:
            self._look_at_pause(ticket)
        elif now_s >= self._clocks.ends_s(ticket):
            self._reap(ticket)
        elif now_s < self._clocks.late_s(ticket):
            self._clocks.rearm(ticket)  # it was to be late, and is not any more
        elif first is None:
            self._late.suspect(ticket)
        else:
            self._end(ticket, "gave_way", 0.0, "")
            self._late.gives_way(ticket, first)

    def _look_at_pause(self, ticket: Ticket) -> None:
        """A stream's consumer is away: the total ends it only where its lane is waited for."""
        books, pool = self._books, self._books.pool
        waited_for = bool(books.gauges.waiting) and pool.in_use >= pool.lanes
        if waited_for and books.now_s >= ticket.deadline_s:
            self._reap(ticket)
        else:
            books.alarms.set(ticket, max(ticket.deadline_s, books.now_s + _AGAIN_S))

    def clear(self) -> bool:
        """See that late calls do not fill a limit of calls in flight. True if one gave way."""
        ticket = self._late.in_the_way()
        if ticket is None:
            return False
        ticket.given_way += 1
        self._end(ticket, "gave_way", 0.0, "")
        return True

    def give_up(self, ticket: Ticket, cause: str) -> None:
        """End a call whose lane was given to another process."""
        self._end(ticket, cause, 0.0, "")

    def _reap(self, ticket: Ticket) -> None:
        """The call has passed a limit that was configured."""
        limits, call = ticket.terms, ticket.call
        assert limits is not None  # noqa: S101 - set when it was granted
        own: float | None
        if ticket.beats:
            cause, limit_s, own = "silence", limits.silence_s, call.silence_timeout_s
        else:
            cause, limit_s, own = limits.first_cause, limits.first_s, call.first_token_timeout_s
        if (
            ticket.idle_s < NEVER
            or self._books.now_s < max(ticket.progress_s, ticket.heard_s) + limit_s
        ):
            cause, limit_s, own = "total", limits.total_s, call.total_timeout_s
        source = "the configuration" if own is None else call.timeout_source or "the call"
        self._end(ticket, cause, limit_s, source)

    def _end(self, ticket: Ticket, cause: str, limit_s: float, source: str) -> None:
        books, steps = self._books, self._steps
        held_s = books.now_s - ticket.granted_s
        move(ticket, State.ZOMBIE)
        steps.vacate(ticket, until_s=ticket.progress_s)  # its silence was no service to its agent
        self._requeue.keep_place(ticket)
        books.ledgers.settle(ticket, None, books.now_s, hung=True)
        self._endpoints.reaped(ticket, failed=cause not in {"gave_way", "lost"})
        if cause != "gave_way":
            self._late.ended(ticket, Outcome.ERROR, Usage())
        else:
            self._late.gone(ticket)
        books.zombies += 1
        ticket.account.zombies += 1
        books.counters.reaped += 1
        books.counters.zombie_lane_s += held_s
        number, call = ticket.number, ticket.call
        where = call.tenant, call.group, call.endpoint
        books.out.append(
            fx.Reaped(books.now_s, number, call.agent, cause, held_s, limit_s, source, *where)
        )
        if ticket.parent is not None or ticket.kids is not None:
            self._nested.detach(ticket)
        steps.recharge(ticket)
        # Its caller may never come back: remember it for as long as an idle agent.
        books.alarms.set(ticket, books.now_s + books.config.agent_idle_s)

    def _lose(self, ticket: Ticket) -> None:
        """A zombie's caller was never heard of again."""
        move(ticket, State.DONE)
        cost = ticket.accrue().cut(cost_of(ticket), asked=True)
        self._steps.charge(ticket, cost)
        if ticket.yielded:
            self._late.ended(ticket, Outcome.ERROR, cost)
        self._books.zombies -= 1
        self._books.counters.lost += 1
        self._steps.forget(ticket)
