"""What the kernel answers. Each effect names its ticket, its agent and its cause, and when.

The host acts on `Granted`, `Refused`, `Reaped` and `Suspected`; all of them together are the event
stream that people and the resource monitor read. `at_s` is the core's own clock; `wall_s` is Unix
time, which the kernel does not know: a stream stamps it when it is read. `group` and `endpoint` are
those that the call was submitted with.

They are named tuples for their price: every call makes three of them, and a frozen dataclass takes
four times as long to make.
"""

from __future__ import annotations

from typing import NamedTuple

from agentrm_plugins.types.attempt_effects import Hedged, Reaped, Requeued, Suspected
from agentrm_plugins.types.calls import Outcome, Usage

__all__ = [
    "Beaten",
    "Boosted",
    "BreakerChanged",
    "BudgetCrossed",
    "Compacted",
    "Demoted",
    "Drained",
    "Effect",
    "EndpointClosed",
    "Granted",
    "Hedged",
    "Hibernated",
    "LimitChanged",
    "Prepared",
    "Queued",
    "Reaped",
    "Recalled",
    "Refused",
    "Requeued",
    "Settled",
    "Submitted",
    "Suspected",
    "Throttled",
]


class Submitted(NamedTuple):
    """A call asked for a lane."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    priority: str = ""
    estimate_tokens: int = 0
    parent: int | None = None
    hedge_of: int | None = None
    parent_agent: str | None = None
    tenant: str = "default"
    group: str = ""
    endpoint: str | None = None
    wall_s: float | None = None


class Queued(NamedTuple):
    """A call begins to wait for a lane. `cause` says why it has none.

    "lanes": all lanes are taken; "group": all of its group; "agent" or "tenant": its agent or its
    tenant is at its ceiling; "order": others go first; "nested": it waits for its parent's lane.
    `level` is its agent's, and `waiting` are the calls that wait now, this one among them.
    """

    at_s: float
    ticket: int
    agent: str
    cause: str
    level: int
    waiting: int
    tenant: str = "default"
    group: str = ""
    endpoint: str | None = None
    wall_s: float | None = None


class Throttled(NamedTuple):
    """A call waits though there may be a lane: something else holds it back.

    `cause` is the resource of its endpoint that is used up ("requests", "tokens", "input_tokens",
    "output_tokens", "concurrency"), "closed" (the server asked everybody to stay away), "breaker",
    "retry" (it goes again after a failure), "budget" (above its soft mark) or "hedge" (a second
    attempt whose time has not come). `for_s` are the seconds that this will take as far as is
    known, None if something else must happen first.
    """

    at_s: float
    ticket: int
    agent: str
    cause: str
    for_s: float | None
    tenant: str = "default"
    group: str = ""
    endpoint: str | None = None
    wall_s: float | None = None


class Granted(NamedTuple):
    """A call has a lane. `cause` says by which rule: "free", "order", "oldest" or "nested"."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    group: str
    waited_s: float
    tenant: str = "default"
    endpoint: str | None = None
    wall_s: float | None = None


class Refused(NamedTuple):
    """A call will not run: "queue_full", "wait_timeout", "agent_ended", "closed" or withdrawn.

    Also "too_large", "budget", "endpoint_unavailable" (its circuit breaker is open) and
    "endpoint_closed" (for longer than the call would wait), "superseded" for a second attempt that
    nobody needs, "would_deadlock" where only what waits for it could let it go, and "failed" for a
    bug of ours; `detail` has the numbers, if any.
    """

    at_s: float
    ticket: int
    agent: str
    cause: str
    waited_s: float
    detail: str = ""
    tenant: str = "default"
    group: str = ""
    endpoint: str | None = None
    wall_s: float | None = None


class Demoted(NamedTuple):
    """An agent used up its quantum and went down to `level`. `ticket` is 0: it is the agent's."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    level: int
    tenant: str = "default"
    wall_s: float | None = None


class Boosted(NamedTuple):
    """All agents went up to the top level. `cause`: "dispatches" or "time"; `ticket` is 0."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    wall_s: float | None = None


