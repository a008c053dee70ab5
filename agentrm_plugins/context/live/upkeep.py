"""A session's background work: notes, index, compaction above the soft mark, a model's narrative.

Turns never wait for it. What it does not come to, a turn does where it must.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

from agentrm_plugins.context.live.recaller import Recaller
from agentrm_plugins.context.notes.summaries import SummaryRequest
from agentrm_plugins.context.plan.compaction import apply_plan, retelling
from agentrm_plugins.context.plan.freeze import dumped
from agentrm_plugins.context.plan.planning import Plan, planned, total_tokens
from agentrm_plugins.context.plan.shares import low_tokens, soft_tokens
from agentrm_plugins.context.plan.transcript import Entry, Session, cut_up
from agentrm_plugins.context.stores.base import ColdStore, SessionKey
from agentrm_plugins.errors import StoreError

__all__ = ["Upkeep"]

_BATCH = 16


class Upkeep:
    """The part of a session that works behind its turns.

    Args:
        key: Whose it is.
        state: Its pure state.
        store: The archive.
        submit: Runs a job in the background.
        extras: "summariser" and "semantic", each or None.
    """

    def __init__(
        self,
        key: SessionKey,
        state: Session,
        store: ColdStore,
        submit: Callable[[Callable[[], None]], object],
        extras: Mapping[str, Any],
    ) -> None:
        self.key = key
        self._state = state
        self._store = store
        self._submit = submit
        self._summariser = extras.get("summariser")
        self._recaller = Recaller(key, store, extras.get("semantic"))
        self._lock = threading.RLock()
        self._working = threading.Lock()
        self._queued = False
        self._asleep = False
        self._unsaved: list[Entry] = []
        self._tools: tuple[Any, int] = ((), 0)
        self._tasks: set[asyncio.Task[None]] = set()
        self.last_error: BaseException | None = None

    @property
    def busy(self) -> bool:
        """Whether background work is being done right now."""
        return self._working.locked()

    def _has_work(self, tokens: int) -> bool:
        state = self._state
        above = tokens > soft_tokens(state)
        if above or self._recaller.waiting:
            return True
        return any(not e.noted or not e.indexed for e in state.entries[-_BATCH:])

    def _schedule(self, work: Callable[[], None] | None = None) -> None:
        with self._lock:
            if self._queued:
                return
            self._queued = True
        try:
            self._submit(lambda: self._background(work or self.maintain))
        except RuntimeError as error:
            # The pool was closed: the next turn does the work in the foreground.
            self._queued, self.last_error = False, error

    def _schedule_here(self) -> None:
        """Queue it on this event loop, unless it waits on one already."""
        if any(not task.get_loop().is_closed() for task in self._tasks):
            self._schedule(self._digest_pending)  # notes and index need not wait for a model
            return
        task = asyncio.get_running_loop().create_task(self._abackground())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _abackground(self) -> None:
        try:
            await self.amaintain()
        except Exception as error:  # noqa: BLE001 - a background job has nobody to tell
            self.last_error = error

    def _background(self, work: Callable[[], None]) -> None:
        self._queued = False
        try:
            work()
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
        self.last_error = self._recaller.flush() or self.last_error
        while not self._asleep:
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
            self.last_error = self._recaller.flush() or self.last_error
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
            cut = {entry.seq: cut_up(entry) for entry in hidden}
            self._store.index(self.key, cut)
            self._recaller.remember(hidden, cut)
            for entry in hidden:
                entry.indexed = True

    def _plan(self) -> Plan | None:
        with self._lock:
            state = self._state
            tools_tokens = self._tools[1]
            if total_tokens(state, tools_tokens) <= soft_tokens(state):
                return None
            plan = planned(state, tools_tokens, low_tokens(state))
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
            if self._asleep or not apply_plan(state, plan, narrative):
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


def _is_there(state: Session, entry: Entry) -> bool:
    return entry.seq < len(state.entries) and state.entries[entry.seq] is entry
