"""What a cold store does. Plain, blocking, thread-safe functions; what returns is durable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from agentrm_plugins.context.notes.text import Passage
from agentrm_plugins.context.recall.rank import Candidate, Corpus

__all__ = ["ColdStore", "Row", "SessionKey"]


class SessionKey(NamedTuple):
    """Whose conversation. Nothing is ever read across two of these."""

    tenant: str
    session: str


@dataclass(frozen=True, slots=True)
class Row:
    """One archived message.

    Args:
        seq: Its place in the session, from 0.
        role: Who said it.
        body: The message as JSON text.
        digest: Hex digest of the message, by which a returning history is aligned.
        tokens: Its count.
        at_s: When it was archived, seconds since the epoch.
    """

    seq: int
    role: str
    body: str
    digest: str
    tokens: int
    at_s: float


@runtime_checkable
class ColdStore(Protocol):
    """An archive. Every method raises `StoreError` (locked, corrupt, read-only, full) or works."""

    def append(self, key: SessionKey, rows: Sequence[Row]) -> None:
        """Write messages, all or none. A row that is there with the same digest is left alone."""

    def read(self, key: SessionKey, seqs: Sequence[int]) -> dict[int, Row]:
        """Read messages by their place; those not there are left out."""

    def digests(self, key: SessionKey) -> list[tuple[int, str]]:
        """Give place and digest of all messages of the session, in order."""

    def index(self, key: SessionKey, passages: Mapping[int, Sequence[Passage]]) -> None:
        """Make messages findable: their passages by place. A second time changes nothing."""

    def unindexed(self, key: SessionKey, limit: int = 1000) -> list[int]:
        """Give the places of messages that are archived and not yet findable."""

    def passages(self, key: SessionKey) -> list[tuple[int, str, list[Passage]]]:
        """Give the passages of all findable messages: (place, role, passages), in order."""

    def search(
        self, key: SessionKey, terms: Sequence[str], limit: int, skip: frozenset[int] = frozenset()
    ) -> tuple[list[Candidate], Corpus]:
        """Find the best passages of the session that hold any of the terms."""

    def rewind(self, key: SessionKey, seq: int) -> None:
        """Take the session back to before `seq`: what follows is kept, and is found no more."""

    def save_state(self, key: SessionKey, state: bytes) -> None:
        """Keep a session's state, replacing the one before, all or nothing."""

    def load_state(self, key: SessionKey) -> bytes | None:
        """Give the state that was saved last, or None."""

    def sessions(self, tenant: str) -> list[str]:
        """Name a tenant's sessions."""

    def forget(self, key: SessionKey) -> None:
        """Delete a session for good. Only ever done on request."""

    def close(self) -> None:
        """Let go of the file. A second time does nothing."""
