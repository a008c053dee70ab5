"""What a cold store does. Plain, blocking, thread-safe functions; what returns is durable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, runtime_checkable

from agentrm_plugins.context.notes.text import Passage
from agentrm_plugins.context.recall.rank import Candidate, Corpus
from agentrm_plugins.errors import SessionBusy

__all__ = [
    "ColdStore",
    "Fence",
    "Owned",
    "OwningStore",
    "Row",
    "SessionKey",
    "taken_over",
    "written",
]


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


@dataclass(frozen=True, slots=True)
class Owned:
    """Who may write to a session, as the store has it.

    Args:
        owner: Its name; "" where nobody ever had the session.
        token: Grows with each change of owner.
        until_s: End of the lease by the store's clock; 0 where the session was handed over.
        version: Changes with each write of messages.
        notice: What an owner took back and may not have lived to tell: "place count", or "".
    """

    owner: str = ""
    token: int = 0
    until_s: float = 0.0
    version: str = ""
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Fence:
    """What an owner writes with: refused (`StoreFenced`) once another one has the session.

    Args:
        owner: Its name.
        token: As `OwningStore.claim` gave it.
        lease_s: Seconds for which the write prolongs the lease; 0 hands the session over.
        told: The caller has been told what was taken back: the notice of it may go.
    """

    owner: str
    token: int
    lease_s: float
    told: bool = False


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


@runtime_checkable
class OwningStore(ColdStore, Protocol):
    """An archive that several processes share: a session has one owner at a time.

    Its `append`, `index`, `rewind` and `save_state` take ``fence=`` as well: a `Fence` that does
    not hold any more is refused with `StoreFenced` before anything is written. Its `index` takes
    ``digests=``, by place: where another message stands by now, nothing is entered.
    """

    def owned(self, key: SessionKey) -> Owned:
        """Say who has a session."""

    def claim(self, key: SessionKey, owner: str, lease_s: float, seen: str | None = None) -> Owned:
        """Make `owner` the session's owner for `lease_s` seconds; give who had it before.

        The token is that one's own where it had the session already, else one more. A session
        whose lease holds is given away only to who has `seen` its present version.

        Raises:
            SessionBusy: Another owner's lease holds.
        """


def taken_over(
    key: SessionKey, before: Owned, claimed: tuple[str, float, str | None], now_s: float
) -> Owned:
    """Decide on a claim of (owner, lease_s, seen): give who has the session from now on.

    Raises:
        SessionBusy: Another owner's lease holds.
    """
    owner, lease_s, seen = claimed
    if before.owner == owner:
        return replace(before, until_s=now_s + lease_s)
    left_s = before.until_s - now_s
    if before.owner and left_s > 0 and seen != before.version:
        raise SessionBusy(key.session, before.owner, left_s)
    return replace(before, owner=owner, token=before.token + 1, until_s=now_s + lease_s)


def written(
    has: Owned, fence: Fence, now_s: float, back_to: tuple[int, int] | None = None
) -> Owned:
    """Give what the store keeps of an owner after a write; `back_to`: (place, count) taken back."""
    notice = "" if fence.told else has.notice
    if back_to is not None and back_to[1]:
        notice = f"{back_to[0]} {back_to[1]}"
    # What was handed over stays so: late background work does not take it back.
    held = fence.lease_s > 0 and has.until_s > 0
    return replace(has, until_s=now_s + fence.lease_s if held else 0.0, notice=notice)
