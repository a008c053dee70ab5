"""What the turns of a session and its upkeep share: transcript, lock, archive, recaller."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from agentrm_plugins.context.live.archive import Archive
from agentrm_plugins.context.live.recaller import Recaller
from agentrm_plugins.context.plan.reading import cut_up
from agentrm_plugins.context.plan.transcript import Entry, Session
from agentrm_plugins.context.stores.base import SessionKey

__all__ = ["Shared"]

LONG_TOKENS = 5_000
"""Of a message that only the background indexes. Guessed: about 20 ms of work."""


@dataclass(slots=True)
class Shared:
    """One live session's parts. Whoever reads or changes `transcript` holds `lock`.

    Args:
        key: Whose it is.
        transcript: The pure state.
        archive: The session's side of the store.
        recaller: Looks things up in it.
        lock: Held for a turn, and for the short steps of the background work.
        tools: The tools of the last turn by their objects, and their tokens.
        asleep: It was hibernated: work that began before changes nothing any more.
        last_error: What went wrong last where nobody could be told.
    """

    key: SessionKey
    transcript: Session
    archive: Archive
    recaller: Recaller
    lock: Any = field(default_factory=threading.RLock)
    tools: tuple[Any, int] = ((), 0)
    asleep: bool = False
    last_error: BaseException | None = None

    def index_hidden(self, *, everything: bool = False) -> None:
        """Index in the foreground what recall must find and the background has not come to.

        But for what is so long that nobody should wait for it: that is found a little later.

        Raises:
            StoreError: The store refused.
        """
        state = self.transcript
        waiting = self.archive.waiting  # the archive cannot index these yet
        hidden = [
            entry for entry in state.unsettled()
            if not entry.indexed and entry.message is not None and entry.seq not in waiting
            and (everything or entry.seq < state.first_hot or entry.seq in state.replaced)
            and entry.tokens <= LONG_TOKENS
        ]  # fmt: skip
        if hidden:
            cut = {entry.seq: cut_up(entry.message) for entry in hidden}
            fence = self.archive.fence() if self.archive.owned else {}
            self.archive.index(hidden, cut, fence)
            self.recaller.remember(hidden, cut)
            for entry in hidden:
                entry.indexed = True

    def release_bodies(self) -> None:
        """Let go of bodies that are archived, read, indexed and no longer sent."""
        state = self.transcript
        waiting = self.archive.waiting
        for entry in reversed(state.entries[: state.first_hot]):
            if entry.message is None and entry.seq != state.pinned:
                break
            done = entry.noted and entry.indexed and entry.seq not in waiting
            if done and entry.seq != state.pinned:
                entry.message = None

    def holds(self, entry: Entry) -> bool:
        """Whether this very entry is still part of the transcript."""
        entries = self.transcript.entries
        return entry.seq < len(entries) and entries[entry.seq] is entry
