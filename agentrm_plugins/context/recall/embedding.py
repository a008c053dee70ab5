"""A second opinion for recall: passages near in meaning, fused with those near in words."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from operator import mul
from typing import Any, Protocol, runtime_checkable

__all__ = ["EmbeddingIndex", "SemanticIndex"]

Place = tuple[int, int, int]


@runtime_checkable
class SemanticIndex(Protocol):
    """Finds passages by meaning. Called from the thread that prepares or maintains a session."""

    def add(self, key: tuple[str, str], passages: Sequence[tuple[Place, str]]) -> None:
        """Take passages: ((seq, start, stop), text). A second time replaces."""

    def search(self, key: tuple[str, str], query: str, limit: int) -> list[tuple[Place, float]]:
        """Give the nearest passages of this session, best first, each with its share of 1."""


class EmbeddingIndex:
    """Embeds passages by a callable and compares all of a session's: exact, and for thousands.

    It lives in memory. After a restart a session's older passages are found by their words only,
    until they are added again.

    Args:
        embed: Texts to vectors, all of one length.
    """

    def __init__(self, embed: Callable[[list[str]], Sequence[Sequence[float]]]) -> None:
        self._embed = embed
        self._vectors: dict[tuple[str, str], dict[Place, array[float]]] = {}

    def add(self, key: tuple[str, str], passages: Sequence[tuple[Place, str]]) -> None:
        """Embed and keep passages."""
        if not passages:
            return
        vectors = self._embed([text for _, text in passages])
        kept = self._vectors.setdefault(key, {})
        for (place, _), vector in zip(passages, vectors, strict=True):
            kept[place] = _unit(vector)

    def search(self, key: tuple[str, str], query: str, limit: int) -> list[tuple[Place, float]]:
        """Give the passages with the highest cosine, best first; the last of them has 0."""
        kept = self._vectors.get(key)
        if not kept:
            return []
        asked = _unit(self._embed([query])[0])
        scored = sorted(
            ((sum(map(mul, asked, vector)), place) for place, vector in list(kept.items())),
            key=lambda pair: (-pair[0], pair[1]),
        )
        top = scored[: limit + 1]
        least, most = max(0.0, top[-1][0]), top[0][0]
        if len(top) <= limit:
            least = 0.0
        spread = (most - least) or 1.0
        return [(place, (cos - least) / spread) for cos, place in top[:limit] if cos > 0]


def _unit(vector: Sequence[Any]) -> array[float]:
    length = math.sqrt(sum(float(x) * float(x) for x in vector)) or 1.0
    return array("f", (float(x) / length for x in vector))
