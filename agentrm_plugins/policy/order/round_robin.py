"""Round Robin: the agents take turns, one call each.

Law: ``next = argmin(turn)``; an agent whose call is granted gets a new turn behind all others.
Regime: fair in calls, not in service: an agent with long calls gets more of the lanes' time, and an
interactive agent waits for a whole round. A baseline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.types.accounts import LazyHeap

if TYPE_CHECKING:
    from agentrm_plugins.types.accounts import Account, Bid, Tenant

__all__ = ["RoundRobin"]


class RoundRobin:
    """The order of turns."""

    prevents_starvation = False
    next_boost_s = float("inf")

    def __init__(self) -> None:
        self.demoted: list[tuple[Account, int]] = []

    def queue(self) -> _RoundRobinQueue:
        """A new, empty run queue."""
        return _RoundRobinQueue()

    def enter(self, account: Account) -> None:
        """An agent takes its turn where it comes in."""

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


class _RoundRobinQueue:
    def __init__(self) -> None:
        self._heap = LazyHeap()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, bid: Bid, now_s: float) -> None:  # noqa: ARG002
        self._heap.push(bid.turn, bid)

    def restore(self, bid: Bid) -> None:
        self._heap.push(bid.turn, bid)

    def remove(self, bid: Bid) -> None:
        self._heap.discard(bid)

    def best(self, now_s: float) -> Bid | None:  # noqa: ARG002
        return self._heap.peek()

    def rank(self, bid: Bid, now_s: float) -> tuple[float, ...]:  # noqa: ARG002
        return (bid.turn,)

    def reprice(self, tenant: Tenant) -> None:
        pass
