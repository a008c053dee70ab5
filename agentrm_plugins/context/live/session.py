"""One session at work: the pure transcript, its lock, its archive and its upkeep.

Flow of a turn: take in what is new and archive it; look up what the new user message asks about;
compact if the budget would be passed; put the request together. Everything slower (reading long
messages for notes, indexing, compaction above the soft mark, a model's narrative) is done by
`maintain`, in the background.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live.archive import Archive
from agentrm_plugins.context.live.desk import Desk, Patience
from agentrm_plugins.context.live.recaller import Recaller, asked_for
from agentrm_plugins.context.live.shared import Shared
from agentrm_plugins.context.live.turn import Turn, pressure_of
from agentrm_plugins.context.live.upkeep import Upkeep
from agentrm_plugins.context.live.waking import Woken, blank, continues
from agentrm_plugins.context.plan.bodies import Source
from agentrm_plugins.context.plan.freeze import dumped
from agentrm_plugins.context.plan.shares import recall_room
from agentrm_plugins.context.plan.view import Pressure, View
from agentrm_plugins.context.stores.base import SessionKey
from agentrm_plugins.errors import ConfigError, SessionBusy, StoreError, StoreFenced

__all__ = ["ContextSession"]

OVERFLOW_SHARE = 0.75
"""Of a view that was refused as too long, when the provider does not say by how much. Guessed."""


_TELLING_SHARE = 0.25
"""Of the budget: a request that is shorter tells less of a counter's error. Guessed."""
_UNREADABLE = "The archive cannot be read at the moment; go on without it, or try again later."


