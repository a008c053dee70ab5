"""What can happen to the kernel: the only way in. Each is an immutable value without a clock."""

from __future__ import annotations

from typing import NamedTuple

from agentrm_plugins.calls import Call, Outcome, Usage

__all__ = ["Beat", "Close", "EndAgent", "Event", "Settle", "Submit", "Tick", "Withdraw"]


class Submit(NamedTuple):
    """A caller wants a lane. `parent` is the running ticket inside which it asks, if any."""

    ticket: int
    call: Call
    parent: int | None = None


class Withdraw(NamedTuple):
    """The caller does not want the call any more, whatever has become of it meanwhile."""

    ticket: int
    cause: str = "cancelled"


class Beat(NamedTuple):
    """A running call made progress: `tokens` more came out."""

    ticket: int
    tokens: int = 0


class Settle(NamedTuple):
    """A running call ended. `usage` is what it really used, or None if nobody knows."""

    ticket: int
    usage: Usage | None = None
    outcome: Outcome = Outcome.OK


class EndAgent(NamedTuple):
    """An agent is done or gone: its waiting calls, and its children's, are withdrawn."""

    agent: str
    tenant: str = "default"


class Tick(NamedTuple):
    """Time has passed: see what is due."""


class Close(NamedTuple):
    """The core closes: waiting calls are refused, running ones may still settle."""

    cause: str = "closed"


Event = Submit | Withdraw | Beat | Settle | EndAgent | Tick | Close
