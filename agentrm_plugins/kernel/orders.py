"""From the configured order to the scheduler that keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.config import Config, Order
from agentrm_plugins.policy.order.fifo import Fifo
from agentrm_plugins.policy.order.hrrn import Hrrn
from agentrm_plugins.policy.order.mlfq import Mlfq
from agentrm_plugins.policy.order.priority import StaticPriority
from agentrm_plugins.policy.order.round_robin import RoundRobin

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.policy.order.tenant_shares import DominantShares
    from agentrm_plugins.types.accounts import Scheduler

__all__ = ["make_scheduler"]


def make_scheduler(config: Config, shares: DominantShares) -> Scheduler:
    """The scheduler of the configured order."""
    settings = config.scheduler
    if settings.order is Order.MLFQ:
        return Mlfq(settings, shares)
    simple: dict[Order | str, Callable[[], Scheduler]] = {
        Order.FIFO: Fifo,
        Order.ROUND_ROBIN: RoundRobin,
        Order.PRIORITY: StaticPriority,
        Order.HRRN: Hrrn,
    }
    return simple[settings.order]()
