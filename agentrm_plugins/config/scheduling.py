"""The configuration: frozen, validated when it is made, with units in the names.

There are no process-wide settings: two cores in one process know nothing of each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

from agentrm_plugins.config.endpoints import (
    BreakerConfig,
    BudgetConfig,
    EndpointConfig,
    Price,
    ShareConfig,
)
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.types.arguments import suggesting_fields
from agentrm_plugins.types.calls import Priority, PriorityName, parse_priority
from agentrm_plugins.types.checks import (
    check_instance,
    check_name,
    check_number,
    check_seconds,
    check_whole,
    keep,
    keep_whole,
    listed,
)
from agentrm_plugins.types.provider import Provider

__all__ = [
    "BreakerConfig",
    "BudgetConfig",
    "Config",
    "EndpointConfig",
    "LaneGroup",
    "LeaseConfig",
    "Order",
    "OrderName",
    "Price",
    "SchedulerConfig",
    "ShareConfig",
    "TenantConfig",
]


OrderName = Literal["mlfq", "mlfq_textbook", "fifo", "round_robin", "priority", "hrrn"]


class Order(StrEnum):
    """Who goes next: the feedback queue that forgets, the textbook's, or a plainer baseline."""

    MLFQ = "mlfq"
    MLFQ_TEXTBOOK = "mlfq_textbook"
    FIFO = "fifo"
    ROUND_ROBIN = "round_robin"
    PRIORITY = "priority"
    HRRN = "hrrn"


@suggesting_fields
@dataclass(frozen=True, slots=True)
class LaneGroup:
    """A named group of execution lanes: a bulkhead.

    Args:
        name: What calls ask for with `group=`.
        capacity: The most lanes that the group may use at once; 1 or more.
        guaranteed: Lanes that it gets before any group above its own guarantee does. Idle ones are
            lent out (work-conserving); a running call is never preempted to get one back.
        per_agent: The most lanes of this group that one agent may hold; None for no ceiling.
        per_tenant: The most lanes of this group that one tenant may hold; None for no ceiling.
    """

    name: str
    capacity: int
    guaranteed: int = 0
    per_agent: int | None = None
    per_tenant: int | None = None

    def __post_init__(self) -> None:
        """Refuse what could never run a call."""
        check_name("name", self.name)
        keep_whole(self, "capacity", 1)
        keep_whole(self, "guaranteed", 0)
        keep_whole(self, "per_agent", 1, none=True)
        keep_whole(self, "per_tenant", 1, none=True)
        if self.guaranteed > self.capacity:
            way = f"at most the group's capacity, {self.capacity}"
            raise ConfigError("guaranteed", self.guaranteed, way)


