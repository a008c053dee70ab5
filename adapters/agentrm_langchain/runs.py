"""Who called what, and for how long: the tree of LangChain runs, as far as a handler saw it.

Bounded on both sides: of the runs that ended the newest are kept, and of those that never end (some
end events never come) the oldest are forgotten.
"""

from __future__ import annotations

import time
import weakref
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["ChainRun", "Kind", "Node", "Runs"]

Kind = Literal["chain", "model", "retriever", "tool"]
_MAX_LIVE = 20_000  # guessed: more runs at once than any one process has been seen to make


@dataclass(frozen=True, slots=True)
class ChainRun:
    """One run of a chain, node, tool, retriever or model.

    Attributes:
        run_id: LangChain's id of it, as text.
        parent_id: That of the run that called it; None at the root.
        kind: "chain" (a graph's nodes too), "model", "tool" or "retriever".
        name: As in traces.
        agent: For whom it works.
        started_s: When, on the machine's monotonic clock.
        duration_s: Seconds it took; None while it runs.
        outcome: "running", "ok", "error", or "cancelled".
    """

    run_id: str
    parent_id: str | None
    kind: Kind
    name: str
    agent: str
    started_s: float
    duration_s: float | None
    outcome: str


class Node:
    """A run that has not ended."""

    __slots__ = ("agent", "children", "key", "kind", "name", "parent", "root", "started_s", "task")

    def __init__(self, key: int, parent: int | None, kind: Kind, name: str) -> None:
        self.key = key
        self.parent = parent
        self.kind = kind
        self.name = name
        self.root = key
        self.agent = ""
        self.children: set[int] = set()
        self.started_s = time.monotonic()
        self.task: weakref.ref[Any] | None = None


class Runs:
    """The runs of one handler.

    Args:
        capacity: How many ended runs are kept; 0 or more.
    """

    def __init__(self, capacity: int) -> None:
        self.live: dict[int, Node] = {}
        self._ended: deque[tuple[Node, float, str]] = deque(maxlen=capacity)

    def open(self, run_id: UUID, parent_id: UUID | None, kind: Kind, name: str) -> Node:
        """A run began."""
        key = run_id.int
        node = Node(key, None if parent_id is None else parent_id.int, kind, name)
        above = self.live.get(node.parent) if node.parent is not None else None
        if above is not None:
            above.children.add(key)
            node.root = above.root
            node.agent = above.agent
        elif node.parent is not None:  # a run that began before the handler was attached
            node.root = node.parent
        self.live[key] = node
        while len(self.live) > _MAX_LIVE:
            self.close(next(iter(self.live)), "lost")
        return node

    def close(self, key: int, outcome: str) -> Node | None:
        """A run ended; None if nothing is known of it."""
        node = self.live.pop(key, None)
        if node is None:
            return None
        above = self.live.get(node.parent) if node.parent is not None else None
        if above is not None:
            above.children.discard(key)
        self._ended.append((node, time.monotonic() - node.started_s, outcome))
        return node

    def above(self, node: Node) -> Node | None:
        """The nearest run above that works for another agent."""
        found = self.live.get(node.parent) if node.parent is not None else None
        while found is not None and found.agent in {node.agent, ""}:
            found = self.live.get(found.parent) if found.parent is not None else None
        return found

    def look(self) -> tuple[ChainRun, ...]:
        """All that is known, the ended runs first, each in the order of its end or beginning."""
        ended = [_frozen(node, took, outcome) for node, took, outcome in list(self._ended)]
        live = [_frozen(node, None, "running") for node in list(self.live.values())]
        return (*ended, *live)


def _frozen(node: Node, duration_s: float | None, outcome: str) -> ChainRun:
    return ChainRun(
        as_text(node.key),
        None if node.parent is None else as_text(node.parent),
        node.kind,
        node.name,
        node.agent,
        node.started_s,
        duration_s,
        outcome,
    )


def as_text(key: int) -> str:
    """A run id's number in the form in which traces show it."""
    text = f"{key:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
