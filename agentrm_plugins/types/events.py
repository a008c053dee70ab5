"""What can happen to the kernel: the only way in. Each is an immutable value without a clock."""

from __future__ import annotations

from typing import Any, NamedTuple

from agentrm_plugins.types.calls import Call, Outcome, Priority, Usage
from agentrm_plugins.types.fleet import Recall, Supply
from agentrm_plugins.types.verdicts import LimitReport, Verdict

__all__ = [
    "Beat",
    "Close",
    "Drain",
    "EndAgent",
    "Event",
    "Idle",
    "Observe",
    "Recall",
    "Reconfigure",
    "Requeue",
    "Settle",
    "Submit",
    "Supply",
    "Tick",
    "Unsent",
    "Withdraw",
]


class Submit(NamedTuple):
    """A caller wants a lane. `parent` is the running ticket inside which it asks, if any.

    `place_of` is the ticket of a reaped call that goes again: it takes that one's place in the
    queue. `hedge_of` is a running ticket of which this is a further attempt: it waits at that one's
    place, is charged to the same agent, and gives way to it. `reads` says that the parent is a
    stream which the caller reads: he asks it for nothing before he has this call's answer, or has
    begun to read that.
    """

    ticket: int
    call: Call
    parent: int | None = None
    place_of: int | None = None
    hedge_of: int | None = None
    reads: bool = False


class Withdraw(NamedTuple):
    """The caller does not want the call any more, whatever has become of it meanwhile.

    `unsent` says that he still waited for its lane: should it have one by now, it costs nothing.
    """

    ticket: int
    cause: str = "cancelled"
    unsent: bool = False


class Beat(NamedTuple):
    """A running call made progress: `tokens` more came out.

    `visible` says that something was said to the consumer; from then on the call is never sent a
    second time. A `ping` (a comment on the wire, an empty chunk) says that the server is there and
    no more: the configured silence begins anew, but the answer is no further than it was.
    """

    ticket: int
    tokens: int = 0
    visible: bool = False
    ping: bool = False


class Idle(NamedTuple):
    """The consumer of a running call does not ask for more (`idle`), or does so again.

    Between the two nothing counts as silence, nor for the total timeout. `since_s` is when it began
    not to ask, where that is told later.
    """

    ticket: int
    idle: bool
    since_s: float | None = None


class Settle(NamedTuple):
    """A running call ended. `usage` is what it really used, or None if nobody knows.

    `verdict` says what the provider made of it, where that was not well; `report` what it said of
    its limits.
    """

    ticket: int
    usage: Usage | None = None
    outcome: Outcome = Outcome.OK
    verdict: Verdict | None = None
    report: LimitReport | None = None


class Requeue(NamedTuple):
    """A running call failed and goes again: its lane is free, it waits at its own place.

    Not before `wait_s` seconds from now; the endpoint may have it wait for longer. `usage` is what
    the attempt that failed has used, or None if nobody knows.
    """

    ticket: int
    verdict: Verdict
    wait_s: float = 0.0
    report: LimitReport | None = None
    usage: Usage | None = None


class Unsent(NamedTuple):
    """A running call was not sent yet, and its lane may be another process's: it waits anew."""

    ticket: int


class Observe(NamedTuple):
    """A response of `endpoint` was seen: what it says of the limits.

    `verdict` is given only where no managed call will tell of the same response: it counts here.
    `sent_s` is when its request went, on the kernel's clock.
    """

    endpoint: str
    report: LimitReport
    verdict: Verdict | None = None
    sent_s: float | None = None


class EndAgent(NamedTuple):
    """An agent is done or gone: its waiting calls, and its children's, are withdrawn.

    `abandoned` says that it is gone: whoever waited for it left.
    """

    agent: str
    tenant: str = "default"
    abandoned: bool = False


class Reconfigure(NamedTuple):
    """The core takes another `Config`, or None, and `hints`: tenant, agent, its priority now."""

    config: Any = None
    hints: tuple[tuple[str, str, Priority | None], ...] = ()


class Drain(NamedTuple):
    """New calls of an agent are refused from now on (`drain`), or let in again."""

    agent: str
    tenant: str = "default"
    drain: bool = True


class Tick(NamedTuple):
    """Time has passed: see what is due."""


class Close(NamedTuple):
    """The core closes: waiting calls are refused, running ones may still settle."""

    cause: str = "closed"


Event = (
    Submit
    | Withdraw
    | Beat
    | Idle
    | Settle
    | Requeue
    | Unsent
    | Observe
    | EndAgent
    | Reconfigure
    | Drain
    | Tick
    | Close
    | Supply
    | Recall
)
