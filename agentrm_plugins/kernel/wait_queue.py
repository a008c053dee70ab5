"""All calls that wait: each in the queue of its kind of lane, and asleep before its time has come.

Each agent has at most one bid in a queue, for the first of its calls there. Bids of agents at their
ceiling are parked until a lane comes back. So the choice (`kernel.selection`) looks at each queue
once, and at no waiting call but the best.
"""

from __future__ import annotations

from heapq import heapify, heappush
from typing import TYPE_CHECKING

from agentrm_plugins.kernel.queues import EndpointQueue, Key, LaneQueue, share_of
from agentrm_plugins.kernel.reasons import throttled
from agentrm_plugins.kernel.selection import Choice, Selector
from agentrm_plugins.policy.leases import NEVER
from agentrm_plugins.policy.order.agent_queue import AgentQueue

if TYPE_CHECKING:
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.policy.endpoint.endpoint import Endpoint
    from agentrm_plugins.policy.lanes import Group
    from agentrm_plugins.types.accounts import Account, Tenant

__all__ = ["WaitQueue"]

_AGES_S = 0.5
"""How old the order of those whom an endpoint holds up may get. Guessed: too short to be seen."""


class WaitQueue:
    """All waiting calls.

    Args:
        books: The kernel's books.

    `queues` are the kinds of lane, `at` those who wait for each endpoint, by name. At `look_s`
    somebody may go though nothing happens before; at `looked_s` it was looked last. Under an order
    that ages, what was found then holds until the next look.
    """

    def __init__(self, books: Books) -> None:
        self._books = books
        pool = self._pool = books.pool
        self._scheduler = books.scheduler
        self._selector = Selector(books.scheduler, pool, books.config.scheduler.boost_interval)
        self.turn = 0
        self.passed: dict[Group, int] = dict.fromkeys(pool.groups.values(), 0)
        self.queues: dict[Key, LaneQueue] = {}
        self.at: dict[str, EndpointQueue] = {}
        self.asleep: dict[int, Ticket] = {}
        self.look_s = NEVER
        self.looked_s = 0.0
        self.waiting: dict[Group, int] = dict.fromkeys(pool.groups.values(), 0)
        self.count = 0

    def clear(self) -> None:
        """Nobody waits: whoever does is put in again."""
        self.queues.clear()
        self.at.clear()
        self.asleep.clear()
        for group in self.waiting:
            self.waiting[group] = 0
        self.count = 0
        self.look_s = NEVER

    def reconfigure(self) -> None:
        """The lane groups are others; nobody waits for a lane at this moment."""
        groups = self._pool.groups.values()
        self.passed = {group: self.passed.get(group, 0) for group in groups}
        self.waiting = {group: self.waiting.get(group, 0) for group in groups}
        self.queues.clear()
        self.at.clear()

    # -- who goes -------------------------------------------------------------------------------

    def choose(self, now_s: float) -> Choice:
        """Who is to be granted now. Changes nothing."""
        return self._selector.choose(self.queues.values(), self.passed, now_s)

    def note(self, choice: Choice, now_s: float) -> None:
        """A choice is acted on: what it counted counts, and whom it holds up is told."""
        for group in choice.counted:
            self.passed[group] += 1
        for group in choice.relieved:
            self.passed[group] = 0
        for at, bid in choice.first.items():
            at.first = bid
        for held in choice.held:
            held.endpoint.held_up(held.amounts, held.wait, now_s)
            if held.ticket.held_by != held.wait.cause:
                throttled(self._books, held.ticket, held.wait)
        self.look_s = choice.look_s(now_s) if choice.held else NEVER
        self.looked_s = now_s
        if (
            choice.held and self._scheduler.ages
        ):  # whoever is held up may be overtaken by waiting alone
            self.look_s = min(self.look_s, now_s + _AGES_S)

    def take(self, choice: Choice, now_s: float) -> Ticket:
        """The call of the choice is granted; its agent goes behind the others."""
        bid = choice.bid
        assert bid is not None  # noqa: S101 - the caller looked
        ticket: Ticket = bid.head
        ticket.bid = None
        ticket.turn = bid.turn
        bid.discard(ticket)
        bid.line.waiting -= 1
        self._uncount(ticket)
        head = choice.overtaken.get(bid)
        if head is not None:
            head.overtaken += share_of(ticket, head)
        if not bid.live:
            self._close(bid)
            return ticket
        self._withhold(bid)
        self.turn += 1
        bid.turn, bid.turn_s = self.turn, now_s
        self._offer(bid, now_s)
        return ticket

    def anybody_before(self, endpoint: Endpoint) -> bool:
        """Whether somebody who has a lane waits for what this endpoint gives."""
        at = self.at.get(endpoint.name)
        return at is not None and any(map(LaneQueue.is_able, at.queues))

    # -- who waits -------------------------------------------------------------------------------

    def put(self, ticket: Ticket, now_s: float) -> None:
        """A call begins to wait."""
        bid = self._bid(ticket)
        bid.append(ticket)
        self._enqueue(ticket, bid)
        if bid.live == 1:
            self._offer(bid, now_s)

    def put_at_place(self, ticket: Ticket, now_s: float) -> None:
        """A call goes again: before its agent's later calls, at the turn that it had."""
        bid = self._bid(ticket)
        kept = bid.ready and self._withhold(bid)
        bid.insert(ticket)
        self._enqueue(ticket, bid)
        if ticket.turn:
            bid.turn = min(bid.turn, ticket.turn)
            bid.turn_s = 0.0  # it had its turn: what counts is when the call came
        self._offer(bid, now_s, first=kept)

    def sleep(self, ticket: Ticket) -> None:
        """A call waits, and may not go before its alarm rings."""
        self.asleep[ticket.number] = ticket
        self._count(ticket)

    def wake(self, ticket: Ticket, now_s: float) -> None:
        """It may go again, or at last."""
        del self.asleep[ticket.number]
        self._uncount(ticket)
        self.put_at_place(ticket, now_s)

    def remove(self, ticket: Ticket, now_s: float) -> None:
        """A call waits no longer, wherever it stands; its agent keeps its turn."""
        if ticket.number in self.asleep:
            del self.asleep[ticket.number]
            self._uncount(ticket)
            return
        bid = ticket.bid
        assert bid is not None  # noqa: S101 - every queued ticket has one
        first = bid.head is ticket
        ticket.bid = None
        ticket.turn = bid.turn
        bid.discard(ticket)
        bid.line.waiting -= 1
        self._uncount(ticket)
        if not bid.live:
            self._close(bid)
        elif first:
            kept = self._withhold(bid)
            self._offer(bid, now_s, first=kept)

    def reprice(self, tenant: Tenant) -> None:
        """The tenant holds less than before."""
        for queue in self.queues.values():
            if queue.offered:
                queue.ready.reprice(tenant)

    def recharged(self, account: Account, now_s: float) -> None:
        """The agent's level changed: its bids move."""
        for bid in account.bids.values():
            if bid.ready:
                bid.line.ready.remove(bid)
                bid.line.ready.add(bid, now_s)

    def seated(self, account: Account, group: Group) -> None:
        """The agent got a lane: park its bids if that was its last."""
        if group.agent_full(account):
            for queue, bid in account.bids.items():
                if bid.ready and queue.group is group:
                    self._withhold(bid)

    def unseated(self, account: Account, group: Group, now_s: float) -> None:
        """The agent gave back a lane: its parked bids are on offer again."""
        if group.per_agent is not None and not group.agent_full(account):
            for queue, bid in account.bids.items():
                if not bid.ready and queue.group is group:
                    self._offer(bid, now_s)

    # -- steps -----------------------------------------------------------------------------------

    def _bid(self, ticket: Ticket) -> AgentQueue:
        account, queue = ticket.account, self._queue(ticket)
        bid = account.bids.get(queue)
        if bid is None:
            self.turn += 1
            bid = account.bids[queue] = AgentQueue(account, queue, self.turn)
            queue.bids += 1
        return bid

    def _queue(self, ticket: Ticket) -> LaneQueue:
        group, endpoint = ticket.group, ticket.endpoint
        tenant = ticket.account.tenant if group.per_tenant is not None else None
        at_name = None if endpoint is None else endpoint.name
        key = group.name, at_name, None if tenant is None else tenant.name
        queue = self.queues.get(key)
        if queue is None:
            at = None
            if endpoint is not None:
                at = self.at.get(endpoint.name)
                if at is None:
                    at = self.at[endpoint.name] = EndpointQueue(endpoint)
            queue = LaneQueue(key, group, at, tenant, self._scheduler.queue())
            self.queues[key] = queue
            if at is not None:
                at.queues[queue] = None
        return queue

    def _offer(self, bid: AgentQueue, now_s: float, *, first: bool = False) -> None:
        queue: LaneQueue = bid.line
        group = queue.group
        if group.per_agent is not None and group.agent_full(bid.account):
            return
        bid.ready = True
        queue.offered += 1
        queue.ready.add(bid, now_s)
        if first and queue.at is not None:
            queue.at.first = bid
        self._note_turn(bid)

    def _note_turn(self, bid: AgentQueue) -> None:
        if not self._scheduler.prevents_starvation:
            return  # nobody will ask who has waited longest
        queue: LaneQueue = bid.line
        heappush(queue.oldest, (bid.turn, bid))
        if len(queue.oldest) > 2 * queue.offered + 32:
            queue.oldest = [
                entry for entry in queue.oldest if entry[1].ready and entry[1].turn == entry[0]
            ]
            heapify(queue.oldest)

    def _withhold(self, bid: AgentQueue) -> bool:
        """Take a bid off offer, if it is on. Says whether it was to go first at its endpoint."""
        if not bid.ready:
            return False
        bid.ready = False
        queue: LaneQueue = bid.line
        at = queue.at
        first = at is not None and at.first is bid
        if first and at is not None:
            at.first = None
        queue.offered -= 1
        queue.ready.remove(bid)
        return first

    def _close(self, bid: AgentQueue) -> None:
        self._withhold(bid)
        queue: LaneQueue = bid.line
        del bid.account.bids[queue]
        bid.turn = -1
        queue.bids -= 1
        if not queue.bids and (queue.tenant is not None or queue.at is not None):
            del self.queues[queue.key]
            if queue.at is not None:
                del queue.at.queues[queue]
                if not queue.at.queues:
                    del self.at[queue.at.endpoint.name]

    def _enqueue(self, ticket: Ticket, bid: AgentQueue) -> None:
        ticket.bid = bid
        bid.line.waiting += 1
        self._count(ticket)

    def _count(self, ticket: Ticket) -> None:
        account = ticket.account
        if not account.waiting:
            self._books.gauges.waiting[account] = None
        account.waiting += 1
        account.tenant.waiting += 1
        self.waiting[ticket.group] += 1
        self.count += 1

    def _uncount(self, ticket: Ticket) -> None:
        account = ticket.account
        account.waiting -= 1
        if not account.waiting:
            self._books.gauges.waiting.pop(account, None)
        account.tenant.waiting -= 1
        self.waiting[ticket.group] -= 1
        self.count -= 1
