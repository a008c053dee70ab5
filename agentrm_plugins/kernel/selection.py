"""Who of those who wait is to be granted now: a question, which changes nothing.

Each kind of lane has a queue. An endpoint has one head: the first call, by order, of the queues
that wait for it and have a lane. While the head waits for its tokens nobody else takes them, but
for small calls behind it, as long as all that it is overtaken by, each as a share of its own need,
adds up to at most a quarter.

Bound: with lanes free, a call that needs ``n`` of a resource goes at most ``(1 + 1/4) n / rate``
after it became the head (and after debts and closures that were there before), whatever comes; add
the time of one call where the endpoint also limits its calls in flight. Who goes first by order may
become the head in its stead; yet with an order that prevents starvation, the call that has waited
longest is made the head every `relief_interval` grants, and then stays it until it goes.
"""

from __future__ import annotations

from heapq import heappop
from math import nextafter
from typing import TYPE_CHECKING, NamedTuple

from agentrm_plugins.kernel.queues import LaneQueue, is_owed, share_of
from agentrm_plugins.policy.leases import NEVER
from agentrm_plugins.types.verdicts import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentrm_plugins.kernel.queues import EndpointQueue
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.policy.endpoint.amounts import Wait
    from agentrm_plugins.policy.endpoint.endpoint import Endpoint
    from agentrm_plugins.policy.lanes import Group, LanePool
    from agentrm_plugins.policy.order.agent_queue import AgentQueue
    from agentrm_plugins.policy.order.protocols import Scheduler

__all__ = ["Choice", "Held", "Selector", "may_overtake", "on_offer"]

_LOOKED_AT = 4  # bids behind a head that waits for its endpoint
_OVERTAKEN = 0.25  # guessed: share of the head's own need that others may take before it


class Held(NamedTuple):
    """A call that its endpoint holds up."""

    endpoint: Endpoint
    amounts: Mapping[str, float]
    wait: Wait
    ticket: Ticket

    def look_s(self, now_s: float) -> float:
        """When it may go, or a rate grow before; infinite: something must happen first."""
        if self.wait.seconds == NEVER:
            return NEVER
        # So short a wait must not be lost in rounding.
        at_s = max(now_s + self.wait.seconds, nextafter(now_s, NEVER))
        return min(at_s, self.endpoint.next_s())


class Choice:
    """An answer, and what is to be noted when it is acted on.

    Attributes:
        bid: Who is to be granted; None: nobody waits, or nobody may go.
        cause: By which rule: "order" or "oldest".
        overtaken: The heads before which bids may go, by these.
        counted: The groups that could have had this grant.
        relieved: Those of them whose bid that has waited longest is seen to.
        first: Bids that are to go first at their endpoints, by these.
        held: Calls that their endpoints hold up.
    """

    __slots__ = ("bid", "cause", "counted", "first", "held", "overtaken", "relieved")

    def __init__(self) -> None:
        self.bid: AgentQueue | None = None
        self.cause = "order"
        self.overtaken: dict[AgentQueue, Ticket] = {}
        self.counted: Iterable[Group] = ()
        self.relieved: list[Group] = []
        self.first: dict[EndpointQueue, AgentQueue] = {}
        self.held: list[Held] = []

    def look_s(self, now_s: float) -> float:
        """When to ask again at the latest, if nothing happens before."""
        at_s = NEVER
        for held in self.held:
            at_s = min(at_s, held.look_s(now_s))
        return at_s

    def first_at(self, at: EndpointQueue) -> AgentQueue | None:
        """Who goes first at the endpoint, whatever the order says."""
        return self.first.get(at, at.first)

    def holds(self, endpoint: Endpoint, ticket: Ticket, now_s: float) -> Wait:
        """Ask the endpoint for the call; if it must wait, remember that."""
        wait = endpoint.wait(ticket.need, now_s)
        if wait.seconds > 0:
            self.held.append(Held(endpoint, ticket.need, wait, ticket))
        return wait


