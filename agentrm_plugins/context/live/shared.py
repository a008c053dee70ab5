"""What the turns of a session and its upkeep share: transcript, lock, archive, recaller."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from agentrm_plugins.context.live.archive import Archive
from agentrm_plugins.context.live.notices import Notice, Notices
from agentrm_plugins.context.live.recaller import Recaller
from agentrm_plugins.context.plan.entry import Entry
from agentrm_plugins.context.plan.reading import cut_up
from agentrm_plugins.context.plan.shares import fixed_tokens
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.context.plan.warm import warm_tokens
from agentrm_plugins.context.stores.base import SessionKey
from agentrm_plugins.types.effects import Compacted, Hibernated, Prepared, Recalled

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
        notices: Who is told what happens to the tiers.
        news: What they are told next, once the lock is free.
        cold: How many archived messages are counted, the last of them, and their tokens.
    """

    key: SessionKey
    transcript: Transcript
    archive: Archive
    recaller: Recaller
    lock: Any = field(default_factory=threading.RLock)
    tools: tuple[Any, int] = ((), 0)
    asleep: bool = False
    last_error: BaseException | None = None
    notices: Notices = field(default_factory=Notices)
    news: deque[Notice] = field(default_factory=deque)
    cold: tuple[int, Entry | None, int] = (0, None, 0)

    def compacted(self, cause: str, before: int, after: int) -> None:
        """Note a compaction, with the request's tokens before and after it as counted here."""
        if self.notices:
            state, key = self.transcript, self.key
            tokens = state.charged(before), state.charged(after)
            messages = len(state.entries)
            told = min(messages, state.first_hot), messages, state.most
            self.news.append(
                Compacted(0.0, 0, key.session, cause, key.session, *tokens, *told, key.tenant)
            )

    def prepared(self, cause: str, total: int, tools: int, took_s: float = 0.0) -> None:
        """Note the request as it is now, with its tokens by tier, of `total` as counted here."""
        if not self.notices:
            return
        state, key, messages = self.transcript, self.key, len(self.transcript.entries)
        warm = warm_tokens(state) + sum(recalled.tokens for recalled in state.recalls)
        hot = max(0, total - fixed_tokens(state, tools) - warm)
        hot, warm, cold = (state.charged(tokens) for tokens in (hot, warm, self._cold_tokens()))
        self.news.append(
            Prepared(
                0.0, 0, key.session, cause, key.session, state.charged(total), state.most,
                hot, warm, cold, messages, min(messages, state.first_hot), state.compactions,
                took_s, key.tenant,
            )
        )  # fmt: skip

    def _cold_tokens(self) -> int:
        """Count what only the archive has: added up as it grows, anew after a rewind."""
        entries, border = self.transcript.entries, self.transcript.first_hot
        counted, last, tokens = self.cold
        if counted > border or (counted and entries[counted - 1] is not last):
            counted, tokens = 0, 0
        tokens += sum(entry.tokens for entry in entries[counted:border])
        border = min(border, len(entries))
        self.cold = border, entries[border - 1] if border else None, tokens
        return tokens

    def recalled(self, cause: str, tokens: int) -> None:
        """Note passages that came back, with their tokens as counted here."""
        if self.notices:
            key, charged = self.key, self.transcript.charged(tokens)
            self.news.append(Recalled(0.0, 0, key.session, cause, key.session, charged, key.tenant))

    def hibernated(self, cause: str) -> None:
        """Note that the session was let go of."""
        if self.notices:
            key, messages = self.key, len(self.transcript.entries)
            self.news.append(
                Hibernated(0.0, 0, key.session, cause, key.session, messages, key.tenant)
            )

    def publish(self) -> None:
        """Tell what was noted. Not under the lock: whoever is told may take its time."""
        while self.news:
            try:
                notice = self.news.popleft()
            except IndexError:  # another thread told it
                return
            self.notices.tell(notice)

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
            and (everything or entry.otherwise
                 or entry.seq < state.first_hot or entry.seq in state.replaced)
            and entry.tokens <= LONG_TOKENS
        ]  # fmt: skip
        if hidden:
            cut = {entry.seq: cut_up(entry) for entry in hidden}
            fence = self.archive.fence() if self.archive.owned else {}
            self.archive.index(hidden, cut, fence)
            self.recaller.remember(hidden, cut)
            for entry in hidden:
                entry.indexed = True

    def release_bodies(self) -> None:
        """Let go of bodies that are archived, read, indexed and no longer sent."""
        state = self.transcript
        waiting = self.archive.waiting
        entries = state.entries
        for place in range(min(state.first_hot, len(entries)) - 1, -1, -1):
            entry = entries[place]  # no slice: that would touch each message of the talk
            if entry.message is None and entry.seq != state.pinned:
                break
            done = entry.noted and entry.indexed and entry.seq not in waiting
            if done and entry.seq != state.pinned:
                self.recaller.release(entry)
                entry.message = None

    def holds(self, entry: Entry) -> bool:
        """Whether this very entry is still part of the transcript."""
        entries = self.transcript.entries
        return entry.seq < len(entries) and entries[entry.seq] is entry
