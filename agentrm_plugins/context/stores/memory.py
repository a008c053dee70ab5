"""A cold store in this process's memory: for tests, and for sessions that need not outlive it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agentrm_plugins.context.notes.text import Passage
from agentrm_plugins.context.recall.rank import Candidate, Corpus, bm25, weights_of
from agentrm_plugins.context.stores.base import Row, SessionKey

__all__ = ["MemoryStore"]


@dataclass(slots=True)
class _Session:
    rows: dict[int, Row] = field(default_factory=dict)
    set_aside: list[Row] = field(default_factory=list)
    passages: dict[int, tuple[Passage, ...]] = field(default_factory=dict)
    postings: dict[str, set[tuple[int, int]]] = field(default_factory=dict)
    count: int = 0
    terms: int = 0
    state: bytes | None = None


class MemoryStore:
    """Keeps everything until it is dropped. Ranks exactly as `SqliteStore` does."""

    def __init__(self) -> None:
        self._sessions: dict[SessionKey, _Session] = {}
        self._lock = threading.Lock()

    def _of(self, key: SessionKey) -> _Session:
        return self._sessions.setdefault(SessionKey(*key), _Session())

    def append(self, key: SessionKey, rows: Sequence[Row]) -> None:
        """Write messages, all or none."""
        with self._lock:
            session = self._of(key)
            for row in rows:
                there = session.rows.get(row.seq)
                if there is not None and there.digest != row.digest:
                    self._cut(session, row.seq)
                    there = None
                if there is None:
                    session.rows[row.seq] = row

    def read(self, key: SessionKey, seqs: Sequence[int]) -> dict[int, Row]:
        """Read messages by their place."""
        with self._lock:
            rows = self._of(key).rows
            return {seq: rows[seq] for seq in seqs if seq in rows}

    def digests(self, key: SessionKey) -> list[tuple[int, str]]:
        """Give place and digest of all messages, in order."""
        with self._lock:
            return [(seq, row.digest) for seq, row in sorted(self._of(key).rows.items())]

    def index(self, key: SessionKey, passages: Mapping[int, Sequence[Passage]]) -> None:
        """Make messages findable."""
        with self._lock:
            session = self._of(key)
            for seq, pieces in passages.items():
                if seq not in session.rows or seq in session.passages:
                    continue
                session.passages[seq] = tuple(pieces)
                session.count += len(pieces)
                for place, piece in enumerate(pieces):
                    session.terms += len(piece.terms)
                    for term in piece.terms:
                        session.postings.setdefault(term, set()).add((seq, place))

    def unindexed(self, key: SessionKey, limit: int = 1000) -> list[int]:
        """Give the places of messages that are not yet findable."""
        with self._lock:
            session = self._of(key)
            return [seq for seq in sorted(session.rows) if seq not in session.passages][:limit]

    def passages(self, key: SessionKey) -> list[tuple[int, str, list[Passage]]]:
        """Give the passages of all findable messages."""
        with self._lock:
            session = self._of(key)
            found = sorted(session.passages.items())
            return [(seq, session.rows[seq].role, list(pieces)) for seq, pieces in found]

    def search(
        self, key: SessionKey, terms: Sequence[str], limit: int, skip: frozenset[int] = frozenset()
    ) -> tuple[list[Candidate], Corpus]:
        """Find the best passages that hold any of the terms."""
        with self._lock:
            session = self._of(key)
            wanted = list(dict.fromkeys(terms))
            containing = {term: len(session.postings.get(term, ())) for term in wanted}
            mean = session.terms / session.count if session.count else 0.0
            corpus = Corpus(session.count, mean, containing)
            often: Counter[tuple[int, int]] = Counter()
            for term in wanted:
                often.update(session.postings.get(term, ()))
            found = []
            for seq, place in often:
                if seq not in skip:
                    piece = session.passages[seq][place]
                    role = session.rows[seq].role
                    found.append(Candidate(seq, piece.start, piece.stop, role, piece.terms))
        weights = weights_of(wanted, corpus)
        found.sort(key=lambda c: (-bm25(weights, c, mean)[0], -c.seq, c.start))
        return found[:limit], corpus

    def rewind(self, key: SessionKey, seq: int) -> None:
        """Set aside what follows."""
        with self._lock:
            self._cut(self._of(key), seq)

    @staticmethod
    def _cut(session: _Session, seq: int) -> None:
        for gone in [s for s in session.rows if s >= seq]:
            session.set_aside.append(session.rows.pop(gone))
            pieces = session.passages.pop(gone, ())
            session.count -= len(pieces)
            for place, piece in enumerate(pieces):
                session.terms -= len(piece.terms)
                for term in piece.terms:
                    session.postings.get(term, set()).discard((gone, place))

    def save_state(self, key: SessionKey, state: bytes) -> None:
        """Keep a session's state."""
        with self._lock:
            self._of(key).state = state

    def load_state(self, key: SessionKey) -> bytes | None:
        """Give the state that was saved last."""
        with self._lock:
            session = self._sessions.get(SessionKey(*key))
            return session.state if session else None

    def sessions(self, tenant: str) -> list[str]:
        """Name a tenant's sessions."""
        with self._lock:
            return sorted(key.session for key in self._sessions if key.tenant == tenant)

    def forget(self, key: SessionKey) -> None:
        """Delete a session for good."""
        with self._lock:
            self._sessions.pop(SessionKey(*key), None)

    def close(self) -> None:
        """Nothing to let go of."""
