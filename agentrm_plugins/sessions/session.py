"""One session at work: the pure state of `agentrm_plugins.context`, its lock and its archive.

Flow of a turn: take in what is new and archive it; look up what the new user message asks about;
compact if the budget would be passed; put the request together. Everything slower (reading long
messages for notes, indexing, compaction above the soft mark, a model's narrative) is done by
`maintain`, in the background.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentrm_plugins.context.compaction import apply_plan, fit_now, retelling
from agentrm_plugins.context.errors import StoreError
from agentrm_plugins.context.freeze import dumped
from agentrm_plugins.context.messages import Message
from agentrm_plugins.context.planning import Plan, planned, total_tokens
from agentrm_plugins.context.session import Entry, Session, Source, cut_up
from agentrm_plugins.context.summaries import SummaryRequest
from agentrm_plugins.context.view import Pressure, View, composed, with_line
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.sessions.recall import Recaller, asked_for, row_of
from agentrm_plugins.stores.base import ColdStore, SessionKey

__all__ = ["ContextSession"]

_BATCH = 16
OVERFLOW_SHARE = 0.75
"""Of a view that was refused as too long, when the provider does not say by how much. Guessed."""


class ContextSession:
    """One conversation. Made by `ContextManager.session`. Safe to use from several threads.

    Args:
        key: Whose it is.
        state: Its pure state.
        store: The archive.
        submit: Runs a job in the background.
        clock: Seconds since the epoch.
        extras: "summariser" and "semantic", each or None.
    """

    def __init__(
        self,
        key: SessionKey,
        state: Session,
        store: ColdStore,
        submit: Callable[[Callable[[], None]], object],
        clock: Callable[[], float],
        extras: Mapping[str, Any],
    ) -> None:
        self.key = key
        self._state = state
        self._store = store
        self._submit = submit
        self._clock = clock
        self._summariser = extras.get("summariser")
        self._recaller = Recaller(key, store, extras.get("semantic"))
        self._lock = threading.RLock()
        self._working = threading.Lock()
        self._queued = False
        self._unsaved: list[Entry] = []
        self._tools: tuple[Any, int] = ((), 0)
        self._last_tokens = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.used_at_s = clock()
        self.last_error: BaseException | None = None

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
        view = self._prepared(messages, tools, now_s)
        if self._has_work(view.tokens):
            self._schedule()
        return view

    async def aprepare(
        self, messages: Sequence[Source], *, tools: Sequence[Any] = (), now_s: float | None = None
    ) -> View:
        """Do the same as `prepare` without blocking the event loop."""
        view = await asyncio.to_thread(self._prepared, messages, tools, now_s)
        if self._has_work(view.tokens):
            if hasattr(self._summariser, "asummarise"):
                task = asyncio.get_running_loop().create_task(self.amaintain())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                self._schedule()
        return view

    def _prepared(
        self, messages: Sequence[Source], tools: Sequence[Any], now_s: float | None
    ) -> View:
        now = self._clock() if now_s is None else now_s
        with self._lock:
            state = self._state
            self.used_at_s = now
            state.repairs = []
            fresh = state.take(messages, now)
            self._archive(fresh)
            tools_tokens = self._count_tools(tools)
            self._fit(tools_tokens)
            self._recall_for_task(tools_tokens)
            self._fit(tools_tokens)
            view = self._view(messages, tools_tokens)
            self._release_bodies()
            self._last_tokens = view.tokens
            return view

    def _fit(self, tools_tokens: int) -> None:
        state = self._state
        if total_tokens(state, tools_tokens) > state.budget:
            fit_now(state, tools_tokens, int(state.config.low_mark * state.budget))

    def _view(self, messages: Sequence[Source], tools_tokens: int) -> View:
        state = self._state
        items, mended = composed(state, messages)
        total = total_tokens(state, tools_tokens)
        pressure = self._pressure(total)
        if state.config.pressure_line:
            line = Message(state.config.summary_role, pressure.line())
            size = state.counter.message(line)
            if total + size <= state.budget:
                items = with_line(items, line)
                total += size
        recalled = sum(r.tokens for r in state.recalls)
        repairs = (*state.repairs, *mended)
        dicts = not messages or not isinstance(messages[0], Message)
        return View(tuple(items), total, recalled, repairs, pressure, dicts)

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
        self._unsaved.extend(fresh)
        if not self._unsaved and keep is None:
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
        share = int(state.config.recall_share * state.budget)
        if task is None or task <= state.asked or share <= 0 or not self._anything_hidden():
            return
        state.asked = task
        try:
            self._index_hidden()
            recalled = self._recaller.for_task(state, task, share)
        except StoreError as error:
            self._refused(error)
            return
        if recalled is None:
            return
        while sum(r.tokens for r in state.recalls) + recalled.tokens > share:
            # The newest goes first: less of the prompt stands behind it than behind the oldest.
            state.recalls.pop()
        state.recalls.append(recalled)
        budget = state.budget
        if total_tokens(state, tools_tokens) > budget:
            state.recalls = [recalled]
            apply_plan(state, planned(state, tools_tokens, int(state.config.low_mark * budget)))

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
            state = self._state
            share = int(max(0.1, state.config.recall_share) * state.budget)
            self._index_hidden(everything=True)
            found = self._recaller.for_query(state, query, max_tokens or share)
        return found.text if found is not None else "Nothing in the archive matches."

    async def arecall(self, query: str, *, max_tokens: int | None = None) -> str:
        """Do the same as `recall` without blocking the event loop."""
        return await asyncio.to_thread(self.recall, query, max_tokens=max_tokens)

    def read(self, place: int, *, max_tokens: int | None = None) -> str:
        """Give one archived message's text, cut to `max_tokens` if it is longer."""
        with self._lock:
            state = self._state
            row = self._store.read(self.key, [place]).get(place)
            if row is None or place >= len(state.entries):
                return f"There is no message {place}."
            most = max_tokens or state.budget // 5
            return self._recaller.cut(state, row, most)

    def call_recall(self, arguments: str | Mapping[str, Any]) -> str:
        """Answer a call of the tool `RECALL_TOOL`; arguments as the model wrote them."""
        query, place = asked_for(arguments)
        if place is not None:
            return self.read(place)
        return self.recall(query) if query.strip() else "Give a query or the number of a message."

    # -- background ---------------------------------------------------------------------------

    def _has_work(self, tokens: int) -> bool:
        state = self._state
        above = tokens > state.config.soft_mark * state.budget
        return above or any(not e.noted or not e.indexed for e in state.entries[-_BATCH:])

    def _schedule(self) -> None:
        with self._lock:
            if self._queued:
                return
            self._queued = True
        try:
            self._submit(self._background)
        except RuntimeError as error:
            # The pool was closed: the next turn does the work in the foreground.
            self._queued, self.last_error = False, error

    def _background(self) -> None:
        self._queued = False
        try:
            self.maintain()
        except Exception as error:  # noqa: BLE001 - a background job has nobody to tell
            self.last_error = error

    def maintain(self) -> None:
        """Do the pending background work now: notes, index, compaction above the soft mark."""
        with self._working:
            self._digest_pending()
            plan = self._plan()
            if plan is not None:
                self._finish(plan, self._narrative(plan))

    async def amaintain(self) -> None:
        """Do the same, asking an asynchronous summariser on this event loop."""
        await asyncio.to_thread(self._digest_pending)
        plan = await asyncio.to_thread(self._plan)
        if plan is None:
            return
        narrative = ""
        request = self._request(plan)
        if request is not None:
            try:
                narrative = await self._summariser.asummarise(request)  # type: ignore[union-attr]
            except Exception as error:  # noqa: BLE001 - the notes stand in for any failure
                self.last_error = error
        await asyncio.to_thread(self._finish, plan, narrative)

    def _digest_pending(self) -> None:
        """Read pending messages for notes and index them, a few at a time, outside the lock."""
        while True:
            with self._lock:
                state = self._state
                unsaved = {entry.seq for entry in self._unsaved}
                pending = [
                    entry for entry in state.entries
                    if entry.message is not None and not (entry.noted and entry.indexed)
                    and entry.seq not in unsaved
                ][:_BATCH]  # fmt: skip
            if not pending:
                return
            findings = [(entry, state.findings(entry)) for entry in pending if not entry.noted]
            cut = {entry.seq: cut_up(entry) for entry in pending if not entry.indexed}
            try:
                self._store.index(self.key, cut)
            except StoreError as error:
                self.last_error = error
                return
            self._recaller.remember(pending, cut)
            with self._lock:
                for entry, found in findings:
                    if _is_there(state, entry):
                        state.note(entry, found)
                for entry in pending:
                    entry.indexed = entry.noted = True
                self._release_bodies()

    def _index_hidden(self, *, everything: bool = False) -> None:
        """Index in the foreground what recall must find and the background has not come to."""
        state = self._state
        unsaved = {entry.seq for entry in self._unsaved}  # the archive cannot index these yet
        hidden = [
            entry for entry in state.entries
            if not entry.indexed and entry.message is not None and entry.seq not in unsaved
            and (everything or entry.seq < state.first_hot or entry.seq in state.replaced)
        ]  # fmt: skip
        if hidden:
            self._store.index(self.key, {entry.seq: cut_up(entry) for entry in hidden})
            for entry in hidden:
                entry.indexed = True

    def _plan(self) -> Plan | None:
        with self._lock:
            state = self._state
            tools_tokens = self._tools[1]
            if total_tokens(state, tools_tokens) <= state.config.soft_mark * state.budget:
                return None
            plan = planned(state, tools_tokens, int(state.config.low_mark * state.budget))
            return None if plan.empty else plan

    def _request(self, plan: Plan) -> SummaryRequest | None:
        if self._summariser is None:
            return None
        with self._lock:
            return retelling(self._state, plan)

    def _narrative(self, plan: Plan) -> str:
        request = self._request(plan)
        if request is None or not hasattr(self._summariser, "summarise"):
            return ""
        try:
            return str(self._summariser.summarise(request))  # type: ignore[union-attr]
        except Exception as error:  # noqa: BLE001 - the notes stand in for any failure
            self.last_error = error
            return ""

    def _finish(self, plan: Plan, narrative: str) -> None:
        with self._lock:
            state = self._state
            if not apply_plan(state, plan, narrative):
                return
            self._release_bodies()
            frozen = None if self._unsaved else dumped(state)
        if frozen is not None:
            try:
                self._store.save_state(self.key, frozen)
            except StoreError as error:
                self.last_error = error

    def _release_bodies(self) -> None:
        """Let go of bodies that are archived, read, indexed and no longer sent."""
        state = self._state
        unsaved = {entry.seq for entry in self._unsaved}
        for entry in reversed(state.entries[: state.first_hot]):
            if entry.message is None and entry.seq != state.pinned:
                break
            done = entry.noted and entry.indexed and entry.seq not in unsaved
            if done and entry.seq != state.pinned:
                entry.message = None

    # -- state --------------------------------------------------------------------------------

    def report_usage(self, input_tokens: int) -> None:
        """Tell what the provider charged for the last view; corrects an estimating counter."""
        with self._lock:
            self._state.counter.report(self._last_tokens, input_tokens)

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
            state.ceiling = max(1, int(min(state.budget, self._last_tokens) * share))

    def _pressure(self, total: int) -> Pressure:
        state = self._state
        messages = len(state.entries)
        budget = state.budget
        return Pressure(total, budget, messages, min(messages, state.first_hot), state.compactions)

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

    def hibernate(self) -> None:
        """Write the whole session to the store. When this returns, nothing of it needs memory.

        Raises:
            StoreError: The store refused; the session stays as it is.
        """
        with self._working, self._lock:
            if self._unsaved:
                self._store.append(self.key, [row_of(entry) for entry in self._unsaved])
                self._unsaved = []
            self._store.save_state(self.key, dumped(self._state))


def _is_there(state: Session, entry: Entry) -> bool:
    return entry.seq < len(state.entries) and state.entries[entry.seq] is entry
