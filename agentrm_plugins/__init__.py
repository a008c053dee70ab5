"""Resource management for LLM agents, as plugins for the frameworks that they already use.

Make one `AgentRM`, give it to the plugins, and every model call goes through one shared scheduler.
"""

from agentrm_plugins.config import Config, LaneGroup, LeaseConfig, SchedulerConfig, TenantConfig
from agentrm_plugins.errors import (
    AgentRMError,
    CallReaped,
    CallRefused,
    ClosedError,
    ConfigError,
)
from agentrm_plugins.hosts.lease import Lease
from agentrm_plugins.manager import AgentRM
from agentrm_plugins.types.calls import Call, Usage
from agentrm_plugins.types.statistics import Statistics

__all__ = [
    "AgentRM",
    "AgentRMError",
    "Call",
    "CallReaped",
    "CallRefused",
    "ClosedError",
    "Config",
    "ConfigError",
    "LaneGroup",
    "Lease",
    "LeaseConfig",
    "SchedulerConfig",
    "Statistics",
    "TenantConfig",
    "Usage",
]
