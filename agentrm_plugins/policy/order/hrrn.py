"""Highest response ratio next: the parameter-free aging rule (Brinch Hansen, 1971).

Law: ``next = argmax((waited + service) / service)`` where `service` is the expected service of the
agent's next call: the mean of its calls so far, 1 s for a new agent. Regime: short calls go first,
yet a long one's ratio grows while it waits: where at most n others wait at once, it goes once it
has waited n times its service. Where the queue grows without end, it may wait as well.

Agents whose expected service lies within 10 % of each other share a bucket, in which the longest
wait has the highest ratio; so the choice costs one look at each bucket, of which seconds to hours
need about a hundred.
"""

from __future__ import annotations

from math import floor, log
from typing import TYPE_CHECKING

from agentrm_plugins.policy.order.heap import LazyHeap

if TYPE_CHECKING:
    from agentrm_plugins.policy.order.agent_queue import AgentQueue
    from agentrm_plugins.types.accounts import Account, Tenant

__all__ = ["Hrrn"]

_STEP = 1.1
_PRIOR_S = 1.0
_LEAST_S = 1e-3


class Hrrn:
    """The order of response ratios."""

    ages = True
    prevents_starvation = False
    next_boost_s = float("inf")

    def __init__(self) -> None:
        self.demoted: list[tuple[Account, int]] = []

    def queue(self) -> _HrrnQueue:
        """A new, empty run queue."""
        return _HrrnQueue()

    def enter(self, account: Account) -> None:
        """A new agent is expected to need 1 s a call."""

    def leave(self, account: Account) -> None:
        """Nothing was kept of it."""

    def charged(self, account: Account, now_s: float) -> bool:  # noqa: ARG002
        """True: the expectation may have changed, and the bucket with it."""
        return True

    def level(self, account: Account, now_s: float) -> int:  # noqa: ARG002
        """There is one level."""
        return 0

    def boost(self, now_s: float) -> None:
        """Nothing is boosted."""

    def start_clock(self, now_s: float) -> None:
        """Time makes no difference here."""

    def dispatched(self, now_s: float) -> None:
        """Nothing is boosted: waiting is boost enough."""


def _bucket(account: Account) -> int:
    mean_s = account.attained_s / account.calls if account.calls else _PRIOR_S
    return floor(log(max(mean_s, _LEAST_S), _STEP))


class _HrrnQueue:
    def __init__(self) -> None:
        self._buckets: dict[int, LazyHeap] = {}
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def add(self, agent: AgentQueue, now_s: float) -> None:  # noqa: ARG002
        agent.slot = _bucket(agent.account)
        self.restore(agent)

    def restore(self, agent: AgentQueue) -> None:
        heap = self._buckets.get(agent.slot)
        if heap is None:
            heap = self._buckets[agent.slot] = LazyHeap()
        heap.push(agent.head.seq, agent)
        self._live += 1

    def remove(self, agent: AgentQueue) -> None:
        self._live -= 1
        if self._buckets[agent.slot].discard(agent):
            del self._buckets[agent.slot]

    def best(self, now_s: float) -> AgentQueue | None:
        heads = [agent for heap in self._buckets.values() if (agent := heap.peek()) is not None]
        return min(heads, key=lambda agent: self.rank(agent, now_s), default=None)

    def rank(self, agent: AgentQueue, now_s: float) -> tuple[float, ...]:
        service_s = _STEP**agent.slot
        waited_s = now_s - agent.head.submitted_s
        return (-(waited_s + service_s) / service_s, agent.head.seq)

    def reprice(self, tenant: Tenant) -> None:
        pass
