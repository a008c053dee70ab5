"""What the kernel answers. Each effect names its ticket, its agent and its cause, and when.

The host acts on `Granted`, `Refused`, `Reaped` and `Suspected`; all of them together are the event
stream that people and the resource monitor read.

They are named tuples for their price: every call makes three of them, and a frozen dataclass takes
four times as long to make.
"""

from __future__ import annotations

from typing import NamedTuple

from agentrm_plugins.types.calls import Outcome, Usage

__all__ = [
    "Beaten",
    "Boosted",
    "BreakerChanged",
    "Demoted",
    "Effect",
    "EndpointClosed",
    "Granted",
    "LimitChanged",
    "Reaped",
    "Refused",
    "Requeued",
    "Settled",
    "Submitted",
    "Suspected",
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
    """A call will not run: "queue_full", "wait_timeout", "agent_ended", "closed" or withdrawn.

    Also "too_large", "budget", "endpoint_unavailable" (its circuit breaker is open) and
    "endpoint_closed" (for longer than the call would wait), "superseded" for a second attempt that
    nobody needs, and "failed" for a bug of ours; `detail` has the numbers, if any.
    """

    at_s: float
    ticket: int
    agent: str
    cause: str
    waited_s: float
    detail: str = ""


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
    """A running call is ended: its caller cancels it, and charges what it cost.

    `cause` is the limit that it has passed, as it was configured: "total", "response",
    "first_token" or "silence"; `limit_s` are its seconds and `source` says who set it. Or it is
    "gave_way": a further attempt makes room for the next one, and the call itself goes on. Only
    where a set `concurrency` is full may that be the only attempt: then the call is sent again.
    """

    at_s: float
    ticket: int
    agent: str
    cause: str
    held_s: float
    limit_s: float = 0.0
    source: str = ""


class Suspected(NamedTuple):
    """A running call is late, by what was learnt of its endpoint; it goes on all the same.

    Its lane is lent to others, so that a further attempt may go (`Submit.hedge_of`). `cause` is
    what has not come: "response", "first_token" or "silence".
    """

    at_s: float
    ticket: int
    agent: str
    cause: str
    silent_s: float


class Requeued(NamedTuple):
    """A running call failed and waits again: "limit", "overloaded", "transient". Its lane is free.

    `until_s` is the earliest time at which it may go, as far as the call itself is concerned.
    """

    at_s: float
    ticket: int
    agent: str
    cause: str
    held_s: float
    until_s: float


class LimitChanged(NamedTuple):
    """An endpoint's rate changed: "cut", "grown", "learnt" or "told".

    `per_s` is what is allowed now, `limit_per_s` the limit as far as it is known (None: it is not)
    and `source` who says so. `ticket` is that of the call that brought it about, or 0.
    """

    at_s: float
    ticket: int
    agent: str
    cause: str
    endpoint: str
    resource: str
    per_s: float
    limit_per_s: float | None
    source: str


class EndpointClosed(NamedTuple):
    """An endpoint asked everybody to stay away until `until_s`; then its queue drips out."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    endpoint: str
    until_s: float


class BreakerChanged(NamedTuple):
    """An endpoint's circuit breaker is now "closed", "open" or "half_open" (the `cause`)."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    endpoint: str


Effect = (
    Submitted
    | Granted
    | Refused
    | Demoted
    | Boosted
    | Beaten
    | Settled
    | Reaped
    | Suspected
    | Requeued
    | LimitChanged
    | EndpointClosed
    | BreakerChanged
)
