"""First in, first out: the call that was submitted first goes first.

Law: ``next = argmin(arrival)``. Regime: fair to calls, not to agents: whoever asks for the most
gets the most, and a short call waits for all the long ones before it. A baseline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.types.accounts import LazyHeap

if TYPE_CHECKING:
    from agentrm_plugins.types.accounts import Account, Bid, Tenant

__all__ = ["Fifo"]


class Fifo:
    """The order of arrival."""

    prevents_starvation = False
    next_boost_s = float("inf")

    def __init__(self) -> None:
        self.demoted: list[tuple[Account, int]] = []

    def queue(self) -> _FifoQueue:
        """A new, empty run queue."""
        return _FifoQueue()

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


class _FifoQueue:
    def __init__(self) -> None:
        self._heap = LazyHeap()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, bid: Bid, now_s: float) -> None:  # noqa: ARG002
        self._heap.push(bid.head.seq, bid)

    def restore(self, bid: Bid) -> None:
        self._heap.push(bid.head.seq, bid)

    def remove(self, bid: Bid) -> None:
        self._heap.discard(bid)

    def best(self, now_s: float) -> Bid | None:  # noqa: ARG002
        return self._heap.peek()

    def rank(self, bid: Bid, now_s: float) -> tuple[float, ...]:  # noqa: ARG002
        return (bid.head.seq,)

    def reprice(self, tenant: Tenant) -> None:
        pass
