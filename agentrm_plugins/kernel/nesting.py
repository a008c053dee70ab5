"""Calls within calls: why nested use never deadlocks, with one lane in all.

A call that waits for a call of its own does nothing meanwhile, so

1. its clocks stand still: it receives no service and cannot be reaped;
2. it lends its lane to one nested call at a time: one of the same group sits down on its seat, one
   of another group takes a seat there but needs no further lane of the total;
3. what it has lent stays in the family: if it ends before its nested calls do (they were left
   running), they become its parent's, which goes on waiting for them; without a parent they go on
   as calls of their own;
4. if each bound that holds up a nested call (its group's capacity, its agent's or tenant's ceiling,
   the lanes in all) is used up by calls that only wait, they wait for each other in a circle, and
   the nested call may start beyond these bounds.

So of the calls on one lane at most one is at work, and only rule 4 can put more calls to work than
there are lanes: as many as circles had to be untied (`LanePool.extra`), until those have ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.kernel.states import State

if TYPE_CHECKING:
    from agentrm_plugins.kernel.kernel import Kernel
    from agentrm_plugins.kernel.site import Site
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.policy.lanes import Group, Seat

__all__ = ["Nesting"]

_LOOKED_AT = 8  # nested calls per group; any that runs frees the next, so a few are enough


class Nesting:
    """Parents and their nested calls.

    Args:
        kernel: The kernel whose tickets they are.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.waiting: dict[tuple[Group, Site | None], dict[int, Ticket]] = {}

    def attach(self, ticket: Ticket, parent_number: int) -> bool:
        """`ticket` is asked for inside another call. True if it has a seat already."""
        kernel = self._kernel
        parent = kernel.tickets.get(parent_number)
        if parent is None or parent.state is not State.RUNNING:
            return False
        ticket.parent = parent
        if parent.kids is None:
            parent.kids = {}
        parent.kids[ticket.number] = ticket
        parent.nested += 1
        if parent.nested == 1:
            kernel.clocks.stop(parent)
            parent.paused_s = kernel.now_s
        if ticket.hold_s or parent.rider is not None or not kernel.congestion.may_start(ticket):
            return False
        return self._lend(ticket, parent)

    def detach(self, ticket: Ticket) -> None:
        """`ticket` ended, was refused or reaped: free its parent and its nested calls from it."""
        self.granted(ticket)
        parent, kids, rider = ticket.parent, ticket.kids or {}, ticket.rider
        ticket.parent, ticket.kids, ticket.rider, ticket.nested = None, None, None, 0
        for kid in kids.values():
            kid.parent = parent
            if parent is None:
                self.granted(kid)
        if parent is not None:
            assert parent.kids is not None  # noqa: S101 - ticket was one of them
            del parent.kids[ticket.number]
            parent.kids.update(kids)
            parent.nested = len(parent.kids)
            if parent.rider is ticket:
                parent.rider = rider
            self._left(parent)

    def requeued(self, ticket: Ticket) -> None:
        """`ticket` failed and waits again: it is nested still, its nested calls its parent's."""
        kids, rider = ticket.kids or {}, ticket.rider
        ticket.kids, ticket.rider, ticket.nested = None, None, 0
        parent = ticket.parent
        for kid in kids.values():
            kid.parent = parent
            if parent is None:
                self.granted(kid)
        if parent is not None:
            assert parent.kids is not None  # noqa: S101 - ticket is one of them
            parent.kids.update(kids)
            parent.nested = len(parent.kids)
            if parent.rider is ticket:
                parent.rider = rider
                self._left(parent)

    def granted(self, ticket: Ticket) -> None:
        """`ticket` does not wait (any more)."""
        key = ticket.group, ticket.site
        kids = self.waiting.get(key)
        if kids is not None and kids.pop(ticket.number, None) is not None and not kids:
            del self.waiting[key]

    def awaits(self, ticket: Ticket) -> None:
        """`ticket` waits for a lane (sleepers do not), and may get its parent's."""
        self.waiting.setdefault((ticket.group, ticket.site), {})[ticket.number] = ticket

    def within(self, ticket: Ticket) -> Seat | None:
        """The seat whose lane `ticket` is lent as it is granted one, or None."""
        parent = ticket.parent
        if parent is None or parent.rider is not None:
            return None
        parent.rider = ticket
        return parent.seat

    def relieve(self) -> None:
        """Let nested calls start that only waiting parents hold up."""
        while (ticket := self._stuck()) is not None:
            kernel, parent = self._kernel, ticket.parent
            assert parent is not None  # noqa: S101 - it is nested
            if parent.rider is None and self._lend(ticket, parent):
                continue
            kernel.room.remove(ticket, kernel.now_s)
            seat = kernel.pool.take(ticket.group, ticket.account, self.within(ticket))
            kernel.grant(ticket, "nested", seat)

    def _left(self, parent: Ticket) -> None:
        """A nested call left `parent`: it goes on, or lends its lane to the next."""
        kernel = self._kernel
        if not parent.nested:
            parent.deadline_s += kernel.now_s - parent.paused_s
            kernel.clocks.start(parent)
        elif parent.rider is None:
            assert parent.kids is not None  # noqa: S101 - there are some
            for kid in parent.kids.values():  # For one with an endpoint see `relieve`.
                waits = kid.bid is not None and kid.site is None
                if waits and self._lend(kid, parent):
                    break

    def _lend(self, ticket: Ticket, parent: Ticket) -> bool:
        """Let `ticket` have its parent's lane, if there is a seat for it. True if so."""
        kernel, group, account = self._kernel, ticket.group, ticket.account
        assert parent.seat is not None  # noqa: S101 - it runs
        if parent.group is group:
            seat = kernel.pool.share(parent.seat)
        elif (
            group.in_use < group.capacity
            and not group.agent_full(account)
            and not group.tenant_full(account.tenant)
        ):
            seat = kernel.pool.take(group, account, parent.seat)
        else:
            return False
        parent.rider = ticket
        if ticket.bid is not None:
            kernel.room.remove(ticket, kernel.now_s)
        kernel.grant(ticket, "nested", seat)
        return True

    def _stuck(self) -> Ticket | None:
        congestion = self._kernel.congestion
        for kids in self.waiting.values():
            for _, ticket in zip(range(_LOOKED_AT), kids.values(), strict=False):
                if ticket.bid is None or not self._may_pass(ticket):
                    continue
                if congestion.passable(ticket):
                    return ticket
                break  # Nobody overtakes a nested call at its endpoint.
        return None

    def _may_pass(self, ticket: Ticket) -> bool:
        """Whether each bound that is reached is used up by calls that only wait."""
        pool, group, account = self._kernel.pool, ticket.group, ticket.account
        parent = ticket.parent
        assert parent is not None  # noqa: S101 - only nested calls are in `waiting`
        if ticket.site is not None and parent.rider is None and parent.group is group:
            return True  # It only waited for its endpoint.
        full = group.in_use >= group.capacity or pool.in_use >= pool.lanes
        if not (full or group.agent_full(account) or group.tenant_full(account.tenant)):
            return False  # It is no lane that it waits for.
        if group.in_use >= group.capacity and group.busy:
            return False
        if group.agent_full(account) and any(
            seat.busy for seat in group.seats if seat.account is account
        ):
            return False
        if group.tenant_full(account.tenant) and any(
            seat.busy for seat in group.seats if seat.account.tenant is account.tenant
        ):
            return False
        lent = parent.rider is None  # It needs no further lane of the total.
        return lent or pool.in_use < pool.lanes or not any(g.busy for g in pool.groups.values())
