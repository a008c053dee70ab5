"""A passage's sentences with their terms, remembered: questions look at the same passages again."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from agentrm_plugins.context.notes.asking import MAY_END_ASKING, ends_asking
from agentrm_plugins.context.notes.kinds import CLASS
from agentrm_plugins.context.notes.text import sentences, terms
from agentrm_plugins.context.notes.values import Value, values_of
from agentrm_plugins.context.notes.worded import in_words, tells_in_words
from agentrm_plugins.context.recall.query import Query
from agentrm_plugins.context.recall.when import WEEKDAYS

__all__ = ["Held", "Piece", "best_of", "pieces_of", "said_of", "told_in"]

_READ_CHARS = 4_000


class Held(NamedTuple):
    """A value of a sentence: its form, its kind (a day of the week is no name), its terms."""

    norm: str
    kind: str | None
    value: Value
    terms: frozenset[str]


class Piece:
    """One sentence of a passage."""

    __slots__ = ("_held", "_terms", "asks", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.asks = text[-1:] in MAY_END_ASKING and ends_asking(text)
        self._terms: frozenset[str] | None = None
        self._held: tuple[Held, ...] | None = None

    @property
    def terms(self) -> frozenset[str]:
        """Its terms: made when they are asked for, since most are looked for by their words."""
        if self._terms is None:
            self._terms = frozenset(terms(self.text))
        return self._terms

    @property
    def held(self) -> tuple[Held, ...]:
        """Its values: read once, however many passages they are held against."""
        if self._held is None:
            held = []
            for one in told_in(self.text):
                kind = "day" if one.text.casefold() in WEEKDAYS else CLASS.get(one.kind)
                held.append(Held(one.norm, kind, one, _terms_of(one.text)))
            self._held = tuple(held)
        return self._held


@lru_cache(maxsize=4_096)
def told_in(text: str) -> tuple[Value, ...]:
    """Give the values of a sentence; a figure in words, of no digits, is a number and a time."""
    values = values_of(text)
    found = in_words(text) if tells_in_words(text, values) else None
    return values if found is None else (*values, found, found._replace(kind="time"))


@lru_cache(maxsize=1_024)
def _terms_of(value: str) -> frozenset[str]:
    return frozenset(terms(value))


@lru_cache(maxsize=1_024)
def pieces_of(text: str) -> tuple[Piece, ...]:
    """Cut a text into sentences."""
    return tuple(Piece(piece) for _, piece in sentences(text[:_READ_CHARS]))


def best_of(query: Query, text: str) -> Piece | None:
    """Pick the sentence of a text that shares most with the question; None without one."""
    pieces = pieces_of(text)
    if len(pieces) < 2:  # noqa: PLR2004 - nothing to choose
        return pieces[0] if pieces else None
    asked = frozenset(query.terms)
    return max(pieces, key=lambda piece: len(asked & piece.terms))


def said_of(query: Query, text: str) -> str:
    """Give the words of the sentence of a text that shares most with the question."""
    best = best_of(query, text)
    return best.text if best is not None else ""
