"""A recalled passage's line: number and speaker, words, what came later, the day."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from agentrm_plugins.context.notes.text import terms
from agentrm_plugins.context.notes.values import values_of
from agentrm_plugins.context.plan.entry import Entry
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.context.recall.days import DAY_S, LAST_DAY, civil
from agentrm_plugins.context.recall.query import Query

__all__ = ["cut_to", "day_of", "line_of", "source_turn", "told_later"]

_SOURCE_CHARS = 80


def source_turn(session: Transcript, entry: Entry) -> Entry | None:
    """Find the user message that a message belongs to."""
    for at in range(entry.seq - 1, -1, -1):
        if session.entries[at].role == "user":
            return session.entries[at]
    return None


def line_of(session: Transcript, seq: int, text: str, texts: Mapping[int, str]) -> str:
    """Write what a message says behind its number and speaker; `texts`: of source turns."""
    return f"{_label(session, seq, texts)}: {' '.join(text.split())}"


def told_later(later: Sequence[tuple[int, str]]) -> str:
    """Name what came later; what stands in the block by itself needs no quote."""
    told = [
        f"message {at}: {' '.join(text.split())}" if text else f"message {at}" for at, text in later
    ]
    return f" [later: {'; '.join(told)}]" if told else ""


def cut_to(line: str, query: Query, most: int, count: Callable[[str], int]) -> str:
    """Cut a line to the words from the first that was asked for on; "" if nothing fits."""
    if most <= 0:
        return ""
    if count(line) <= most:
        return line
    label, _, said = line.partition(": ")
    words = said.split(" ")
    asked = set(query.terms)
    at = next((n for n, word in enumerate(words) if not asked.isdisjoint(terms(word))), 0)
    keep = len(words) - at
    while keep and count(line) > most:
        keep = keep * 3 // 4
        line = f"{label}: {'… ' * (at > 0)}{' '.join(words[at : at + keep])} …"
    return line if keep else ""


def _label(session: Transcript, seq: int, texts: Mapping[int, str]) -> str:
    entry = session.entries[seq]
    who = {"assistant": "you"}.get(entry.role, entry.role)
    label = f"{seq} {who}"
    turn = source_turn(session, entry) if entry.role in {"tool", "function"} else None
    if turn is not None and turn.seq in texts:
        label += f" (for {turn.seq} user"
        # What stands in the prompt already needs no quote.
        label += ")" if session.sends(turn.seq) else f': "{_quoted(texts[turn.seq])}")'
    return label


def _quoted(text: str) -> str:
    """Give a turn's first words without its values: what was corrected since is not said again."""
    said = " ".join(text.split())[:_SOURCE_CHARS]
    for value in values_of(said):
        said = said.replace(value.text, "…")
    return said


def day_of(at_s: float) -> str:
    """Write the UTC day of a time."""
    return _day_named(int(at_s // DAY_S)) if 0 < at_s < LAST_DAY * DAY_S else ""


@lru_cache(maxsize=1_024)
def _day_named(day: int) -> str:
    year, month, of_month = civil(day)
    return f"{year:04}-{month:02}-{of_month:02}"
