"""Passages near in meaning to a question: vectors compared by their cosine. Pure.

All of a session's vectors are compared: exact, and quick enough for thousands. Where a model puts
what it embeds is its own affair; vectors are brought to length one here.
"""

from __future__ import annotations

import heapq
import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter, mul
from typing import Any, Protocol, runtime_checkable

__all__ = ["Embeddings", "Vectors", "embedder_of"]

Place = tuple[int, int]
"""A message's place, and the passage's offset in its text."""


@runtime_checkable
class Embeddings(Protocol):
    """Turns texts into vectors. LangChain's `Embeddings` is one, whatever the model."""

    def embed_documents(self, texts: list[str]) -> Sequence[Sequence[float]]:
        """Embed passages."""

    def embed_query(self, text: str) -> Sequence[float]:
        """Embed a question."""


class _Callable:
    """A function from texts to vectors, such as a local model's `encode`."""

    def __init__(self, embed: Callable[[list[str]], Any]) -> None:
        self._embed = embed
        self.model = getattr(embed, "__qualname__", type(embed).__name__)

    def embed_documents(self, texts: list[str]) -> Sequence[Sequence[float]]:
        made: Sequence[Sequence[float]] = self._embed(texts)
        return made

    def embed_query(self, text: str) -> Sequence[float]:
        return self.embed_documents([text])[0]


def embedder_of(given: Any) -> Embeddings:
    """Give an embedder for what a user gave: one already, or a function from texts to vectors.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(given, Embeddings):
        return given
    if callable(given):
        return _Callable(given)
    raise TypeError(type(given).__name__)


class Vectors:
    """One session's vectors by place. Not thread-safe: its owner has a lock."""

    def __init__(self) -> None:
        self._made: dict[Place, array[float]] = {}
        self.lengths: set[int] = set()
        """Of all that were made here: one model gives one."""

    def __len__(self) -> int:
        """How many passages have one."""
        return len(self._made)

    def __contains__(self, place: Place) -> bool:
        """Whether the passage at this place has one."""
        return place in self._made

    def add(self, place: Place, vector: Iterable[float]) -> bytes:
        """Keep a passage's vector; give it as it is archived.

        Raises:
            ValueError: It has no direction.
        """
        made = unit(vector)
        self._made[place] = made
        self.lengths.add(len(made))
        return made.tobytes()

    def load(self, place: Place, archived: bytes) -> None:
        """Keep a vector that was archived."""
        made = array("f")
        made.frombytes(archived)
        self._made[place] = made

    def cut(self, seq: int) -> None:
        """Take out the messages from `seq` on."""
        self._made = {place: made for place, made in self._made.items() if place[0] < seq}

    def near(self, vector: Iterable[float], limit: int, end: int) -> dict[Place, float]:
        """Give the nearest passages before message `end`, each with its share of 1.

        The nearest has 1; one that is as near as the next beyond the limit has 0.

        Raises:
            ValueError: It has no direction, or none of those that are kept has as many numbers.
        """
        asked = unit(vector)
        if self._made and all(len(made) != len(asked) for made in self._made.values()):
            raise ValueError(f"a question's vector has {len(asked)} numbers, and no passage's has")
        cosines = (
            (sum(map(mul, asked, made)), place)
            for place, made in self._made.items()
            if place[0] < end and len(made) == len(asked)
        )
        top = heapq.nlargest(limit + 1, cosines, key=itemgetter(0))
        if not top:
            return {}
        least = max(0.0, top[-1][0]) if len(top) > limit else 0.0
        spread = (top[0][0] - least) or 1.0
        return {place: (cos - least) / spread for cos, place in top[:limit] if cos > 0}


def unit(vector: Iterable[float]) -> array[float]:
    """Bring a vector to length one.

    Raises:
        ValueError: It has no direction: it is empty, zero, or holds what is no finite number.
    """
    numbers = [float(x) for x in vector]
    most = max(map(abs, numbers), default=0.0)
    if not most or not all(map(math.isfinite, numbers)):
        raise ValueError(
            f"a vector of {len(numbers)} numbers has no direction (empty, 0, nan, inf)"
        )
    length = most * math.sqrt(sum((x / most) ** 2 for x in numbers))  # 1e300 has a square as well
    return array("f", (x / length for x in numbers))
