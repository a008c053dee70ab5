"""The waiting room: who waits for which kind of lane, and who of them goes next.

A line is one kind of lane: calls in it are held up by the same things. Each agent has at most one
bid in a line, for the first of its calls there. Bids of agents at their ceiling are parked until a
lane comes back. So the choice looks at each line once, and at no waiting call but the best.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from agentrm_plugins.accounts import Bid
from agentrm_plugins.policy.leases import NEVER

if TYPE_CHECKING:
    from agentrm_plugins.accounts import Account, RunQueue, Scheduler, Tenant
    from agentrm_plugins.kernel.site import Site
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.policy.lanes import Group, LanePool

__all__ = ["Line", "WaitingRoom"]


_Key = tuple[str, str | None, str | None]
_LOOKED_AT = 4  # bids behind a head that waits for its endpoint
_OVERTAKEN = 0.25  # share of the head's own need that others may take before it


class Line:
    """One kind of lane: a group, an endpoint, and the tenant where tenants have ceilings.

    `first` is a bid that has waited longest and goes next, whatever the order says; `overtaker` one
    that may go before a head that waits for its endpoint, with that head's call.
    """

    __slots__ = (
        "bids",
        "first",
        "group",
        "key",
        "oldest",
        "overtaker",
        "ready",
        "site",
        "tenant",
        "waiting",
    )

    def __init__(
        self,
        key: _Key,
        group: Group,
        site: Site | None,
        tenant: Tenant | None,
        ready: RunQueue,
    ) -> None:
        self.key = key
        self.group = group
        self.site = site
        self.tenant = tenant
        self.ready = ready
        self.first: Bid | None = None
        self.overtaker: tuple[Bid, Ticket] | None = None
        self.bids = 0
        self.waiting = 0
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
        self.lines: dict[_Key, Line] = {}
        self.asleep: dict[int, Ticket] = {}
        self.look_s = NEVER
        self.waiting: dict[Group, int] = dict.fromkeys(pool.groups.values(), 0)
        self.count = 0

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
        if bid.ready:
            self._withhold(bid)
        bid.insert(ticket)
        self._enqueue(ticket, bid)
        if ticket.turn:
            bid.turn = min(bid.turn, ticket.turn)
        self._offer(bid, now_s)

    def sleep(self, ticket: Ticket) -> None:
        """A call waits, and may not go before its alarm rings."""
        self.asleep[ticket.number] = ticket
        self._count(ticket)

    def wake(self, ticket: Ticket, now_s: float) -> None:
        """Its alarm rang."""
        del self.asleep[ticket.number]
        self._uncount(ticket)
        self.put_at_place(ticket, now_s)

    def anybody_before(self, ticket: Ticket) -> bool:
        """Whether somebody waits in the line in which this call would wait."""
        line = self.lines.get(_key(ticket))
        return line is not None and line.bids > 0

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
        bid.discard(ticket)
        bid.line.waiting -= 1
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
        ticket.turn = bid.turn
        bid.discard(ticket)
        bid.line.waiting -= 1
        self._uncount(ticket)
        line = bid.line
        if line.overtaker is not None and line.overtaker[0] is bid:
            line.overtaker[1].overtaken += ticket.need["tokens"]
        line.overtaker = None
        if line.first is bid:
            line.first = None
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
        self.look_s = NEVER
        if pool.in_use >= pool.lanes:
            return None
        heads = [
            bid
            for line in self.lines.values()
            if line.ready and self._is_open(line) and (bid := self._candidate(line, now_s))
        ]
        if not heads:
            return None
        if len(heads) > 1:
            owed = [bid for bid in heads if bid.line.group.in_use < bid.line.group.guaranteed]
            heads = owed or heads
        if self._scheduler.prevents_starvation:
            lines = [bid.line for bid in heads]
            due = self._due(lines)
            if due is not None:
                oldest = self._longest_waiting(due, lines)
                if self._blocked_s(oldest, now_s) == 0:
                    return oldest, "oldest"
                if oldest.line.first is None:
                    oldest.line.first = oldest  # Nobody else is to take what it waits for.
                    return self.choose(now_s)
        if len(heads) == 1:
            return heads[0], "oldest" if heads[0].line.first is heads[0] else "order"
        return min(heads, key=lambda bid: bid.line.ready.rank(bid, now_s)), "order"

    def restore(self, account: Account, tickets: list[Ticket], turn: int) -> Bid:
        """Make a bid as it was when the kernel was dumped; it is not on offer yet."""
        line = self._line(tickets[0])
        bid = account.bids[line] = Bid(account, line, turn)
        line.bids += 1
        for ticket in tickets:
            bid.append(ticket)
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

    def _bid(self, ticket: Ticket) -> Bid:
        account, line = ticket.account, self._line(ticket)
        bid = account.bids.get(line)
        if bid is None:
            self.turn += 1
            bid = account.bids[line] = Bid(account, line, self.turn)
            line.bids += 1
        return bid

    def _line(self, ticket: Ticket) -> Line:
        key = _key(ticket)
        line = self.lines.get(key)
        if line is None:
            group = ticket.group
            tenant = ticket.account.tenant if group.per_tenant is not None else None
            line = Line(key, group, ticket.site, tenant, self._scheduler.queue())
            self.lines[key] = line
        return line

    def look_at(self, site: Site, at_s: float) -> None:
        """Somebody may go then, or when a rate grows before."""
        self.look_s = min(self.look_s, at_s, site.endpoint.next_s())

    def _candidate(self, line: Line, now_s: float) -> Bid | None:
        """Who of the line may go now: its head, or somebody small behind a head that waits."""
        head = line.first or line.ready.best(now_s)
        if head is None or line.site is None:
            return head
        wait_s = self._blocked_s(head, now_s)
        if wait_s == 0:
            return head
        if wait_s < NEVER:
            self.look_at(line.site, now_s + wait_s)
            return self._overtaker(line, head, now_s)
        return None

    def _blocked_s(self, bid: Bid, now_s: float) -> float:
        endpoint = bid.line.site
        return 0.0 if endpoint is None else endpoint.blocked_s(bid.head.need, now_s)

    def _overtaker(self, line: Line, head: Bid, now_s: float) -> Bid | None:
        """Backfill: somebody behind the head whom the head's reservation has room for."""
        first: Ticket = head.head
        room = _OVERTAKEN * first.need["tokens"] - first.overtaken
        if room < 1 or len(line.ready) == 1:
            return None
        passed, found = [head], None
        line.ready.remove(head)
        while found is None and len(passed) <= _LOOKED_AT:
            bid = line.ready.best(now_s)
            if bid is None:
                break
            need = bid.head.need
            if need["tokens"] <= room and self._blocked_s(bid, now_s) == 0:
                found = bid
                line.overtaker = bid, first
            else:
                passed.append(bid)
                line.ready.remove(bid)
        for bid in passed:
            line.ready.add(bid, now_s)
        return found

    def _is_open(self, line: Line) -> bool:
        group = line.group
        if group.in_use >= group.capacity:
            return False
        return line.tenant is None or not group.tenant_full(line.tenant)

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
        if bid.line.first is bid:
            bid.line.first = None
        bid.line.ready.remove(bid)

    def _close(self, bid: Bid) -> None:
        if bid.ready:
            self._withhold(bid)
        line = bid.line
        del bid.account.bids[line]
        bid.turn = -1
        line.bids -= 1
        if not line.bids and (line.tenant is not None or line.site is not None):
            del self.lines[line.key]

    def _enqueue(self, ticket: Ticket, bid: Bid) -> None:
        ticket.bid = bid
        bid.line.waiting += 1
        self._count(ticket)

    def _count(self, ticket: Ticket) -> None:
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


def _key(ticket: Ticket) -> _Key:
    group, site = ticket.group, ticket.site
    tenant = ticket.account.tenant.name if group.per_tenant is not None else None
    return group.name, site.name if site is not None else None, tenant


def _on_offer(entry: tuple[int, Bid]) -> bool:
    turn, bid = entry
    return bid.ready and bid.turn == turn
