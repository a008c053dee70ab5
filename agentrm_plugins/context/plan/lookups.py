"""What the tool `recall` was asked and gave: archived, and neither found nor noted again. Pure.

Else each look-up would find the ones before it, which hold its words and quote what they found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from agentrm_plugins.context.plan.entry import Entry
from agentrm_plugins.types.message import Message, plain_text, said_text

__all__ = ["RECALL_NAME", "looked_up", "told_text", "without_look_ups"]

RECALL_NAME = "recall"
_MOST_BETWEEN = 512
"""Messages between a call and its result: other results, mostly. Guessed."""


def looked_up(entry: Entry, before: Sequence[Entry]) -> bool:
    """Whether a message is what the tool `recall` gave.

    Args:
        entry: The message, with its body.
        before: Those before it: the one that called tells the tool's name.
    """
    message = entry.message
    if message is None or entry.role not in {"tool", "function"}:
        return False
    if message.name:
        return message.name == RECALL_NAME
    for asking in islice(reversed(before), _MOST_BETWEEN):
        if asking.message is not None and entry.answers in asking.calls:
            called = asking.message.tool_calls
            return any(c.id == entry.answers and c.name == RECALL_NAME for c in called)
    return False


def without_look_ups(message: Message) -> Message:
    """Give a message without its calls of the tool `recall`."""
    calls = tuple(call for call in message.tool_calls if call.name != RECALL_NAME)
    return message if len(calls) == len(message.tool_calls) else replace(message, tool_calls=calls)


def told_text(message: Message) -> str:
    """Give all that can be found in a message: its text, then its calls but for look-ups."""
    if not message.tool_calls:
        return said_text(message)
    return plain_text(without_look_ups(message))
