"""What `AgentRM(...)` takes by name, for the type checker and the editor.

`AgentRM.from_config` takes the same names; `tests/settings` holds the two lists together.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from agentrm_plugins.config import (
        BreakerConfig,
        BudgetConfig,
        Coordination,
        EndpointConfig,
        LaneGroup,
        LeaseConfig,
        Order,
        OrderName,
        Price,
        SchedulerConfig,
        ShareConfig,
        TenantConfig,
    )
    from agentrm_plugins.hosts import Clock
    from agentrm_plugins.telemetry.recording import Recording
    from agentrm_plugins.types.calls import Priority, PriorityName
    from agentrm_plugins.types.provider import Provider

__all__ = ["CoreArguments"]


class CoreArguments(TypedDict, total=False):
    """All arguments of `AgentRM` but `config`, each under its name there."""

    clock: Clock | None
    lanes: int | None
    groups: Sequence[LaneGroup] | None
    order: Order | OrderName | None
    num_queues: int | None
    time_quanta_s: Sequence[float] | None
    boost_interval: int | None
    boost_every_s: float | None
    service_s_per_1k_tokens: float | None
    share_half_life_s: float | None
    service_half_life_s: float | None
    hint_weights: Mapping[Priority | PriorityName, float] | None
    start_levels: Mapping[Priority | PriorityName, int] | None
    scheduler: SchedulerConfig | None
    leases: LeaseConfig | None
    tenants: Mapping[str, TenantConfig] | None
    max_waiting: int | None
    max_waiting_per_agent: int | None
    wait_timeout_s: float | None
    endpoint_wait_timeout_s: float | EllipsisType | None
    adaptive: bool | None
    agent_idle_s: float | None
    max_idle_agents: int | None
    endpoints: Mapping[str, EndpointConfig] | None
    breaker: BreakerConfig | None
    budgets: Sequence[BudgetConfig] | None
    shares: Sequence[ShareConfig] | None
    prices: Mapping[str, Price] | None
    providers: Sequence[Provider] | None
    coordination: Coordination | Any
    namespace: str | None
    record: str | os.PathLike[str] | Recording | None
    monitor: bool
