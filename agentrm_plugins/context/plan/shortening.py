"""A call that is larger than the budget by itself: its arguments are shortened, and stay JSON.

The model has just made it, and its result is of no use without it: were it left out, the model
would make it again. Ids and names stay; of each long text in the arguments the beginning stays,
with where the rest is archived. A message that needs other forms than text and calls loses them.
"""

from __future__ import annotations

import json
from typing import Any

from agentrm_plugins.context.plan.entry import Entry, Replacement
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.types.message import Message, ToolCall, said_text
from agentrm_plugins.types.plain import parsed

__all__ = ["shorter_call", "water_level"]

_SHORT_CHARS = 48
"""Shorter texts in arguments are left: names, paths, numbers."""


def water_level(sizes: list[int], room: int) -> int:
    """Find the height at which all sizes, cut to it, just fit the room."""
    left = max(0, room)
    for at, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - at)
        if size > share:
            return share
        left -= size
    return max(sizes)


def shorter_call(session: Transcript, entry: Entry, most: int) -> Replacement:
    """Give what is sent in place of a message that calls tools, in at most `most` tokens.

    Less is not always possible: ids and names stay.
    """
    message = entry.message
    if message is None:
        raise AssertionError("a call without its body is not shortened")
    if not entry.noted:
        session.note(entry, session.findings(entry))
    mark = f"[… the rest is archived as message {entry.seq} …]"
    said, chars = said_text(message), 4 * max(1, most)
    while True:
        made = Message(
            entry.role,
            _cut(said, chars // 4, mark),
            message.name,
            tuple(_called(call, chars, mark) for call in message.tool_calls),
        )
        tokens = session.counter.message(made)
        if tokens <= most or chars < _SHORT_CHARS // 2:
            text = made.content if isinstance(made.content, str) else ""
            return Replacement("short", text, tokens, made.tool_calls)
        chars = chars * 3 // 4


def _called(call: ToolCall, chars: int, mark: str) -> ToolCall:
    if len(call.arguments) <= chars:
        return call
    try:
        given = parsed(call.arguments)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        given = {"arguments": call.arguments}
    texts = max(1, _texts(given))
    short = _shortened(given, max(_SHORT_CHARS, chars // texts), mark)
    text = json.dumps(short, ensure_ascii=False)
    if len(text) > 2 * chars:  # many small values: only the first of them
        text = json.dumps({"arguments": _cut(text, chars, mark)}, ensure_ascii=False)
    return ToolCall(call.id, call.name, text)


def _texts(value: Any) -> int:
    if isinstance(value, str):
        return int(len(value) > _SHORT_CHARS)
    if isinstance(value, dict):
        return sum(map(_texts, value.values()))
    return sum(map(_texts, value)) if isinstance(value, list) else 0


def _shortened(value: Any, chars: int, mark: str) -> Any:
    if isinstance(value, str):
        return _cut(value, chars, mark)
    if isinstance(value, dict):
        return {key: _shortened(item, chars, mark) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item, chars, mark) for item in value]
    return value


def _cut(text: str, chars: int, mark: str) -> str:
    return text if len(text) <= chars + len(mark) else f"{text[:chars]} {mark}"
