"""The configuration: frozen, validated when it is made, with units in the names.

There are no process-wide settings: two cores in one process know nothing of each other.
"""

from __future__ import annotations

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.config.endpoints import (
    BreakerConfig,
    BudgetConfig,
    EndpointConfig,
    Price,
    ShareConfig,
)
from agentrm_plugins.config.fleet import Coordination
from agentrm_plugins.config.retry import RetryConfig
from agentrm_plugins.config.scheduling import (
    Config,
    LaneGroup,
    LeaseConfig,
    Order,
    OrderName,
    SchedulerConfig,
    TenantConfig,
)

__all__ = [
    "BreakerConfig",
    "BudgetConfig",
    "Config",
    "ContextConfig",
    "Coordination",
    "EndpointConfig",
    "LaneGroup",
    "LeaseConfig",
    "Order",
    "OrderName",
    "Price",
    "RetryConfig",
    "SchedulerConfig",
    "ShareConfig",
    "TenantConfig",
]
