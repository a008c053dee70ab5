"""A session's vectors: made in the background, in batches, kept in the archive.

What an embedder refuses waits and is tried again; recall goes on by words meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from agentrm_plugins.context.recall.embedding import Embeddings, Place, Vectors, embedder_of
from agentrm_plugins.context.stores.base import ColdStore, SessionKey

__all__ = ["Meaning", "VectorStore"]

BATCH = 64
"""Passages of one call. OpenAI takes 2,048 inputs and 300,000 tokens; local models like 32 to 64.
"""
_MOST_WAITING = 4_000
"""Passages that wait for an embedder which refuses: about 1.5 MB."""
_QUERIES = 8


@runtime_checkable
class VectorStore(Protocol):
    """A cold store that keeps vectors too. One that does not: they are made again after a wake."""

    def save_vectors(self, key: SessionKey, model: str, made: Mapping[Place, bytes]) -> None:
        """Keep vectors, each replacing the one before."""

    def vectors(self, key: SessionKey, model: str) -> dict[Place, bytes]:
        """Give the vectors of a session that this model made."""


class Meaning:
    """Embeds one session's passages, and finds those near to a question. Thread-safe.

    Args:
        key: Whose session it is.
        store: Keeps the vectors, if it can.
        embeddings: As the user gave it.
    """

    def __init__(self, key: SessionKey, store: ColdStore, embeddings: Any) -> None:
        self._key = key
        self._store = store if isinstance(store, VectorStore) else None
        self._embedder: Embeddings = embedder_of(embeddings)
        self._model = _name_of(self._embedder)
        self._vectors: Vectors | None = None
        self._waiting: dict[Place, str] = {}
        self._asked: dict[str, tuple[float, ...]] = {}
        self._lock = threading.Lock()

    @property
    def waiting(self) -> bool:
        """Whether passages wait to be embedded."""
        return bool(self._waiting)

    def take(self, passages: Iterable[tuple[Place, str]]) -> None:
        """Queue passages."""
        with self._lock:
            self._waiting |= dict(passages)
            for place in list(self._waiting)[: max(0, len(self._waiting) - _MOST_WAITING)]:
                del self._waiting[place]

    def missing(self, places: Iterable[Place]) -> list[Place]:
        """Give those of these passages that have no vector and wait for none."""
        known = self._known()
        return [place for place in places if place not in known and place not in self._waiting]

    def flush(self, least: int = 1) -> None:
        """Embed what waits, a batch at a time, while at least so many wait.

        Raises:
            ValueError: Vectors without a direction, or of several lengths; the others are kept, and
                these passages wait no more.
            Exception: Whatever the embedder or the store raised; what it refused waits on.
        """
        known, wrong = self._known(), ""
        while len(self._waiting) >= max(1, least):
            with self._lock:
                batch = dict(list(self._waiting.items())[:BATCH])
            texts = list(dict.fromkeys(batch.values()))
            vectors = self._embedder.embed_documents(texts)
            made = dict(zip(texts, vectors, strict=True))
            held: dict[Place, bytes] = {}
            with self._lock:
                for place, text in batch.items():
                    if self._waiting.get(place) != text:
                        continue  # what was taken back meanwhile waits no more
                    try:
                        held[place] = known.add(place, made[text])
                    except ValueError as error:
                        wrong = f"message {place[0]}: {error}"
                    del self._waiting[place]
            if len(known.lengths) > 1:
                wrong = wrong or f"vectors of several lengths: {sorted(known.lengths)}"
            if self._store is not None and held:
                self._store.save_vectors(self._key, self._model, held)
        if wrong:
            raise ValueError(wrong)

    def near(self, text: str, limit: int, end: int) -> dict[Place, float]:
        """Give the passages nearest to a question, each with its share of 1.

        Raises:
            Exception: Whatever the embedder raised.
        """
        known = self._known()
        if not len(known):
            return {}
        asked = self._asked.get(text)
        if asked is None:
            asked = self._asked[text] = tuple(self._embedder.embed_query(text))
            while len(self._asked) > _QUERIES:
                self._asked.pop(next(iter(self._asked)))
        with self._lock:
            return known.near(asked, limit, end)

    def rewind(self, seq: int) -> None:
        """Forget the messages from `seq` on."""
        with self._lock:
            self._waiting = {p: text for p, text in self._waiting.items() if p[0] < seq}
            if self._vectors is not None:
                self._vectors.cut(seq)

    def renew(self) -> None:
        """Forget what is known of the archive."""
        with self._lock:
            self._vectors, self._waiting = None, {}

    def _known(self) -> Vectors:
        with self._lock:
            if self._vectors is None:
                read = Vectors()
                if self._store is not None:
                    for place, made in self._store.vectors(self._key, self._model).items():
                        read.load(place, made)
                self._vectors = read
            return self._vectors


def _name_of(embedder: Embeddings) -> str:
    for name in ("model", "model_name", "model_id"):
        found = getattr(embedder, name, None)
        if isinstance(found, str) and found:
            return found
    return type(embedder).__qualname__
