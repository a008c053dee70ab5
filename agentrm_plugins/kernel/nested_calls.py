"""Calls within calls: who is nested in whom. For the lanes that they lend see `lane_lending`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.kernel.ticket import State

if TYPE_CHECKING:
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.clocks import Clocks
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.policy.endpoint.endpoint import Endpoint
    from agentrm_plugins.policy.lanes import Group

__all__ = ["NestedCalls"]


class NestedCalls:
    """Parents and their nested calls.

    Args:
        books: The kernel's books. A parent that one of its nested calls has left is put into
            `books.left`.
        clocks: A parent's stand still while it waits for a call of its own.

    `waiting` are nested calls that wait for a lane, by what holds them up.
    """

    def __init__(self, books: Books, clocks: Clocks) -> None:
        self._books = books
        self._clocks = clocks
        self.waiting: dict[tuple[Group, Endpoint | None], dict[int, Ticket]] = {}

    def attach(self, ticket: Ticket, parent_number: int) -> Ticket | None:
        """`ticket` is asked for inside another call; gives that, if it runs."""
        books = self._books
        parent = books.tickets.get(parent_number)
        if parent is None or parent.state is not State.RUNNING:
            return None
        if parent.lent or parent.rides or parent.is_ridden:
            return None  # It has no lane of its own to lend: the call is as any other.
        ticket.parent = parent
        if parent.kids is None:
            parent.kids = {}
        parent.kids[ticket.number] = ticket
        parent.nested += 1
        if parent.nested == 1:
            self._clocks.stop(parent)
            parent.paused_s = books.now_s
        return parent

    def detach(self, ticket: Ticket) -> None:
        """`ticket` ended, was refused or reaped: its nested calls become its parent's."""
        self.granted(ticket)
        parent, kids, rider = self._orphaned(ticket)
        ticket.parent = None
        if parent is not None:
            assert parent.kids is not None  # noqa: S101 - ticket was one of them
            del parent.kids[ticket.number]
            parent.kids.update(kids)
            parent.nested = len(parent.kids)
            if parent.rider is ticket:
                parent.rider = rider
            self._books.left.append(parent)

    def requeued(self, ticket: Ticket) -> None:
        """`ticket` failed and waits again: it is nested still, its nested calls its parent's."""
        parent, kids, rider = self._orphaned(ticket)
        if parent is not None:
            assert parent.kids is not None  # noqa: S101 - ticket is one of them
            parent.kids.update(kids)
            parent.nested = len(parent.kids)
            if parent.rider is ticket:
                parent.rider = rider
                self._books.left.append(parent)

    def _orphaned(self, ticket: Ticket) -> tuple[Ticket | None, dict[int, Ticket], Ticket | None]:
        """Give away what is nested in `ticket`: its parent, its nested calls, and its rider."""
        parent, kids, rider = ticket.parent, ticket.kids or {}, ticket.rider
        ticket.kids, ticket.rider, ticket.nested = None, None, 0
        for kid in kids.values():
            kid.parent = parent
            if parent is None:
                self.granted(kid)
        return parent, kids, rider

    def granted(self, ticket: Ticket) -> None:
        """`ticket` does not wait (any more)."""
        key = ticket.group, ticket.endpoint
        kids = self.waiting.get(key)
        if kids is not None and kids.pop(ticket.number, None) is not None and not kids:
            del self.waiting[key]

    def awaits(self, ticket: Ticket) -> None:
        """`ticket` waits for a lane (sleepers do not), and may get its parent's."""
        self.waiting.setdefault((ticket.group, ticket.endpoint), {})[ticket.number] = ticket
