"""From the configured order to the scheduler that keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.config import Config, Order
from agentrm_plugins.policy.order.baselines import KeyOrder, arrival, declared_class, turn
from agentrm_plugins.policy.order.hrrn import Hrrn
from agentrm_plugins.policy.order.mlfq import Mlfq
from agentrm_plugins.policy.order.mlfq_textbook import MlfqTextbook

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.policy.order.agent_queue import AgentQueue
    from agentrm_plugins.policy.order.protocols import Scheduler
    from agentrm_plugins.policy.order.tenant_shares import DominantShares

__all__ = ["make_scheduler"]

_KEYS: dict[Order | str, Callable[[AgentQueue], tuple[float, ...]]] = {
    Order.FIFO: arrival,
    Order.ROUND_ROBIN: turn,
    Order.PRIORITY: declared_class,
}


def make_scheduler(config: Config, shares: DominantShares) -> Scheduler:
    """The scheduler of the configured order."""
    settings = config.scheduler
    if settings.order is Order.MLFQ:
        return Mlfq(settings, shares)
    if settings.order is Order.MLFQ_TEXTBOOK:
        return MlfqTextbook(settings, shares)
    if settings.order is Order.HRRN:
        return Hrrn()
    return KeyOrder(_KEYS[settings.order])
