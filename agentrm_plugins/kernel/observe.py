"""From the kernel's state to the frozen statistics."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING

from agentrm_plugins.kernel.observe_endpoints import observe_endpoints
from agentrm_plugins.policy.rates import Rates
from agentrm_plugins.types.statistics import (
    AgentStatistics,
    GroupStatistics,
    Statistics,
    TenantStatistics,
    TokenRates,
    agent_key,
)

if TYPE_CHECKING:
    from agentrm_plugins.kernel.kernel import Kernel
    from agentrm_plugins.types.accounts import Account

__all__ = ["Counters", "observe"]


class Counters:
    """What is counted since the kernel was made."""

    def __init__(self) -> None:
        self.submitted = 0
        self.granted = 0
        self.settled = 0
        self.reaped = 0
        self.lost = 0
        self.running = 0
        self.demotions = 0
        self.boosts = 0
        self.waited_s = 0.0
        self.zombie_lane_s = 0.0
        self.input_tokens = 0
        self.output_tokens = 0
        self.refused: Counter[str] = Counter()
        self.token_rate = Rates()


def observe(kernel: Kernel, *, agents: bool) -> Statistics:
    """Freeze the state. Costs a look at each agent, and without `agents` at each that waits."""
    counters, pool, room = kernel.counters, kernel.pool, kernel.room
    depth = [0] * kernel.config.scheduler.num_queues
    for account in kernel.accounts.values():
        if account.waiting:
            depth[kernel.scheduler.level(account)] += account.waiting
    groups = {
        name: GroupStatistics(
            group.capacity, group.guaranteed, group.in_use, group.peak, room.waiting[group]
        )
        for name, group in pool.groups.items()
    }
    return Statistics(
        at_s=kernel.now_s,
        order=str(kernel.config.scheduler.order),
        queue_depth=tuple(depth),
        waiting=room.count,
        running=counters.running,
        zombies=kernel.zombies,
        lanes=pool.lanes,
        lanes_in_use=pool.in_use,
        lanes_peak=pool.peak,
        groups=MappingProxyType(groups),
        agents=MappingProxyType(_agents(kernel) if agents else {}),
        tenants=MappingProxyType(_tenants(kernel)),
        endpoints=MappingProxyType(observe_endpoints(kernel)),
        submitted=counters.submitted,
        granted=counters.granted,
        settled=counters.settled,
        reaped=counters.reaped,
        refused=MappingProxyType(dict(counters.refused)),
        demotions=counters.demotions,
        boosts=counters.boosts,
        zombie_lane_s=counters.zombie_lane_s,
        waited_s=counters.waited_s,
        input_tokens=counters.input_tokens,
        output_tokens=counters.output_tokens,
        tokens_per_s=TokenRates(*counters.token_rate.per_s(kernel.now_s)),
    )


def _agents(kernel: Kernel) -> dict[str, AgentStatistics]:
    return {
        agent_key(account.tenant.name, account.name): _agent(kernel, account)
        for account in kernel.accounts.values()
    }


def _agent(kernel: Kernel, account: Account) -> AgentStatistics:
    return AgentStatistics(
        tenant=account.tenant.name,
        parent=account.parent,
        level=kernel.scheduler.level(account),
        waiting=account.waiting,
        running=account.running,
        calls=account.calls,
        refused=account.refused,
        zombies=account.zombies,
        service_s=account.service_s(kernel.now_s),
        waited_s=account.waited_s,
        tokens=account.tokens,
    )


def _tenants(kernel: Kernel) -> dict[str, TenantStatistics]:
    return {
        name: TenantStatistics(
            weight=tenant.weight,
            share=kernel.shares.share(tenant),
            waiting=tenant.waiting,
            lanes=tenant.lanes,
            refused=tenant.refused,
            service_s=tenant.service_s,
            waited_s=tenant.waited_s,
            tokens=tenant.tokens,
        )
        for name, tenant in kernel.tenants.items()
    }
