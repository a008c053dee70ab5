"""One session at work: the pure transcript, its lock, its archive and its upkeep.

Flow of a turn: take in what is new and archive it; look up what the new user message asks about;
compact if the budget would be passed; put the request together. Everything slower (reading long
messages for notes, indexing, compaction above the soft mark, a model's narrative) is done by
`maintain`, in the background.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live.archive import Archive
from agentrm_plugins.context.live.desk import Desk, Patience
from agentrm_plugins.context.live.hold import Hold
from agentrm_plugins.context.live.recaller import Recaller
from agentrm_plugins.context.live.shared import Shared
from agentrm_plugins.context.live.tool import asked_for
from agentrm_plugins.context.live.turn import Turn, pressure_of
from agentrm_plugins.context.live.upkeep import Upkeep
from agentrm_plugins.context.live.waking import Woken
from agentrm_plugins.context.plan.bodies import Source
from agentrm_plugins.context.plan.counts import reported
from agentrm_plugins.context.plan.freeze import dumped
from agentrm_plugins.context.plan.shares import recall_room
from agentrm_plugins.context.plan.transcript import Transcript
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
        self._shared = Shared(key, woken.state, archive, recaller, notices=desk.notices)
        self._upkeep = Upkeep(self._shared, desk.submit, desk.summariser)
        self._desk = desk
        self._hold = Hold(self._shared, wake, woken)
        self.successor: Callable[[], ContextSession] | None = None
        self._last_tokens = 0
        self._last_model = ""
        self._learnt: deque[Callable[[Transcript], None]] = deque()
        self._pressure = pressure_of(woken.state, 0)
        self.used_at_s = desk.clock()

    # -- a turn -------------------------------------------------------------------------------

    def prepare(
        self,
        messages: Sequence[Source],
        *,
        tools: Sequence[Any] = (),
        now_s: float | None = None,
        model: str | None = None,
    ) -> View:
        """Take the whole history and give the request to send. The caller's list is not changed.

        Args:
            messages: All of it, OpenAI-format dicts or `Message` objects; it grows by turns.
            tools: Tool schemas that will be sent along; they are counted.
            now_s: Seconds since the epoch; the manager's clock if left out.
            model: The name of the model that is called, for whose counts the budget holds where
                `ContextConfig.model` names none; "": an unknown one. None: as the turn before.

        Raises:
            BudgetTooSmall: System prompt, tools and newest user message do not fit.
            BadMessage: A message that no provider would take.
            SessionBusy: Another process was at work on the session for all of `wait_s`, and the
                history does not hold all that it archived.
            StoreError: The archive refused and `on_store_error` is "raise".
        """
        patience = Patience(self._desk.wait_s)
        with self._desk.notices.turn():
            while True:
                try:
                    view = self._turn(messages, tools, now_s, model)
                    break
                except SessionBusy as busy:
                    time.sleep(patience.next_s(busy))
                    self._shared.archive.waited()
        if view is None:
            return self._next().prepare(messages, tools=tools, now_s=now_s, model=model)
        self._shared.publish()
        self._upkeep.after_turn(self._last_tokens, here=False)
        return view

    async def aprepare(
        self,
        messages: Sequence[Source],
        *,
        tools: Sequence[Any] = (),
        now_s: float | None = None,
        model: str | None = None,
    ) -> View:
        """Do the same as `prepare` without blocking the event loop."""
        patience = Patience(self._desk.wait_s)
        with self._desk.notices.turn():
            while True:
                try:
                    view = await asyncio.to_thread(self._turn, messages, tools, now_s, model)
                    break
                except SessionBusy as busy:
                    await asyncio.sleep(patience.next_s(busy))
                    self._shared.archive.waited()
        if view is None:
            session = await asyncio.to_thread(self._next)
            return await session.aprepare(messages, tools=tools, now_s=now_s, model=model)
        self._shared.publish()
        self._upkeep.after_turn(self._last_tokens, here=True)
        return view

    def _turn(
        self,
        messages: Sequence[Source],
        tools: Sequence[Any],
        now_s: float | None,
        model: str | None,
    ) -> View | None:
        """Take a turn; None where the session was hibernated and lives in another object."""
        shared, begun_s = self._shared, time.monotonic()
        with shared.lock:
            if self.successor is not None:
                return None
            now = self._desk.clock() if now_s is None else now_s
            self.used_at_s = now
            shared.asleep = False
            while True:
                shared.transcript.repairs = []
                self._hold.take(messages, now)
                self._learn()
                turn = Turn(shared, messages)
                try:
                    turn.take(tools, now, model)
                    break
                except StoreFenced:
                    # Another process took the session over: what was begun here never was.
                    self._hold.lost()
            with self._hold.telling():
                view = turn.view()
            self._last_tokens = turn.total
            self._last_model = shared.transcript.counter.model
            shared.prepared("turn", turn.total, turn.tools_tokens, time.monotonic() - begun_s)
            return view

    def _next(self) -> ContextSession:
        return self if self.successor is None else self.successor()

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
            self._hold.catch_up(self._desk.clock())
            state = shared.transcript
            share = max(recall_room(state), state.budget // 10)
            try:
                shared.index_hidden(everything=True)
            except StoreError as error:
                if self.config.on_store_error == "raise":
                    raise
                shared.last_error = error  # what is indexed is found all the same
            shared.last_error = shared.recaller.flush() or shared.last_error
            found = shared.recaller.for_query(state, query, max_tokens or share)
            if found is not None:
                shared.recalled("tool", found.tokens)
        shared.publish()
        return found.text if found is not None else "Nothing in the archive matches."

    async def arecall(self, query: str, *, max_tokens: int | None = None) -> str:
        """Do the same as `recall` without blocking the event loop."""
        return await asyncio.to_thread(self.recall, query, max_tokens=max_tokens)

    def read(self, place: int, *, max_tokens: int | None = None) -> str:
        """Give one archived message's text, cut to `max_tokens` if it is longer."""
        shared = self._shared
        with shared.lock:
            self._hold.catch_up(self._desk.clock())
            state = shared.transcript
            row = None
            if 0 <= place < len(state.entries):
                row = shared.archive.store.read(self.key, [place]).get(place)
            if row is None:
                return f"There is no message {str(place)[:20]}."
            most = max_tokens or state.budget // 5
            return shared.recaller.cut(state, row, most)

    def call_recall(self, arguments: Any) -> str:
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

    def report_usage(self, input_tokens: int, *, model: str | None = None) -> None:
        """Tell what the provider charged for the last view; corrects an estimating counter.

        Args:
            input_tokens: As the provider counted them.
            model: Which was asked. A report of another than the last view was counted for is
                dropped; None: of the last view.
        """
        tokens, counted = self._last_tokens, self._last_model
        if model not in {None, counted} and self.config.model is None:
            return

        def learn(state: Transcript) -> None:
            full = min(1.0, tokens / (_TELLING_SHARE * state.most))
            reported(state, counted, (tokens, input_tokens), full)

        self._soon(learn)

    def overflowed(self, share: float = OVERFLOW_SHARE) -> None:
        """Tell that the provider refused the last view as too long; later views are smaller.

        Args:
            share: Of the last view's tokens that one may have from now on; above 0, below 1. It
                holds for the session, also after it was hibernated.
        """
        if not 0 < share < 1:
            raise ConfigError("share", share, "give a number above 0 and below 1")
        tokens = self._last_tokens

        def learn(state: Transcript) -> None:
            state.ceiling = max(1, int(min(state.most, state.charged(tokens)) * share))

        self._soon(learn)

    def take_turns(self) -> None:
        """Tell that the provider wants roles to alternate; later views of this object do."""

        def learn(state: Transcript) -> None:
            state.takes_turns = True

        self._soon(learn)

    def _soon(self, learn: Callable[[Transcript], None]) -> None:
        """Do a short step now, or in the next turn where the session is at work: nobody waits."""
        self._learnt.append(learn)
        if self._shared.lock.acquire(blocking=False):
            try:
                self._learn()
            finally:
                self._shared.lock.release()

    def _learn(self) -> None:
        while self._learnt:
            self._learnt.popleft()(self._shared.transcript)

    @property
    def pressure(self) -> Pressure:
        """How full the window was at the last turn. It never waits for one that is being taken."""
        if self._shared.lock.acquire(blocking=False):
            try:
                self._pressure = pressure_of(self._shared.transcript, self._last_tokens)
            finally:
                self._shared.lock.release()
        return self._pressure

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

    def hibernate(
        self, successor: Callable[[], ContextSession] | None = None, *, cause: str = "asked"
    ) -> None:
        """Write the whole session to the store. When this returns, nothing of it needs memory.

        Args:
            successor: Gives the object that takes this one's turns from now on; None: it goes on.
            cause: Why, for those who are told: "asked", "idle", "bound" or "closed".

        Raises:
            StoreError: The store refused; the session stays as it is.
            SessionBusy: Messages wait to be archived, and another process has the session.
        """
        shared = self._shared
        archive = shared.archive
        with shared.lock:
            self._hold.rouse(self._desk.clock())
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
            shared.hibernated(cause)
        shared.publish()
