"""A passage's sentences with their terms, remembered: questions look at the same passages again."""

from __future__ import annotations

from functools import lru_cache

from agentrm_plugins.context.notes.text import sentences, terms
from agentrm_plugins.context.recall.query import Query

__all__ = ["pieces_of", "said_of"]

_READ_CHARS = 4_000


@lru_cache(maxsize=256)
def pieces_of(text: str) -> tuple[tuple[str, frozenset[str]], ...]:
    """Cut a text into sentences, each with its terms."""
    return tuple((piece, frozenset(terms(piece))) for _, piece in sentences(text[:_READ_CHARS]))


def said_of(query: Query, text: str) -> str:
    """Pick the sentence of a text that shares most with the question."""
    asked = frozenset(query.terms)
    best = max(pieces_of(text), key=lambda piece: len(asked & piece[1]), default=("", asked))
    return best[0]
