"""One session at work: the pure state of `agentrm_plugins.context`, its lock and its archive.

Flow of a turn: take in what is new and archive it; look up what the new user message asks about;
compact if the budget would be passed; put the request together. Everything slower (reading long
messages for notes, indexing, compaction above the soft mark, a model's narrative) is done by
`maintain`, in the background.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live.recaller import asked_for, row_of
from agentrm_plugins.context.live.upkeep import Upkeep
from agentrm_plugins.context.live.waking import Woken
from agentrm_plugins.context.plan.compaction import fit_now, place_recalled
from agentrm_plugins.context.plan.freeze import dumped
from agentrm_plugins.context.plan.planning import spare_tokens, total_tokens
from agentrm_plugins.context.plan.recalls import drop_answered, drop_past
from agentrm_plugins.context.plan.shares import low_tokens, recall_room
from agentrm_plugins.context.plan.transcript import Entry, Source
from agentrm_plugins.context.plan.view import Pressure, View, composed, line_tokens, with_line
from agentrm_plugins.context.stores.base import ColdStore, SessionKey
from agentrm_plugins.errors import ConfigError, StoreError
from agentrm_plugins.types.message import Message

__all__ = ["ContextSession"]

OVERFLOW_SHARE = 0.75
"""Of a view that was refused as too long, when the provider does not say by how much. Guessed."""


_TELLING_SHARE = 0.25
"""Of the budget: a request that is shorter tells less of a counter's error. Guessed."""
_UNREADABLE = "The archive cannot be read at the moment; go on without it, or try again later."