class ContextSession:
    """One conversation. Made by `ContextLifecycle.session`. Safe to use from several threads.

    Args:
        key: Whose it is.
        woken: Its pure state as it was read, or a stand-in where the store refused.
        wake: Reads it from the store again.
        desk: What all sessions of a manager share.
    """

    def __init__(
        self,
        key: SessionKey,
        woken: Woken,
        wake: Callable[[], Woken],
        desk: Desk,
    ) -> None:
        self.key = key
        archive = Archive(key, desk.store, desk.owner, woken.version)
        recaller = Recaller(key, desk.store, woken.state.config.embeddings)
        self._shared = Shared(key, woken.state, archive, recaller)
        self._upkeep = Upkeep(self._shared, desk.submit, desk.summariser)
        self._desk = desk
        self._wake = wake
        archive.refusal = woken.refusal
        self.successor: Callable[[], ContextSession] | None = None
        self._told = list(woken.told)
        self._missed: list[list[Source]] = []
        self._last_tokens = 0
        self.used_at_s = desk.clock()

    # -- a turn -------------------------------------------------------------------------------

    def prepare(
        self, messages: Sequence[Source], *, tools: Sequence[Any] = (), now_s: float | None = None
    ) -> View:
        """Take the whole history and give the request to send. The caller's list is not changed.

        Args:
            messages: All of it, OpenAI-format dicts or `Message` objects; it grows by turns.
            tools: Tool schemas that will be sent along; they are counted.
            now_s: Seconds since the epoch; the manager's clock if left out.

        Raises:
            BudgetTooSmall: System prompt, tools and newest user message do not fit.
            BadMessage: A message that no provider would take.
            SessionBusy: Another process was at work on the session for all of `wait_s`, and the
                history does not hold all that it archived.
            StoreError: The archive refused and `on_store_error` is "raise".
        """
        patience = Patience(self._desk.wait_s)
        while True:
            try:
                view = self._turn(messages, tools, now_s)
                break
            except SessionBusy as busy:
                time.sleep(patience.next_s(busy))
                self._shared.archive.waited()
        if view is None:
            return self._next().prepare(messages, tools=tools, now_s=now_s)
        self._upkeep.after_turn(self._last_tokens, here=False)
        return view

    async def aprepare(
        self, messages: Sequence[Source], *, tools: Sequence[Any] = (), now_s: float | None = None
    ) -> View:
        """Do the same as `prepare` without blocking the event loop."""
        patience = Patience(self._desk.wait_s)
        while True:
            try:
                view = await asyncio.to_thread(self._turn, messages, tools, now_s)
                break
            except SessionBusy as busy:
                await asyncio.sleep(patience.next_s(busy))
                self._shared.archive.waited()
        if view is None:
            session = await asyncio.to_thread(self._next)
            return await session.aprepare(messages, tools=tools, now_s=now_s)
        self._upkeep.after_turn(self._last_tokens, here=True)
        return view

    def _turn(
        self, messages: Sequence[Source], tools: Sequence[Any], now_s: float | None
    ) -> View | None:
        """Take a turn; None where the session was hibernated and lives in another object."""
        shared = self._shared
        with shared.lock:
            if self.successor is not None:
                return None
            now = self._desk.clock() if now_s is None else now_s
            self.used_at_s = now
            shared.asleep = False
            while True:
                shared.transcript.repairs = []
                self._rouse(now)
                self._own(messages)
                shared.transcript.repairs += self._told
                if shared.archive.refusal is not None:
                    self._miss(messages)
                turn = Turn(shared, messages)
                try:
                    turn.take(tools, now)
                    break
                except StoreFenced:
                    # Another process took the session over: what was begun here never was.
                    shared.archive.let_go()
                    self._read_again()
            try:
                view = turn.view()
            except BaseException:
                self._told = list(dict.fromkeys(shared.transcript.repairs))  # for the next turn
                raise
            self._told = []
            self._last_tokens = turn.total
            shared.archive.told()
            return view

    def _next(self) -> ContextSession:
        return self if self.successor is None else self.successor()

    def _own(self, messages: Sequence[Source]) -> None:
        """Make the session ours, read again if another process had it.

        Raises:
            SessionBusy: Another process is at work on it, and has archived what is not in the list.
            StoreError: The store refused and `on_store_error` is "raise".
        """
        archive = self._shared.archive
        if archive.refusal is not None:
            return
        try:
            try:
                change = archive.claim()
            except SessionBusy:
                seen = self._wake()
                if not continues(seen.state, messages):
                    raise
                change = archive.claim(seen.version)
            if change.stale:
                self._read_again()
            if change.notice:
                self._told.append(change.notice)
            if change.foreign:
                state = self._shared.transcript
                state.foreign, state.handed_over = len(state.entries), change.handed_over
        except StoreError as error:
            # Nothing is written without the session being ours: what is new waits.
            self._shared.last_error = archive.denied = error
            if self.config.on_store_error == "raise":
                raise

    def _read_again(self) -> None:
        """Go on with the session as the store has it now."""
        try:
            woken = self._wake()
        except StoreError as error:
            woken = blank(self.config, error)
        self._replace(woken)

    def _replace(self, woken: Woken) -> None:
        shared = self._shared
        # A plan that was made for the one before is void.
        woken.state.generation = shared.transcript.generation + 1
        shared.transcript = woken.state
        shared.archive.refusal = woken.refusal
        shared.archive.read_again(woken.version)
        shared.recaller.renew()
        self._told = [*self._told, *woken.told]

    def _rouse(self, now: float) -> None:
        """Where the store refused to give the session, ask again, and tell it what it missed."""
        shared = self._shared
        if shared.archive.refusal is None:
            return
        try:
            woken = self._wake()
        except StoreError as error:
            shared.last_error = shared.archive.refusal = error
            return
        self._replace(woken)
        missed, self._missed = self._missed, []
        for messages in missed:
            self._own(messages)
            Turn(shared, messages).take((), now)

    def _miss(self, messages: Sequence[Source]) -> None:
        """Remember a history that was shown while the store refused."""
        last = self._missed[-1] if self._missed else []
        if self._missed and list(messages[: len(last)]) == last:
            self._missed.pop()
        self._missed.append(list(messages))

    # -- background work ------------------------------------------------------------------------

    def maintain(self) -> None:
        """Do the pending background work now: notes, index, compaction above the soft mark."""
        self._upkeep.maintain()

    async def amaintain(self) -> None:
        """Do the same, asking an asynchronous summariser on this event loop."""
        await self._upkeep.amaintain()

    @property
    def busy(self) -> bool:
        """Whether background work is being done right now."""
        return self._upkeep.working.locked()

    @property
    def last_error(self) -> BaseException | None:
        """What went wrong last where nobody could be told: in the background, or in the store."""
        return self._shared.last_error

    # -- recall on request --------------------------------------------------------------------

    def recall(self, query: str, *, max_tokens: int | None = None) -> str:
        """Search the archive; give passages with their sources, or a line that says none was found.

        Args:
            query: What to look for, in any words.
            max_tokens: Of the answer; the recall share of the budget if left out.
        """
        shared = self._shared
        with shared.lock:
            self._catch_up()
            state = shared.transcript
            share = max(recall_room(state), state.budget // 10)
            shared.index_hidden(everything=True)
            shared.last_error = shared.recaller.flush() or shared.last_error
            found = shared.recaller.for_query(state, query, max_tokens or share)
        return found.text if found is not None else "Nothing in the archive matches."

    async def arecall(self, query: str, *, max_tokens: int | None = None) -> str:
        """Do the same as `recall` without blocking the event loop."""
        return await asyncio.to_thread(self.recall, query, max_tokens=max_tokens)

    def _catch_up(self) -> None:
        """See what another process has archived since."""
        self._rouse(self._desk.clock())
        archive = self._shared.archive
        if archive.refusal is None and archive.clean and archive.moved():
            archive.let_go()
            self._read_again()

    def read(self, place: int, *, max_tokens: int | None = None) -> str:
        """Give one archived message's text, cut to `max_tokens` if it is longer."""
        shared = self._shared
        with shared.lock:
            self._catch_up()
            state = shared.transcript
            row = None
            if 0 <= place < len(state.entries):
                row = shared.archive.store.read(self.key, [place]).get(place)
            if row is None:
                return f"There is no message {str(place)[:20]}."
            most = max_tokens or state.budget // 5
            return shared.recaller.cut(state, row, most)

    def call_recall(self, arguments: str | Mapping[str, Any]) -> str:
        """Answer a call of the tool `RECALL_TOOL`; arguments as the model wrote them.

        A store that refuses is said in the answer, unless `on_store_error` is "raise".
        """
        query, place = asked_for(arguments)
        try:
            if place is not None:
                return self.read(place)
            if query.strip():
                return self.recall(query)
        except StoreError as error:
            self._shared.last_error = error
            if self.config.on_store_error == "raise":
                raise
            return _UNREADABLE
        return "Give a query or the number of a message."

    # -- state --------------------------------------------------------------------------------

    def report_usage(self, input_tokens: int) -> None:
        """Tell what the provider charged for the last view; corrects an estimating counter."""
        with self._shared.lock:
            state = self._shared.transcript
            full = min(1.0, self._last_tokens / (_TELLING_SHARE * state.most))
            state.counter.report(self._last_tokens, input_tokens, full)

    def overflowed(self, share: float = OVERFLOW_SHARE) -> None:
        """Tell that the provider refused the last view as too long; later views are smaller.

        Args:
            share: Of the last view's tokens that one may have from now on; above 0, below 1. It
                holds for the session, also after it was hibernated.
        """
        if not 0 < share < 1:
            raise ConfigError("share", share, "give a number above 0 and below 1")
        with self._shared.lock:
            state = self._shared.transcript
            state.ceiling = max(1, int(min(state.most, state.charged(self._last_tokens)) * share))

    def take_turns(self) -> None:
        """Tell that the provider wants roles to alternate; later views of this object do."""
        with self._shared.lock:
            self._shared.transcript.takes_turns = True

    @property
    def pressure(self) -> Pressure:
        """How full the window was at the last turn."""
        with self._shared.lock:
            return pressure_of(self._shared.transcript, self._last_tokens)

    @property
    def durable(self) -> int:
        """How many of the session's messages are in the archive."""
        shared = self._shared
        with shared.lock:
            return len(shared.transcript.entries) - len(shared.archive.waiting)

    def dump(self) -> bytes:
        """Give the state as bytes: the same for the same session, in any process."""
        with self._shared.lock:
            return dumped(self._shared.transcript)

    @property
    def config(self) -> ContextConfig:
        """Its settings."""
        return self._shared.transcript.config

    def hibernate(self, successor: Callable[[], ContextSession] | None = None) -> None:
        """Write the whole session to the store. When this returns, nothing of it needs memory.

        Args:
            successor: Gives the object that takes this one's turns from now on; None: it goes on.

        Raises:
            StoreError: The store refused; the session stays as it is.
            SessionBusy: Messages wait to be archived, and another process has the session.
        """
        shared = self._shared
        archive = shared.archive
        with self._upkeep.working, shared.lock:
            self._rouse(self._desk.clock())
            if archive.refusal is not None:
                raise archive.refusal
            try:
                if not archive.clean:
                    archive.claim()
                archive.flush()
                if archive.owned:
                    archive.save_state(dumped(shared.transcript), hand_over=True)
            except StoreFenced:
                # Another process goes on with it, and has all that was archived here.
                if not archive.clean:
                    raise
            shared.asleep, self.successor = True, successor
