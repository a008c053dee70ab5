"""What is seen of a running side. The managed one stands on `statistics()` and `events()`."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentrm_plugins.demo.agents import Agent

if TYPE_CHECKING:
    from agentrm_plugins import AgentRM
    from agentrm_plugins.hosts import EventStream
    from agentrm_plugins.testing.provider import SimulatedProvider

__all__ = ["Board", "ManagedBoard", "UnmanagedBoard"]

_TOLD = {"Granted", "Refused", "Demoted", "Boosted", "Reaped"}
_EVENTS = 8


@dataclass(slots=True)
class Board:
    """One moment of one side."""

    title: str
    lanes: int
    agents: Sequence[Agent]
    in_use: int = 0
    depth: tuple[int, ...] = (0,)
    tokens_per_s: tuple[float, ...] = ()
    states: dict[str, str] = field(default_factory=dict)
    events: deque[str] = field(default_factory=lambda: deque(maxlen=_EVENTS))
    elapsed_s: float = 0.0

    @property
    def progress(self) -> tuple[int, int, int]:
        """Turns finished, failed, and in all."""
        return (
            sum(agent.finished for agent in self.agents),
            sum(agent.failed for agent in self.agents),
            sum(agent.total for agent in self.agents),
        )

    def refresh(self, elapsed_s: float) -> None:
        """Look again."""
        self.elapsed_s = elapsed_s


@dataclass(slots=True)
class UnmanagedBoard(Board):
    """Counts what passes the shared semaphore: nobody else knows."""

    provider: SimulatedProvider | None = None
    running: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, counts: dict[str, int], name: str, change: int) -> None:
        """A call of this agent began (+1) or ended (-1) to wait or to run."""
        counts[name] = counts.get(name, 0) + change

    def refresh(self, elapsed_s: float) -> None:
        """Look again."""
        self.elapsed_s = elapsed_s
        self.in_use = sum(self.running.values())
        self.depth = (sum(self.waiting.values()),)
        for agent in self.agents:
            runs, waits = self.running.get(agent.name, 0), self.waiting.get(agent.name, 0)
            self.states[agent.name] = _state(agent, runs, waits)
        if self.provider is not None:
            seen = self.provider.statistics()
            self._marks.append((elapsed_s, seen.input_tokens + seen.output_tokens))
            while self._marks[0][0] < elapsed_s - 10:
                self._marks.popleft()
            (then_s, before), (now_s, now) = self._marks[0], self._marks[-1]
            self.tokens_per_s = ((now - before) / max(now_s - then_s, 1.0),)


@dataclass(slots=True)
class ManagedBoard(Board):
    """What the core itself tells."""

    rm: AgentRM | None = None
    stream: EventStream | None = None

    def refresh(self, elapsed_s: float) -> None:
        """Look again."""
        assert self.rm is not None  # noqa: S101 - given when it was made
        assert self.stream is not None  # noqa: S101 - the same
        self.elapsed_s = elapsed_s
        seen = self.rm.statistics()
        self.in_use, self.depth = seen.lanes_in_use, seen.queue_depth
        rates = seen.tokens_per_s
        self.tokens_per_s = (rates.last_1_s, rates.last_10_s, rates.last_60_s)
        for agent in self.agents:
            found = seen.agents.get(agent.name)
            if found is None:
                self.states[agent.name] = _state(agent, 0, 0)
            else:
                state = _state(agent, found.running, found.waiting)
                self.states[agent.name] = f"Q{found.level} {state}"
        for event in self.stream:
            kind = type(event).__name__
            if kind in _TOLD:
                who = event.agent or "everybody"
                ticket = f" call {event.ticket}" if event.ticket else ""
                self.events.append(f"{kind.lower():8} {who}{ticket} ({event.cause})")


def _state(agent: Agent, running: int, waiting: int) -> str:
    words = []
    if running:
        words.append(f"runs {running}")
    if waiting:
        words.append(f"waits {waiting}")
    return ", ".join(words) or agent.state
