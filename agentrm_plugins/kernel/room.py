"""The waiting room: who waits for which kind of lane, and who of them goes next.

A line is one kind of lane: calls in it are held up by the same things. Each agent has at most one
bid in a line, for the first of its calls there. Bids of agents at their ceiling are parked until a
lane comes back. So the choice looks at each line once, and at no waiting call but the best.

An endpoint has one head: the first call, by order, of the lines that wait for it and have a lane.
While the head waits for its tokens nobody else takes them, but for small calls behind it, as long
as all that it is overtaken by, each as a share of its own need, adds up to at most a quarter.

Bound: with lanes free, a call that needs ``n`` of a resource goes at most ``(1 + 1/4) n / rate``
after it became the head (and after debts and closures that were there before), whatever comes; add
the time of one call where the endpoint also limits its calls in flight. Who goes first by order may
become the head in its stead; yet with an order that prevents starvation, the call that has waited
longest is made the head every `relief_interval` grants, and then stays it until it goes.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import nextafter
from typing import TYPE_CHECKING

from agentrm_plugins.kernel.line import Key, Line, is_first, is_owed, key_of, share_of
from agentrm_plugins.policy.leases import NEVER
from agentrm_plugins.types.accounts import Bid
from agentrm_plugins.types.verdicts import RESOURCES

if TYPE_CHECKING:
    from agentrm_plugins.kernel.site import Site
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.policy.lanes import Group, LanePool
    from agentrm_plugins.types.accounts import Account, Scheduler, Tenant

__all__ = ["WaitingRoom"]
_LOOKED_AT = 4  # bids behind a head that waits for its endpoint
_OVERTAKEN = 0.25  # guessed: share of the head's own need that others may take before it


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
        self.lines: dict[Key, Line] = {}
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
        kept = self._withhold(bid)
        bid.insert(ticket)
        self._enqueue(ticket, bid)
        if ticket.turn:
            bid.turn = min(bid.turn, ticket.turn)
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

    def anybody_before(self, site: Site) -> bool:
        """Whether somebody who has a lane waits for what this endpoint gives."""
        return any(line.ready and self._is_open(line) for line in site.lines)

    def may_overtake(self, ticket: Ticket, site: Site, now_s: float) -> bool:
        """Whether a nested call that needs no lane may take what the endpoint's head waits for."""
        if self._pool.in_use >= self._pool.lanes:
            return True  # The head waits for a lane, maybe for this very call's.
        lines = [line for line in site.lines if line.ready and self._is_open(line)]
        head = self._head(site, lines, now_s) if lines else None
        if head is None or head is ticket.bid:
            return True
        share = share_of(ticket, head.head)
        if head.head.overtaken + share > _OVERTAKEN:
            return False
        head.head.overtaken += share
        return True

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

    def take(self, bid: Bid, now_s: float) -> Ticket:
        """The call on offer in `bid` is granted; its agent goes behind the others."""
        ticket: Ticket = bid.head
        ticket.bid = None
        ticket.turn = bid.turn
        bid.discard(ticket)
        bid.line.waiting -= 1
        self._uncount(ticket)
        site = bid.line.site
        if site is not None and site.overtaker is not None:
            passing, head = site.overtaker
            if passing is bid:
                head.overtaken += share_of(ticket, head)
            site.overtaker = None
        if not bid.live:
            self._close(bid)
            return ticket
        self._withhold(bid)
        self.turn += 1
        bid.turn = self.turn
        self._offer(bid, now_s)
        return ticket

    def choose(self, now_s: float, *, counted: bool = False) -> tuple[Bid, str] | None:
        """Who is to be granted now and by which rule, or None: nobody waits, or nobody may go.

        `counted` says that this grant has been counted already.
        """
        pool = self._pool
        self.look_s = NEVER
        if pool.in_use >= pool.lanes:
            return None
        lines = [line for line in self.lines.values() if line.ready and self._is_open(line)]
        heads = self._heads(lines, now_s)
        if not heads:
            return None
        if len(heads) > 1:
            heads = [bid for bid in heads if is_owed(bid.line)] or heads
        if self._scheduler.prevents_starvation:
            kept = next((bid for bid in heads if is_first(bid)), None)
            due = self._due(heads, counted=counted)
            if kept is not None:
                return kept, "oldest"
            oldest = None if due is None else self._longest_waiting(due, lines)
            if due is not None and oldest is not None:
                self.passed[due] = 0
                site = oldest.line.site
                if site is None or site.wait(oldest.head.need, now_s).seconds == 0:
                    return oldest, "oldest"
                site.first = oldest  # Nobody else is to take what it waits for.
                return self.choose(now_s, counted=True)
        if len(heads) == 1:
            return heads[0], "order"
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

    def arrange(self, keys: list[Key]) -> None:
        """Bring the lines into the order that they had; those without anybody are made anew."""
        lines, self.lines = self.lines, {}
        for key in keys:
            line = lines.get(key)
            if line is None:
                line = Line(key, self._pool.groups[key[0]], None, None, self._scheduler.queue())
            self.lines[key] = line

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
        key = key_of(ticket)
        line = self.lines.get(key)
        if line is None:
            group = ticket.group
            tenant = ticket.account.tenant if group.per_tenant is not None else None
            line = Line(key, group, ticket.site, tenant, self._scheduler.queue())
            self.lines[key] = line
            if ticket.site is not None:
                ticket.site.lines[line] = None
        return line

    def look_at(self, site: Site, at_s: float, now_s: float) -> None:
        """Somebody may go then, or when a rate grows before."""
        at_s = max(at_s, nextafter(now_s, NEVER))  # So short a wait must not be lost in rounding.
        self.look_s = min(self.look_s, at_s, site.endpoint.next_s())

    def _heads(self, lines: list[Line], now_s: float) -> list[Bid]:
        """Who goes next of each line without an endpoint, and of each endpoint that lets one go."""
        heads = []
        sites: dict[Site, list[Line]] = {}
        for line in lines:
            if line.site is not None:
                sites.setdefault(line.site, []).append(line)
            else:
                heads.append(_best(line, now_s))
        for site, own in sites.items():
            candidate = self._candidate(site, own, now_s)
            if candidate is not None:
                heads.append(candidate)
        return heads

    def _head(self, site: Site, lines: list[Line], now_s: float) -> Bid:
        """Whose turn it is at the endpoint, of those who have a lane."""
        first = site.first
        if first is not None and first.line in lines:
            return first
        heads = [_best(line, now_s) for line in lines]
        if len(heads) == 1:
            return heads[0]
        heads = [bid for bid in heads if is_owed(bid.line)] or heads
        return min(heads, key=lambda bid: bid.line.ready.rank(bid, now_s))

    def _candidate(self, site: Site, lines: list[Line], now_s: float) -> Bid | None:
        """Who may go to the endpoint now: its head, or somebody small behind a head that waits."""
        site.overtaker = None
        head = self._head(site, lines, now_s)
        wait = site.wait(head.head.need, now_s)
        if wait.seconds == 0:
            return head
        if wait.seconds == NEVER:
            return None
        self.look_at(site, now_s + wait.seconds, now_s)
        return self._overtaker(site, lines, head, now_s) if wait.cause in RESOURCES else None

    def _overtaker(self, site: Site, lines: list[Line], head: Bid, now_s: float) -> Bid | None:
        """Backfill: somebody behind the head whom the head's reservation has room for."""
        first: Ticket = head.head
        room = _OVERTAKEN - first.overtaken
        if room <= 0 or sum(len(line.ready) for line in lines) == 1:
            return None
        passed, found = [head], None
        head.line.ready.remove(head)
        while found is None and len(passed) <= _LOOKED_AT:
            bids = [bid for line in lines if (bid := line.ready.best(now_s)) is not None]
            if not bids:
                break
            bid = min(bids, key=lambda bid: bid.line.ready.rank(bid, now_s))
            small = share_of(bid.head, first) <= room
            wait_s = site.wait(bid.head.need, now_s).seconds if small else NEVER
            if wait_s == 0:
                found = bid
                site.overtaker = bid, first
            else:
                if wait_s < NEVER:  # There may be enough for it before there is for the head.
                    self.look_at(site, now_s + wait_s, now_s)
                passed.append(bid)
                bid.line.ready.remove(bid)
        for bid in passed:
            bid.line.ready.restore(bid)
        return found

    def _is_open(self, line: Line) -> bool:
        group = line.group
        if group.in_use >= group.capacity:
            return False
        return line.tenant is None or not group.tenant_full(line.tenant)

    def _due(self, heads: list[Bid], *, counted: bool) -> Group | None:
        """Count a grant for each group that could have it; the group that is due for relief."""
        passed = self.passed
        groups = {bid.line.group: None for bid in heads}
        if not counted:
            for group in groups:
                passed[group] += 1
        due = max((group for group in passed if group in groups), key=passed.__getitem__)
        return due if passed[due] >= self._relief_interval else None

    def _longest_waiting(self, group: Group, lines: list[Line]) -> Bid | None:
        """The bid of the oldest turn; endpoints that have one that waits to go first aside."""
        heads = []
        for line in lines:
            if line.group is not group or (line.site is not None and line.site.first is not None):
                continue
            oldest = line.oldest
            while not _on_offer(oldest[0]):  # Somebody is, for the line is ready.
                heappop(oldest)
            heads.append(oldest[0])
        return min(heads)[1] if heads else None

    def _offer(self, bid: Bid, now_s: float, *, first: bool = False) -> None:
        line = bid.line
        if line.group.agent_full(bid.account):
            return
        bid.ready = True
        line.ready.add(bid, now_s)
        if first and line.site is not None:
            line.site.first = bid
        self._note(bid)

    def _note(self, bid: Bid) -> None:
        if not self._scheduler.prevents_starvation:
            return  # nobody will ask who has waited longest
        line = bid.line
        heappush(line.oldest, (bid.turn, bid))
        if len(line.oldest) > 2 * len(line.ready) + 32:
            line.oldest = [entry for entry in line.oldest if _on_offer(entry)]
            heapify(line.oldest)

    def _withhold(self, bid: Bid) -> bool:
        """Take a bid off offer, if it is on. Says whether it was to go first at its endpoint."""
        if not bid.ready:
            return False
        bid.ready = False
        first = is_first(bid)
        if first and bid.line.site is not None:
            bid.line.site.first = None
        bid.line.ready.remove(bid)
        return first

    def _close(self, bid: Bid) -> None:
        self._withhold(bid)
        line = bid.line
        del bid.account.bids[line]
        bid.turn = -1
        line.bids -= 1
        if not line.bids and (line.tenant is not None or line.site is not None):
            del self.lines[line.key]
            if line.site is not None:
                del line.site.lines[line]

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


def _best(line: Line, now_s: float) -> Bid:
    """Who goes next in a line in which somebody is on offer."""
    bid = line.ready.best(now_s)
    assert bid is not None  # noqa: S101 - somebody is
    return bid


def _on_offer(entry: tuple[int, Bid]) -> bool:
    turn, bid = entry
    return bid.ready and bid.turn == turn
