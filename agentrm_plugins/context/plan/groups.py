"""Which messages move together, and what is mended so that a provider takes the transcript.

Rules: a tool call and all its results are one group, sent side by side. Stated repairs: a result
without its call is not sent; a call without its result gets one that says so; a second result for
one call is not sent; a result that arrived late is sent beside its call; an assistant message with
neither text nor calls is not sent. Calls and approvals in content blocks (`asks`) are kept with
their answers, and get none made up. Ids may be empty or come again: results are given to the calls
of one id in their order. Whatever is not sent stays in the archive.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from agentrm_plugins.context.plan.asks import approvals_of, asked_in_blocks, only_approves
from agentrm_plugins.context.plan.entry import Entry

__all__ = ["Group", "Grouping", "grouped", "prefix_borders"]


@dataclass(slots=True)
class Group:
    """Messages that are sent or compacted together, in the order in which they are sent."""

    members: list[Entry]
    unanswered: list[str] = field(default_factory=list)

    @property
    def first(self) -> int:
        """Its first place."""
        return self.members[0].seq

    @property
    def results(self) -> list[Entry]:
        """The results of its tool calls, which may be shortened; a screenshot's form is fixed."""
        called = set(self.members[0].calls)
        return [entry for entry in self.members[1:] if entry.answers in called]

    @property
    def is_tool_step(self) -> bool:
        """Whether the model called tools in it."""
        return bool(self.members[0].calls)


class _Open:
    """The calls that wait for their results. Ids may be empty, and may come again."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Group]] = {}
        self._answered: set[str] = set()

    def ask(self, group: Group, asked: Iterable[str]) -> None:
        """A group asks: whoever waits under the same ids has waited in vain."""
        numbers = list(asked)
        for number in numbers:
            self._waiting[number] = []
            self._answered.discard(number)
        for number in numbers:
            self._waiting[number].append(group)

    def take(self, number: str) -> Group | None:
        """Give the group that this result belongs to; the call waits no longer."""
        waiting = self._waiting.get(number)
        if not waiting:
            return None
        self._answered.add(number)
        group = waiting.pop(0)
        if number in group.unanswered:
            group.unanswered.remove(number)
        return group

    def was_answered(self, number: str) -> bool:
        """Whether there was a result already."""
        return number in self._answered


class Grouping:
    """All groups in order; places that are not sent, each with the reason.

    Messages are added at the end, so that a turn groups only what is new.
    """

    __slots__ = ("_waiting", "groups", "left_out")

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.left_out: dict[int, str] = {}
        self._waiting = _Open()

    def add(self, entry: Entry) -> None:
        """Take in the next message."""
        approved = approvals_of(entry.message) if entry.role == "user" else []
        if entry.answers is not None or entry.role == "tool":
            self._answer(entry, entry.answers or "")
        elif approved:
            self._approve(entry, approved)
        elif entry.role == "assistant" and entry.empty:
            why = "an assistant message with neither text nor calls is not sent"
            self.left_out[entry.seq] = why
        else:
            group = Group([entry], list(entry.calls))
            self.groups.append(group)
            if entry.role == "assistant":
                self._waiting.ask(group, (*entry.calls, *asked_in_blocks(entry.message)))

    def _answer(self, entry: Entry, call: str) -> None:
        group = self._waiting.take(call)
        if group is not None:
            group.members.append(entry)
        elif self._waiting.was_answered(call):
            self.left_out[entry.seq] = f"a second result for call {call!r} is not sent"
        else:
            self.left_out[entry.seq] = f"a result without its call {call!r} is not sent"

    def _approve(self, entry: Entry, approved: list[str]) -> None:
        asking = [group for group in map(self._waiting.take, approved) if group is not None]
        if asking:
            asking[0].members.append(entry)
        elif only_approves(entry.message):
            why = f"an approval without its request {approved[0]!r} is not sent"
            self.left_out[entry.seq] = why
        else:
            self.groups.append(Group([entry]))


def grouped(entries: Iterable[Entry]) -> Grouping:
    """Group a stretch of a conversation."""
    made = Grouping()
    for entry in entries:
        made.add(entry)
    return made


def prefix_borders(groups: list[Group]) -> list[int]:
    """Give the counts of oldest groups that may leave without parting any other group."""
    borders = []
    highest = -1
    lowest_after = [0] * (len(groups) + 1)
    lowest_after[-1] = 1 << 62
    for at in range(len(groups) - 1, -1, -1):
        lowest_after[at] = min(lowest_after[at + 1], *(e.seq for e in groups[at].members))
    for at, group in enumerate(groups, start=1):
        highest = max(highest, *(e.seq for e in group.members))
        if highest < lowest_after[at]:
            borders.append(at)
    return borders
