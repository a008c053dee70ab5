"""AgentRM, the facade: one shared core for every agent, thread and event loop of a process."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from agentrm_plugins.config.arguments import configured, updated
from agentrm_plugins.errors import ClosedError, ConfigError
from agentrm_plugins.fleet.joining import coordination_of, join
from agentrm_plugins.hosts.closing import Closing
from agentrm_plugins.hosts.core import Core
from agentrm_plugins.hosts.identity import declared, resolve, run_around, say
from agentrm_plugins.hosts.notable import EventJournal, flush_journal
from agentrm_plugins.hosts.slot import Slot
from agentrm_plugins.settings.door import FromSettings
from agentrm_plugins.types.agent_key import agent_key, agent_of_key
from agentrm_plugins.types.arguments import suggesting
from agentrm_plugins.types.calls import Call, Usage, parse_priority
from agentrm_plugins.types.checks import check_instance, check_name, check_whole
from agentrm_plugins.types.events import Drain, EndAgent, Reconfigure
from agentrm_plugins.types.identity import IDENTITY, restore
from agentrm_plugins.types.looking import unopened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import EllipsisType

    from agentrm_plugins.config import (
        BreakerConfig,
        BudgetConfig,
        Config,
        Coordination,
        EndpointConfig,
        LaneGroup,
        LeaseConfig,
        Order,
        OrderName,
        Price,
        SchedulerConfig,
        ShareConfig,
        TenantConfig,
    )
    from agentrm_plugins.hosts import Clock, EventStream
    from agentrm_plugins.telemetry.recording import Recorder, Recording
    from agentrm_plugins.telemetry.story import Story
    from agentrm_plugins.types.calls import Priority, PriorityName
    from agentrm_plugins.types.provider import Provider
    from agentrm_plugins.types.statistics import Statistics

__all__ = ["AgentRM"]

_NOTHING = Usage()


class AgentRM(FromSettings, Closing):
    """The shared core. Make one for a process, give it to every plugin, close it at the end.

    Safe to use from any thread and any event loop at once. After a fork the child's copy begins
    afresh, with all lanes free.

    Args:
        config: The whole configuration; or leave it out and give single fields.
        clock: For tests: a `VirtualClock`. None is the machine's monotonic clock.
        record: The path of a file to which what happens is written as lines of JSON, or a
            `Recording(path, ...)`. `agentrm_plugins.telemetry.read_events` reads it.
        monitor: Whether a local socket is opened, which only this user may use, for `agentrm top`.
        coordination: The Redis or Valkey through which processes share this configuration: a URL, a
            synchronous client, or a `Coordination`. Lanes, limits and budgets are then the whole
            fleet's. None is ``AGENTRM_COORDINATION`` of the environment; if there is none, or "",
            this process is alone.
        namespace: Who shares: all with the same name. None is ``AGENTRM_NAMESPACE``, or "default".

    All other arguments are the fields of `Config` and of its `SchedulerConfig`, under their names,
    for example ``lanes=8, order="fifo"``. None (of `endpoint_wait_timeout_s`: ...) is the default.
    No file is read here: `AgentRM.from_config` reads one, and the environment.

    Raises:
        ConfigError: A field does not exist or has a value that it cannot have; or the server of
            `coordination` refuses us.
        CoordinatorUnavailable: That server was not reached, and nobody said how many processes
            there are.
    """

    @suggesting
    def __init__(
        self,
        config: Config | None = None,
        *,
        clock: Clock | None = None,
        lanes: int | None = None,
        groups: Sequence[LaneGroup] | None = None,
        order: Order | OrderName | None = None,
        num_queues: int | None = None,
        time_quanta_s: Sequence[float] | None = None,
        boost_interval: int | None = None,
        boost_every_s: float | None = None,
        service_s_per_1k_tokens: float | None = None,
        share_half_life_s: float | None = None,
        service_half_life_s: float | None = None,
        hint_weights: Mapping[Priority | PriorityName, float] | None = None,
        start_levels: Mapping[Priority | PriorityName, int] | None = None,
        scheduler: SchedulerConfig | None = None,
        leases: LeaseConfig | None = None,
        tenants: Mapping[str, TenantConfig] | None = None,
        max_waiting: int | None = None,
        max_waiting_per_agent: int | None = None,
        wait_timeout_s: float | None = None,
        endpoint_wait_timeout_s: float | EllipsisType | None = ...,
        adaptive: bool | None = None,
        agent_idle_s: float | None = None,
        max_idle_agents: int | None = None,
        endpoints: Mapping[str, EndpointConfig] | None = None,
        breaker: BreakerConfig | None = None,
        budgets: Sequence[BudgetConfig] | None = None,
        shares: Sequence[ShareConfig] | None = None,
        prices: Mapping[str, Price] | None = None,
        providers: Sequence[Provider] | None = None,
        coordination: Coordination | Any = None,
        namespace: str | None = None,
        record: str | os.PathLike[str] | Recording | None = None,
        monitor: bool = False,
    ) -> None:
        self.config = configured(config, locals())
        self._host, self._fleet = join(self.config, coordination_of(coordination, namespace), clock)
        self._host.streams.journal = EventJournal()
        self._core = Core(self._host)
        self._updating = threading.RLock()  # also around a look and the change made of it
        self._at_once, self._at_last = [], [flush_journal]
        if self._fleet is not None:
            self._at_last.append(self._fleet.close)
            self._fleet.owned_by(self)
        self._recorder = None if record is None else self._recording(record)
        if check_instance("monitor", monitor, bool):
            self._watch()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<AgentRM lanes={self.config.lanes} order={self.config.scheduler.order}: {state}>"

    def _recording(self, given: object) -> Recorder | None:
        """Write every event from here on to a file, until the last call has ended."""
        from agentrm_plugins.telemetry.samples import recorder_of

        recorder = recorder_of(self, self._host, given)
        if recorder is None:
            return None
        self._at_once.append(partial(self._host.on_idle, recorder.finish))
        self._at_last.append(recorder.join)
        return recorder

    def _watch(self) -> None:
        """Let this user look at the core from outside."""
        noted = unopened()
        if noted is not None:
            noted.monitors += 1
            return
        from agentrm_plugins.telemetry.server import MonitorServer

        self._at_once.append(MonitorServer(self).close)

    # -- calls ------------------------------------------------------------------------------

    @suggesting
    def slot(
        self,
        *,
        agent: str | None = None,
        tenant: str | None = None,
        priority: Priority | PriorityName | None = None,
        group: str = "model",
        endpoint: str | None = None,
        estimate: Usage = _NOTHING,
        parent_agent: str | None = None,
        streaming: bool = False,
        wait_timeout_s: float | None = None,
        first_token_timeout_s: float | None = None,
        silence_timeout_s: float | None = None,
        total_timeout_s: float | None = None,
        label: str = "",
    ) -> Slot:
        """A lane for a block of code: ``with rm.slot(...) as lease`` or ``async with`` the same.

        The arguments are those of `Call`. For whom it is follows the one table of
        `agentrm_plugins.hosts.identity`: what is left out here comes from the run's metadata, from
        the nearest `identity` block or managed call around it, or from the thread id.

        Raises:
            ConfigError: A value that cannot be, at once.
            CallRefused: On entering: the core said no.
            CallReaped: On leaving: the lane was lost for want of progress. In async code the block
                is cancelled at that moment, in sync code it runs to its end.
            ClosedError: On entering: the core is closed.
        """
        who = resolve(
            self._core.number, say(agent, tenant, priority, parent_agent), run=run_around()
        )
        call = Call(
            who.agent or "main",
            who.tenant or "default",
            priority=who.priority,
            group=group,
            endpoint=endpoint,
            estimate=estimate,
            parent_agent=who.parent_agent,
            streaming=streaming,
            wait_timeout_s=wait_timeout_s,
            first_token_timeout_s=first_token_timeout_s,
            silence_timeout_s=silence_timeout_s,
            total_timeout_s=total_timeout_s,
            label=label,
        )
        self._core.check(call)
        return Slot(self._core, call)

    @suggesting
    @contextmanager
    def identity(
        self,
        *,
        agent: str | None = None,
        tenant: str | None = None,
        priority: Priority | PriorityName | None = None,
        parent_agent: str | None = None,
    ) -> Iterator[None]:
        """Say for whom all managed calls inside this block are made, by whatever plugin.

        What is left out stays as it is around the block. An agent named here works for the agent
        of the block around, if that is another one.

        Raises:
            ConfigError: A name that is empty, or a priority that is not one of the three.
        """
        said = say(agent, tenant, priority, parent_agent)
        token = IDENTITY.set(declared(self._core.number, said))
        try:
            yield
        finally:
            restore(IDENTITY, token)

    def end_agent(self, agent: str, *, tenant: str = "default", abandoned: bool = False) -> None:
        """An agent is done or gone: withdraw its waiting calls and those of its children.

        Running calls go on to their end. The agent may come back; its service is remembered.

        Args:
            agent: Its name.
            tenant: Whose it is.
            abandoned: Whether it is gone rather than done; `statistics` names it then, as it does
                each agent whose call still waited.
        """
        check_name("agent", agent)
        check_name("tenant", tenant)
        self._host.feed(EndAgent(agent, tenant, abandoned))

    @suggesting
    def update(  # noqa: D417 - the other fields are those of `AgentRM`
        self,
        config: Config | None = None,
        *,
        lanes: int | None = None,
        groups: Sequence[LaneGroup] | None = None,
        leases: LeaseConfig | None = None,
        tenants: Mapping[str, TenantConfig] | None = None,
        max_waiting: int | None = None,
        max_waiting_per_agent: int | None = None,
        wait_timeout_s: float | None = None,
        endpoint_wait_timeout_s: float | EllipsisType | None = ...,
        adaptive: bool | None = None,
        agent_idle_s: float | None = None,
        max_idle_agents: int | None = None,
        endpoints: Mapping[str, EndpointConfig] | None = None,
        breaker: BreakerConfig | None = None,
        budgets: Sequence[BudgetConfig] | None = None,
        shares: Sequence[ShareConfig] | None = None,
        prices: Mapping[str, Price] | None = None,
        priorities: Mapping[str, Priority | PriorityName] | None = None,
    ) -> Config:
        """Change a running core. No call is lost: those that run go on, those that wait keep turn.

        All of it is checked first; if anything of it cannot be, nothing changes. Fewer lanes than
        are in use only mean that nobody new starts until there is room. Limits of an endpoint that
        change begin as full as they were. A budget for the same owner, resource and window keeps
        what was spent.

        Args:
            config: The whole configuration; or leave it out and give what changes, as for
                `AgentRM`. What is left out stays as it is; `endpoints`, `budgets` and the other
                collections are given whole. Without `groups`, the one group "model" follows
                `lanes`.
            priorities: Of single agents from now on, by their key in `Statistics` ("ada", or
                "acme/ada" of a tenant), whatever their calls say.

        Returns:
            The configuration that holds now.

        Raises:
            ConfigError: A field does not exist, has a value that it cannot have, or cannot change
                while the core runs (the order and its levels; a lane group that is in use).
            ClosedError: The core is closed.
        """
        return self._change(config, dict(locals()), priorities or {})

    def _change(
        self,
        config: Config | None,
        given: dict[str, Any],
        priorities: Mapping[str, Priority | PriorityName],
    ) -> Config:
        hints = tuple(
            (*agent_of_key(key), parse_priority(hint)) for key, hint in priorities.items()
        )
        if self.closed:
            raise ClosedError("this AgentRM is closed; make a new one")
        with self._updating:
            made = updated(self.config, config, given)
            if self._fleet is not None and made != self.config:
                way = "a fleet's lanes and limits are shared; start its processes with the new ones"
                raise ConfigError.of_kind("coordination", made, way)
            self._host.ask(Reconfigure(made, hints))
            self.config = self._host.config = made
            self._core.regroup()
        return made

    def drain(self, agent: str, *, tenant: str = "default", drain: bool = True) -> None:
        """Refuse new calls of an agent from now on; those that wait and run go on to their end.

        Args:
            agent: Its name.
            tenant: Whose it is.
            drain: False lets it in again.

        Raises:
            ConfigError: A name that is none.
        """
        check_name("agent", agent)
        check_name("tenant", tenant)
        self._host.ask(Drain(agent, tenant, drain))

    def on_abandoned(self, tell: Callable[[str, str], None]) -> None:
        """Call `tell(agent, tenant)` for each agent that is abandoned from here on.

        Args:
            tell: Releases what else is kept for the agent. It is called in whatever thread the
                agent's end is noticed, in a finaliser too, so it must be quick and must not block.
        """
        self._host.abandoned.on_abandoned(tell)

    # -- looks ------------------------------------------------------------------------------

    def statistics(self, *, agents: bool | int = True) -> Statistics:
        """The state of the core, frozen.

        Args:
            agents: Whether to list every agent, or how many of the busiest: those that run and
                wait, then those that called last. Where there are very many, give a number.

        Raises:
            ConfigError: A negative number of agents.
        """
        if not isinstance(agents, bool):
            agents = check_whole("agents", agents, 0)
        return self._look(agents)

    def _look(self, agents: bool | int, *, brief: bool = False) -> Statistics:
        """As `statistics`; a brief one is what a recording keeps."""
        host = self._host
        host.tick()  # so that what is seen is how things are now

        def look(kernel: Any) -> Statistics:
            found: Statistics = kernel.statistics(agents=agents, brief=brief)
            left = {agent_key(*key): times for key, times in host.abandoned.times.items()}
            return replace(found, abandoned=left)

        fleet = None if self._fleet is None else self._fleet.statistics()
        found = replace(host.read(look), events_dropped=host.streams.dropped, fleet=fleet)
        return self._core.sessions.seen(found)

    def events(self, capacity: int = 10_000) -> EventStream:
        """A stream of what happens from here on, bounded to the newest `capacity` events.

        Raises:
            ConfigError: `capacity` is below 1.
        """
        most = check_whole("capacity", capacity, 1, of="events")
        return self._host.streams.subscribe(most)

    def story(self, ticket: int) -> Story:
        """What has lately happened to one call, and why it waited, the oldest first.

        Print it, or iterate over it for the events. The core remembers its last 4,096 events;
        a recording remembers all.
        """
        from agentrm_plugins.telemetry.story import story_of

        return story_of(self._host.read(lambda kernel: kernel.history()), ticket)
