"""One turn: archive what is new, recall for the new task, fit the budget, put the request together.

The request's tokens are counted once, after what is new was taken in, and again only where a
compaction changed them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from agentrm_plugins.context.live.refusals import note_refusal, note_success
from agentrm_plugins.context.live.shared import Shared
from agentrm_plugins.context.plan.alternate import alternating, saved
from agentrm_plugins.context.plan.bodies import Source
from agentrm_plugins.context.plan.compaction import fit_now, made_room
from agentrm_plugins.context.plan.counts import count_for, counted_again
from agentrm_plugins.context.plan.planning import spare_tokens, total_tokens
from agentrm_plugins.context.plan.recalls import drop_answered, drop_past, owe, pay_back
from agentrm_plugins.context.plan.shares import low_tokens, recall_room
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.context.plan.view import Pressure, View, composed, line_tokens, with_line
from agentrm_plugins.errors import StoreError, StoreFenced
from agentrm_plugins.types.message import Message

__all__ = ["Turn", "pressure_of"]


def pressure_of(state: Transcript, total: int) -> Pressure:
    """Say how full the window is with `total` tokens as counted here."""
    messages = len(state.entries)
    return Pressure(
        state.charged(total), state.most, messages, min(messages, state.first_hot),
        state.compactions,
    )  # fmt: skip


@dataclass(slots=True)
class Turn:
    """A turn that is being taken; the session's lock is held.

    Args:
        shared: The session.
        messages: The caller's whole history.
        tools_tokens: Of the tools sent along.
        total: Tokens of the request as it would be sent now.
        new: Whether the history holds messages that were not known.
    """

    shared: Shared
    messages: Sequence[Source]
    tools_tokens: int = 0
    total: int = 0
    new: bool = False

    def take(self, tools: Sequence[Any], now_s: float, model: str | None = None) -> None:
        """Take in the history and archive what is new, counted for the model that is called.

        Raises:
            StoreFenced: Another owner has the session: none of this turn was archived.
        """
        shared = self.shared
        state = shared.transcript
        archived = len(state.entries) - len(shared.archive.waiting)
        count_for(state, model)
        fresh = state.take(self.messages, now_s)
        self.new = bool(fresh)
        counted_again(state, self.messages)
        if state.rewound is not None:
            archived = min(archived, state.rewound + state.left)
        shared.archive.take(fresh, state.rewound, archived)
        if state.rewound is not None:
            shared.recaller.rewind(state.rewound)
        try:
            shared.archive.flush()
        except StoreFenced:
            raise
        except StoreError as error:
            self._refused(error)
        else:
            note_success(shared.archive.store)
        state.repairs += shared.archive.aside
        shared.archive.aside = []
        key = (state.counter.model, *map(id, tools))
        if shared.tools[0] != key:
            shared.tools = (key, state.counter.tools(tools))
        self.tools_tokens = state.tools_tokens = shared.tools[1]

    def view(self) -> View:
        """Fit the request into the budget and put it together."""
        self._count()
        self._fit()
        self._recall_for_task()
        self._fit()
        self.shared.transcript.repairs += self.shared.recaller.news()
        made = self._composed()
        self.shared.release_bodies()
        return made

    def _count(self) -> None:
        self.total = total_tokens(self.shared.transcript, self.tools_tokens)

    def _fit(self) -> None:
        state = self.shared.transcript
        if self.total > state.budget:
            before, made = self.total, state.compactions
            fit_now(state, self.tools_tokens, low_tokens(state))
            self._count()
            if state.compactions != made:
                self.shared.compacted("turn", before, self.total)

    def _recall_for_task(self) -> None:
        """Look up what the newest user message asks about, and put it before that message."""
        shared, state = self.shared, self.shared.transcript
        task = state.task
        self._dropping(drop_answered)
        if task is None or task <= state.asked or not recall_room(state):
            return
        state.asked = task
        pay_back(state)
        self._dropping(drop_past)
        if not (state.first_hot > 0 or state.replaced):
            return
        try:
            shared.index_hidden()
            recalled = shared.recaller.for_task(state, task, spare_tokens(state, self.total))
            if recalled is not None and made_room(state, recalled, self.tools_tokens, self.total):
                self._count()
                shared.index_hidden()
                spare = state.budget - self.total
                recalled = shared.recaller.for_task(state, task, spare, least=False)
        except StoreError as error:
            self._refused(error)
            return
        if shared.recaller.failed is not None:
            shared.last_error, shared.recaller.failed = shared.recaller.failed, None
            state.repairs.append(
                f"recall: by words alone; the semantic index: {shared.last_error!r}"
            )
        if recalled is not None:
            state.recalls.append(recalled)
            owe(state, recalled.tokens)
            self.total += recalled.tokens
            shared.recalled("task", recalled.tokens)

    def _dropping(self, drop: Callable[[Transcript], None]) -> None:
        """Let go of recalled passages, and of their tokens."""
        state = self.shared.transcript
        before = sum(recalled.tokens for recalled in state.recalls)
        drop(state)
        self.total += sum(recalled.tokens for recalled in state.recalls) - before

    def _refused(self, error: StoreError) -> None:
        shared = self.shared
        shared.last_error = error
        note_refusal(shared.archive.store, error)
        if shared.transcript.config.on_store_error == "raise":
            raise error
        waiting = len(shared.archive.waiting)
        shared.transcript.repairs.append(
            f"archive: {error}; {waiting} messages stay in memory and are tried again next turn"
        )

    def _composed(self) -> View:
        state = self.shared.transcript
        items, mended = composed(state, self.messages)
        self.total -= line_tokens(state)
        pressure = pressure_of(state, self.total)
        if state.config.pressure_line:
            line = Message(state.config.summary_role, pressure.line())
            without, items = len(items), with_line(items, line)
            self.total += state.counter.message(line) * (len(items) - without)
        if state.config.alternate or state.takes_turns:
            apart, items = items, alternating(items)
            self.total += saved(apart, items, state.counter)
        state.sent += self.total if self.new else 0  # the same list again moves nothing
        recalled = state.charged(sum(r.tokens for r in state.recalls))
        dicts = not self.messages or not isinstance(self.messages[0], Message)
        repairs = (*state.repairs, *mended)
        return View(
            tuple(items), state.charged(self.total), recalled, repairs, pressure, as_dicts=dicts
        )
