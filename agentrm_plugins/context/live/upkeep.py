"""A session's background work: notes, index, compaction above the soft mark, a model's narrative.

Turns never wait for it. What it does not come to, a turn does where it must.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

from agentrm_plugins.context.live.meaning import BATCH
from agentrm_plugins.context.live.shared import Shared
from agentrm_plugins.context.notes.facts import Finding
from agentrm_plugins.context.notes.summaries import SummaryRequest
from agentrm_plugins.context.notes.text import Passage
from agentrm_plugins.context.plan.compaction import apply_plan, retelling
from agentrm_plugins.context.plan.entry import Entry
from agentrm_plugins.context.plan.freeze import dumped
from agentrm_plugins.context.plan.planning import Plan, planned, total_tokens
from agentrm_plugins.context.plan.reading import slices
from agentrm_plugins.context.plan.shares import low_tokens, soft_tokens
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.errors import StoreError

__all__ = ["Upkeep"]

_PAUSE_S = 1e-4
"""Long enough for a thread that waits for the interpreter to take it: with 0 it is taken back at
once."""

_NEWEST = 16
"""Messages that a turn may have added. What is pending before them is done with the next ones."""


class Upkeep:
    """Works behind the turns of one session.

    Args:
        shared: The session.
        submit: Runs a job in the background.
        summariser: Tells what is compacted, or None.
    """

    def __init__(
        self,
        shared: Shared,
        submit: Callable[[Callable[[], None]], object],
        summariser: Any | None,
    ) -> None:
        self._shared = shared
        self._submit = submit
        self._summariser = summariser
        self._queued = False
        self.tasks: set[asyncio.Task[None]] = set()
        self.working = threading.Lock()
        self._digesting = threading.Lock()

    def after_turn(self, tokens: int, *, here: bool) -> None:
        """Queue what a turn has left to do.

        Args:
            tokens: Of the turn's request.
            here: On this event loop, if the summariser is an asynchronous one.
        """
        if not self._has_work(tokens):
            return
        if here and hasattr(self._summariser, "asummarise"):
            self._schedule_here()
        else:
            self._schedule(self._maintain_if_free)

    def _has_work(self, tokens: int) -> bool:
        state = self._shared.transcript
        above = tokens > soft_tokens(state)
        if above or self._shared.recaller.waiting:
            return True
        return any(not (e.noted and e.indexed) for e in state.entries[-_NEWEST:])

    def _schedule(self, work: Callable[[], None]) -> None:
        with self._shared.lock:
            if self._queued:
                return
            self._queued = True
        try:
            self._submit(lambda: self._background(work))
        except RuntimeError as error:
            # The pool was closed: the next turn does the work in the foreground.
            self._queued, self._shared.last_error = False, error

    def _schedule_here(self) -> None:
        """Queue it on this event loop, unless it waits on one already."""
        if any(not task.get_loop().is_closed() for task in self.tasks):
            self._schedule(self.digest)  # notes and index need not wait for a model
            return
        task = asyncio.get_running_loop().create_task(self._abackground())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _abackground(self) -> None:
        try:
            await self.amaintain()
        except Exception as error:  # noqa: BLE001 - a background job has nobody to tell
            self._shared.last_error = error

    def _background(self, work: Callable[[], None]) -> None:
        self._queued = False
        try:
            work()
        except Exception as error:  # noqa: BLE001 - a background job has nobody to tell
            self._shared.last_error = error

    def _maintain_if_free(self) -> None:
        """As `maintain`; where a hook holds that up, notes and index alone."""
        if not self.working.acquire(blocking=False):
            self.digest()
            return
        try:
            self._maintain()
        finally:
            self.working.release()

    def maintain(self) -> None:
        """Do the pending background work now: notes, index, compaction above the soft mark."""
        with self.working:
            self._maintain()

    def _maintain(self) -> None:
        self.digest()
        plan = self._plan()
        if plan is not None:
            self._finish(plan, self._narrative(plan))

    async def amaintain(self) -> None:
        """Do the same, asking an asynchronous summariser on this event loop."""
        await asyncio.to_thread(self.digest)
        plan = await asyncio.to_thread(self._plan)
        if plan is None:
            return
        narrative = ""
        request = await asyncio.to_thread(self._request, plan)
        if request is not None:
            try:
                narrative = await self._summariser.asummarise(request)  # type: ignore[union-attr]
            except Exception as error:  # noqa: BLE001 - the notes stand in for any failure
                self._shared.last_error = error
        await asyncio.to_thread(self._finish, plan, narrative)

    def digest(self) -> None:
        """Read pending messages for notes and index them, one at a time, outside the lock.

        After each slice other threads run: the turns of an event loop wait for one slice at most.
        """
        if not self._digesting.acquire(blocking=False):
            return  # another thread is at it, and comes to what is pending
        try:
            self._flush()
            self._digest()
        finally:
            self._digesting.release()

    def _digest(self) -> None:
        shared = self._shared
        while not shared.asleep:
            with shared.lock:
                waiting = shared.archive.waiting
                open_ones = (e for e in shared.transcript.pending() if e.seq not in waiting)
                entry = next(open_ones, None) if shared.archive.owned else None
                if entry is not None:
                    state, fence = shared.transcript, shared.archive.fence()
            if entry is None:
                self._flush()
                return
            if not self._digested(state, entry, fence):
                return
            yield_now()

    def _digested(self, state: Transcript, entry: Entry, fence: dict[str, Any]) -> bool:
        """Read one message; False where the store refuses it, or the session went to sleep."""
        shared = self._shared
        findings = None if entry.noted else self._findings(state, entry)
        if not entry.indexed:
            cut: dict[int, list[Passage]] = {entry.seq: []}
            for pieces in slices(entry):
                cut[entry.seq] += pieces
                yield_now()
            try:
                shared.archive.index([entry], cut, fence)
            except StoreError as error:
                shared.last_error = error
                return False
            shared.recaller.remember([entry], cut)
            shared.recaller.settle(yield_now)
            self._flush(BATCH)
        with shared.lock:
            if shared.asleep:
                return False  # its state is saved: who wakes it reads this message
            if findings is not None and shared.holds(entry):
                state.note(entry, findings)
            entry.indexed = entry.noted = True
            shared.release_bodies()
        return True

    def _findings(self, state: Transcript, entry: Entry) -> list[Finding]:
        """Read one message for notes; a text that cannot be read so costs its notes only."""
        try:
            return state.findings(entry)
        except Exception as error:  # noqa: BLE001 - notes are a help: the text is archived
            self._shared.last_error = error
            return []

    def _flush(self, least: int = 1) -> None:
        shared = self._shared
        shared.last_error = shared.recaller.flush(least) or shared.last_error

    def _plan(self) -> Plan | None:
        with self._shared.lock:
            state = self._shared.transcript
            tools_tokens = self._shared.tools[1]
            if total_tokens(state, tools_tokens) <= soft_tokens(state):
                return None
            plan = planned(state, tools_tokens, low_tokens(state))
            return None if plan.empty else plan

    def _request(self, plan: Plan) -> SummaryRequest | None:
        if self._summariser is None:
            return None
        with self._shared.lock:
            return retelling(self._shared.transcript, plan)

    def _narrative(self, plan: Plan) -> str:
        request = self._request(plan)
        if request is None or not hasattr(self._summariser, "summarise"):
            return ""
        try:
            return str(self._summariser.summarise(request))  # type: ignore[union-attr]
        except Exception as error:  # noqa: BLE001 - the notes stand in for any failure
            self._shared.last_error = error
            return ""

    def _finish(self, plan: Plan, narrative: str) -> None:
        shared = self._shared
        with shared.lock:
            state = shared.transcript
            tools = shared.tools[1]
            before = total_tokens(state, tools) if shared.notices else 0
            if shared.asleep or not apply_plan(state, plan, narrative):
                return
            if shared.notices:
                after = total_tokens(state, tools)
                shared.compacted("background", before, after)
                shared.prepared("background", after, tools)
            shared.release_bodies()
            frozen = dumped(state) if shared.archive.clean else None
        shared.publish()
        if frozen is not None:
            try:
                shared.archive.save_state(frozen)
            except StoreError as error:
                shared.last_error = error


def yield_now() -> None:
    """Let other threads run: they would wait for five milliseconds for the interpreter's lock."""
    time.sleep(_PAUSE_S)