class Beaten(NamedTuple):
    """A running call made progress."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    tokens: int
    tenant: str = "default"
    group: str = ""
    endpoint: str | None = None
    wall_s: float | None = None


class Settled(NamedTuple):
    """A call ended. `cause` is "ok", "error", "cancelled", or "late" for one reaped before."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    outcome: Outcome
    held_s: float
    usage: Usage | None
    cost: float = 0.0
    status: int | None = None
    tenant: str = "default"
    group: str = ""
    endpoint: str | None = None
    wall_s: float | None = None


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
    wall_s: float | None = None


class Drained(NamedTuple):
    """New calls of an agent are refused from now on ("drained"), or it is "let_in" again."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    tenant: str = "default"
    wall_s: float | None = None


class EndpointClosed(NamedTuple):
    """An endpoint asked everybody to stay away until `until_s`; then its queue drips out."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    endpoint: str
    until_s: float
    wall_s: float | None = None


class BreakerChanged(NamedTuple):
    """An endpoint's circuit breaker is now "closed", "open" or "half_open" (the `cause`)."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    endpoint: str
    wall_s: float | None = None


class BudgetCrossed(NamedTuple):
    """A budget has crossed a mark. `cause`: "soft" (calls are slowed) or "hard" (they are refused).

    `budget` says whose it is and of what, `spent` what is settled and reserved of `limit`.
    """

    at_s: float
    ticket: int
    agent: str
    cause: str
    budget: str
    spent: float
    limit: float
    tenant: str = "default"
    wall_s: float | None = None


class Compacted(NamedTuple):
    """A session's older messages became notes. `cause`: "turn" (a call waited) or "background".

    Tokens are those of the session's request before and after it; `archived` are its messages that
    are no longer sent as they are, of `messages` in all. `ticket` is 0: it is the session's.
    """

    at_s: float
    ticket: int
    agent: str
    cause: str
    session: str
    before_tokens: int
    after_tokens: int
    archived: int
    messages: int
    budget_tokens: int
    tenant: str = "default"
    wall_s: float | None = None


class Recalled(NamedTuple):
    """Archived passages came back into a request ("task"), or were asked for by the model ("tool").

    `tokens` are those of the passages. What was looked for, and found, is not told.
    """

    at_s: float
    ticket: int
    agent: str
    cause: str
    session: str
    tokens: int
    tenant: str = "default"
    wall_s: float | None = None


class Prepared(NamedTuple):
    """A session's request was put together: "turn", or "background" after it was compacted there.

    Tokens by tier, as a provider is expected to count them: `hot_tokens` are messages sent as they
    are, `warm_tokens` notes and recalled passages, `cold_tokens` messages that only the archive
    has. `used_tokens` is the whole request, with system prompt and tools; `archived` messages of
    `messages` are no longer sent as they are. The call waited `took_s` for it.
    """

    at_s: float
    ticket: int
    agent: str
    cause: str
    session: str
    used_tokens: int
    budget_tokens: int
    hot_tokens: int
    warm_tokens: int
    cold_tokens: int
    messages: int
    archived: int
    compactions: int
    took_s: float = 0.0
    tenant: str = "default"
    wall_s: float | None = None


class Hibernated(NamedTuple):
    """A session was written to its store and let go of: "asked", "idle", "bound" or "closed"."""

    at_s: float
    ticket: int
    agent: str
    cause: str
    session: str
    messages: int
    tenant: str = "default"
    wall_s: float | None = None


Effect = (
    Beaten
    | Boosted
    | BreakerChanged
    | BudgetCrossed
    | Compacted
    | Demoted
    | Drained
    | EndpointClosed
    | Granted
    | Hedged
    | Hibernated
    | LimitChanged
    | Prepared
    | Queued
    | Reaped
    | Recalled
    | Refused
    | Requeued
    | Settled
    | Submitted
    | Suspected
    | Throttled
)
