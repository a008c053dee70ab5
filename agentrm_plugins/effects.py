"""What the kernel answers. Each effect names its ticket, its agent and its cause, and when.

The host acts on `Granted`, `Refused` and `Reaped`; all of them together are the event stream that
people and the resource monitor read.

They are named tuples for their price: every call makes three of them, and a frozen dataclass takes
four times as long to make.
"""

from __future__ import annotations

from typing import NamedTuple

from agentrm_plugins.calls import Outcome, Usage

__all__ = [
    "Beaten",
    "Boosted",
    "Demoted",
    "Effect",
    "Granted",
    "Reaped",
    "Refused",
    "Settled",
    "Submitted",
]


class Submitted(NamedTuple):
    """A call asked for a lane."""

    at_s: float
    ticket: int
    agent: str
    cause: str


class Granted(NamedTuple):
    """A call has a lane. `cause` says by which rule: "free", "order", "oldest" or "nested"."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    group: str
    waited_s: float


class Refused(NamedTuple):
    """A call will not run: "queue_full", "wait_timeout", "agent_ended", "closed" or withdrawn."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    waited_s: float


class Demoted(NamedTuple):
    """An agent used up its quantum and went down to `level`. `ticket` is 0: it is the agent's."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    level: int


class Boosted(NamedTuple):
    """All agents went up to the top level. `cause`: "dispatches" or "time"; `ticket` is 0."""

    at_s: float
    ticket: int
    agent: str
    cause: str


class Beaten(NamedTuple):
    """A running call made progress."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    tokens: int


class Settled(NamedTuple):
    """A call ended. `cause` is "ok", "error", "cancelled", or "late" for one reaped before."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    outcome: Outcome
    held_s: float
    usage: Usage | None


class Reaped(NamedTuple):
    """A running call lost its lane: "first_token", "silence" or "deadline"."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    held_s: float


Effect = Submitted | Granted | Refused | Demoted | Boosted | Beaten | Settled | Reaped
