"""What is due: calls that hung or waited for too long, and zombies never heard of again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.kernel.states import State, move
from agentrm_plugins.types import effects as fx

if TYPE_CHECKING:
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.endpoints import Endpoints
    from agentrm_plugins.kernel.lane_lending import LaneLending
    from agentrm_plugins.kernel.nested_calls import NestedCalls
    from agentrm_plugins.kernel.requeue import Requeue
    from agentrm_plugins.kernel.steps import Steps
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.kernel.waits import Waits

__all__ = ["Reaper"]


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
    ) -> None:
        self._books = books
        self._steps = steps
        self._endpoints = endpoints
        self._waits = waits
        self._requeue = requeue
        self._nested = nested
        self._lending = lending

    def expire(self) -> None:
        """See to each call whose date has come."""
        books = self._books
        while (item := books.alarms.due(books.now_s)) is not None:
            ticket: Ticket = item  # type: ignore[assignment]
            if ticket.state is State.QUEUED:
                self._waits.rung(ticket)
            elif ticket.state is State.RUNNING:
                self._reap(ticket)
            else:
                self._lose(ticket)
            if books.left:
                self._lending.settle()

    def _reap(self, ticket: Ticket) -> None:
        books, steps, limits = self._books, self._steps, ticket.terms
        assert limits is not None  # noqa: S101 - set when it was granted
        if books.now_s >= ticket.deadline_s:
            cause = "total"
        else:
            cause = "silence" if ticket.beats else limits.first_cause
        held_s = books.now_s - ticket.granted_s
        move(ticket, State.ZOMBIE)
        steps.vacate(ticket, until_s=ticket.progress_s)  # its silence was no service to its agent
        self._requeue.keep_place(ticket)
        books.ledgers.settle(ticket, None, books.now_s, hung=True)
        self._endpoints.reaped(ticket)
        books.zombies += 1
        ticket.account.zombies += 1
        books.counters.reaped += 1
        books.counters.zombie_lane_s += held_s
        number, agent = ticket.number, ticket.call.agent
        books.out.append(fx.Reaped(books.now_s, number, agent, cause, held_s))
        if ticket.parent is not None or ticket.kids is not None:
            self._nested.detach(ticket)
        steps.recharge(ticket)
        # Its caller may never come back: remember it for as long as an idle agent.
        books.alarms.set(ticket, books.now_s + books.config.agent_idle_s)

    def _lose(self, ticket: Ticket) -> None:
        """A zombie's caller was never heard of again."""
        move(ticket, State.DONE)
        self._books.zombies -= 1
        self._books.counters.lost += 1
        self._steps.forget(ticket)
