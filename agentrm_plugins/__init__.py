"""Resource management for LLM agents, as plugins for the frameworks that they already use.

Make one `AgentRM`, give it to the plugins, and every model call goes through one shared scheduler.

All that the documents name for users is here: the core and its configuration, retries, the context
lifecycle with its stores, and the errors. What `AgentRM.events` tells is in
`agentrm_plugins.events`, the simulated provider in `agentrm_plugins.testing.provider`; who writes a
plugin of their own uses `agentrm_plugins.integration`.
"""

from typing import TYPE_CHECKING, Any

from agentrm_plugins.config import (
    BreakerConfig,
    BudgetConfig,
    Config,
    ContextConfig,
    Coordination,
    EndpointConfig,
    LaneGroup,
    LeaseConfig,
    Price,
    SchedulerConfig,
    ShareConfig,
    TenantConfig,
)
from agentrm_plugins.errors import (
    AgentEnded,
    AgentRMError,
    AgentRMWarning,
    BadMessage,
    BudgetExceeded,
    BudgetTooSmall,
    CallReaped,
    CallRefused,
    CallTooLarge,
    ClosedError,
    ConfigError,
    ContextError,
    CoordinatorUnavailable,
    EndpointUnavailable,
    QueueFull,
    RecordingError,
    SessionBusy,
    StoreCorrupt,
    StoreError,
    StoreFenced,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    WaitTimeout,
    WouldDeadlock,
)
from agentrm_plugins.hosts.lease import Lease
from agentrm_plugins.manager import AgentRM
from agentrm_plugins.types.calls import Call, Usage
from agentrm_plugins.types.statistics import Statistics

if TYPE_CHECKING:
    from agentrm_plugins.context.live import (
        RECALL_TOOL,
        ContextLifecycle,
        ContextSession,
        LowPriority,
        fit,
    )
    from agentrm_plugins.context.notes.summaries import LLMSummariser
    from agentrm_plugins.context.plan.view import Pressure, View
    from agentrm_plugins.context.recall.embedding import Embeddings
    from agentrm_plugins.context.stores import (
        ColdStore,
        MemoryStore,
        OwningStore,
        SessionKey,
        SqliteStore,
    )
    from agentrm_plugins.counting.encodings import counter_for
    from agentrm_plugins.hosts.retry import RetryPolicy
    from agentrm_plugins.telemetry.recording import Recording
    from agentrm_plugins.types.provider import Provider

__all__ = [
    "RECALL_TOOL",
    "AgentEnded",
    "AgentRM",
    "AgentRMError",
    "AgentRMWarning",
    "BadMessage",
    "BreakerConfig",
    "BudgetConfig",
    "BudgetExceeded",
    "BudgetTooSmall",
    "Call",
    "CallReaped",
    "CallRefused",
    "CallTooLarge",
    "ClosedError",
    "ColdStore",
    "Config",
    "ConfigError",
    "ContextConfig",
    "ContextError",
    "ContextLifecycle",
    "ContextSession",
    "Coordination",
    "CoordinatorUnavailable",
    "Embeddings",
    "EndpointConfig",
    "EndpointUnavailable",
    "LLMSummariser",
    "LaneGroup",
    "Lease",
    "LeaseConfig",
    "LowPriority",
    "MemoryStore",
    "OwningStore",
    "Pressure",
    "Price",
    "Provider",
    "QueueFull",
    "Recording",
    "RecordingError",
    "RetryPolicy",
    "SchedulerConfig",
    "SessionBusy",
    "SessionKey",
    "ShareConfig",
    "SqliteStore",
    "Statistics",
    "StoreCorrupt",
    "StoreError",
    "StoreFenced",
    "StoreFull",
    "StoreLocked",
    "StoreReadOnly",
    "TenantConfig",
    "Usage",
    "View",
    "WaitTimeout",
    "WouldDeadlock",
    "counter_for",
    "fit",
]

# What only some programs use is imported when it is asked for.
_LATER = {
    "ColdStore": "context.stores",
    "ContextLifecycle": "context.live",
    "ContextSession": "context.live",
    "Embeddings": "context.recall.embedding",
    "LLMSummariser": "context.notes.summaries",
    "LowPriority": "context.live",
    "MemoryStore": "context.stores",
    "OwningStore": "context.stores",
    "Pressure": "context.plan.view",
    "Provider": "types.provider",
    "RECALL_TOOL": "context.live",
    "Recording": "telemetry.recording",
    "RetryPolicy": "hosts.retry",
    "SessionKey": "context.stores",
    "SqliteStore": "context.stores",
    "View": "context.plan.view",
    "counter_for": "counting.encodings",
    "fit": "context.live",
}

if not TYPE_CHECKING:  # else a name that does not exist would pass the type checker

    def __getattr__(name: str) -> Any:
        """Import what is asked for, the first time that it is."""
        from importlib import import_module

        module = _LATER.get(name)
        if module is None:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        found = getattr(import_module(f"{__name__}.{module}"), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        """What completion offers."""
        return sorted(__all__)
