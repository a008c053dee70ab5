"""Lending lanes to nested calls: why nested use never deadlocks, with one lane in all.

A call that waits for a call of its own does nothing meanwhile, so

1. its clocks stand still: it receives no service and cannot be reaped;
2. it lends its lane to one nested call at a time: one of the same group sits down on its seat, one
   of another group takes a seat there but needs no further lane of the total;
3. what it has lent stays in the family: if it ends before its nested calls do (they were left
   running), they become its parent's, which goes on waiting for them; without a parent they go on
   as calls of their own;
4. if each bound that holds up a nested call (its group's capacity, its agent's or tenant's ceiling,
   the lanes in all) is used up by calls that only wait, they wait for each other in a circle, and
   the nested call may start beyond these bounds. So it may beyond a limit of calls in flight that
   was found out by asking; one that was configured is kept, and the call is refused.

Who asks for a call while he reads a stream waits just so: his stream is at rest. It is nested in
that stream, and takes its lane where no other is free. He may go on with the stream before the call
is over (he reads two in turns); then that one waits for it, on the same lane.

So of the calls on one lane at most one is at work, and only rule 4 can put more calls to work than
there are lanes: as many as circles had to be untied (`LanePool.extra`), until those have ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.kernel.queues import share_of
from agentrm_plugins.kernel.selection import Held, may_overtake
from agentrm_plugins.kernel.ticket import State
from agentrm_plugins.policy.leases import NEVER

if TYPE_CHECKING:
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.clocks import Clocks
    from agentrm_plugins.kernel.nested_calls import NestedCalls
    from agentrm_plugins.kernel.steps import Steps
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.kernel.wait_queue import WaitQueue
    from agentrm_plugins.policy.endpoint.endpoint import Endpoint
    from agentrm_plugins.policy.lanes import Seat

__all__ = ["LaneLending"]

_LOOKED_AT = 8  # nested calls per group; any that runs frees the next, so a few are enough


class LaneLending:
    """Lends parents' lanes.

    Args:
        books: The kernel's books.
        clocks: A parent's run again when its last nested call has left it.
        steps: What happens to a ticket.
        queue: Who waits.
        nested: Who is nested in whom.
    """

    def __init__(
        self,
        books: Books,
        clocks: Clocks,
        steps: Steps,
        queue: WaitQueue,
        nested: NestedCalls,
    ) -> None:
        self._books = books
        self._clocks = clocks
        self._steps = steps
        self._queue = queue
        self._nested = nested

    def lend(self, ticket: Ticket, parent: Ticket) -> bool:
        """Let `ticket` have its parent's lane, if there is a seat for it. True if so."""
        pool, group, account = self._books.pool, ticket.group, ticket.account
        assert parent.seat is not None  # noqa: S101 - it runs
        if parent.group is group:
            ticket.seat = pool.share(parent.seat)
        elif (
            group.in_use < group.capacity
            and not group.agent_full(account)
            and not group.tenant_full(account.tenant)
        ):
            ticket.seat = pool.take(group, account, parent.seat)
        else:
            return False
        parent.rider = ticket
        if ticket.bid is not None:
            self._queue.remove(ticket, self._books.now_s)
        self._steps.grant(ticket, "nested")
        return True

    def within(self, ticket: Ticket) -> Seat | None:
        """The seat whose lane `ticket` is lent as it is granted one, or None."""
        parent = ticket.parent
        if parent is None or parent.rider is not None:
            return None
        parent.rider = ticket
        return parent.seat

    def settle(self) -> None:
        """Nested calls left their parents: these go on, or lend their lanes to the next."""
        left, lapsed, kept = self._books.left, self._books.pool.lapsed, []
        while left:
            parent = left.pop(0)
            if parent.state is not State.RUNNING:
                continue
            if not parent.nested:
                if parent.started_s == NEVER:
                    if parent.idle_s > parent.paused_s:  # else that pause is made up for itself
                        parent.deadline_s += self._books.now_s - parent.paused_s
                    self._clocks.start(parent)
                    self._clocks.arm(parent)
            elif parent.rider is None and lapsed:
                kept.append(parent)  # nobody may go yet
            elif parent.rider is None:
                assert parent.kids is not None  # noqa: S101 - there are some
                for kid in parent.kids.values():  # For one with an endpoint see `relieve`.
                    waits = kid.bid is not None and kid.endpoint is None
                    if waits and self.lend(kid, parent):
                        break
        left += kept

    def relieve(self) -> None:
        """Let nested calls start that only waiting parents hold up."""
        while (ticket := self._stuck()) is not None:
            books, parent, endpoint = self._books, ticket.parent, ticket.endpoint
            assert parent is not None  # noqa: S101 - it is nested
            if endpoint is not None and endpoint.config.concurrency and self._is_circle(endpoint):
                most = f"{endpoint.config.concurrency:g}"
                self._steps.turn_away(ticket, "would_deadlock", most)
                self.settle()
                continue
            if parent.rider is None and self.lend(ticket, parent):
                continue
            self._queue.remove(ticket, books.now_s)
            within = self.within(ticket)
            ticket.seat = books.pool.take(ticket.group, ticket.account, within)
            self._steps.grant(ticket, "nested")

    def _stuck(self) -> Ticket | None:
        """A nested call that may start beyond the bounds; it is going to."""
        for kids in self._nested.waiting.values():
            for _, ticket in zip(range(_LOOKED_AT), kids.values(), strict=False):
                if ticket.bid is None or not self._may_pass(ticket):
                    continue
                if self._let_through(ticket):
                    return ticket
                break  # Nobody overtakes a nested call at its endpoint.
        return None

    def _let_through(self, ticket: Ticket) -> bool:
        """Whether its endpoint lets it go; if it will by itself, somebody looks again then."""
        endpoint, queue, now_s = ticket.endpoint, self._queue, self._books.now_s
        if endpoint is None:
            return True
        wait = endpoint.wait(ticket.need, now_s)
        if wait.cause == "concurrency" and self._is_circle(endpoint):
            return True
        if wait.seconds > 0:
            held = Held(endpoint, ticket.need, wait, ticket)
            endpoint.held_up(held.amounts, wait, now_s)
            queue.look_s = min(queue.look_s, held.look_s(now_s))
            return False
        at, pool = queue.at.get(endpoint.name), self._books.pool
        if at is None or pool.in_use >= pool.lanes:
            return True  # The head waits for a lane, maybe for this very call's.
        free, head = may_overtake(ticket, at, now_s)
        if free and head is not None:
            head.overtaken += share_of(ticket, head)
        return free

    def _is_circle(self, endpoint: Endpoint, *above: Endpoint) -> bool:
        """Whether its limit of calls in flight is used up by calls that wait for it for ever.

        Each has a nested call that waits for it, or for another one of which the same holds
        (`above`: those that are looked at already).
        """
        if endpoint.concurrency.allows(len(endpoint.in_flight)):
            return False
        known, looked = self._books.tickets, (*above, endpoint)
        return all(self._waits_for(known[number], looked) for number in endpoint.in_flight)

    def _waits_for(self, parent: Ticket, looked: tuple[Endpoint, ...]) -> bool:
        for kid in (parent.kids or {}).values():
            at = kid.endpoint
            if kid.bid is None:
                stuck = self._waits_for(kid, looked)
            else:
                stuck = at is not None and (at in looked or self._is_circle(at, *looked))
            if stuck:
                return True
        return False

    def _may_pass(self, ticket: Ticket) -> bool:
        """Whether each bound that is reached is used up by calls that only wait."""
        pool, group, account = self._books.pool, ticket.group, ticket.account
        parent = ticket.parent
        assert parent is not None  # noqa: S101 - only nested calls are in `waiting`
        if ticket.endpoint is not None and parent.rider is None and parent.group is group:
            return True  # It only waited for its endpoint.
        full = group.in_use >= group.capacity or pool.in_use >= pool.lanes
        if not (full or group.agent_full(account) or group.tenant_full(account.tenant)):
            return False  # It is no lane that it waits for.
        if group.in_use >= group.capacity and pool.is_busy(group):
            return False
        seats = group.seats
        if group.agent_full(account) and any(s.busy for s in seats if s.account is account):
            return False
        if group.tenant_full(account.tenant) and any(
            seat.busy for seat in seats if seat.account.tenant is account.tenant
        ):
            return False
        lent = parent.rider is None  # It needs no further lane of the total.
        return lent or pool.in_use < pool.lanes or not pool.is_busy()