@suggesting_fields
@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    """Who goes next. The defaults are those of the source document (4 queues, 1, 2, 4, 8 s, 100).

    Args:
        order: "mlfq", or a baseline: "mlfq_textbook", "fifo", "round_robin", "priority", "hrrn".
        num_queues: Levels of the feedback queue; 1 or more.
        time_quanta_s: Seconds of service, divided by its weight, that an agent may receive in each
            level before it goes down one; the last level has no further to go. `num_queues`
            numbers, each above 0.
        service_half_life_s: After so many seconds a second of service counts half. 60 s was
            measured: from 30 s on it makes little difference up to 300 s.
        hint_weights: Weight of an agent with each priority hint; without a hint that of "batch" for
            its first call, then as its calls are short or long, within these. Of twice the weight,
            service counts half and waiting twice. Measured: see the results.
        boost_interval: Of so many dispatches one goes to the call that has waited longest, which
            bounds starvation. In "mlfq_textbook" all agents go up a level then as well.
        boost_every_s: "mlfq_textbook": seconds between two boosts as well, or None.
        service_s_per_1k_tokens: Seconds of service that a thousand tokens count for; 0 counts
            lane time only. Guessed: lane time follows the output tokens already.
        share_half_life_s: After so many seconds a tenant's tokens count half in its dominant
            share. Guessed: one window of a per-minute limit.
        start_levels: "mlfq_textbook": level in which an agent with each priority hint starts.
    """

    order: Order | OrderName = Order.MLFQ
    num_queues: int = 4
    time_quanta_s: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)
    service_half_life_s: float = 60.0
    hint_weights: Mapping[Priority | PriorityName, float] = field(
        default_factory=lambda: MappingProxyType(
            {Priority.INTERACTIVE: 8.0, Priority.BATCH: 2.0, Priority.BACKGROUND: 1.0}
        )
    )
    boost_interval: int = 100
    boost_every_s: float | None = None
    service_s_per_1k_tokens: float = 0.0
    share_half_life_s: float = 60.0
    start_levels: Mapping[Priority | PriorityName, int] = field(
        default_factory=lambda: MappingProxyType(
            {Priority.INTERACTIVE: 0, Priority.BATCH: 1, Priority.BACKGROUND: 2}
        )
    )

    def __post_init__(self) -> None:
        """Check each field and bring it into one form."""
        try:
            object.__setattr__(self, "order", Order(self.order))
        except ValueError:
            raise ConfigError("order", self.order, f"use one of {listed(Order)}") from None
        keep_whole(self, "num_queues", 1)
        keep_whole(self, "boost_interval", 1)
        keep(self, check_seconds, "boost_every_s")
        keep(self, check_seconds, "share_half_life_s", none=False)
        keep(self, check_seconds, "service_s_per_1k_tokens", zero=True, none=False)
        keep(self, check_seconds, "service_half_life_s", none=False)
        self._check_quanta()
        self._check_weights()
        levels = self._by_priority("start_levels")
        levels = {k: check_whole(f"start_levels[{k}]", v, 0) for k, v in levels.items()}
        last = self.num_queues - 1
        object.__setattr__(
            self, "start_levels", MappingProxyType({k: min(v, last) for k, v in levels.items()})
        )

    def _by_priority(self, name: str) -> dict[Any, Any]:
        way = "give a mapping of priorities to numbers"
        given: Mapping[Any, Any] = check_instance(name, getattr(self, name), Mapping, way)
        return {parse_priority(hint, name): value for hint, value in given.items()}

    def _check_weights(self) -> None:
        """A hint that is left out weighs 1."""
        given = self._by_priority("hint_weights")
        for name, weight in given.items():
            check_number(f"hint_weights[{name}]", weight, above=True)
        weights = {hint: float(given.get(hint, 1.0)) for hint in Priority}
        object.__setattr__(self, "hint_weights", MappingProxyType(weights))

    def _check_quanta(self) -> None:
        name = "time_quanta_s"
        try:
            quanta = tuple(float(quantum) for quantum in self.time_quanta_s)
        except (TypeError, ValueError):
            raise ConfigError(name, self.time_quanta_s, "give a tuple of seconds") from None
        if len(quanta) != self.num_queues:
            way = f"give one quantum for each of the {self.num_queues} queues (num_queues)"
            raise ConfigError(name, self.time_quanta_s, way)
        for quantum in quanta:
            if not 0 < quantum < float("inf"):
                raise ConfigError(name, self.time_quanta_s, "each quantum is more than 0 seconds")
        object.__setattr__(self, name, quanta)


@suggesting_fields
@dataclass(frozen=True, slots=True)
class LeaseConfig:
    """When a call is ended for want of progress. Queue time never counts.

    Only what is said here, or with a call, ends one; what is learnt makes it late and no more.

    Args:
        first_token_timeout_s: Silence before the first beat of a streaming call. 600 s is the
            OpenAI SDK's own request timeout, as in the two below.
        silence_timeout_s: Silence between two beats, pings included. Guessed: twice the longest
            pause of healthy streams that was seen. Time in which the consumer does not ask for
            more does not count.
        response_timeout_s: Silence of a call that does not stream and so cannot beat.
        total_timeout_s: The longest that a call may run, beats or not; None for no bound.
    """

    first_token_timeout_s: float = 600.0
    silence_timeout_s: float = 60.0
    response_timeout_s: float = 600.0
    total_timeout_s: float | None = 600.0

    def __post_init__(self) -> None:
        """Refuse what would reap at once or never."""
        for name in ("first_token_timeout_s", "silence_timeout_s", "response_timeout_s"):
            keep(self, check_seconds, name, none=False)
        keep(self, check_seconds, "total_timeout_s")


@suggesting_fields
@dataclass(frozen=True, slots=True)
class TenantConfig:
    """What a tenant is entitled to.

    Args:
        weight: Its part relative to the other tenants' (weighted dominant resource fairness).
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a weight that would starve the tenant."""
        keep(self, check_number, "weight", above=True)


