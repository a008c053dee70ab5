"""A call on its way, its story, and the slowest of those that are over."""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappush, heapreplace
from typing import Any

__all__ = ["OpenCall", "Slowest", "as_row"]

_STORY = 60  # lines of one call's story; what comes between the first and the last half is counted


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
    story: list[tuple[float, str]] = field(default_factory=list)
    skipped: int = 0

    def tell(self, second: float, text: str) -> None:
        """One more line of its story."""
        if len(self.story) >= _STORY:
            del self.story[_STORY // 2]
            self.skipped += 1
        self.story.append((round(second, 3), text))

    def lines(self) -> list[list[Any]]:
        """Its story as (second, text), with a line where some were left out."""
        told: list[list[Any]] = [[second, text] for second, text in self.story]
        if self.skipped:
            half = _STORY // 2
            told.insert(half, [told[half - 1][0], f"... {self.skipped} more ..."])
        return told


class Slowest:
    """The `most` calls that took longest, from asking to the end, with their stories."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._heap: list[tuple[float, int, dict[str, Any]]] = []
        self._count = 0

    def add(self, call: OpenCall, end_s: float, kind: str) -> None:
        """A call is over."""
        took_s = end_s - call.begun_s
        full = len(self._heap) >= self.most
        if full and took_s <= self._heap[0][0]:
            return
        self._count += 1
        entry = took_s, self._count, as_row(call, end_s, kind)
        (heapreplace if full else heappush)(self._heap, entry)

    def rows(self, since_s: float = 0.0) -> list[dict[str, Any]]:
        """The slowest first, of those that ended after `since_s`."""
        found = [row for _, _, row in self._heap if row["end"] >= since_s]
        return sorted(found, key=lambda row: -row["took"])


def as_row(call: OpenCall, now_s: float, kind: str) -> dict[str, Any]:
    """One call with its story, as plain data."""
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
        "waited": round(call.waited_s, 3),
        "held": round(call.held_s, 3),
        "attempts": call.attempt,
        "story": call.lines(),
    }
