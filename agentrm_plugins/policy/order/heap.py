"""A heap from which anything can leave at once."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentrm_plugins.policy.order.agent_queue import AgentQueue

__all__ = ["LazyHeap"]


class LazyHeap:
    """A heap of agents with removal in constant time: stale entries are dropped when they surface.

    An agent lies in at most one `LazyHeap` at a time. Keys must differ from each other.
    """

    __slots__ = ("_heap", "_live")

    def __init__(self) -> None:
        self._heap: list[tuple[Any, int, AgentQueue]] = []
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def push(self, key: Any, agent: AgentQueue) -> None:
        """Add `agent` under `key`."""
        agent.version += 1
        self._live += 1
        heappush(self._heap, (key, agent.version, agent))

    def discard(self, agent: AgentQueue) -> None:
        """Take `agent` out; it must be in here."""
        agent.version += 1
        self._live -= 1
        heap = self._heap
        if len(heap) > 2 * self._live + 32:
            self._heap = [entry for entry in heap if entry[2].version == entry[1]]
            heapify(self._heap)

    def peek(self) -> AgentQueue | None:
        """The agent with the smallest key, or None."""
        heap = self._heap
        while heap:
            _, version, agent = heap[0]
            if agent.version == version:
                return agent
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