@suggesting_fields
@dataclass(frozen=True, slots=True)
class Config:
    """All of it.

    Args:
        lanes: Execution lanes in all; 1 or more.
        groups: The lane groups. Left out: one group, "model", of `lanes` lanes. With several, the
            sum of their capacities may exceed `lanes`; that of their guarantees may not.
        scheduler: Who goes next.
        leases: When a running call counts as hung.
        tenants: Entitlements by tenant's name; a tenant not named here has weight 1.
        max_waiting: Calls that may wait at once; a further one is refused with `QueueFull`.
        max_waiting_per_agent: The same for one agent; None for no bound of its own.
        wait_timeout_s: Seconds that a call may wait unless it says otherwise; None: for ever.
        endpoint_wait_timeout_s: Seconds that a call may wait for an endpoint that is closed (the
            server asked everybody to stay away), or that fails and never answered, where nobody set
            a wait timeout; it is refused at once if that will take longer. The longest wait that
            the default retry policy would allow one call; None: for ever.
        adaptive: Whether what is learnt of endpoints' times may make a call suspect: its lane is
            lent, and a second attempt is sent. It never ends a call.
        endpoints: What is known of endpoints, by shell pattern over "host/model" (the first that
            fits); an endpoint that none fits is found out.
        breaker: When an endpoint counts as dead.
        budgets: How much agents and tenants may use.
        shares: How much of an endpoint's rate agents and tenants may take.
        prices: What models cost, by shell pattern over "host/model"; needed for budgets of cost.
        agent_idle_s: Seconds after which an agent without a call is forgotten, its service with it;
            what it received stays in the totals.
        max_idle_agents: Agents without a call that are remembered; beyond it the one that has been
            idle for longest is forgotten. Guessed: some ten megabytes of them.
        providers: Tables of what providers say, beside those that are built in and above them.
    """

    lanes: int = 8
    groups: tuple[LaneGroup, ...] = ()
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    leases: LeaseConfig = field(default_factory=LeaseConfig)
    tenants: Mapping[str, TenantConfig] = field(default_factory=lambda: MappingProxyType({}))
    max_waiting: int = 100_000
    max_waiting_per_agent: int | None = None
    wait_timeout_s: float | None = None
    endpoint_wait_timeout_s: float | None = 120.0
    adaptive: bool = True
    agent_idle_s: float = 3600.0
    max_idle_agents: int = 20_000
    endpoints: Mapping[str, EndpointConfig] = field(default_factory=lambda: MappingProxyType({}))
    breaker: BreakerConfig = field(default_factory=BreakerConfig)
    budgets: tuple[BudgetConfig, ...] = ()
    shares: tuple[ShareConfig, ...] = ()
    prices: Mapping[str, Price] = field(default_factory=lambda: MappingProxyType({}))
    providers: tuple[Provider, ...] = ()

    def __post_init__(self) -> None:
        """Check the whole, and the parts against each other."""
        keep_whole(self, "lanes", 1)
        keep_whole(self, "max_waiting", 0)
        keep_whole(self, "max_waiting_per_agent", 1, none=True)
        keep(self, check_seconds, "wait_timeout_s", zero=True)
        keep(self, check_seconds, "endpoint_wait_timeout_s", zero=True)
        check_instance("adaptive", self.adaptive, bool, "give True or False")
        keep(self, check_seconds, "agent_idle_s", none=False)
        keep_whole(self, "max_idle_agents", 0)
        kinds = (
            ("scheduler", SchedulerConfig),
            ("leases", LeaseConfig),
            ("breaker", BreakerConfig),
        )
        for name, kind in kinds:
            check_instance(name, getattr(self, name), kind)
        self._check_groups()
        self._check_mapping("tenants", TenantConfig)
        self._check_mapping("endpoints", EndpointConfig)
        self._check_mapping("prices", Price)
        self._check_sequence("budgets", BudgetConfig)
        for budget in self.budgets:
            if budget.resource == "cost" and not self.prices:
                raise ConfigError("prices", {}, "a budget of cost needs the prices of the models")
        self._check_sequence("providers", Provider)
        self._check_sequence("shares", ShareConfig)

    def _check_sequence(self, name: str, kind: type) -> None:
        values = getattr(self, name)
        if isinstance(values, str | bytes):  # it would be taken letter by letter
            raise ConfigError(name, values, f"give a list of {kind.__name__}(...) objects")
        if isinstance(values, kind) or not isinstance(values, Iterable):
            way = f"give a list of {kind.__name__}(...) objects"
            raise ConfigError.of_kind(name, values, way)
        object.__setattr__(self, name, tuple(values))
        for value in getattr(self, name):
            check_instance(name, value, kind, f"give {kind.__name__}(...) objects")

    def _check_mapping(self, name: str, kind: type) -> None:
        way = f"give a mapping of names to {kind.__name__}(...)"
        values: Mapping[str, object] = check_instance(name, getattr(self, name), Mapping, way)
        for key, value in values.items():
            check_name(name, key)
            check_instance(f"{name}[{key}]", value, kind)
        object.__setattr__(self, name, MappingProxyType(dict(values)))

    def _check_groups(self) -> None:
        self._check_sequence("groups", LaneGroup)
        groups = self.groups or (LaneGroup("model", self.lanes),)
        names = [group.name for group in groups]
        if len(set(names)) != len(names):
            raise ConfigError("groups", names, "each lane group needs a name of its own")
        promised = sum(group.guaranteed for group in groups)
        if promised > self.lanes:
            way = f"the guarantees together may be at most lanes={self.lanes}"
            raise ConfigError("guaranteed", promised, way)
        object.__setattr__(self, "groups", groups)
