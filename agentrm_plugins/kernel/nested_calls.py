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

    def attach(self, ticket: Ticket, parent_number: int, *, reads: bool) -> Ticket | None:
        """`ticket` is asked for inside another call, or by its reader; gives that, if it runs."""
        books = self._books
        parent = books.tickets.get(parent_number)
        if parent is None or parent.state is not State.RUNNING:
            return None
        if parent.lent or parent.rides or parent.is_ridden:
            return None  # It has no lane of its own to lend: the call is as any other.
        self._adopt(parent, ticket, reads=reads)
        return parent

    def _adopt(self, parent: Ticket, ticket: Ticket, *, reads: bool) -> None:
        """`parent` waits for `ticket` from now on."""
        ticket.parent, ticket.reads = parent, reads
        if parent.kids is None:
            parent.kids = {}
        parent.kids[ticket.number] = ticket
        parent.nested += 1
        if parent.nested == 1:
            self._clocks.stop(parent)
            parent.paused_s = self._books.now_s

    def turn(self, ticket: Ticket) -> None:
        """Who reads `ticket` asks it for more: what he opened beside it is at rest meanwhile.

        The two change places: what has its lane waits for it now. What has another lane goes on by
        itself.
        """
        assert ticket.kids is not None  # noqa: S101 - it has nested calls
        rider = ticket.rider
        beside = [kid for kid in ticket.kids.values() if kid.reads]
        if not beside:
            return
        for kid in beside:
            if kid is not rider:
                del ticket.kids[kid.number]
                kid.parent, kid.reads = None, False
                self.granted(kid)
        if rider is not None and rider.reads:
            self._change_places(ticket, rider)
        ticket.nested = len(ticket.kids)
        self._books.left.append(ticket)

    def _change_places(self, ticket: Ticket, rider: Ticket) -> None:
        """`rider`, which has the lane of `ticket`, stands above it, under its parent."""
        parent, kids = ticket.parent, ticket.kids or {}
        del kids[rider.number]
        ticket.rider = None
        rider.parent, rider.reads = parent, ticket.reads
        if parent is not None:
            assert parent.kids is not None  # noqa: S101 - ticket is one of them
            del parent.kids[ticket.number]
            parent.kids[rider.number] = rider
            if parent.rider is ticket:
                parent.rider = rider
        last = rider
        while last.rider is not None:
            last = last.rider
        self._adopt(last, ticket, reads=True)
        last.rider = ticket

    def detach(self, ticket: Ticket) -> None:
        """`ticket` ended, was refused or reaped: its nested calls become its parent's."""
        self.granted(ticket)
        parent, kids, rider = self._orphaned(ticket)
        ticket.parent, ticket.reads = None, False
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
            kid.reads = parent is not None and (kid.reads or ticket.reads)
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
