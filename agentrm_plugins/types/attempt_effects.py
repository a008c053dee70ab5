"""What the kernel says of attempts that fail, hang or are late: a part of `types.effects`."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Hedged", "Reaped", "Requeued", "Suspected"]


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
    tenant: str = "default"
    group: str = ""
    endpoint: str | None = None
    wall_s: float | None = None


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
    tenant: str = "default"
    group: str = ""
    endpoint: str | None = None
    wall_s: float | None = None


class Hedged(NamedTuple):
    """A further attempt of a late call was sent: `ticket` is its own, `hedge_of` the late one's."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    hedge_of: int
    tenant: str = "default"
    group: str = ""
    endpoint: str | None = None
    wall_s: float | None = None


class Requeued(NamedTuple):
    """A running call failed and waits again: "limit", "overloaded", "transient". Its lane is free.

    Or it is "unsent": its process stood still for so long that others may have its lane by now.

    `until_s` is the earliest time at which it may go, as far as the call itself is concerned.
    """

    at_s: float
    ticket: int
    agent: str
    cause: str
    held_s: float
    until_s: float
    status: int | None = None
    tenant: str = "default"
    group: str = ""
    endpoint: str | None = None
    wall_s: float | None = None
