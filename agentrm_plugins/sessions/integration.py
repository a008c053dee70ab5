"""For authors of adapters: the parts of the context lifecycle that a framework's plugin is made of.

Public, and kept stable like the front door, but of no use to those who only run agents.
"""

from __future__ import annotations

from agentrm_plugins.context.config import LEAST_BUDGET
from agentrm_plugins.context.errors import (
    BadMessage,
    BudgetTooSmall,
    StoreError,
    StoreLocked,
)
from agentrm_plugins.context.messages import FRAMEWORK, ROLES, Message, ToolCall, copied
from agentrm_plugins.context.recall import Candidate, Corpus
from agentrm_plugins.context.summaries import PROMPT, LLMSummariser
from agentrm_plugins.context.text import Passage
from agentrm_plugins.context.view import Pressure, View
from agentrm_plugins.context.warm import extractive_summary
from agentrm_plugins.sessions.counting import counter_for
from agentrm_plugins.sessions.manager import ContextManager, fit
from agentrm_plugins.sessions.recall import RECALL_TOOL
from agentrm_plugins.sessions.session import OVERFLOW_SHARE, ContextSession
from agentrm_plugins.stores import ColdStore, MemoryStore, Row, SessionKey

__all__ = [
    "FRAMEWORK",
    "LEAST_BUDGET",
    "OVERFLOW_SHARE",
    "PROMPT",
    "RECALL_TOOL",
    "ROLES",
    "BadMessage",
    "BudgetTooSmall",
    "Candidate",
    "ColdStore",
    "ContextManager",
    "ContextSession",
    "Corpus",
    "LLMSummariser",
    "MemoryStore",
    "Message",
    "Passage",
    "Pressure",
    "Row",
    "SessionKey",
    "StoreError",
    "StoreLocked",
    "ToolCall",
    "View",
    "copied",
    "counter_for",
    "extractive_summary",
    "fit",
]
