"""What the kernel asks of an order: a scheduler, with a run queue for each kind of lane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agentrm_plugins.policy.order.agent_queue import AgentQueue
    from agentrm_plugins.types.accounts import Account, Tenant

__all__ = ["RunQueue", "Scheduler"]


class RunQueue(Protocol):
    """The agents for one kind of lane, in the order of one scheduler."""

    def __len__(self) -> int: ...

    def add(self, agent: AgentQueue, now_s: float) -> None:
        """Offer an agent."""

    def restore(self, agent: AgentQueue) -> None:
        """Offer an agent in the place where its `level` and `slot` say."""

    def remove(self, agent: AgentQueue) -> None:
        """Take back an agent that was offered."""

    def best(self, now_s: float) -> AgentQueue | None:
        """Who goes next; it stays in the queue."""

    def rank(self, agent: AgentQueue, now_s: float) -> tuple[float, ...]:
        """For comparing the best of several queues of one scheduler: the smallest goes first."""

    def reprice(self, tenant: Tenant) -> None:
        """The tenant holds less than before."""


class Scheduler(Protocol):
    """An order of agents: one for the whole kernel, with a run queue for each kind of lane.

    `ages` says that waiting alone may change who goes first; `prevents_starvation`, that nobody
    waits for ever.
    """

    ages: bool
    prevents_starvation: bool
    demoted: list[tuple[Account, int]]
    next_boost_s: float

    def queue(self) -> RunQueue:
        """A new, empty run queue."""

    def enter(self, account: Account) -> None:
        """An agent is seen for the first time."""

    def leave(self, account: Account) -> None:
        """An agent is forgotten."""

    def charged(self, account: Account, now_s: float) -> bool:
        """The agent received service. True if its place in a queue changed."""

    def level(self, account: Account, now_s: float) -> int:
        """The agent's level, 0 at the top; 0 for orders without levels."""

    def boost(self, now_s: float) -> None:
        """The time for a boost has come (`next_boost_s`)."""

    def start_clock(self, now_s: float) -> None:
        """A call begins to wait."""

    def dispatched(self, now_s: float) -> str | None:
        """A call was granted. The cause of the boost that this brought about, or None."""
