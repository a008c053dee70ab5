"""A passage's sentences with their terms, remembered: questions look at the same passages again."""

from __future__ import annotations

from functools import lru_cache

from agentrm_plugins.context.notes.text import sentences, terms
from agentrm_plugins.context.recall.query import Query

__all__ = ["Piece", "pieces_of", "said_of"]

_READ_CHARS = 4_000


class Piece:
    """One sentence of a passage."""

    __slots__ = ("_terms", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._terms: frozenset[str] | None = None

    @property
    def terms(self) -> frozenset[str]:
        """Its terms: made when they are asked for, since most are looked for by their words."""
        if self._terms is None:
            self._terms = frozenset(terms(self.text))
        return self._terms


@lru_cache(maxsize=1_024)
def pieces_of(text: str) -> tuple[Piece, ...]:
    """Cut a text into sentences."""
    return tuple(Piece(piece) for _, piece in sentences(text[:_READ_CHARS]))


def said_of(query: Query, text: str) -> str:
    """Pick the sentence of a text that shares most with the question."""
    pieces = pieces_of(text)
    if len(pieces) == 1:
        return pieces[0].text
    asked = frozenset(query.terms)
    best = max(pieces, key=lambda piece: len(asked & piece.terms), default=None)
    return best.text if best is not None else ""
