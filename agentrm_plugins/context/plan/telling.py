"""Lines that tell in short what a compacted message was, where no note does.

They keep the course of a conversation in view: what was asked, which tools were called with what,
how a result began. They are worth less than any note and go first when room is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agentrm_plugins.context.notes.notes import Note
from agentrm_plugins.context.plan.entry import Entry
from agentrm_plugins.context.plan.lookups import without_look_ups
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.types.message import Message, plain_text

__all__ = ["SPEAKERS", "told"]

SPEAKERS = {"user": "user", "assistant": "you", "tool": "tool", "function": "tool"}
_SAID_CHARS = 200
_CALL_CHARS = 120
_READ_CHARS = 10_000
"""Of one call's arguments, and of one result. Guessed: about 30 tokens."""


def told(
    session: Transcript,
    places: range,
    notes: Sequence[Note],
    room_tokens: int,
    count: Callable[[str], int],
) -> list[tuple[int, str]]:
    """Tell messages in a line each, the newest first, in at most `room_tokens`; in order.

    Args:
        session: For the messages, and for what was corrected, which is not told.
        places: Of the messages.
        notes: That stand beside the lines, so that nothing is told twice.
        room_tokens: 0 or less gives nothing.
        count: Counts tokens of a text.
    """
    noted: dict[int, list[str]] = {}
    for note in notes:
        noted.setdefault(note.seq, []).append(note.text)
    lines: list[tuple[int, str]] = []
    for seq in reversed(places):
        entry = session.entries[seq]
        if entry.message is None or entry.looked_up:
            continue
        line = _line(entry, without_look_ups(entry.message), noted)
        if not line or session.notes.stale_in(seq, line) is not None:
            continue
        room_tokens -= count(line) + 1
        if room_tokens < 0:
            break
        lines.append((seq, line))
    return lines[::-1]


def _line(entry: Entry, message: Message, noted: Mapping[int, Sequence[str]]) -> str:
    if message.tool_calls:
        calls = "; ".join(f"{c.name}({c.arguments[:_CALL_CHARS]})" for c in message.tool_calls)
        return f"{entry.seq} you called {calls}"
    text = " ".join(plain_text(message)[:_READ_CHARS].split())
    if entry.role in {"tool", "function"}:
        if entry.seq in noted or len(text) <= _CALL_CHARS:
            return ""
        return f"{entry.seq} tool, {entry.tokens} tokens: {text[:_CALL_CHARS]}…"
    for note in noted.get(entry.seq, ()):
        text = text.replace(note, "").strip()
    who = SPEAKERS.get(entry.role, entry.role)
    short = text if len(text) <= _SAID_CHARS else f"{text[:_SAID_CHARS]}…"
    return f"{entry.seq} {who}: {short}" if any(map(str.isalnum, text)) else ""
