"""Three baselines, each one key: First In First Out, Round Robin and Priority Queue.

- First In First Out, ``next = argmin(arrival)``: fair to calls, not to agents. Whoever asks for the
  most gets the most, and a short call waits for all the long ones before it.
- Round Robin, ``next = argmin(turn)``; an agent whose call is granted gets a new turn behind all
  others: fair in calls, not in service. An agent with long calls gets more of the lanes' time.
- Priority Queue, ``next = argmin(class, arrival)`` with interactive 0 (also when nothing was
  declared), batch 1 and background 2; an agent's own calls stay in the order of their arrival:
  right while declarations are honest and the upper classes leave room. A steady stream above
  starves everything below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.policy.order.heap import LazyHeap
from agentrm_plugins.types.calls import Priority

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.policy.order.agent_queue import AgentQueue
    from agentrm_plugins.types.accounts import Account, Tenant

__all__ = ["KeyOrder", "arrival", "declared_class", "turn"]

_CLASS = {None: 0, Priority.INTERACTIVE: 0, Priority.BATCH: 1, Priority.BACKGROUND: 2}


def arrival(agent: AgentQueue) -> tuple[float, ...]:
    """First In First Out."""
    return (agent.head.seq,)


def turn(agent: AgentQueue) -> tuple[float, ...]:
    """Round Robin."""
    return (agent.turn,)


def declared_class(agent: AgentQueue) -> tuple[float, ...]:
    """Priority Queue."""
    return _CLASS[agent.head.call.priority], agent.head.seq


class KeyOrder:
    """The order of a key that does not change while a call waits; service makes no difference.

    Args:
        key: The smallest goes first. No two agents of one queue have the same.
    """

    ages = False
    prevents_starvation = False
    next_boost_s = float("inf")

    def __init__(self, key: Callable[[AgentQueue], tuple[float, ...]]) -> None:
        self._key = key
        self.demoted: list[tuple[Account, int]] = []

    def queue(self) -> _KeyQueue:
        """A new, empty run queue."""
        return _KeyQueue(self._key)

    def enter(self, account: Account) -> None:
        """Agents make no difference here."""

    def leave(self, account: Account) -> None:
        """Nothing was kept of it."""

    def charged(self, account: Account, now_s: float) -> bool:  # noqa: ARG002
        """Service makes no difference here."""
        return False

    def level(self, account: Account, now_s: float) -> int:  # noqa: ARG002
        """There is one level."""
        return 0

    def boost(self, now_s: float) -> None:
        """Nothing is boosted."""

    def start_clock(self, now_s: float) -> None:
        """Time makes no difference here."""

    def dispatched(self, now_s: float) -> None:
        """Nothing is boosted."""


class _KeyQueue:
    def __init__(self, key: Callable[[AgentQueue], tuple[float, ...]]) -> None:
        self._key = key
        self._heap = LazyHeap()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, agent: AgentQueue, now_s: float) -> None:  # noqa: ARG002
        self._heap.push(self._key(agent), agent)

    def restore(self, agent: AgentQueue) -> None:
        self._heap.push(self._key(agent), agent)

    def remove(self, agent: AgentQueue) -> None:
        self._heap.discard(agent)

    def best(self, now_s: float) -> AgentQueue | None:  # noqa: ARG002
        return self._heap.peek()

    def rank(self, agent: AgentQueue, now_s: float) -> tuple[float, ...]:  # noqa: ARG002
        return self._key(agent)

    def reprice(self, tenant: Tenant) -> None:
        pass
