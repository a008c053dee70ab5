"""What is seen of a running side. The managed one stands on `statistics()` and `events()`."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agentrm_plugins.demo.telling import told
from agentrm_plugins.events import Suspected

if TYPE_CHECKING:
    from agentrm_plugins import AgentRM, ContextLifecycle
    from agentrm_plugins.demo.agents import Agent
    from agentrm_plugins.demo.settings import DemoSettings
    from agentrm_plugins.events import EventStream
    from agentrm_plugins.testing.provider import SimulatedProvider

__all__ = ["Board", "ManagedBoard", "UnmanagedBoard"]

_HUNG_S = 20.0  # model seconds: the longest healthy call here takes 16
_RATES = 240  # looks that the curve remembers
_EVENTS = 40


@dataclass(slots=True)
class Board:
    """One moment of one side."""

    title: str
    settings: DemoSettings
    agents: list[Agent]
    started_s: float = 0.0
    elapsed_s: float = 0.0
    ended: bool = False
    in_use: int = 0
    waiting: int = 0
    refusals: int = 0
    lanes_peak: int = 0
    second_attempts: int = 0
    states: dict[str, str] = field(default_factory=dict)
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=_RATES))
    events: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=_EVENTS))
    effects: list[Any] = field(default_factory=list)
    provider: SimulatedProvider | None = None
    _dead: set[str] = field(default_factory=set)

    @property
    def finished(self) -> int:
        """Turns finished."""
        return sum(agent.finished for agent in self.agents)

    @property
    def hung(self) -> int:
        """Agents that wait for a call which does not come back."""
        return sum(state == "HUNG" for state in self.states.values())

    @property
    def died(self) -> int:
        """Agents that died of an error."""
        return sum(bool(agent.died) for agent in self.agents)

    def tell(self, text: str) -> None:
        """Add a line to the log of what matters."""
        self.events.append((self.elapsed_s, text))

    def refresh(self) -> None:
        """Look again."""
        if self.ended or not self.started_s:
            return
        self.elapsed_s = time.monotonic() - self.started_s
        if self.provider is not None:
            self.refusals = self.provider.statistics().rejected
        self.look()
        for agent in self.agents:
            if agent.died and agent.name not in self._dead:
                self._dead.add(agent.name)
                self.states[agent.name] = "DIED"
                self.tell(f"{agent.name} died of {agent.died}")

    def look(self) -> None:
        """Read what this side knows."""

    def _state(self, agent: Agent, running: int, waiting: int, age_s: float) -> str:
        if agent.died:
            return "DIED"
        if running and age_s > _HUNG_S * self.settings.time_scale:
            return "HUNG"
        return "runs" if running else "waits" if waiting else agent.state


@dataclass(slots=True)
class UnmanagedBoard(Board):
    """Counts what passes the shared semaphore: nobody else knows."""

    running: dict[str, list[float]] = field(default_factory=dict)
    queued: dict[str, int] = field(default_factory=dict)
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    @asynccontextmanager
    async def place(self, gate: asyncio.Semaphore, name: str) -> AsyncIterator[None]:
        """Wait for a place of the semaphore, and hold it for the block."""
        self.queued[name] = self.queued.get(name, 0) + 1
        try:
            await gate.acquire()
        finally:
            self.queued[name] -= 1
        began = self.running.setdefault(name, [])
        began.append(time.monotonic())
        mine = began[-1]
        self.lanes_peak = max(self.lanes_peak, sum(map(len, self.running.values())))
        try:
            yield
        finally:
            began.remove(mine)
            gate.release()

    def look(self) -> None:
        """Count who runs, who waits, and the tokens that come through."""
        now_s = time.monotonic()
        self.in_use = sum(map(len, self.running.values()))
        self.waiting = sum(self.queued.values())
        for agent in self.agents:
            began = self.running.get(agent.name) or []
            age_s = now_s - min(began, default=now_s)
            waits = self.queued.get(agent.name, 0)
            before = self.states.get(agent.name)
            self.states[agent.name] = self._state(agent, len(began), waits, age_s)
            if self.states[agent.name] == "HUNG" != before:
                self.tell(f"{agent.name} hangs: its place is held until the timeout")
        if self.provider is not None:
            seen = self.provider.statistics()
            self._marks.append((now_s, seen.input_tokens + seen.output_tokens))
            while self._marks[0][0] < now_s - 1.0:
                self._marks.popleft()
            (then_s, before_), (_, now) = self._marks[0], self._marks[-1]
            per_min = (now - before_) / max(now_s - then_s, 0.2) * 60 * self.settings.time_scale
            self.rates.append(per_min)


@dataclass(slots=True)
class ManagedBoard(Board):
    """What the core itself tells."""

    rm: AgentRM | None = None
    stream: EventStream | None = None
    context: ContextLifecycle | None = None
    _compacted: dict[str, int] = field(default_factory=dict)
    _recalled: set[str] = field(default_factory=set)

    def look(self) -> None:
        """Read the statistics and what has happened since."""
        if self.rm is None or self.stream is None:
            return
        seen = self.rm.statistics()
        self.in_use, self.waiting = seen.lanes_in_use, seen.waiting
        self.lanes_peak = seen.lanes_peak
        oldest: dict[str, float] = {}
        for call in seen.calls:
            oldest[call.agent] = max(oldest.get(call.agent, 0.0), call.age_s)
        for agent in self.agents:
            found = seen.agents.get(agent.name)
            runs, waits = (found.running, found.waiting) if found else (0, 0)
            age_s = oldest.get(agent.name, 0.0)
            self.states[agent.name] = self._state(agent, runs, waits, age_s)
        allowed = [
            rate.allowed_per_min
            for endpoint in seen.endpoints.values()
            for name, rate in endpoint.rates.items()
            if name == "tokens" and rate.allowed_per_min is not None
        ]
        if allowed:
            self.rates.append(sum(allowed) * self.settings.time_scale)
        self._read_events()
        self._read_context()

    def _read_events(self) -> None:
        assert self.stream is not None  # noqa: S101 - given when it was made
        for event in self.stream:
            self.effects.append(event)
            self.second_attempts += isinstance(event, Suspected)
            text = told(event, self.settings.time_scale)
            if text:
                self.tell(text)

    def _read_context(self) -> None:
        for key, pressure in (self.context.statistics() if self.context else {}).items():
            name, count = key.session, pressure.compactions
            if count > self._compacted.get(name, 0):
                self._compacted[name] = count
                self.tell(
                    f"{name} compacted: {pressure.archived} messages archived, window "
                    f"{pressure.utilisation:.0%} full"
                )
        for agent in self.agents:
            if agent.remembered and agent.name not in self._recalled:
                self._recalled.add(agent.name)
                self.tell(f"{agent.name} recalled what it was told at the beginning")
