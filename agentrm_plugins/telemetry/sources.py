"""Where a display gets its events from: a core in this process, a recording, a process elsewhere.

A source never waits: `poll` gives what has come since the last look, and may give nothing.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Protocol, TypeGuard

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.telemetry.answers import answer
from agentrm_plugins.telemetry.changing import ACTIONS, about
from agentrm_plugins.telemetry.reading import Sample
from agentrm_plugins.telemetry.timeline.fleet import readable

__all__ = ["CoreSource", "ReplaySource", "Source", "nearness"]

_AT_ONCE = 20_000  # events of one look: a display stays alive while it catches up
_FASTEST = 100_000.0
_LARGEST = sys.float_info.max
_OVER = "a recording is over; attach to a running process"


class Source(Protocol):
    """What a display reads.

    Attributes:
        title: What it is, for people.
        actions: What can be done: any of "end", "drain", "let_in", "prioritise", "change".
    """

    title: str
    actions: frozenset[str]

    def act(self, what: str, *, agent: str, tenant: str, priority: str = "") -> None:
        """Do something about an agent; may wait for an answer, so not to be called on a loop.

        Raises:
            Exception: It could not be done; the text says why.
        """
        ...

    def change(self, fields: Mapping[str, Any]) -> int:
        """Change lanes, limits, budgets or priorities of what runs; may wait, as `act` may.

        Args:
            fields: Plain data with the configuration's names, laid over what holds.

        Returns:
            How many lanes there are now.

        Raises:
            Exception: It could not be done; the text says why.
        """
        ...

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        ...

    @property
    def dropped(self) -> int:
        """Events that were lost, for nobody read them in time."""
        ...

    def poll(self) -> list[Any]:
        """What has happened since the last look, the oldest first."""
        ...

    def now_s(self) -> float | None:
        """The time on the clock of the events, or None where only they tell it."""
        ...

    def state(self) -> Mapping[str, Any] | None:
        """What was so before the first event: a `Statistics` as plain data, or None."""
        ...

    def fleet(self) -> Mapping[str, Any] | None:
        """How the process stood in its fleet last: a `FleetStatistics` as plain data, or None."""
        ...

    def near(self) -> Mapping[str, float]:
        """By "endpoint|resource": the share of what may go at once that was taken last."""
        ...

    def close(self) -> None:
        """Nobody looks any more."""
        ...


class CoreSource:
    """A core in this process."""

    actions = ACTIONS

    def __init__(self, rm: Any, capacity: int = 50_000) -> None:
        self._rm = rm
        self._stream = rm.events(capacity)
        self._fleet: Any = None
        self._endpoints: Mapping[str, Any] = {}
        self.title = "AgentRM"

    @property
    def ended(self) -> bool:
        """Whether the core is closed and all that it said was read."""
        return bool(self._rm.closed) and not len(self._stream)

    @property
    def dropped(self) -> int:
        """Events that came faster than they were read."""
        return int(self._stream.dropped)

    def poll(self) -> list[Any]:
        """What has happened since the last look."""
        return list(self._stream.drain())

    def now_s(self) -> float | None:
        """The time on the core's clock."""
        if self._rm.closed:
            return None
        seen = self._rm._look(agents=False, brief=True)  # noqa: SLF001 - of one house
        self._fleet, self._endpoints = seen.fleet, seen.endpoints
        return float(seen.at_s)

    def state(self) -> Mapping[str, Any] | None:
        """What goes on already."""
        if self._rm.closed:
            return None
        found: dict[str, Any] = self._rm.statistics().to_dict()
        return found

    def fleet(self) -> Mapping[str, Any] | None:
        """How it stood in its fleet when `now_s` was asked last."""
        return None if self._fleet is None else asdict(self._fleet)

    def near(self) -> Mapping[str, float]:
        """How near its limits were when `now_s` was asked last."""
        return {
            f"{name}|{resource}": rate.proximity
            for name, endpoint in self._endpoints.items()
            for resource, rate in endpoint.rates.items()
        }

    def act(self, what: str, *, agent: str, tenant: str, priority: str = "") -> None:
        """Do something about an agent.

        Raises:
            ConfigError: It is none of `actions`, or the core would not have it.
        """
        answer(self._rm, about(what, agent, tenant, priority))

    def change(self, fields: Mapping[str, Any]) -> int:
        """Change what runs.

        Raises:
            ConfigError: It cannot be so; nothing has changed.
        """
        return int(answer(self._rm, {**fields, "do": "change"})["lanes"])

    def close(self) -> None:
        """End the subscription."""
        self._stream.close()


