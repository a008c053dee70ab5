"""One level of a feedback queue: its agents by tenant, the tenant with the smallest share first.

Each tenant's agents stand on a shelf of their own, in the order of that shelf. Shares change while
tenants wait: larger ones are noticed when they surface, smaller ones are told (`reprice`).
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.policy.order.agent_queue import AgentQueue
    from agentrm_plugins.types.accounts import Tenant

__all__ = ["Level", "Shares", "Shelf"]


class Shares(Protocol):
    """What a level asks of the tenants' shares."""

    generation: int

    def share(self, tenant: Tenant) -> float:
        """The tenant's dominant share, weighted."""


class Shelf(Protocol):
    """One tenant's agents on one level."""

    def add(self, agent: AgentQueue) -> None:
        """Put an agent on it."""

    def discard(self, agent: AgentQueue) -> bool:
        """Take it off again. True if it was the last one."""

    def best(self, now_s: float) -> AgentQueue | None:
        """Who goes next of these."""


S = TypeVar("S", bound=Shelf)


class Level(Generic[S]):
    """The agents of one level.

    Args:
        shares: The tenants' shares.
        make: A new, empty shelf.
    """

    __slots__ = ("_generation", "_make", "_prices", "_shares", "tenants")

    def __init__(self, shares: Shares, make: Callable[[], S]) -> None:
        self._shares = shares
        self._make = make
        self.tenants: dict[Tenant, S] = {}
        self._prices: list[tuple[float, int, Tenant]] = []
        self._generation = -1

    def add(self, agent: AgentQueue) -> None:
        """An agent comes to this level."""
        tenant = agent.account.tenant
        shelf = self.tenants.get(tenant)
        if shelf is None:
            others = len(self.tenants)
            if others == 1:
                self._generation = -1  # The other one, alone so far, had no price.
            shelf = self.tenants[tenant] = self._make()
            if others:
                self.reprice(tenant)
        shelf.add(agent)

    def remove(self, agent: AgentQueue) -> None:
        """It leaves."""
        tenant = agent.account.tenant
        if self.tenants[tenant].discard(agent):
            del self.tenants[tenant]

    def best(self, now_s: float) -> AgentQueue | None:
        """Who goes next of these."""
        tenants = self.tenants
        if not tenants:
            return None
        if len(tenants) == 1:
            return next(iter(tenants.values())).best(now_s)
        return tenants[self._cheapest()].best(now_s)

    def reprice(self, tenant: Tenant) -> None:
        """Note a share that may be smaller now; larger ones are noticed when they surface."""
        if len(self.tenants) > 1 and tenant in self.tenants:
            heappush(self._prices, (self._shares.share(tenant), tenant.number, tenant))
            if len(self._prices) > 4 * len(self.tenants) + 64:
                self._prices.clear()
                self._generation = -1

    def forget_prices(self) -> None:
        """Other tenants are here than were."""
        self._generation = -1

    def _cheapest(self) -> Tenant:
        prices = self._prices
        shares = self._shares
        if self._generation != shares.generation:
            prices = []
        while prices:
            price, _, tenant = prices[0]
            if tenant not in self.tenants:
                heappop(prices)
                continue
            now = shares.share(tenant)
            if now <= price:
                return tenant
            heapreplace(prices, (now, tenant.number, tenant))
        prices = [(shares.share(tenant), tenant.number, tenant) for tenant in self.tenants]
        heapify(prices)
        self._prices = prices
        self._generation = shares.generation
        return prices[0][2]
