"""One agent's waiting calls for one kind of lane: what an order puts in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentrm_plugins.types.accounts import Account

__all__ = ["AgentQueue"]


class AgentQueue:
    """One agent's waiting calls for one kind of lane, of which the first is on offer.

    `turn` is its place among the agents: a new one each time its first call is granted, which was
    at `turn_s`; 0 before its first.
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
        "turn_s",
        "version",
    )

    def __init__(self, account: Account, line: Any, turn: int) -> None:
        self.account = account
        self.line = line
        self.turn = turn
        self.turn_s = 0.0
        self.head: Any = None
        self._last: Any = None
        self.live = 0
        self.ready = False
        self.version = 0
        self.level = 0
        self.slot = 0

    def __lt__(self, other: AgentQueue) -> bool:
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