class ReplaySource:
    """A recording, played again.

    Args:
        events: The events, the oldest first; samples of the core's state may be among them.
        speed: Recorded seconds per second; 10 is ten times as fast.
        clock: For tests: seconds that go on.
        title: What it is, for people.

    Raises:
        ConfigError: A speed that is not above 0, or above 100,000.
    """

    actions: frozenset[str] = frozenset()

    def __init__(
        self,
        events: Iterable[Any],
        *,
        speed: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        title: str = "recording",
    ) -> None:
        self.title, self._clock = title, clock
        self._rest: Iterator[Any] = iter(events)
        self._next: deque[Any] = deque()
        self._speed = 1.0
        self.speed = speed
        self._first_s: float | None = None
        self._played_s = 0.0
        self._looked_s = clock()
        self._done = False
        self._fleet: Mapping[str, Any] | None = None
        self._near: Mapping[str, float] = {}
        self.paused = False

    @property
    def speed(self) -> float:
        """Recorded seconds per second."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        if not 0.0 < speed <= _FASTEST:
            raise ConfigError("speed", speed, f"give a number above 0, at most {_FASTEST:,.0f}")
        self._speed = float(speed)

    @property
    def ended(self) -> bool:
        """Whether the last event was played."""
        return self._done and not self._next

    @property
    def dropped(self) -> int:
        """A recording loses nothing here."""
        return 0

    def poll(self) -> list[Any]:
        """The events whose time has come."""
        now_s = self._clock()
        if not self.paused:
            self._played_s += (now_s - self._looked_s) * self._speed
        self._looked_s = now_s
        found: list[Any] = []
        while len(found) < _AT_ONCE:
            event = self._peek()
            if event is None or _at(event) - (self._first_s or 0.0) > self._played_s:
                break
            played = self._next.popleft()
            if isinstance(played, Sample):
                self._fleet = readable(played.state.get("fleet"))
                self._near = nearness(played.state)
            else:
                found.append(played)
        return found

    def _peek(self) -> Any | None:
        if not self._next and not self._done:
            event = next(self._rest, None)
            if event is None:
                self._done = True
            else:
                if self._first_s is None:
                    self._first_s = _at(event)
                self._next.append(event)
        return self._next[0] if self._next else None

    def now_s(self) -> float | None:
        """How far it was played, on the recorded clock."""
        if self._first_s is None or self.ended:
            return None
        behind = _at(self._next[0]) if self._next else self._first_s + self._played_s
        return min(self._first_s + self._played_s, behind)

    def state(self) -> Mapping[str, Any] | None:
        """A recording tells everything by its events."""
        return None

    def fleet(self) -> Mapping[str, Any] | None:
        """How it stood in its fleet, by the last sample that was played."""
        return self._fleet

    def near(self) -> Mapping[str, float]:
        """How near its limits were, by the last sample that was played."""
        return self._near

    def act(self, what: str, *, agent: str, tenant: str, priority: str = "") -> None:
        """Nothing can be done about the past.

        Raises:
            ConfigError: Always.
        """
        del agent, tenant, priority
        raise ConfigError("what", what, _OVER)

    def change(self, fields: Mapping[str, Any]) -> int:
        """Nor can the past be changed.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError("change", sorted(fields), _OVER)

    def close(self) -> None:
        """Nothing is to be let go of."""


def nearness(state: object) -> dict[str, float]:
    """By "endpoint|resource" the proximity, of a `Statistics` as plain data.

    It may be another release's, or damaged: what is not as it should be is left out.
    """
    return {
        f"{name}|{resource}": float(share)
        for name, endpoint in _held(state, "endpoints").items()
        for resource, rate in _held(endpoint, "rates").items()
        if isinstance(rate, Mapping) and _is_number(share := rate.get("proximity"))
    }


def _held(one: object, name: str) -> Mapping[str, Any]:
    """The object that one holds under a name; an empty one where there is none."""
    found = one.get(name) if isinstance(one, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _is_number(value: object) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= _LARGEST


def _at(event: Any) -> float:
    return float(event["at_s"] if isinstance(event, dict) else event.at_s)
