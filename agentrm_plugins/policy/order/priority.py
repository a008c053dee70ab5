"""Priority Queue: the declared class first, the order of arrival within it.

Law: ``next = argmin(class, arrival)`` with interactive 0 (also when nothing was declared), batch 1
and background 2; an agent's own calls stay in the order of their arrival. Regime: right while
declarations are honest and the upper classes leave room; a steady stream above starves everything
below. A baseline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.types.accounts import LazyHeap
from agentrm_plugins.types.calls import Priority

if TYPE_CHECKING:
    from agentrm_plugins.types.accounts import Account, Bid, Tenant

__all__ = ["StaticPriority"]


class StaticPriority:
    """The order of declared classes."""

    prevents_starvation = False
    next_boost_s = float("inf")

    def __init__(self) -> None:
        self.demoted: list[tuple[Account, int]] = []

    def queue(self) -> _StaticPriorityQueue:
        """A new, empty run queue."""
        return _StaticPriorityQueue()

    def enter(self, account: Account) -> None:
        """Agents make no difference here."""

    def charged(self, account: Account, now_s: float) -> bool:  # noqa: ARG002
        """Service makes no difference here."""
        return False

    def level(self, account: Account) -> int:  # noqa: ARG002
        """There is one level."""
        return 0

    def boost(self, now_s: float) -> None:
        """Nothing is boosted."""

    def start_clock(self, now_s: float) -> None:
        """Time makes no difference here."""

    def dispatched(self, now_s: float) -> None:
        """Nothing is boosted."""


_CLASS = {None: 0, Priority.INTERACTIVE: 0, Priority.BATCH: 1, Priority.BACKGROUND: 2}


def _key(bid: Bid) -> tuple[float, ...]:
    head = bid.head
    return _CLASS[head.call.priority], head.seq


class _StaticPriorityQueue:
    def __init__(self) -> None:
        self._heap = LazyHeap()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, bid: Bid, now_s: float) -> None:  # noqa: ARG002
        self._heap.push(_key(bid), bid)

    def restore(self, bid: Bid) -> None:
        self._heap.push(_key(bid), bid)

    def remove(self, bid: Bid) -> None:
        self._heap.discard(bid)

    def best(self, now_s: float) -> Bid | None:  # noqa: ARG002
        return self._heap.peek()

    def rank(self, bid: Bid, now_s: float) -> tuple[float, ...]:  # noqa: ARG002
        return _key(bid)

    def reprice(self, tenant: Tenant) -> None:
        pass
