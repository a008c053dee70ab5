"""A heap from which anything can leave at once."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentrm_plugins.policy.order.agent_queue import AgentQueue

__all__ = ["LazyHeap"]


class LazyHeap:
    """A heap of agents with removal in constant time: stale entries are dropped when they surface.

    An agent lies in at most one `LazyHeap` at a time. Keys must differ from each other. The first
    of the `entries` is never a stale one, so that a look at it costs nothing.
    """

    __slots__ = ("_live", "entries")

    def __init__(self) -> None:
        self.entries: list[tuple[Any, int, AgentQueue]] = []
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def push(self, key: Any, agent: AgentQueue) -> None:
        """Add `agent` under `key`."""
        agent.version += 1
        self._live += 1
        heappush(self.entries, (key, agent.version, agent))

    def discard(self, agent: AgentQueue) -> bool:
        """Take `agent` out; it must be in here. True if it was the last one."""
        agent.version += 1
        self._live -= 1
        heap = self.entries
        if len(heap) > 2 * self._live + 32:
            heap = self.entries = [entry for entry in heap if entry[2].version == entry[1]]
            heapify(heap)
        while heap and heap[0][2].version != heap[0][1]:
            heappop(heap)
        return not self._live

    def peek(self) -> AgentQueue | None:
        """The agent with the smallest key, or None."""
        return self.entries[0][2] if self.entries else None

    def absorb(self, other: LazyHeap) -> None:
        """Move all of `other` in here, at a cost in its size alone."""
        for entry in other.entries:
            if entry[2].version == entry[1]:
                heappush(self.entries, entry)
                self._live += 1
        other.entries = []
        other._live = 0
