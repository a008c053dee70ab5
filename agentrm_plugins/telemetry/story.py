"""Why a call waited: each thing that happened to it, the reason, and how its time was spent.

Law: between two of its events a call is in one state, so its time divides exactly: waiting for
    something (by the cause of its last `Queued` or `Throttled`) and running.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from agentrm_plugins.telemetry.lines import plain_event
from agentrm_plugins.telemetry.timeline.words import said, span_of
from agentrm_plugins.types.call_statistics import FOR_LANES
from agentrm_plugins.types.checks import check_whole
from agentrm_plugins.types.effects import (
    Demoted,
    Effect,
    Granted,
    Queued,
    Reaped,
    Refused,
    Requeued,
    Settled,
    Submitted,
    Throttled,
)

__all__ = ["Story", "story_of", "waits_of"]

_ENDS = (Settled, Reaped, Refused)


class _Division:
    """The time of one call, divided as its events come in."""

    __slots__ = ("_since_s", "_state", "agent", "spent_s")

    def __init__(self) -> None:
        self.agent = ""
        self.spent_s: dict[str, float] = {}
        self._state, self._since_s = "", 0.0

    def see(self, event: Effect) -> None:
        """What happened next to the call."""
        if self._state:
            spent_s = self.spent_s.get(self._state, 0.0)
            self.spent_s[self._state] = spent_s + event.at_s - self._since_s
        self._since_s = event.at_s
        self.agent = self.agent or event.agent
        if isinstance(event, Queued | Throttled):
            self._state = event.cause
        elif isinstance(event, Granted):
            self._state = "running"
        elif isinstance(event, Requeued):
            self._state = "retry"
        elif isinstance(event, _ENDS):
            self._state = ""

    @property
    def waited_s(self) -> float:
        """All that was no running: for a lane, for a rate, between its attempts."""
        return sum(seconds for state, seconds in self.spent_s.items() if state != "running")


@dataclass(frozen=True, slots=True)
class Story:
    """What happened to one call, the oldest first; iterate over it for the events.

    Args:
        ticket: The call's number.
        events: Its own, and what happened meanwhile to its agent and at its endpoint.
    """

    ticket: int
    events: tuple[Effect, ...]

    def __iter__(self) -> Iterator[Effect]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)

    @property
    def spent_s(self) -> dict[str, float]:
        """Seconds by what they were spent on: "running", or what the call waited for."""
        division = _Division()
        for event in self.events:
            if event.ticket == self.ticket:
                division.see(event)
        return {state: seconds for state, seconds in division.spent_s.items() if seconds > 0}

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        first_s = self.events[0].at_s if self.events else 0.0
        return {
            "ticket": self.ticket,
            "agent": next((e.agent for e in self.events if e.ticket == self.ticket), ""),
            "spent_s": {state: round(seconds, 6) for state, seconds in self.spent_s.items()},
            "events": [
                {"after_s": round(event.at_s - first_s, 6), "text": _text(event, self.ticket)}
                | plain_event(event)
                for event in self.events
            ],
        }

    def to_json(self, *, indent: int | None = None) -> str:
        """All of it as JSON text."""
        return json.dumps(self.to_dict(), indent=indent)

    def __str__(self) -> str:
        if not self.events:
            return f"Nothing is known of call {self.ticket}."
        own = [event for event in self.events if event.ticket == self.ticket]
        head = f"Call {self.ticket} of {own[0].agent}"
        tenant = getattr(own[0], "tenant", "default")
        if tenant != "default":
            head += f" ({tenant})"
        if not isinstance(own[0], Submitted):
            head += ", whose beginning is not known any more"
        first_s = self.events[0].at_s
        lines = [
            f"  {event.at_s - first_s:10.3f} s  {_text(event, self.ticket)}"
            for event in self.events
        ]
        return "\n".join([head, *lines, *self._summary()])

    def _summary(self) -> list[str]:
        spent = self.spent_s
        if not spent:
            return []
        parts = [f"{_state(state)} {span_of(seconds)}" for state, seconds in spent.items()]
        return [f"Time: {', '.join(parts)}."]


def _state(state: str) -> str:
    if state == "running":
        return "running"
    if state in FOR_LANES:
        return "waiting for a lane" if state != "agent" else "waiting at its agent's ceiling"
    words = {
        "closed": "waiting for a closed endpoint",
        "breaker": "waiting for the endpoint's breaker",
        "concurrency": "waiting for the endpoint's calls in flight",
        "retry": "backing off",
        "budget": "slowed by its budget",
        "hedge": "waiting as a second attempt",
    }
    return words.get(state, f"waiting for the rate of {state.replace('_', ' ')}")


def _text(event: Effect, ticket: int) -> str:
    words = said(type(event).__name__, event._asdict())
    if event.ticket == ticket:
        return words
    whose = event.agent if isinstance(event, Demoted) else getattr(event, "endpoint", None)
    by = f" (by call {event.ticket})" if event.ticket else ""
    return f"meanwhile{f', {whose}' if whose else ''}: {words}{by}"


def story_of(events: Iterable[Effect], ticket: int) -> Story:
    """The story of one call, out of all that happened.

    Args:
        events: Of one run, the oldest first.
        ticket: The call's number.

    Raises:
        ConfigError: It is no whole number.
    """
    check_whole("ticket", ticket)
    told: list[Effect] = []
    began, agent, endpoint, over = False, "", None, False
    for event in events:
        if event.ticket == ticket:
            told.append(event)
            over = isinstance(event, _ENDS)
            if not began:
                began, agent = True, event.agent
                endpoint = getattr(event, "endpoint", None)
        elif began and not over and _concerns(event, ticket, agent, endpoint):
            told.append(event)
    return Story(ticket, tuple(told))


def waits_of(events: Iterable[Effect]) -> dict[int, tuple[float, str]]:
    """Of each call how many seconds it waited in all, as its story sums them, and its agent.

    Args:
        events: Of one run, the oldest first.
    """
    found: dict[int, _Division] = {}
    for event in events:
        if event.ticket:
            division = found.get(event.ticket)
            if division is None:
                division = found[event.ticket] = _Division()
            division.see(event)
    return {number: (one.waited_s, one.agent) for number, one in found.items()}


def _concerns(event: Effect, ticket: int, agent: str, endpoint: str | None) -> bool:
    """Whether what happened to somebody else may be why the call waits."""
    if isinstance(event, Submitted):
        return event.hedge_of == ticket
    if isinstance(event, Demoted):
        return event.agent == agent
    if type(event).__name__ in {"LimitChanged", "EndpointClosed", "BreakerChanged"}:
        return endpoint is not None and getattr(event, "endpoint", None) == endpoint
    return type(event).__name__ == "Boosted"
