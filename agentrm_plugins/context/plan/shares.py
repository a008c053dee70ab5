"""Who may take how much of a prompt: shares of what system prompt and tools leave free. Pure.

The newest messages come first (`hot_share`, word for word), then what is recalled for a question
(`recall_share`), then notes (`warm_share`, or what the two others leave). A long system prompt
shrinks all three alike.
"""

from __future__ import annotations

from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.context.plan.view import line_tokens
from agentrm_plugins.counting.tokens import REPLY_OVERHEAD

__all__ = [
    "MOST_RECALLED",
    "fixed_tokens",
    "free_tokens",
    "hot_floor",
    "low_tokens",
    "recall_room",
    "soft_tokens",
    "warm_room",
]

_SLACK = 0.2
"""Of the free room, that stays for messages to come when all three shares are taken. Guessed."""
MOST_RECALLED = 0.5
"""Of the free room, for a question, while nothing else needs it. Guessed: half of what is read."""


def fixed_tokens(session: Transcript, tools_tokens: int) -> int:
    """Count what is sent in any case: the frame, the system prompt, the tools, the line."""
    return REPLY_OVERHEAD + session.system_tokens + tools_tokens + line_tokens(session)


def free_tokens(session: Transcript) -> int:
    """Count what of the budget system prompt and tools leave."""
    return max(0, session.budget - fixed_tokens(session, session.tools_tokens))


def hot_floor(session: Transcript) -> int:
    """Give what the newest messages keep, word for word, before notes get any room."""
    return int(session.config.hot_share * free_tokens(session))


def recall_room(session: Transcript) -> int:
    """Give what recalled passages may take in any case."""
    return int(session.config.recall_share * free_tokens(session))


def warm_room(session: Transcript) -> int:
    """Give the most that all notes may take, in tokens."""
    config = session.config
    share = min(config.warm_share, 1 - _SLACK - config.hot_share - config.recall_share)
    return int(max(0.0, share) * free_tokens(session))


def soft_tokens(session: Transcript) -> int:
    """Give the size of a request above which compaction starts in the background."""
    return _mark(session, session.config.soft_mark)


def low_tokens(session: Transcript) -> int:
    """Give the size of a request that a compaction goes down to."""
    return _mark(session, session.config.low_mark)


def _mark(session: Transcript, share: float) -> int:
    fixed = min(session.budget, fixed_tokens(session, session.tools_tokens))
    return fixed + int(share * (session.budget - fixed))
