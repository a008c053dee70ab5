"""What `statistics()` gives: frozen values, counted since the core was made.

They travel: `dataclasses.asdict`, `pickle`, `copy.deepcopy` and JSON take them as they are. Every
mapping is a dict of this snapshot's own with text for keys, and every number is finite: what is
unlimited or not known is None.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from agentrm_plugins.types.agent_key import agent_key
from agentrm_plugins.types.call_statistics import RunningCall, WaitingCall
from agentrm_plugins.types.fleet_statistics import FleetStatistics
from agentrm_plugins.types.hedge_statistics import HedgeStatistics

__all__ = [
    "AgentStatistics",
    "EndpointStatistics",
    "ForgottenAgents",
    "GroupStatistics",
    "PressureStatistics",
    "RateStatistics",
    "RunningCall",
    "SessionStatistics",
    "Stalled",
    "Statistics",
    "TenantStatistics",
    "TokenRates",
    "WaitStatistics",
    "WaitingCall",
]


@dataclass(frozen=True, slots=True)
class TokenRates:
    """Tokens per second over the last 1, 10 and 60 seconds."""

    last_1_s: float
    last_10_s: float
    last_60_s: float


@dataclass(frozen=True, slots=True)
class WaitStatistics:
    """How long calls waited before they were granted, in seconds; each within 10 %.

    Attributes:
        calls: Grants that are counted, those that waited for no time among them.
        sum_s: Seconds in all.
        p50_s: The median.
        p95_s: Of a hundred calls, five waited for longer.
        p99_s: Of a hundred, one.
        max_s: The longest.
        buckets: Waits so far of at most so many seconds, by the bound as text ("0": of no time);
            only bounds at which something is counted. Left out (empty) for agents and tenants.
    """

    calls: int = 0
    sum_s: float = 0.0
    p50_s: float = 0.0
    p95_s: float = 0.0
    p99_s: float = 0.0
    max_s: float = 0.0
    buckets: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stalled:
    """Pressure of one resource: the share of time (0 to 1) in which a call waited for it.

    Over the last 10, 60 and 300 seconds; `total_s` are the seconds since the core was made.
    """

    last_10_s: float = 0.0
    last_60_s: float = 0.0
    last_300_s: float = 0.0
    total_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PressureStatistics:
    """Pressure in the manner of Linux's PSI: for lanes, for endpoints' limits, for context."""

    lanes: Stalled = field(default_factory=Stalled)
    rate: Stalled = field(default_factory=Stalled)
    context: Stalled = field(default_factory=Stalled)


@dataclass(frozen=True, slots=True)
class SessionStatistics:
    """One session: its context's tokens by tier, what was done to it, and what its calls received.

    `hot_tokens` are messages sent as they are, `warm_tokens` notes and recalled passages;
    `archived` messages of `messages`, of `cold_tokens` tokens, are in the cold tier alone.
    `utilisation` is the share of the budget that its last request used. `received` are the figures
    of the agent that has the session's tenant and name, for a thread without another agent is one:
    token rates, waits, refusals by a limit, cost. None: it is not among the agents that are listed,
    or the session's calls are made for agents of other names.
    """

    tenant: str
    used_tokens: int
    budget_tokens: int
    utilisation: float
    hot_tokens: int
    warm_tokens: int
    messages: int
    archived: int
    compactions: int
    recalls: int
    cold_tokens: int = 0
    received: AgentStatistics | None = None


@dataclass(frozen=True, slots=True)
class ForgottenAgents:
    """What agents had received that have been idle for so long that they are forgotten."""

    agents: int = 0
    calls: int = 0
    refused: int = 0
    service_s: float = 0.0
    waited_s: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class GroupStatistics:
    """One lane group: its bounds, the lanes in use now, the most ever, and who waits for one."""

    capacity: int
    guaranteed: int
    in_use: int
    peak: int
    waiting: int
    waits: WaitStatistics = field(default_factory=WaitStatistics)
    token_rates: TokenRates = field(default_factory=lambda: TokenRates(0.0, 0.0, 0.0))


@dataclass(frozen=True, slots=True)
class AgentStatistics:
    """One agent: where it stands and what it received. Times in seconds.

    `tokens` is `input_tokens` and `output_tokens` together, `tokens_per_s` what was used lately:
    what was used half a minute ago counts half. `service_s` is what it attained in all, and
    `recent_service_s` what of it still counts for its level. `requeues` are attempts that failed
    and went again, `limit_hits` those of them that a limit (429) refused. New calls of one that is
    `drained` are refused.
    """

    tenant: str
    parent: str | None
    level: int
    waiting: int
    running: int
    calls: int
    refused: int
    zombies: int
    service_s: float
    waited_s: float
    tokens: int
    input_tokens: int
    output_tokens: int
    tokens_per_s: float
    token_rates: TokenRates = field(default_factory=lambda: TokenRates(0.0, 0.0, 0.0))
    waits: WaitStatistics = field(default_factory=WaitStatistics)
    cost: float = 0.0
    requeues: int = 0
    limit_hits: int = 0
    recent_service_s: float = 0.0
    drained: bool = False


@dataclass(frozen=True, slots=True)
class TenantStatistics:
    """One tenant: its weight, its dominant share now, and what it received. Times in seconds.

    Tokens and all else as in `AgentStatistics`.
    """

    weight: float
    share: float
    waiting: int
    lanes: int
    refused: int
    service_s: float
    waited_s: float
    tokens: int
    input_tokens: int
    output_tokens: int
    tokens_per_s: float
    token_rates: TokenRates = field(default_factory=lambda: TokenRates(0.0, 0.0, 0.0))
    waits: WaitStatistics = field(default_factory=WaitStatistics)
    cost: float = 0.0
    requeues: int = 0
    limit_hits: int = 0


@dataclass(frozen=True, slots=True)
class RateStatistics:
    """One limited resource of an endpoint.

    Attributes:
        allowed_per_min: What the core lets through; None while no limit is known.
        limit_per_min: The limit as far as it is known, or None.
        source: Who says so: "unknown", "told", "server" or "probed".
        proximity: Share of what may be used at once that is in use now; 0 (far) to 1 (it binds).
        binds_in_s: Seconds until it binds if use goes on as in the last 10 s; None: it will not.
        cuts: How often a refusal cut the rate.
        used_per_min: What was used over the last 10 s, per minute; 0 while no limit is known.
    """

    allowed_per_min: float | None
    limit_per_min: float | None
    source: str
    proximity: float
    binds_in_s: float | None
    cuts: int
    used_per_min: float = 0.0


@dataclass(frozen=True, slots=True)
class EndpointStatistics:
    """One endpoint: its limits, what goes on there, and what went wrong. Times in seconds.

    After `late_after_s` of silence before its first piece, or its answer, a call counts as late;
    `hedges` says what came of such calls.
    """

    rates: Mapping[str, RateStatistics]
    concurrency: float | None
    in_flight: int
    waiting: int
    sent: int
    limit_hits: int
    requeues: int
    failures: int
    breaker: str
    closed_for_s: float
    late_after_s: float | None
    cost: float
    waits: WaitStatistics = field(default_factory=WaitStatistics)
    token_rates: TokenRates = field(default_factory=lambda: TokenRates(0.0, 0.0, 0.0))
    hedges: HedgeStatistics = field(default_factory=HedgeStatistics)


@dataclass(frozen=True, slots=True)
class Statistics:
    """The whole core at one moment.

    Attributes:
        at_s: When, on the core's own clock.
        order: Who goes next: "mlfq", "fifo", ...
        queue_depth: Waiting calls in each level, the top one first.
        waiting: Calls that wait for a lane.
        running: Calls that hold one or sit on a parent's.
        zombies: Calls that were reaped and have not been heard of since.
        lanes: Lanes in all; `lanes_in_use` of them now, `lanes_peak` at most ever.
        submitted: Calls so far; of these `granted` got a lane, `settled` ended, `reaped` lost
            their lane, and `refused` never ran, by cause.
        zombie_lane_s: Lane seconds that reaped calls held for nothing.
        waited_s: Seconds that granted calls waited, in all.
        tokens_per_s: Rate of tokens, input and output.
        oldest_waiting_s: Age of the oldest call that waits, since it was submitted; 0 if none does.
        calls: The calls that run, the oldest lease first.
        waiters: The calls that wait, the oldest first: as many as agents were asked for, and at
            most a thousand. `waiting` counts all.
        events_dropped: Events that a reader of the event stream was too slow for.
        agents: What is known of each agent, by `agent_key`; `agent` looks one up.
        fleet: How this process stands among those that share its limits; None: it is alone. What
            else is said here is of this process; `lanes` are those that it has just now.
        abandoned: Agents (by `agent_key`) that ended while something still went on for them, and
            how often: their client went away, or a call of theirs still waited. The newest
            thousand.
        waits: How long granted calls had waited.
        pressure: The share of time in which somebody waited for lanes, for limits, or for the
            request of a managed context (its compaction, what is recalled, another process).
        sessions: The context of each live session that works with this core, by `agent_key` of its
            tenant and id; the thousand used last. The adapters' `context=` tells of them, and
            `integration.core_of(rm).watch(context, rm)` those of a `ContextLifecycle` of your own.
        recalls: How often archived passages came back into a request, or were asked for.
        agents_known: Agents that are remembered, of which `agents` may list some.
        forgotten: What agents had received that were idle for too long.
        cost: Of all calls, in the unit of the prices.
        hedges: Late calls and their second attempts: how many, who won, what those that lost cost.
    """

    at_s: float
    order: str
    queue_depth: tuple[int, ...]
    waiting: int
    running: int
    zombies: int
    lanes: int
    lanes_in_use: int
    lanes_peak: int
    groups: Mapping[str, GroupStatistics]
    agents: Mapping[str, AgentStatistics]
    tenants: Mapping[str, TenantStatistics]
    endpoints: Mapping[str, EndpointStatistics]
    submitted: int
    granted: int
    settled: int
    reaped: int
    refused: Mapping[str, int]
    demotions: int
    boosts: int
    zombie_lane_s: float
    waited_s: float
    input_tokens: int
    output_tokens: int
    tokens_per_s: TokenRates
    oldest_waiting_s: float = 0.0
    calls: tuple[RunningCall, ...] = ()
    events_dropped: int = 0
    abandoned: Mapping[str, int] = field(default_factory=dict)
    fleet: FleetStatistics | None = None
    waits: WaitStatistics = field(default_factory=WaitStatistics)
    pressure: PressureStatistics = field(default_factory=PressureStatistics)
    sessions: Mapping[str, SessionStatistics] = field(default_factory=dict)
    recalls: int = 0
    agents_known: int = 0
    forgotten: ForgottenAgents = field(default_factory=ForgottenAgents)
    cost: float = 0.0
    hedges: HedgeStatistics = field(default_factory=HedgeStatistics)
    waiters: tuple[WaitingCall, ...] = ()

    def agent(self, agent: str, *, tenant: str = "default") -> AgentStatistics:
        """One agent's part.

        Raises:
            KeyError: The core does not know it, or has forgotten it.
        """
        return self.agents[agent_key(tenant, agent)]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data: what `dataclasses.asdict` gives."""
        return asdict(self)

    def to_json(self, *, indent: int | None = None) -> str:
        """All of it as JSON text, which any parser takes."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False, ensure_ascii=False)

    def __str__(self) -> str:
        from agentrm_plugins.types.statistics_tables import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        """How a notebook shows it."""
        from agentrm_plugins.types.statistics_tables import as_html

        return as_html(self)

    def __rich__(self) -> Any:
        """How rich prints it."""
        from agentrm_plugins.types.statistics_tables import as_rich

        return as_rich(self)
