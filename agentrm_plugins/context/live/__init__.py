"""The context lifecycle at work: sessions with their archive, locks and background work."""

from __future__ import annotations

from agentrm_plugins.context.live.background import LowPriority
from agentrm_plugins.context.live.lifecycle import ContextLifecycle, fit
from agentrm_plugins.context.live.session import ContextSession
from agentrm_plugins.context.live.tool import RECALL_TOOL
from agentrm_plugins.counting.encodings import counter_for

__all__ = [
    "RECALL_TOOL",
    "ContextLifecycle",
    "ContextSession",
    "LowPriority",
    "counter_for",
    "fit",
]
