"""A call on its way, its story, and the slowest of those that are over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heappush, heapreplace
from typing import Any, NamedTuple

from agentrm_plugins.telemetry.timeline.words import said

__all__ = ["OpenCall", "Slowest", "Told", "as_row"]

_STORY = 60  # lines of one call's story; what comes between the first and the last half is counted


class Told(NamedTuple):
    """An event as it came, and when; `name` is its kind's."""

    second: float
    name: str
    fields: Mapping[str, Any]

    def words(self) -> str:
        """What it tells."""
        return said(self.name, self.fields)

    def who(self) -> str:
        """Of whom it tells: an agent, an endpoint, or everybody."""
        return str(self.fields.get("agent") or self.fields.get("endpoint") or "everybody")


@dataclass(slots=True)
class OpenCall:
    """One call that waits or runs. Times in seconds since the beginning."""

    ticket: int
    agent: str
    key: str
    tenant: str = "default"
    kind: str = ""
    group: str = ""
    endpoint: str = ""
    label: str = ""
    begun_s: float = 0.0
    granted_s: float | None = None
    row: str = ""
    attempt: int = 1
    waited_s: float = 0.0
    held_s: float = 0.0
    wait_s: float = 0.0
    late_s: float | None = None
    waits: bool = False
    why: str = ""
    nested: bool = False
    lent: bool = False
    level: int = 0
    reaped: bool = False
    beats: int = 0
    tokens: int = 0
    story: list[Told] = field(default_factory=list)
    skipped: int = 0

    def tell(self, told: Told) -> None:
        """One more line of its story; it is put into words when somebody reads it."""
        if len(self.story) >= _STORY:
            del self.story[_STORY // 2]
            self.skipped += 1
        self.story.append(told)

    def lines(self) -> list[list[Any]]:
        """Its story as (second, text), with a line where some were left out."""
        told: list[list[Any]] = [[round(one.second, 3), one.words()] for one in self.story]
        if self.skipped:
            half = _STORY // 2
            told.insert(half, [told[half - 1][0], f"... {self.skipped} more ..."])
        return told


class Slowest:
    """The `most` calls that took longest, from asking to the end, with their stories."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._heap: list[tuple[float, int, float, str, OpenCall]] = []
        self._count = 0

    def add(self, call: OpenCall, end_s: float, kind: str) -> None:
        """A call is over."""
        took_s = end_s - call.begun_s
        full = len(self._heap) >= self.most
        if full and took_s <= self._heap[0][0]:
            return
        self._count += 1
        (heapreplace if full else heappush)(self._heap, (took_s, self._count, end_s, kind, call))

    def rows(self, since_s: float = 0.0) -> list[dict[str, Any]]:
        """The slowest first, of those that ended after `since_s`."""
        found = [entry for entry in self._heap if entry[2] >= since_s]
        found.sort(key=lambda entry: (-entry[0], entry[1]))
        return [as_row(call, end_s, kind) for _, _, end_s, kind, call in found]


def as_row(call: OpenCall, now_s: float, kind: str) -> dict[str, Any]:
    """One call with its story, as plain data; of an open one with what it waits or holds by now."""
    waited_s, held_s = call.waited_s, call.held_s
    if kind == "open" and call.waits:
        waited_s += now_s - call.wait_s
    elif kind == "open" and call.row and call.granted_s is not None:
        held_s += now_s - call.granted_s
    return {
        "ticket": call.ticket,
        "agent": call.key,
        "class": call.kind,
        "endpoint": call.endpoint,
        "label": call.label,
        "kind": kind,
        "begin": round(call.begun_s, 3),
        "end": round(now_s, 3),
        "took": round(now_s - call.begun_s, 3),
        "waited": round(waited_s, 3),
        "held": round(held_s, 3),
        "attempts": call.attempt,
        "story": call.lines(),
    }
