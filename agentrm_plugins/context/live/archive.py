"""One session's side of the store: who may write, what waits to be written, how far it goes.

Laws. A message counts as durable once the store has returned from taking it; what it refuses waits
here and is tried again at each turn, and so does a history that was taken back. A session has one
owner at a time: it is claimed for `lease_s` seconds, each write prolongs that, and each write is
refused (`StoreFenced`) once another owner has it. A store without owners is one process's alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agentrm_plugins.context.live.texts import row_of
from agentrm_plugins.context.notes.text import Passage
from agentrm_plugins.context.plan.entry import Entry
from agentrm_plugins.context.stores.base import ColdStore, Fence, Owned, SessionKey
from agentrm_plugins.context.stores.checksum import sealed
from agentrm_plugins.errors import StoreError

__all__ = ["Archive", "Change", "Owner", "set_aside", "version_of"]

_UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Owner:
    """In whose name sessions are claimed.

    Args:
        name: Of the process; a forked child has another one.
        lease_s: Seconds for which a claim and each write hold.
    """

    name: str
    lease_s: float

    @property
    def signature(self) -> str:
        """The name with the process that asks."""
        return f"{self.name}:{os.getpid()}"


@dataclass(frozen=True, slots=True)
class Change:
    """What a claim has found.

    Args:
        stale: The session was written to since it was read.
        foreign: Another owner had it: what that one archived may be unknown to this caller.
        handed_over: That owner had finished with it before this turn began.
        notice: What was taken back before, and perhaps told to nobody yet, in words; or "".
    """

    stale: bool = False
    foreign: bool = False
    handed_over: bool = False
    notice: str = ""


def set_aside(place: object, count: object) -> str:
    """Say what became of messages that were taken back."""
    return (
        f"archive: the history was taken back to message {place}; {count} archived messages after "
        "it are set aside: kept, and found by recall no more"
    )


class _Owning(Protocol):
    def owned(self, key: SessionKey) -> Owned: ...

    def claim(
        self, key: SessionKey, owner: str, lease_s: float, seen: str | None = None
    ) -> Owned: ...


def _owning(store: Any) -> _Owning | None:
    return store if hasattr(store, "claim") and hasattr(store, "owned") else None


def version_of(store: ColdStore, key: SessionKey) -> str | None:
    """Give the version of a session's messages; None where the store knows no owners."""
    owning = _owning(store)
    return None if owning is None else owning.owned(key).version


