"""Which of the later passages may be the newer form of an older one, where there is little room.

Law: it speaks of the same subject, so it holds each name and number of the question that the older
one holds ("the invoice of Baker" is none of Miller's), and it has another value of the same kind.
It is sure to be meant where one sentence holds at least half of the question's words that the older
one holds, and qualifies no shared word otherwise; else it may be one, and the older one stands
without it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agentrm_plugins.context.notes.kinds import CLASS
from agentrm_plugins.context.notes.subject import content, told_apart
from agentrm_plugins.context.notes.text import terms
from agentrm_plugins.context.notes.values import Value, values_of
from agentrm_plugins.context.recall.paging import Found, Rival
from agentrm_plugins.context.recall.pieces import pieces_of, said_of
from agentrm_plugins.context.recall.query import ENDS_ASKING, Query
from agentrm_plugins.context.recall.when import WEEKDAYS

__all__ = ["rivals_among"]

_MOST = 2
_CHARS = 240
"""Of a sentence without a stop, what stands around its value. Guessed."""
_WORD = re.compile(r"(\w+)(['\u2019]s\b)?")


def rivals_among(query: Query, one: Found, later: Sequence[Found]) -> list[Rival]:
    """Give what may replace a passage, the surest first, each cut to the sentence that does.

    Args:
        query: What was asked.
        one: The passage.
        later: What came later and holds something of the question.
    """
    asked = frozenset(query.terms)
    said = said_of(query, one.text)
    held = asked & frozenset(terms(said))
    names = _names(said, asked)
    told = {value.norm for piece in pieces_of(one.text) for value in values_of(piece.text)}
    kinds = {_kind(v) for v in values_of(said) if asked.isdisjoint(terms(v.text))}
    made = []
    for other in later:
        if not names <= frozenset(terms(other.text)):
            continue
        best = None
        for piece in pieces_of(other.text):
            holds = len(held & piece.terms)
            if piece.text.endswith(ENDS_ASKING) or not holds or (best and best[0] >= holds):
                continue
            values = values_of(piece.text)
            new = [v for v in values if v.norm not in told and _kind(v) in kinds]
            if new:
                best = holds, piece.text, new[0]
        if best is not None:
            sure = 2 * best[0] >= len(held) and not _apart(said, best[1])
            made.append((sure, best[0], other.key, Rival(_part(other, *best[1:]), sure)))
    made.sort(key=lambda rated: rated[:3], reverse=True)
    return [rival for *_, rival in made[:_MOST]]


def _names(said: str, asked: frozenset[str]) -> frozenset[str]:
    """Give the asked words of a sentence that tell its subject from others: names and numbers.

    A capital at its beginning says nothing, unless it is somebody's: "Miller's invoice".
    """
    found: set[str] = set()
    for word in _WORD.finditer(said):
        text, owns = word.groups()
        held = asked.intersection(terms(text))
        if not (text[0].isupper() and (word.start() or owns)):
            held = frozenset(one for one in held if any(map(str.isdigit, one)))
        found |= held
    return frozenset(found)


def _kind(value: Value) -> str | None:
    """Give the kind of a value: a day of the week is no name of a place."""
    return "day" if value.text.casefold() in WEEKDAYS else CLASS.get(value.kind)


def _apart(older: str, newer: str) -> bool:
    one, other = ((text, content(text, values_of(text))) for text in (older, newer))
    return told_apart(one, other)


def _part(found: Found, said: str, value: Value) -> Found:
    if len(said) > _CHARS:
        start = max(0, min(value.start - _CHARS // 2, len(said) - _CHARS))
        said = said[start : start + _CHARS]
    if said == found.text:
        return found
    return found._replace(text=said, tokens=found.tokens * len(said) // max(1, len(found.text)) + 2)
