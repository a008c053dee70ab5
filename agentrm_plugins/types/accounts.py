"""What the policies know of agents, tenants and waiting calls: plain records, no behaviour of note.

They lie below the policies so that no policy needs another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from agentrm_plugins.types.calls import Call, Priority

__all__ = ["Account", "Bid", "LazyHeap", "RunQueue", "Scheduler", "Tenant", "Waiter"]


class Waiter(Protocol):
    """What a policy may look at of a waiting call."""

    seq: int
    call: Call
    submitted_s: float


class Tenant:
    """One payer: its weight, what it holds now and what it has used.

    `recent_tokens` is kept in inflated units (see `policy.shares`), all else in plain ones.
    `number` tells apart two that once had one name, and breaks ties.
    """

    __slots__ = (
        "accounts",
        "lanes",
        "name",
        "number",
        "recent_tokens",
        "refused",
        "service_s",
        "tokens",
        "waited_s",
        "waiting",
        "weight",
    )

    def __init__(self, name: str, weight: float = 1.0, number: int = 0) -> None:
        self.name = name
        self.number = number
        self.weight = weight
        self.accounts = 0
        self.lanes = 0
        self.waiting = 0
        self.recent_tokens = 0.0
        self.tokens = 0
        self.service_s = 0.0
        self.waited_s = 0.0
        self.refused = 0


class Account:
    """One agent's life: the service that it received and where that has put it.

    Running calls are counted without touching them: with `running` calls begun at times that sum
    up to `since_sum_s`, their service until now is ``running * now - since_sum_s``.
    """

    __slots__ = (
        "attained_s",
        "bids",
        "calls",
        "children",
        "epoch",
        "hint",
        "idle_since_s",
        "level",
        "level_base_s",
        "name",
        "parent",
        "refused",
        "running",
        "since_sum_s",
        "tenant",
        "tickets",
        "tokens",
        "waited_s",
        "waiting",
        "zombies",
    )

    def __init__(self, name: str, tenant: Tenant, hint: Priority | None, now_s: float) -> None:
        self.name = name
        self.tenant = tenant
        self.hint = hint
        self.parent: str | None = None
        self.children: dict[str, None] = {}
        self.level = 0
        self.epoch = 0
        self.level_base_s = 0.0
        self.attained_s = 0.0
        self.running = 0
        self.since_sum_s = 0.0
        self.bids: dict[Any, Bid] = {}
        self.tickets = 0
        self.waiting = 0
        self.calls = 0
        self.tokens = 0
        self.waited_s = 0.0
        self.refused = 0
        self.zombies = 0
        self.idle_since_s = now_s

    @property
    def key(self) -> tuple[str, str]:
        """Tenant and name: two tenants may use one name for two agents."""
        return self.tenant.name, self.name

    def service_s(self, now_s: float) -> float:
        """Seconds of service received so far, calls in flight included."""
        return self.attained_s + self.running * now_s - self.since_sum_s


class Bid:
    """One agent's waiting calls for one kind of lane, of which the first is on offer.

    `turn` is its place among the agents: a new one each time its first call is granted.
    `version` lets heaps drop stale entries; `level` and `slot` belong to the policy. The calls are
    chained by their `before` and `after`: any can leave at once, and one alone needs no container.
    """

    __slots__ = (
        "_last",
        "account",
        "head",
        "level",
        "line",
        "live",
        "ready",
        "slot",
        "turn",
        "version",
    )

    def __init__(self, account: Account, line: Any, turn: int) -> None:
        self.account = account
        self.line = line
        self.turn = turn
        self.head: Any = None
        self._last: Any = None
        self.live = 0
        self.ready = False
        self.version = 0
        self.level = 0
        self.slot = 0

    def __lt__(self, other: Bid) -> bool:
        """For heaps: of two with one key at most one is alive, so their order is of no account."""
        return False

    @property
    def queue(self) -> Iterator[Any]:
        """The waiting calls, the first one first. None may leave while this goes on."""
        waiter = self.head
        while waiter is not None:
            yield waiter
            waiter = waiter.after

    def append(self, waiter: Any) -> None:
        """A call joins behind the others."""
        last = self._last
        waiter.before = last
        if last is None:
            self.head = waiter
        else:
            last.after = waiter
        self._last = waiter
        self.live += 1

    def insert(self, waiter: Any) -> None:
        """A call goes again: it joins before those that came after it (by `seq`)."""
        after = self.head
        while after is not None and after.seq < waiter.seq:
            after = after.after
        if after is None:
            self.append(waiter)
            return
        before = after.before
        waiter.before, waiter.after = before, after
        after.before = waiter
        if before is None:
            self.head = waiter
        else:
            before.after = waiter
        self.live += 1

    def discard(self, waiter: Any) -> None:
        """A call leaves, wherever it stands."""
        before, after = waiter.before, waiter.after
        waiter.before = waiter.after = None
        if before is None:
            self.head = after
        else:
            before.after = after
        if after is None:
            self._last = before
        else:
            after.before = before
        self.live -= 1


class LazyHeap:
    """A heap of bids with removal in constant time: stale entries are dropped when they surface.

    A bid lies in at most one `LazyHeap` at a time. Keys must differ from each other.
    """

    __slots__ = ("_heap", "_live")

    def __init__(self) -> None:
        self._heap: list[tuple[Any, int, Bid]] = []
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def push(self, key: Any, bid: Bid) -> None:
        """Add `bid` under `key`."""
        bid.version += 1
        self._live += 1
        heappush(self._heap, (key, bid.version, bid))

    def discard(self, bid: Bid) -> None:
        """Take `bid` out; it must be in here."""
        bid.version += 1
        self._live -= 1
        heap = self._heap
        if len(heap) > 2 * self._live + 32:
            self._heap = [entry for entry in heap if entry[2].version == entry[1]]
            heapify(self._heap)

    def peek(self) -> Bid | None:
        """The bid with the smallest key, or None."""
        heap = self._heap
        while heap:
            _, version, bid = heap[0]
            if bid.version == version:
                return bid
            heappop(heap)
        return None

    def absorb(self, other: LazyHeap) -> None:
        """Move all of `other` in here, at a cost in its size alone."""
        for entry in other._heap:
            if entry[2].version == entry[1]:
                heappush(self._heap, entry)
                self._live += 1
        other._heap = []
        other._live = 0


class RunQueue(Protocol):
    """The bids for one kind of lane, in the order of one scheduler."""

    def __len__(self) -> int: ...

    def add(self, bid: Bid, now_s: float) -> None:
        """Offer a bid."""

    def restore(self, bid: Bid) -> None:
        """Offer a bid in the place where its `level` and `slot` say."""

    def remove(self, bid: Bid) -> None:
        """Take back a bid that was offered."""

    def best(self, now_s: float) -> Bid | None:
        """Who goes next; it stays in the queue."""

    def rank(self, bid: Bid, now_s: float) -> tuple[float, ...]:
        """For comparing the best of several queues of one scheduler: the smallest goes first."""

    def reprice(self, tenant: Tenant) -> None:
        """The tenant holds less than before."""


class Scheduler(Protocol):
    """An order of agents: one for the whole kernel, with a run queue for each kind of lane."""

    prevents_starvation: bool
    demoted: list[tuple[Account, int]]
    next_boost_s: float

    def queue(self) -> RunQueue:
        """A new, empty run queue."""

    def enter(self, account: Account) -> None:
        """An agent is seen for the first time."""

    def charged(self, account: Account, now_s: float) -> bool:
        """The agent received service. True if its level changed."""

    def level(self, account: Account) -> int:
        """The agent's level, 0 at the top; 0 for orders without levels."""

    def boost(self, now_s: float) -> None:
        """The time for a boost has come (`next_boost_s`)."""

    def start_clock(self, now_s: float) -> None:
        """A call begins to wait."""

    def dispatched(self, now_s: float) -> str | None:
        """A call was granted. The cause of the boost that this brought about, or None."""