class Archive:
    """Writes one session's messages, passages and state.

    Args:
        key: Whose they are.
        store: Where.
        owner: In whose name.
        version: Of the messages when the session was read.

    `aside` says in words what was set aside, until a turn tells it.
    """

    def __init__(
        self, key: SessionKey, store: ColdStore, owner: Owner, version: str | None
    ) -> None:
        self.key = key
        self.store = store
        self.refusal: StoreError | None = None
        self._owner = owner
        self._owning = _owning(store)
        self._version = version
        self._token = 0
        self._fresh_until = 0.0
        self._contended = False
        self._told = True
        self.denied: StoreError | None = None
        self._unsaved: list[Entry] = []
        self._back_to: int | None = None
        self._archived = 0
        self.aside: list[str] = []

    # -- whose it is --------------------------------------------------------------------------

    def claim(self, seen: str | None = None) -> Change:
        """Make sure that the session is ours.

        Args:
            seen: The version that the caller knows everything of: it takes the session over.

        Raises:
            SessionBusy: Another owner's lease holds.
            StoreError: The store refused.
        """
        owning, owner = self._owning, self._owner
        if owning is None or (self._token and time.monotonic() < self._fresh_until):
            return Change()
        name = owner.signature
        self.denied = None
        before = owning.claim(self.key, name, owner.lease_s, seen)
        mine = before.owner == name
        token = before.token if mine else before.token + 1
        lost = self._token not in {0, token}
        known = token == self._token if self._token else before.version == self._version
        handed_over = before.until_s == 0 and not (self._contended or lost)
        self._token, self._contended = token, False
        self._prolonged()
        foreign = not mine and before.owner != ""
        notice = before.notice if self._told or not mine else ""
        if not notice:
            return Change(not known, foreign, handed_over)
        self._told = False
        place, _, count = notice.partition(" ")
        return Change(not known, foreign, handed_over, set_aside(place, count))

    def waited(self) -> None:
        """Remember that another owner was at work while this turn waited."""
        self._contended = True

    def told(self) -> None:
        """The turn is over: its caller knows what was taken back."""
        self._told = True

    def let_go(self) -> None:
        """Another owner has the session: nothing is written until it is claimed and read again."""
        self._token, self._fresh_until, self._version, self._contended = 0, 0.0, _UNKNOWN, True

    def moved(self) -> bool:
        """Whether another owner has written since the session was read or last claimed."""
        if self._owning is None:
            return False
        has = self._owning.owned(self.key)
        return has.token != self._token if self._token else has.version != self._version

    def fence(self, lease_s: float | None = None) -> dict[str, Any]:
        """Give what each write is made with, as keyword arguments.

        Raises:
            StoreError: The session could not be claimed.
        """
        if self._owning is None:
            return {}
        if not self._token:
            way = f"session={self.key.session!r}: it was not claimed"
            raise self.denied or StoreError(way)
        owner = self._owner
        lease = owner.lease_s if lease_s is None else lease_s
        return {"fence": Fence(owner.signature, self._token, lease, self._told)}

    def _prolonged(self) -> None:
        self._fresh_until = time.monotonic() + self._owner.lease_s / 2

    @property
    def owned(self) -> bool:
        """Whether this process has ever claimed the session, or need not."""
        return self._owning is None or self._token > 0

    # -- what waits ---------------------------------------------------------------------------

    @property
    def waiting(self) -> set[int]:
        """Places of the messages that are not archived yet."""
        return {entry.seq for entry in self._unsaved}

    @property
    def clean(self) -> bool:
        """Whether everything is archived."""
        return not self._unsaved and self._back_to is None

    def take(self, fresh: Sequence[Entry], rewound: int | None, archived: int = 0) -> None:
        """Queue what is new of a turn, and where a history of `archived` messages goes back to."""
        if rewound is not None:
            self._archived = max(self._archived, archived)
            self._unsaved = [entry for entry in self._unsaved if entry.seq < rewound]
            before = self._back_to
            self._back_to = rewound if before is None else min(rewound, before)
        self._unsaved.extend(fresh)

    def read_again(self, version: str | None) -> None:
        """Drop what waits: the session was read from the store again."""
        self._unsaved, self._back_to, self._archived = [], None, 0
        if not self._token:
            self._version = version

    # -- writing ------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what waits.

        Raises:
            StoreFenced: Another owner has the session now.
            StoreError: The store refused; all of it waits on.
        """
        if self.clean:
            return
        if self.refusal is not None:
            # Where it ends in the archive is not known: to write now could hide what is there.
            raise self.refusal
        if self._back_to is not None:
            self.store.rewind(self.key, self._back_to, **self.fence())
            if self._archived > self._back_to:
                self.aside.append(set_aside(self._back_to, self._archived - self._back_to))
            self._back_to, self._archived, self._told = None, 0, False
        if self._unsaved:
            rows = [row_of(entry) for entry in self._unsaved]
            self.store.append(self.key, rows, **self.fence())
            for entry in self._unsaved:
                entry.body = None
            self._unsaved = []
        self._prolonged()

    def index(
        self, entries: Sequence[Entry], cut: Mapping[int, Sequence[Passage]], fence: dict[str, Any]
    ) -> None:
        """Make messages findable.

        Args:
            entries: The messages: where others stand in their places by now, nothing is done.
            cut: Their passages by place.
            fence: As `fence` gave it when they were read; none for who only looks: passages are
                the same whoever cuts them.
        """
        if self._owning is not None:
            fence = {**fence, "digests": {entry.seq: entry.digest for entry in entries}}
        self.store.index(self.key, cut, **fence)

    def save_state(self, state: bytes, *, hand_over: bool = False) -> None:
        """Keep the session's state; with `hand_over` the session is anybody's from now on."""
        fence = self.fence(0.0 if hand_over else None)
        self.store.save_state(self.key, sealed(state), **fence)
        if hand_over:
            self._fresh_until = 0.0
