"""What is read in one message: findings for notes, passages for recall. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from agentrm_plugins.context.notes.facts import Finding, find
from agentrm_plugins.context.notes.text import Passage, passages, terms
from agentrm_plugins.context.plan.entry import Entry
from agentrm_plugins.context.plan.lookups import told_text, without_look_ups
from agentrm_plugins.types.message import Message, said_text

__all__ = ["cut_up", "findings_of", "slices"]

_ARGUMENT_KINDS = frozenset({"path", "url", "email", "uuid"})
SLICE_CHARS = 8_000
"""Of a text that is cut into passages in one go. Guessed: two milliseconds."""


def findings_of(message: Message, shapes: Counter[str] | None) -> list[Finding]:
    """Read a message for notes: its text, and the exact strings in the arguments of its calls."""
    found = find(said_text(message), message.role, shapes)
    for call in without_look_ups(message).tool_calls:
        for finding in find(call.arguments, "tool", shapes):
            exact = any(value.kind in _ARGUMENT_KINDS for value in finding.values)
            # What else is written may be the newer form of what a tool gave.
            found.append(replace(finding, score=finding.score - 1.0, faint=not exact))
    return found


def cut_up(entry: Entry) -> list[Passage]:
    """Cut a message into passages; the speaker's name and the tool's are findable in each."""
    return [piece for pieces in slices(entry) for piece in pieces]


def slices(entry: Entry) -> Iterator[list[Passage]]:
    """Cut a message into passages, a slice of its text at a time: about a millisecond each.

    A slice ends at a line or a blank where there is one. What the tool `recall` gave has none.
    """
    message = None if entry.looked_up else entry.message
    text = told_text(message) if message is not None else ""
    extra = tuple(terms(message.name)) if message is not None and message.name else ()
    at = 0
    while at < len(text):
        end = at + SLICE_CHARS
        if end < len(text):
            ends = (text.rfind(mark, at + SLICE_CHARS // 2, end) for mark in ("\n", " "))
            end = next((found + 1 for found in ends if found >= 0), end)
        found = passages(text[at:end], extra)
        yield [Passage(piece.start + at, piece.stop + at, piece.terms) for piece in found]
        at = end
