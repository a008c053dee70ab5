"""Which messages move together, and what is mended so that a provider takes the transcript.

Rules: a tool call and all its results are one group, sent side by side. Stated repairs: a result
without its call is not sent; a call without its result gets one that says so; a second result for
one call is not sent; a result that arrived late is sent beside its call; an assistant message with
neither text nor calls is not sent. Whatever is not sent stays in the archive.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentrm_plugins.context.plan.transcript import Entry

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
    def is_tool_step(self) -> bool:
        """Whether the model called tools in it."""
        return bool(self.members[0].calls)


@dataclass(slots=True)
class Grouping:
    """All groups in order; places that are not sent, each with the reason."""

    groups: list[Group]
    left_out: dict[int, str]


def grouped(entries: Iterable[Entry]) -> Grouping:
    """Group a stretch of a conversation."""
    groups: list[Group] = []
    left_out: dict[int, str] = {}
    waiting: dict[str, Group] = {}
    answered: set[str] = set()
    for entry in entries:
        if entry.answers is not None or entry.role == "tool":
            call = entry.answers or ""
            group = waiting.pop(call, None)
            if group is not None:
                group.members.append(entry)
                group.unanswered.remove(call)
                answered.add(call)
            elif call in answered:
                left_out[entry.seq] = f"a second result for call {call!r} is not sent"
            else:
                left_out[entry.seq] = f"a result without its call {call!r} is not sent"
        elif entry.role == "assistant" and entry.empty:
            left_out[entry.seq] = "an assistant message with neither text nor calls is not sent"
        else:
            group = Group([entry], list(entry.calls))
            groups.append(group)
            for call in entry.calls:
                waiting[call] = group
                answered.discard(call)
    return Grouping(groups, left_out)


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
