"""A simulated OpenAI-compatible provider on loopback, so that the real clients can be driven.

    with SimulatedProvider(seed=7, rpm=600, hang_rate=0.1) as provider:
        model = ChatOpenAI(base_url=provider.base_url, api_key="test-key", model="simulated")

It enforces request and token limits, sends the real headers and error bodies, streams, calls
tools, hangs, stalls, resets and answers nonsense, all from one seed. Needs the extra `testing`.
"""

from __future__ import annotations

from agentrm_plugins.testing.provider.config import (
    Change,
    ModelConfig,
    ProviderConfig,
    key_fingerprint,
)
from agentrm_plugins.testing.provider.records import ProviderStatistics, RequestRecord
from agentrm_plugins.testing.provider.replies import (
    Garbage,
    Hang,
    Reply,
    Reset,
    Stall,
    Status,
    ToolCall,
)
from agentrm_plugins.testing.provider.requests import ProviderRequest
from agentrm_plugins.testing.provider.seeding import Distribution
from agentrm_plugins.testing.provider.simulated import SimulatedProvider

__all__ = [
    "Change",
    "Distribution",
    "Garbage",
    "Hang",
    "ModelConfig",
    "ProviderConfig",
    "ProviderRequest",
    "ProviderStatistics",
    "Reply",
    "RequestRecord",
    "Reset",
    "SimulatedProvider",
    "Stall",
    "Status",
    "ToolCall",
    "key_fingerprint",
]
