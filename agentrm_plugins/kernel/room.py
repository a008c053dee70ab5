"""The waiting room: who waits for which kind of lane, and who of them goes next.

A line is one kind of lane: calls in it are held up by the same things. Each agent has at most one
bid in a line, for the first of its calls there. Bids of agents at their ceiling are parked until a
lane comes back. So the choice looks at each line once, and at no waiting call but the best.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from agentrm_plugins.accounts import Bid

if TYPE_CHECKING:
    from agentrm_plugins.accounts import Account, RunQueue, Scheduler, Tenant
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.policy.lanes import Group, LanePool

__all__ = ["Line", "WaitingRoom"]


class Line:
    """One kind of lane: a group, and the tenant where tenants have ceilings of their own."""

    __slots__ = ("bids", "group", "key", "oldest", "ready", "tenant")

    def __init__(
        self, key: tuple[str, str | None], group: Group, tenant: Tenant | None, ready: RunQueue
    ) -> None:
        self.key = key
        self.group = group
        self.tenant = tenant
        self.ready = ready
        self.bids = 0
        self.oldest: list[tuple[int, Bid]] = []


class WaitingRoom:
    """All waiting calls.

    Args:
        scheduler: The order.
        pool: The lanes.
        relief_interval: Every so many grants that a group could have had, its bid that has waited
            longest goes.
    """

    def __init__(self, scheduler: Scheduler, pool: LanePool, relief_interval: int) -> None:
        self._scheduler = scheduler
        self._pool = pool
        self._relief_interval = relief_interval
        self.turn = 0
        self.passed: dict[Group, int] = dict.fromkeys(pool.groups.values(), 0)
        self.lines: dict[tuple[str, str | None], Line] = {}
        self.waiting: dict[Group, int] = dict.fromkeys(pool.groups.values(), 0)
        self.count = 0

    def put(self, ticket: Ticket, now_s: float) -> None:
        """A call begins to wait."""
        account = ticket.account
        line = self._line(ticket.group, account.tenant)
        bid = account.bids.get(line)
        if bid is None:
            self.turn += 1
            bid = account.bids[line] = Bid(account, line, self.turn)
            line.bids += 1
        self._enqueue(ticket, bid)
        if bid.live == 1:
            self._offer(bid, now_s)

    def remove(self, ticket: Ticket, now_s: float) -> None:
        """A call waits no longer, wherever it stands; its agent keeps its turn."""
        bid = ticket.bid
        assert bid is not None  # noqa: S101 - every queued ticket has one
        first = bid.head is ticket
        ticket.bid = None
        bid.discard(ticket)
        self._uncount(ticket)
        if not bid.live:
            self._close(bid)
        elif first:
            if bid.ready:
                self._withhold(bid)
            self._offer(bid, now_s)

    def take(self, bid: Bid, now_s: float) -> Ticket:
        """The call on offer in `bid` is granted; its agent goes behind the others."""
        ticket: Ticket = bid.head
        ticket.bid = None
        bid.discard(ticket)
        self._uncount(ticket)
        if not bid.live:
            self._close(bid)
            return ticket
        self._withhold(bid)
        self.turn += 1
        bid.turn = self.turn
        self._offer(bid, now_s)
        return ticket

    def choose(self, now_s: float) -> tuple[Bid, str] | None:
        """Who is to be granted now and by which rule, or None: nobody waits, or nobody may go."""
        pool = self._pool
        if pool.in_use >= pool.lanes:
            return None
        open_lines = [line for line in self.lines.values() if line.ready and self._is_open(line)]
        if not open_lines:
            return None
        if len(open_lines) == 1:
            bid = open_lines[0].ready.best(now_s)
        else:
            owed = [line for line in open_lines if line.group.in_use < line.group.guaranteed]
            open_lines = owed or open_lines
            bid = self._best_of(open_lines, now_s)
        if bid is None:
            return None
        if self._scheduler.prevents_starvation:
            due = self._due(open_lines)
            if due is not None:
                return self._longest_waiting(due, open_lines), "oldest"
        return bid, "order"

    def restore(self, account: Account, tickets: list[Ticket], turn: int) -> Bid:
        """Make a bid as it was when the kernel was dumped; it is not on offer yet."""
        line = self._line(tickets[0].group, account.tenant)
        bid = account.bids[line] = Bid(account, line, turn)
        line.bids += 1
        for ticket in tickets:
            self._enqueue(ticket, bid)
        return bid

    def put_back(self, bid: Bid) -> None:
        """Offer a restored bid again, in the place where its level and slot say."""
        bid.ready = True
        bid.line.ready.restore(bid)
        self._note(bid)

    def reprice(self, tenant: Tenant) -> None:
        """The tenant holds less than before."""
        for line in self.lines.values():
            if line.ready:
                line.ready.reprice(tenant)

    def recharged(self, account: Account, now_s: float) -> None:
        """The agent's level changed: its bids move."""
        for bid in account.bids.values():
            if bid.ready:
                bid.line.ready.remove(bid)
                bid.line.ready.add(bid, now_s)

    def seated(self, account: Account, group: Group) -> None:
        """The agent got a lane: park its bids if that was its last."""
        if group.agent_full(account):
            for line, bid in account.bids.items():
                if bid.ready and line.group is group:
                    self._withhold(bid)

    def unseated(self, account: Account, group: Group, now_s: float) -> None:
        """The agent gave back a lane: its parked bids are on offer again."""
        if group.per_agent is not None and not group.agent_full(account):
            for line, bid in account.bids.items():
                if not bid.ready and line.group is group:
                    self._offer(bid, now_s)

    def _line(self, group: Group, tenant: Tenant) -> Line:
        own = group.per_tenant is not None
        key = (group.name, tenant.name if own else None)
        line = self.lines.get(key)
        if line is None:
            ready = self._scheduler.queue()
            line = self.lines[key] = Line(key, group, tenant if own else None, ready)
        return line

    def _is_open(self, line: Line) -> bool:
        group = line.group
        if group.in_use >= group.capacity:
            return False
        return line.tenant is None or not group.tenant_full(line.tenant)

    def _best_of(self, lines: list[Line], now_s: float) -> Bid | None:
        heads = [bid for line in lines if (bid := line.ready.best(now_s)) is not None]
        return min(heads, key=lambda bid: bid.line.ready.rank(bid, now_s), default=None)

    def _due(self, lines: list[Line]) -> Group | None:
        """Count a grant for each group that could have it; the group that is due for relief."""
        passed = self.passed
        groups = {line.group for line in lines}
        for group in groups:
            passed[group] += 1
        due = max((group for group in passed if group in groups), key=passed.__getitem__)
        if passed[due] < self._relief_interval:
            return None
        passed[due] = 0
        return due

    def _longest_waiting(self, group: Group, lines: list[Line]) -> Bid:
        heads = []
        for line in lines:
            oldest = line.oldest
            while oldest and not _on_offer(oldest[0]):
                heappop(oldest)
            if line.group is group and oldest:
                heads.append(oldest[0])
        return min(heads)[1]

    def _offer(self, bid: Bid, now_s: float) -> None:
        line = bid.line
        if line.group.agent_full(bid.account):
            return
        bid.ready = True
        line.ready.add(bid, now_s)
        self._note(bid)

    def _note(self, bid: Bid) -> None:
        if not self._scheduler.prevents_starvation:
            return  # nobody will ask who has waited longest
        line = bid.line
        heappush(line.oldest, (bid.turn, bid))
        if len(line.oldest) > 2 * len(line.ready) + 32:
            line.oldest = [entry for entry in line.oldest if _on_offer(entry)]
            heapify(line.oldest)

    def _withhold(self, bid: Bid) -> None:
        bid.ready = False
        bid.line.ready.remove(bid)

    def _close(self, bid: Bid) -> None:
        if bid.ready:
            self._withhold(bid)
        line = bid.line
        del bid.account.bids[line]
        bid.turn = -1
        line.bids -= 1
        if not line.bids and line.tenant is not None:
            del self.lines[line.key]

    def _enqueue(self, ticket: Ticket, bid: Bid) -> None:
        ticket.bid = bid
        bid.append(ticket)
        account = ticket.account
        account.waiting += 1
        account.tenant.waiting += 1
        self.waiting[ticket.group] += 1
        self.count += 1

    def _uncount(self, ticket: Ticket) -> None:
        account = ticket.account
        account.waiting -= 1
        account.tenant.waiting -= 1
        self.waiting[ticket.group] -= 1
        self.count -= 1


def _on_offer(entry: tuple[int, Bid]) -> bool:
    turn, bid = entry
    return bid.ready and bid.turn == turn