class Selector:
    """Chooses among queues.

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

    def choose(
        self, queues: Iterable[LaneQueue], passed: Mapping[Group, int], now_s: float
    ) -> Choice:
        """Who is to be granted now.

        Args:
            queues: All kinds of lane.
            passed: The grants that each group could have had since its last relief.
            now_s: The time.
        """
        choice = Choice()
        pool = self._pool
        if pool.in_use >= pool.lanes:
            return choice
        able = list(filter(LaneQueue.is_able, queues))
        if len(able) == 1 and able[0].at is None and self._alone(choice, able[0], passed, now_s):
            return choice
        while not self._chosen(choice, able, passed, now_s):
            choice.held.clear()
            choice.overtaken.clear()
        return choice

    def _alone(
        self, choice: Choice, queue: LaneQueue, passed: Mapping[Group, int], now_s: float
    ) -> bool:
        """There is one queue, without an endpoint: its first goes, unless somebody is relieved."""
        if self._scheduler.prevents_starvation:
            if passed[queue.group] + 1 >= self._relief_interval:
                return False
            choice.counted = (queue.group,)
        choice.bid = _best(queue, now_s)
        return True

    def _chosen(
        self, choice: Choice, able: list[LaneQueue], passed: Mapping[Group, int], now_s: float
    ) -> bool:
        """Fill in the choice. False if somebody was made the first at an endpoint: ask again."""
        heads = self._heads(choice, able, now_s)
        if not heads:
            return True
        if len(heads) > 1:
            heads = [bid for bid in heads if is_owed(bid.line)] or heads
        if self._scheduler.prevents_starvation:
            groups = dict.fromkeys(bid.line.group for bid in heads)
            if not choice.counted:
                choice.counted = groups
            for bid in heads:
                if bid.line.at is not None and choice.first_at(bid.line.at) is bid:
                    choice.bid, choice.cause = bid, "oldest"
                    return True
            due = self._due(choice, groups, passed)
            oldest = None if due is None else _longest_waiting(choice, due, able)
            if due is not None and oldest is not None:
                choice.relieved.append(due)
                at: EndpointQueue | None = oldest.line.at
                if at is None or at.endpoint.wait(oldest.head.need, now_s).seconds == 0:
                    choice.bid, choice.cause = oldest, "oldest"
                    return True
                choice.first[at] = oldest  # Nobody else is to take what it waits for.
                return False
        choice.bid = heads[0]
        if len(heads) > 1:
            choice.bid = min(heads, key=lambda bid: bid.line.ready.rank(bid, now_s))
        return True

    def _heads(self, choice: Choice, able: list[LaneQueue], now_s: float) -> list[AgentQueue]:
        """Who goes next of each queue without an endpoint, and of each that lets one go."""
        heads = []
        endpoints: dict[EndpointQueue, list[LaneQueue]] = {}
        for queue in able:
            if queue.at is not None:
                endpoints.setdefault(queue.at, []).append(queue)
            else:
                heads.append(_best(queue, now_s))
        for at, own in endpoints.items():
            candidate = _candidate(choice, at, own, now_s)
            if candidate is not None:
                heads.append(candidate)
        return heads

    def _due(
        self, choice: Choice, groups: Mapping[Group, None], passed: Mapping[Group, int]
    ) -> Group | None:
        """The group that is due for relief, this grant counted."""
        most, due = 0, None
        for group, times in passed.items():
            if group in groups and group not in choice.relieved:
                counted = times + (group in choice.counted)
                if counted > most:
                    most, due = counted, group
        return due if most >= self._relief_interval else None


def head_of(choice: Choice, at: EndpointQueue, queues: list[LaneQueue], now_s: float) -> AgentQueue:
    """Whose turn it is at the endpoint, of those who have a lane."""
    first = choice.first_at(at)
    if first is not None and first.line in queues:
        return first
    if len(queues) == 1:
        return _best(queues[0], now_s)
    heads = [_best(queue, now_s) for queue in queues]
    heads = [bid for bid in heads if is_owed(bid.line)] or heads
    return min(heads, key=lambda bid: bid.line.ready.rank(bid, now_s))


def may_overtake(ticket: Ticket, at: EndpointQueue, now_s: float) -> tuple[bool, Ticket | None]:
    """Whether a nested call that needs no lane may take what the endpoint's head waits for.

    And the head that it overtakes by that, if any.
    """
    queues = list(filter(LaneQueue.is_able, at.queues))
    head = head_of(Choice(), at, queues, now_s) if queues else None
    if head is None or head is ticket.bid:
        return True, None
    first: Ticket = head.head
    return first.overtaken + share_of(ticket, first) <= _OVERTAKEN, first


def _candidate(
    choice: Choice, at: EndpointQueue, queues: list[LaneQueue], now_s: float
) -> AgentQueue | None:
    """Who may go to the endpoint now: its head, or somebody small behind a head that waits."""
    head = head_of(choice, at, queues, now_s)
    while True:
        wait = choice.holds(at.endpoint, head.head, now_s)
        if wait.seconds == 0:
            return head
        if wait.seconds == NEVER or wait.cause not in RESOURCES:
            return None
        if len(queues) == 1 and queues[0].offered == 1:
            return None  # nobody stands behind it
        found = _overtaker(choice, at, queues, head, now_s)
        first = head_of(choice, at, queues, now_s)
        if first is head:
            return found
        # What was learnt since they came put somebody before it, and it is seen now: each once.
        head = first
        if found is not None:
            del choice.overtaken[found]


def _overtaker(
    choice: Choice, at: EndpointQueue, queues: list[LaneQueue], head: AgentQueue, now_s: float
) -> AgentQueue | None:
    """Backfill: somebody behind the head whom the head's reservation has room for."""
    first: Ticket = head.head
    room = _OVERTAKEN - first.overtaken
    if room <= 0:
        return None
    passed, found = [head], None
    head.line.ready.remove(head)
    while found is None and len(passed) <= _LOOKED_AT:
        bids = [bid for queue in queues if (bid := queue.ready.best(now_s)) is not None]
        if not bids:
            break
        bid = min(bids, key=lambda bid: bid.line.ready.rank(bid, now_s))
        small = share_of(bid.head, first) <= room
        # There may be enough for it before there is for the head.
        if small and choice.holds(at.endpoint, bid.head, now_s).seconds == 0:
            found = bid
            choice.overtaken[bid] = first
        else:
            passed.append(bid)
            bid.line.ready.remove(bid)
    for bid in passed:
        bid.line.ready.restore(bid)
    return found


def _longest_waiting(choice: Choice, group: Group, able: list[LaneQueue]) -> AgentQueue | None:
    """The bid of the oldest turn; endpoints that have one that waits to go first aside."""
    heads = []
    for queue in able:
        if queue.group is not group or (queue.at is not None and choice.first_at(queue.at)):
            continue
        oldest = queue.oldest
        while not on_offer(oldest[0]):  # Somebody is, for the queue is ready.
            heappop(oldest)
        heads.append(oldest[0])
    return min(heads)[1] if heads else None


def on_offer(entry: tuple[int, AgentQueue]) -> bool:
    """Whether an entry of `LaneQueue.oldest` still stands for a bid that waits."""
    turn, bid = entry
    return bid.ready and bid.turn == turn


def _best(queue: LaneQueue, now_s: float) -> AgentQueue:
    """Who goes next in a queue in which somebody is on offer."""
    bid = queue.ready.best(now_s)
    assert bid is not None  # noqa: S101 - somebody is
    return bid