class ContextSession(Upkeep):
    """One conversation. Made by `ContextLifecycle.session`. Safe to use from several threads.

    Args:
        key: Whose it is.
        woken: Its pure state, and what was mended when it was read.
        wake: Reads it from the store: tried again at each turn until it works, where `woken` is
            only a stand-in because the store refused; else None.
        store: The archive.
        submit: Runs a job in the background.
        clock: Seconds since the epoch.
        extras: "summariser" and "semantic", each or None.
    """

    def __init__(
        self,
        key: SessionKey,
        woken: Woken,
        wake: Callable[[], Woken] | None,
        store: ColdStore,
        submit: Callable[[Callable[[], None]], object],
        clock: Callable[[], float],
        extras: Mapping[str, Any],
    ) -> None:
        super().__init__(key, woken.state, store, submit, extras)
        self._clock = clock
        self._wake = wake
        self.successor: Callable[[], ContextSession] | None = None
        self._refusal: StoreError | None = None
        self._told = list(woken.told)
        self._missed: list[list[Source]] = []
        self._last_tokens = 0
        self.used_at_s = clock()

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
            StoreError: The archive refused and `on_store_error` is "raise".
        """
        view = self._turn(messages, tools, now_s)
        if view is None:
            return self._next().prepare(messages, tools=tools, now_s=now_s)
        if self._has_work(self._last_tokens):
            self._schedule()
        return view

    async def aprepare(
        self, messages: Sequence[Source], *, tools: Sequence[Any] = (), now_s: float | None = None
    ) -> View:
        """Do the same as `prepare` without blocking the event loop."""
        view = await asyncio.to_thread(self._turn, messages, tools, now_s)
        if view is None:
            session = await asyncio.to_thread(self._next)
            return await session.aprepare(messages, tools=tools, now_s=now_s)
        if self._has_work(self._last_tokens):
            if hasattr(self._summariser, "asummarise"):
                self._schedule_here()
            else:
                self._schedule()
        return view

    def _turn(
        self, messages: Sequence[Source], tools: Sequence[Any], now_s: float | None
    ) -> View | None:
        """Take a turn; None where the session was hibernated and lives in another object."""
        with self._lock:
            return self._prepared(messages, tools, now_s) if self.successor is None else None

    def _next(self) -> ContextSession:
        return self if self.successor is None else self.successor()

    def _prepared(
        self, messages: Sequence[Source], tools: Sequence[Any], now_s: float | None
    ) -> View:
        now = self._clock() if now_s is None else now_s
        with self._lock:
            state = self._state
            self.used_at_s = now
            self._asleep = False
            state.repairs = []
            self._rouse(now)
            state = self._state
            state.repairs += self._told
            self._told = []
            if self._wake is not None:
                self._miss(messages)
            fresh = state.take(messages, now)
            self._archive(fresh)
            tools_tokens = state.tools_tokens = self._count_tools(tools)
            self._fit(tools_tokens)
            self._recall_for_task(tools_tokens)
            self._fit(tools_tokens)
            view = self._view(messages, tools_tokens)
            self._release_bodies()
            return view

    def _rouse(self, now: float) -> None:
        """Where the store refused to give the session, ask again, and tell it what it missed."""
        if self._wake is None:
            return
        try:
            woken = self._wake()
        except StoreError as error:
            self.last_error = self._refusal = error
            return
        # A plan that was made for the stand-in is void.
        woken.state.generation = self._state.generation + 1
        self._wake, self._refusal, self._state, self._unsaved = None, None, woken.state, []
        self._told += woken.told
        self._recaller.renew()
        missed, self._missed = self._missed, []
        for messages in missed:
            self._archive(self._state.take(messages, now))

    def _miss(self, messages: Sequence[Source]) -> None:
        """Remember a history that was shown while the store refused."""
        last = self._missed[-1] if self._missed else []
        if self._missed and list(messages[: len(last)]) == last:
            self._missed.pop()
        self._missed.append(list(messages))

    def _fit(self, tools_tokens: int) -> None:
        state = self._state
        if total_tokens(state, tools_tokens) > state.budget:
            fit_now(state, tools_tokens, low_tokens(state))

    def _view(self, messages: Sequence[Source], tools_tokens: int) -> View:
        state = self._state
        items, mended = composed(state, messages)
        total = total_tokens(state, tools_tokens) - line_tokens(state)
        pressure = self._pressure(total)
        if state.config.pressure_line:
            line = Message(state.config.summary_role, pressure.line())
            without, items = len(items), with_line(items, line)
            total += state.counter.message(line) * (len(items) - without)
        self._last_tokens = total
        recalled = state.charged(sum(r.tokens for r in state.recalls))
        repairs = (*state.repairs, *mended)
        dicts = not messages or not isinstance(messages[0], Message)
        return View(tuple(items), state.charged(total), recalled, repairs, pressure, dicts)

    def _count_tools(self, tools: Sequence[Any]) -> int:
        key = tuple(map(id, tools))
        if self._tools[0] != key:
            self._tools = (key, self._state.counter.tools(tools))
        return self._tools[1]

    def _archive(self, fresh: Sequence[Entry]) -> None:
        state = self._state
        keep = state.rewound
        if keep is not None:
            self._unsaved = [entry for entry in self._unsaved if entry.seq < keep]
            self._recaller.rewind(keep)
        self._unsaved.extend(fresh)
        if not self._unsaved and keep is None:
            return
        if self._refusal is not None:
            # Where it ends in the archive is not known: to write now could hide what is there.
            self._refused(self._refusal)
            return
        try:
            if keep is not None:
                self._store.rewind(self.key, keep)
                state.rewound = None
            self._store.append(self.key, [row_of(entry) for entry in self._unsaved])
            self._unsaved = []
        except StoreError as error:
            self._refused(error)

    def _refused(self, error: StoreError) -> None:
        self.last_error = error
        if self._state.config.on_store_error == "raise":
            raise error
        waiting = len(self._unsaved)
        self._state.repairs.append(
            f"archive: {error}; {waiting} messages stay in memory and are tried again next turn"
        )

    def _recall_for_task(self, tools_tokens: int) -> None:
        state = self._state
        task = state.task
        drop_answered(state)
        if task is None or task <= state.asked or not recall_room(state):
            return
        state.asked = task
        drop_past(state)
        if not self._anything_hidden():
            return
        spare = spare_tokens(state, tools_tokens)
        try:
            self._index_hidden()
            recalled = self._recaller.for_task(state, task, recall_room(state), spare)
        except StoreError as error:
            self._refused(error)
            return
        if self._recaller.failed is not None:
            self.last_error, self._recaller.failed = self._recaller.failed, None
            state.repairs.append(f"recall: by words alone; the semantic index: {self.last_error!r}")
        if recalled is not None:
            place_recalled(state, recalled, tools_tokens)

    def _anything_hidden(self) -> bool:
        return self._state.first_hot > 0 or bool(self._state.replaced)

    # -- recall on request --------------------------------------------------------------------

    def recall(self, query: str, *, max_tokens: int | None = None) -> str:
        """Search the archive; give passages with their sources, or a line that says none was found.

        Args:
            query: What to look for, in any words.
            max_tokens: Of the answer; the recall share of the budget if left out.
        """
        with self._lock:
            self._rouse(self._clock())
            state = self._state
            share = max(recall_room(state), state.budget // 10)
            self._index_hidden(everything=True)
            self.last_error = self._recaller.flush() or self.last_error
            found = self._recaller.for_query(state, query, max_tokens or share)
        return found.text if found is not None else "Nothing in the archive matches."

    async def arecall(self, query: str, *, max_tokens: int | None = None) -> str:
        """Do the same as `recall` without blocking the event loop."""
        return await asyncio.to_thread(self.recall, query, max_tokens=max_tokens)

    def read(self, place: int, *, max_tokens: int | None = None) -> str:
        """Give one archived message's text, cut to `max_tokens` if it is longer."""
        with self._lock:
            self._rouse(self._clock())
            state = self._state
            row = self._store.read(self.key, [place]).get(place)
            if row is None or place >= len(state.entries):
                return f"There is no message {place}."
            most = max_tokens or state.budget // 5
            return self._recaller.cut(state, row, most)

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
            self.last_error = error
            if self._state.config.on_store_error == "raise":
                raise
            return _UNREADABLE
        return "Give a query or the number of a message."

    # -- state --------------------------------------------------------------------------------

    def report_usage(self, input_tokens: int) -> None:
        """Tell what the provider charged for the last view; corrects an estimating counter."""
        with self._lock:
            state = self._state
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
        with self._lock:
            state = self._state
            state.ceiling = max(1, int(min(state.most, state.charged(self._last_tokens)) * share))

    def _pressure(self, total: int) -> Pressure:
        state = self._state
        messages = len(state.entries)
        total = state.charged(total)
        return Pressure(
            total, state.most, messages, min(messages, state.first_hot), state.compactions
        )

    @property
    def pressure(self) -> Pressure:
        """How full the window was at the last turn."""
        with self._lock:
            return self._pressure(self._last_tokens)

    @property
    def durable(self) -> int:
        """How many of the session's messages are in the archive."""
        with self._lock:
            return len(self._state.entries) - len(self._unsaved)

    def dump(self) -> bytes:
        """Give the state as bytes: the same for the same session, in any process."""
        with self._lock:
            return dumped(self._state)

    @property
    def config(self) -> ContextConfig:
        """Its settings."""
        return self._state.config

    def hibernate(self, successor: Callable[[], ContextSession] | None = None) -> None:
        """Write the whole session to the store. When this returns, nothing of it needs memory.

        Args:
            successor: Gives the object that takes this one's turns from now on; None: it goes on.

        Raises:
            StoreError: The store refused; the session stays as it is.
        """
        with self._working, self._lock:
            self._rouse(self._clock())
            if self._refusal is not None:
                raise self._refusal
            if self._unsaved:
                self._store.append(self.key, [row_of(entry) for entry in self._unsaved])
                self._unsaved = []
            self._store.save_state(self.key, dumped(self._state))
            self._asleep, self.successor = True, successor
