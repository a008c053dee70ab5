"""The context lifecycle: what an adapter shares with it beside the messages."""

from __future__ import annotations

from agentrm_plugins.config.context import LEAST_BUDGET
from agentrm_plugins.context.live.session import OVERFLOW_SHARE
from agentrm_plugins.context.live.tool import RECALL_TOOL
from agentrm_plugins.context.notes.summaries import PROMPT
from agentrm_plugins.types.message import FRAMEWORK, LEGACY, ROLES, copied

__all__ = [
    "FRAMEWORK",
    "LEAST_BUDGET",
    "LEGACY",
    "OVERFLOW_SHARE",
    "PROMPT",
    "RECALL_TOOL",
    "ROLES",
    "copied",
]
