"""What can happen to the kernel: the only way in. Each is a frozen value and carries no clock."""

from __future__ import annotations

from dataclasses import dataclass

from agentrm_plugins.calls import Call, Outcome, Usage

__all__ = ["Beat", "Close", "EndAgent", "Event", "Settle", "Submit", "Tick", "Withdraw"]


@dataclass(frozen=True, slots=True)
class Submit:
    """A caller wants a lane. `parent` is the running ticket inside which it asks, if any."""

    ticket: int
    call: Call
    parent: int | None = None


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The caller does not want the call any more, whatever has become of it meanwhile."""

    ticket: int
    cause: str = "cancelled"


@dataclass(frozen=True, slots=True)
class Beat:
    """A running call made progress: `tokens` more came out."""

    ticket: int
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Settle:
    """A running call ended. `usage` is what it really used, or None if nobody knows."""

    ticket: int
    usage: Usage | None = None
    outcome: Outcome = Outcome.OK


@dataclass(frozen=True, slots=True)
class EndAgent:
    """An agent is done or gone: its waiting calls, and its children's, are withdrawn."""

    agent: str
    tenant: str = "default"


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: see what is due."""


@dataclass(frozen=True, slots=True)
class Close:
    """The core closes: waiting calls are refused, running ones may still settle."""

    cause: str = "closed"


Event = Submit | Withdraw | Beat | Settle | EndAgent | Tick | Close
