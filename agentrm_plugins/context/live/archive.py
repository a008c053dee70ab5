"""One session's side of the store: what waits to be written, and how far the archive goes.

Law: a message counts as durable once the store has returned from taking it. What the store refuses
waits here and is tried again at each turn; so does a history that was taken back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentrm_plugins.context.live.recaller import row_of
from agentrm_plugins.context.notes.text import Passage
from agentrm_plugins.context.plan.transcript import Entry
from agentrm_plugins.context.stores.base import ColdStore, SessionKey
from agentrm_plugins.errors import StoreError

__all__ = ["Archive"]


class Archive:
    """Writes one session's messages, passages and state.

    Args:
        key: Whose they are.
        store: Where.
    """

    def __init__(self, key: SessionKey, store: ColdStore) -> None:
        self.key = key
        self.store = store
        self.refusal: StoreError | None = None
        self._unsaved: list[Entry] = []
        self._back_to: int | None = None

    @property
    def waiting(self) -> set[int]:
        """Places of the messages that are not archived yet."""
        return {entry.seq for entry in self._unsaved}

    @property
    def clean(self) -> bool:
        """Whether everything is archived."""
        return not self._unsaved and self._back_to is None

    def take(self, fresh: Sequence[Entry], rewound: int | None) -> None:
        """Queue what is new of a turn, and where the history was taken back to."""
        if rewound is not None:
            self._unsaved = [entry for entry in self._unsaved if entry.seq < rewound]
            before = self._back_to
            self._back_to = rewound if before is None else min(rewound, before)
        self._unsaved.extend(fresh)

    def forget(self) -> None:
        """Drop what waits: the session was read from the store again."""
        self._unsaved, self._back_to = [], None

    def flush(self) -> None:
        """Write what waits.

        Raises:
            StoreError: The store refused; all of it waits on.
        """
        if self.clean:
            return
        if self.refusal is not None:
            # Where it ends in the archive is not known: to write now could hide what is there.
            raise self.refusal
        if self._back_to is not None:
            self.store.rewind(self.key, self._back_to)
            self._back_to = None
        if self._unsaved:
            self.store.append(self.key, [row_of(entry) for entry in self._unsaved])
            self._unsaved = []

    def index(self, cut: Mapping[int, Sequence[Passage]]) -> None:
        """Make messages findable."""
        self.store.index(self.key, cut)

    def save_state(self, state: bytes) -> None:
        """Keep the session's state."""
        self.store.save_state(self.key, state)
