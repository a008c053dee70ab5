"""A cold store in this process's memory: for tests, and for sessions that need not outlive it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agentrm_plugins.context.notes.text import Passage
from agentrm_plugins.context.recall.rank import Candidate, Corpus, bm25, weights_of
from agentrm_plugins.context.stores.base import Fence, Owned, Row, SessionKey, taken_over, written
from agentrm_plugins.errors import StoreFenced

__all__ = ["MemoryStore"]


@dataclass(slots=True)
class _Archived:
    rows: dict[int, Row] = field(default_factory=dict)
    set_aside: list[Row] = field(default_factory=list)
    passages: dict[int, tuple[Passage, ...]] = field(default_factory=dict)
    postings: dict[str, set[tuple[int, int]]] = field(default_factory=dict)
    vectors: dict[tuple[str, int, int], bytes] = field(default_factory=dict)
    count: int = 0
    terms: int = 0
    state: bytes | None = None
    owned: Owned = field(default_factory=Owned)
    writes: int = 0


class MemoryStore:
    """Keeps everything until it is dropped. Ranks exactly as `SqliteStore` does.

    Args:
        clock: Seconds since the epoch, for the leases of owners.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._sessions: dict[SessionKey, _Archived] = {}
        self._lock = threading.Lock()

    def _of(self, key: SessionKey) -> _Archived:
        return self._sessions.setdefault(SessionKey(*key), _Archived())

    def owned(self, key: SessionKey) -> Owned:
        """Say who has a session."""
        with self._lock:
            session = self._sessions.get(SessionKey(*key)) or _Archived()
            return replace(session.owned, version=str(session.writes))

    def claim(self, key: SessionKey, owner: str, lease_s: float, seen: str | None = None) -> Owned:
        """Make `owner` the session's owner; give who had it before."""
        with self._lock:
            session = self._of(key)
            before = replace(session.owned, version=str(session.writes))
            session.owned = taken_over(key, before, (owner, lease_s, seen), self._clock())
            return before

    def _check(
        self, key: SessionKey, session: _Archived, fence: Fence | None, back_to: int | None = None
    ) -> None:
        if fence is None:
            return
        has = session.owned
        if (has.owner, has.token) != (fence.owner, fence.token):
            raise StoreFenced(f"session={key[1]!r}: it is {has.owner or 'nobody'}'s now")
        gone = None if back_to is None else (back_to, sum(s >= back_to for s in session.rows))
        session.owned = written(has, fence, self._clock(), gone)

    def append(self, key: SessionKey, rows: Sequence[Row], fence: Fence | None = None) -> None:
        """Write messages, all or none."""
        with self._lock:
            session = self._of(key)
            self._check(key, session, fence)
            session.writes += 1
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

    def index(
        self,
        key: SessionKey,
        passages: Mapping[int, Sequence[Passage]],
        fence: Fence | None = None,
        digests: Mapping[int, str] | None = None,
    ) -> None:
        """Make messages findable."""
        with self._lock:
            session = self._of(key)
            self._check(key, session, fence)
            for seq, pieces in passages.items():
                row = session.rows.get(seq)
                if row is None or seq in session.passages or not _is_it(row.digest, seq, digests):
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

    def save_vectors(
        self, key: SessionKey, model: str, made: Mapping[tuple[int, int], bytes]
    ) -> None:
        """Keep the vectors of passages, each replacing the one before."""
        with self._lock:
            held = self._of(key).vectors
            held.update({(model, *place): vector for place, vector in made.items()})

    def vectors(self, key: SessionKey, model: str) -> dict[tuple[int, int], bytes]:
        """Give the vectors that this model made of a session's passages."""
        with self._lock:
            held = self._of(key).vectors.items()
            return {(seq, at): vector for (name, seq, at), vector in held if name == model}

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

    def rewind(self, key: SessionKey, seq: int, fence: Fence | None = None) -> None:
        """Set aside what follows."""
        with self._lock:
            session = self._of(key)
            self._check(key, session, fence, seq)
            session.writes += 1
            self._cut(session, seq)

    @staticmethod
    def _cut(session: _Archived, seq: int) -> None:
        session.vectors = {at: made for at, made in session.vectors.items() if at[1] < seq}
        for gone in [s for s in session.rows if s >= seq]:
            session.set_aside.append(session.rows.pop(gone))
            pieces = session.passages.pop(gone, ())
            session.count -= len(pieces)
            for place, piece in enumerate(pieces):
                session.terms -= len(piece.terms)
                for term in piece.terms:
                    session.postings.get(term, set()).discard((gone, place))

    def save_state(self, key: SessionKey, state: bytes, fence: Fence | None = None) -> None:
        """Keep a session's state."""
        with self._lock:
            session = self._of(key)
            self._check(key, session, fence)
            session.state = state

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


def _is_it(digest: str, seq: int, digests: Mapping[int, str] | None) -> bool:
    """Whether the message at a place is still the one that was cut into passages."""
    return digests is None or digests.get(seq, digest) == digest
