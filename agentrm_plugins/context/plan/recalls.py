"""How long recalled passages stay in a prompt. Pure.

A block stands before the user message that it was looked up for. With the next user message it
goes, if what stands behind it is less than it is: to send that again costs less than to carry the
block on. Otherwise it stays until the next compaction. When the model has asked for itself with the
tool `recall`, the tool's result takes the block's place.
"""

from __future__ import annotations

from agentrm_plugins.context.plan.shares import recall_room
from agentrm_plugins.context.plan.transcript import Transcript

__all__ = ["drop_answered", "drop_past"]


def drop_past(session: Transcript) -> None:
    """Let go of the blocks of earlier user messages where that is cheaper than to keep them.

    Those that are kept take at most the share of recall together; beyond it the newest goes first:
    less of the prompt stands behind it than behind the oldest.
    """
    task = session.task
    kept = []
    for recalled in session.recalls:
        behind = sum(entry.tokens for entry in session.entries[recalled.anchor : task])
        if behind > recalled.tokens:
            kept.append(recalled.shortened())
    while sum(recalled.tokens for recalled in kept) > recall_room(session):
        kept.pop()
    session.recalls = kept


def drop_answered(session: Transcript) -> None:
    """Let go of the block of the newest user message once the model has searched for itself."""
    task = session.task
    if task is None or not any(recalled.anchor == task for recalled in session.recalls):
        return
    if any(entry.looked_up for entry in session.entries[task:]):
        session.recalls = [r for r in session.recalls if r.anchor != task]
