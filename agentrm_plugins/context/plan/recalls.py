"""How much recalled passages take of a prompt over time, and how long they stay in it. Pure.

Law of the amount: a question may have its share (`recall_share`) in any case, and more while the
prompt has room. What blocks take is owed, and paid back by half of what `prefix_goal` lets change,
0.5 * (1 - prefix_goal) of all that is sent (the other half is new messages and compactions), or by
`_LEAST_EARNED` tokens for each user message; beyond its share a question has no room that is owed.
So the first question after some that asked little has all of the room. That the share is owed to
nobody was measured: asked one after another, the questions of a talk of LoCoMo kept 42 % of their
evidence otherwise, and 68 % so.

How long: a block stands before the user message that it was looked up for. With the next user
message it goes, if what stands behind it is less than it is: to send that again costs less than to
carry the block on. Otherwise it stays until the next compaction. When the model has asked for
itself with the tool `recall`, the tool's result takes the block's place.
"""

from __future__ import annotations

from agentrm_plugins.context.plan.shares import MOST_RECALLED, free_tokens, recall_room
from agentrm_plugins.context.plan.transcript import Transcript

__all__ = ["allowed_tokens", "drop_answered", "drop_past", "owe", "pay_back"]

_OF_CHANGE = 0.5
_LEAST_EARNED = 400
"""Tokens. Measured on half of LoCoMo at 4,000 tokens: of the evidence 71.3 % was kept and 86.8 % of
the prefix (worst talk 83.7) where nothing is owed, 70.3 and 87.6 (85.1) with this, 67.7 and 88.6
(86.9) with 200."""


def pay_back(session: Transcript) -> None:
    """Take from what is owed what was earned since the user message before."""
    may_change = 1 - session.config.prefix_goal
    earned = int(_OF_CHANGE * may_change * session.sent)
    session.owed = max(0, session.owed - max(_LEAST_EARNED, earned))
    session.sent = 0


def owe(session: Transcript, tokens: int) -> None:
    """Add a block to what is owed: no more than some messages that ask little pay back.

    A hundred questions owed 31,000 tokens, and of 78 messages after them none had more than its
    share.
    """
    session.owed = min(session.owed + tokens, 2 * int(MOST_RECALLED * free_tokens(session)))


def allowed_tokens(session: Transcript) -> int:
    """Give the most that a block may take now, if the prompt has room for it."""
    most = int(MOST_RECALLED * free_tokens(session))
    return max(recall_room(session), most - session.owed)


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
