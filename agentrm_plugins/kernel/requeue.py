"""Calls that go again: back into the queue without a lane, at their own place.

A call that failed sleeps until its time and then stands where it stood; its budget stays reserved,
for it is not over. A call that hung comes back as a new one, at the place of the old.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from agentrm_plugins.kernel.steps import cost_of
from agentrm_plugins.kernel.ticket import State, move
from agentrm_plugins.policy.leases import NEVER
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types.verdicts import Kind

if TYPE_CHECKING:
    from agentrm_plugins.kernel.accrual import Accrual
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.endpoints import Endpoints
    from agentrm_plugins.kernel.late_calls import LateCalls
    from agentrm_plugins.kernel.nested_calls import NestedCalls
    from agentrm_plugins.kernel.steps import Steps
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.kernel.waits import Waits
    from agentrm_plugins.types import events as ev

__all__ = ["Place", "Requeue"]

_PLACES = 4096


class Place(NamedTuple):
    """Where a call that hung stood, and what its attempts were charged by estimate."""

    seq: int
    turn: int
    accrual: Accrual


class Requeue:
    """Sends calls back.

    Args:
        books: The kernel's books.
        steps: What happens to a ticket.
        endpoints: Told of the failure.
        waits: Where the call goes to.
        nested: Who is nested in whom.
        late: Late calls, and their hedges.

    `places` are those of calls that hung, by ticket; the oldest are forgotten.
    """

    def __init__(
        self,
        books: Books,
        steps: Steps,
        endpoints: Endpoints,
        waits: Waits,
        nested: NestedCalls,
        late: LateCalls,
    ) -> None:
        self._books = books
        self._steps = steps
        self._endpoints = endpoints
        self._waits = waits
        self._nested = nested
        self._late = late
        self.places: OrderedDict[int, Place] = OrderedDict()

    def keep_place(self, ticket: Ticket) -> None:
        """The call hung: its caller may ask again for its place."""
        self.places[ticket.number] = Place(ticket.seq, ticket.turn, ticket.accrue())
        if len(self.places) > _PLACES:
            self.places.popitem(last=False)

    def take_place(self, ticket: Ticket, place_of: int) -> None:
        """The call is another that hung, come back."""
        place = self.places.pop(place_of, None)
        if place is not None:
            ticket.seq, ticket.turn, ticket.accrual = place

    def requeue(self, event: ev.Requeue) -> bool:
        """A running call failed and goes again. True: others may go now."""
        books, steps = self._books, self._steps
        now_s, ticket = books.now_s, books.tickets.get(event.ticket)
        if ticket is None or ticket.state is not State.RUNNING:
            return False
        held_s = now_s - ticket.granted_s
        self._leave(ticket)
        verdict = event.verdict
        self._endpoints.failed(ticket, verdict, event.report)
        cost = cost_of(ticket, verdict) if event.usage is None else event.usage
        if event.usage is None and cost.input_tokens:
            cost = ticket.accrue().cut(cost, asked=True)
        steps.charge(ticket, cost)
        if books.ledgers.asked:
            books.ledgers.charge(ticket, cost, now_s)
        for owner in (ticket.account, ticket.account.tenant):
            owner.requeues += 1
            owner.limit_hits += verdict.kind is Kind.LIMIT
        self._back(ticket, held_s, verdict.kind.value, event.wait_s, verdict.status)
        return True

    def unsent(self, event: ev.Unsent) -> bool:
        """A running call was not sent yet, and must not be now. True: it waits again."""
        ticket = self._books.tickets.get(event.ticket)
        if ticket is None or ticket.state is not State.RUNNING:
            return False
        held_s = self._books.now_s - ticket.granted_s
        self._leave(ticket, until_s=ticket.granted_s)  # a standstill is no service
        ticket.attempts -= 1
        self._endpoints.unsent(ticket)
        self._back(ticket, held_s, "unsent", 0.0, None)
        return True

    def _leave(self, ticket: Ticket, *, until_s: float = NEVER) -> None:
        """It runs no more; only until `until_s` does it count as service."""
        self._steps.vacate(ticket, until_s=until_s)
        if ticket.late or ticket.is_hedge:
            self._late.stopped(ticket)
        move(ticket, State.QUEUED)

    def _back(
        self, ticket: Ticket, held_s: float, cause: str, wait_s: float, status: int | None
    ) -> None:
        """It waits again, at its own place, or is told why not."""
        books, now_s, call = self._books, self._books.now_s, ticket.call
        ticket.beats = ticket.beaten_tokens = 0
        ticket.overtaken = 0.0
        ticket.visible = False
        ticket.idle_s = NEVER
        ticket.queued_s = now_s
        books.out.append(
            fx.Requeued(
                *(now_s, ticket.number, call.agent, cause, held_s, now_s + wait_s, status),
                *(call.tenant, call.group, call.endpoint),
            )
        )
        if ticket.parent is not None or ticket.kids is not None:
            self._nested.requeued(ticket)
        refusal = None
        if ticket.endpoint is not None:
            refusal = self._endpoints.impossible(ticket, ticket.endpoint)
        if books.closed:
            self._steps.refuse(ticket, "closed")
        elif refusal is not None:
            self._steps.refuse(ticket, *refusal)
        else:
            if ticket.first is not None:
                self._late.awaits(ticket)
            self._waits.again(ticket, wait_s)
