"""Calls within calls: why nested use never deadlocks, with one lane in all.

A call that waits for a call of its own does nothing meanwhile, so

1. its clocks stand still: it receives no service and cannot be reaped;
2. one nested call of the same group at a time sits on its lane (a ride);
3. a nested call of another group needs no further lane of the total;
4. if every lane of the group that a nested call needs is held by calls that only wait, they wait
   for
   each other in a circle, and one nested call may start although no lane is free.

Only rule 4 can put more calls than lanes at work, for as long as such a circle is being untied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.kernel.states import State

if TYPE_CHECKING:
    from agentrm_plugins.kernel.kernel import Kernel
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
        self.waiting: dict[Group, dict[int, Ticket]] = {}
        self.untied = 0

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
            kernel.stop(parent)
            parent.paused_s = kernel.now_s
        if parent.group is ticket.group and parent.rider is None:
            self._ride(ticket, parent)
            return True
        self.waiting.setdefault(ticket.group, {})[ticket.number] = ticket
        return False

    def detach(self, ticket: Ticket) -> None:
        """`ticket` ended, was refused or reaped: free its parent and its nested calls from it."""
        self.granted(ticket)
        if ticket.kids is not None:
            for kid in ticket.kids.values():
                kid.parent = None
                self.granted(kid)
            ticket.kids, ticket.rider, ticket.nested = None, None, 0
        parent, ticket.parent = ticket.parent, None
        if parent is not None:
            self._leave(ticket, parent)

    def granted(self, ticket: Ticket) -> None:
        """`ticket` does not wait (any more)."""
        kids = self.waiting.get(ticket.group)
        if kids is not None and kids.pop(ticket.number, None) is not None and not kids:
            del self.waiting[ticket.group]

    def relieve(self) -> None:
        """Let nested calls start that only other nested calls' parents hold up."""
        while (found := self._stuck()) is not None:
            ticket, within = found
            kernel, parent = self._kernel, ticket.parent
            assert parent is not None  # noqa: S101 - only nested calls are in `waiting`
            parent.lent_slot = parent.lent_slot or within is not None
            kernel.room.remove(ticket, kernel.now_s)
            self.untied += 1
            kernel.grant(ticket, "nested", kernel.pool.take(ticket.group, ticket.account, within))

    def _leave(self, ticket: Ticket, parent: Ticket) -> None:
        kernel = self._kernel
        assert parent.kids is not None  # noqa: S101 - ticket was one of them
        del parent.kids[ticket.number]
        parent.nested -= 1
        parent.lent_slot = False
        was_rider = parent.rider is ticket
        if was_rider:
            parent.rider = None
        if not parent.nested:
            parent.deadline_s += kernel.now_s - parent.paused_s
            kernel.start(parent)
        elif was_rider:
            for kid in parent.kids.values():
                if kid.state is State.QUEUED and kid.group is parent.group:
                    kernel.room.remove(kid, kernel.now_s)
                    self._ride(kid, parent)
                    break

    def _ride(self, ticket: Ticket, parent: Ticket) -> None:
        kernel = self._kernel
        parent.rider = ticket
        assert parent.seat is not None  # noqa: S101 - it runs
        kernel.grant(ticket, "nested", kernel.pool.share(parent.seat))

    def _stuck(self) -> tuple[Ticket, Seat | None] | None:
        for kids in self.waiting.values():
            for _, ticket in zip(range(_LOOKED_AT), kids.values(), strict=False):
                if ticket.state is State.QUEUED and (found := self._may_pass(ticket)) is not None:
                    return found
        return None

    def _may_pass(self, ticket: Ticket) -> tuple[Ticket, Seat | None] | None:
        """Whether only waiting parents hold it up; if so, the seat whose slot it uses along."""
        pool, group, account = self._kernel.pool, ticket.group, ticket.account
        parent = ticket.parent
        assert parent is not None  # noqa: S101 - only nested calls are in `waiting`
        within = None if parent.lent_slot else parent.seat
        if group.agent_full(account):
            idle = all(not s.busy for s in group.seats if s.account is account)
        elif group.tenant_full(account.tenant):
            tenant = account.tenant
            idle = all(not s.busy for s in group.seats if s.account.tenant is tenant)
        elif group.in_use >= group.capacity:
            idle = not group.busy
        else:
            idle = within is not None or all(not other.busy for other in pool.groups.values())
        return (ticket, within) if idle else None
