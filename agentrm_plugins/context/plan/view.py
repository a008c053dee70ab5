"""The request as it is sent: system prompt, notes, the pinned task, the hot messages.

Prefix: what stands first changes least. Notes are appended to; recalled passages stand right before
the user message that they were looked up for and stay there until the next compaction, so between
two compactions a request begins with the one before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentrm_plugins.context.plan.bodies import Source
from agentrm_plugins.context.plan.entry import Entry
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.context.plan.warm import refresh
from agentrm_plugins.types.message import LEGACY, Message

__all__ = ["Pressure", "View", "composed", "line_tokens", "no_result", "with_line"]

NO_RESULT = "[no result was recorded for this call]"


@dataclass(frozen=True, slots=True)
class Pressure:
    """How full a session's window is.

    Args:
        used_tokens: Of the request as it is sent.
        budget_tokens: The most that it may hold.
        messages: Of the session, in all.
        archived: Of them, no longer sent as they are.
        compactions: Made so far.
    """

    used_tokens: int
    budget_tokens: int
    messages: int
    archived: int
    compactions: int

    @property
    def utilisation(self) -> float:
        """Used share of the budget, 0 to 1."""
        return self.used_tokens / self.budget_tokens

    def line(self) -> str:
        """Say it in one line for the model; the share in steps of 10 %, so that it holds longer."""
        step = round(self.utilisation * 10) * 10
        return (
            f"[Context window about {step} % full; {self.archived} earlier messages are archived "
            "and can be searched with recall.]"
        )


@dataclass(slots=True)
class Item:
    """One message of a view: the caller's own (`source`, at `index`), or one of ours."""

    message: Message | None
    source: Source | None
    index: int | None
    kind: str


@dataclass(frozen=True, slots=True)
class View:
    """What to send.

    Args:
        items: Message by message, with where each comes from.
        tokens: Count of the whole request, tools included.
        recall_tokens: Of them, recalled passages.
        repairs: What was mended or is wrong with the archive, in words.
        pressure: How full the window is.
    """

    items: tuple[Item, ...]
    tokens: int
    recall_tokens: int
    repairs: tuple[str, ...]
    pressure: Pressure
    as_dicts: bool = True

    @property
    def messages(self) -> list[Any]:
        """The list to send: the caller's own objects where unchanged, new ones elsewhere."""
        return [item.source if item.source is not None else self._made(item) for item in self.items]

    def _made(self, item: Item) -> Any:
        if item.message is None:  # pragma: no cover - an item is one or the other
            raise AssertionError("an item without message and source")
        return item.message.to_openai() if self.as_dicts else item.message


def composed(session: Transcript, messages: Sequence[Source]) -> tuple[list[Item], list[str]]:
    """Put the request together; give its items and the repairs made to the transcript."""
    refresh(session)
    role = session.config.summary_role
    items = [
        Item(message, source, at, "system")
        for at, (message, source) in enumerate(
            zip(session.system, session.system_sources, strict=True)
        )
    ]
    items += [Item(Message(role, e.text), None, None, "notes") for e in session.episodes if e.text]
    recalled = {r.anchor: r for r in session.recalls}
    if session.pinned is not None and session.pinned < session.first_hot:
        items += _user(session, session.entries[session.pinned], messages, recalled)
    grouping, replaced = session.grouping, session.replaced
    shift, size = session.shift, len(messages)
    for group in grouping.groups:
        for entry in group.members:
            at = entry.seq - shift
            if entry.seq in replaced or entry.seq in recalled or not 0 <= at < size:
                items += _user(session, entry, messages, recalled)
            else:  # nearly all: no call for each
                items.append(Item(entry.message, messages[at], at, "hot"))
        if group.unanswered:
            items += [
                Item(no_result(group.members[0], call), None, None, "repair")
                for call in group.unanswered
            ]
    repairs = [f"message {seq}: {why}" for seq, why in grouping.left_out.items()]
    repairs += [
        f"message {group.first}: call {call!r} has no result; one that says so is sent"
        for group in grouping.groups
        for call in group.unanswered
    ]
    return items, repairs


def _user(
    session: Transcript, entry: Entry, messages: Sequence[Source], recalled: Mapping[int, Any]
) -> list[Item]:
    items = []
    if entry.seq in recalled:
        text = recalled[entry.seq].text
        items.append(Item(Message(session.config.summary_role, text), None, None, "recall"))
    items.append(_item(session, entry, messages))
    return items


def _item(session: Transcript, entry: Entry, messages: Sequence[Source]) -> Item:
    at = entry.seq - session.shift
    replaced = session.replaced.get(entry.seq)
    if replaced is None:
        if 0 <= at < len(messages):
            return Item(entry.message, messages[at], at, "hot")
        return Item(entry.message, None, None, "hot")
    name = entry.message.name if entry.message is not None else None
    answers = None if entry.role == "function" else entry.answers
    return Item(
        Message(entry.role, replaced.text, name, replaced.calls, answers), None, at, replaced.kind
    )


def no_result(asking: Entry, call: str) -> Message:
    """Say that a call has no result, in the form of one."""
    if asking.message is not None and call.startswith(LEGACY):
        return Message("function", NO_RESULT, call.partition(":")[2])
    return Message("tool", NO_RESULT, None, (), call)


def line_tokens(session: Transcript) -> int:
    """Count the room that is kept for the pressure line at its longest; 0 without one."""
    if not session.config.pressure_line:
        return 0
    if session.line_tokens is None:
        longest = Pressure(1, 1, 0, 10_000_000, 0).line()
        made = Message(session.config.summary_role, longest)
        session.line_tokens = session.counter.message(made)
    return session.line_tokens


def with_line(items: Sequence[Item], line: Message) -> list[Item]:
    """Put the pressure line before the newest user message, where it moves with each task."""
    listed = list(items)
    for at in range(len(listed) - 1, -1, -1):
        message = listed[at].message
        if listed[at].kind == "hot" and message is not None and message.role == "user":
            listed.insert(at, Item(line, None, None, "pressure"))
            return listed
    return listed
