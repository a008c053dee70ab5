"""The context lifecycle at work: sessions with their archive, locks and background work."""

from __future__ import annotations

from agentrm_plugins.sessions.background import LowPriority
from agentrm_plugins.sessions.counting import counter_for
from agentrm_plugins.sessions.manager import ContextManager, fit
from agentrm_plugins.sessions.recall import RECALL_TOOL
from agentrm_plugins.sessions.session import ContextSession

__all__ = [
    "RECALL_TOOL",
    "ContextManager",
    "ContextSession",
    "LowPriority",
    "counter_for",
    "fit",
]
