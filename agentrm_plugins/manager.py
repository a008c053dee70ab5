"""AgentRM, the facade: one shared core for every agent, thread and event loop of a process."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from agentrm_plugins.config import Config, SchedulerConfig
from agentrm_plugins.errors import CallRefused, ClosedError, ConfigError
from agentrm_plugins.hosts import Host, MonotonicClock
from agentrm_plugins.hosts.bell import Bell
from agentrm_plugins.hosts.flow import admission, managed_call, run, run_async
from agentrm_plugins.hosts.identity import declared, resolve, run_around, say
from agentrm_plugins.hosts.slot import Slot
from agentrm_plugins.types.calls import Call, Usage
from agentrm_plugins.types.checks import check_group, check_whole
from agentrm_plugins.types.events import EndAgent, Observe
from agentrm_plugins.types.identity import ACTIVE, IDENTITY, restore
from agentrm_plugins.types.statistics import agent_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from agentrm_plugins.hosts import Clock, EventStream, Lease
    from agentrm_plugins.hosts.retry import RetryPolicy
    from agentrm_plugins.types.calls import Priority
    from agentrm_plugins.types.statistics import Statistics
    from agentrm_plugins.types.verdicts import LimitReport, Verdict

__all__ = ["AgentRM"]

T = TypeVar("T")
_CORES = itertools.count(1)
_TOP = {field.name for field in fields(Config)}
_SCHEDULER = {field.name for field in fields(SchedulerConfig)}
_NOTHING = Usage()


class AgentRM:
    """The shared core. Make one for a process, give it to every plugin, close it at the end.

    Safe to use from any thread and any event loop at once. After a fork the child's copy begins
    afresh, with all lanes free.

    Args:
        config: The whole configuration; or leave it out and give single fields.
        clock: For tests: a `VirtualClock`. None is the machine's monotonic clock.
        settings: Fields of `Config` or `SchedulerConfig`, for example ``lanes=8, order="fifo"``.

    Raises:
        ConfigError: A field does not exist or has a value that it cannot have.
    """

    def __init__(
        self, config: Config | None = None, *, clock: Clock | None = None, **settings: Any
    ) -> None:
        self.config = _configure(config, settings)
        self._host = Host(self.config, clock or MonotonicClock())
        self.core = next(_CORES)
        self._groups = {group.name for group in self.config.groups}

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<AgentRM lanes={self.config.lanes} order={self.config.scheduler.order}: {state}>"

    # -- calls ------------------------------------------------------------------------------

    def slot(
        self,
        *,
        agent: str | None = None,
        tenant: str | None = None,
        priority: Priority | str | None = None,
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
        who = resolve(self.core, say(agent, tenant, priority, parent_agent), run=run_around())
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
        self._check(call)
        return Slot(self, call)

    def admit(self, call: Call, *, parent: int | None = None) -> Lease:
        """Wait for a lane, blocking this thread. The caller settles the lease.

        Args:
            call: What it is for.
            parent: The ticket of the managed call on whose lane this one may ride; None: that of
                the call inside which this code runs, if any.

        Raises:
            CallRefused: The core said no.
            ClosedError: The core is closed.
            ConfigError: There is no such lane group.
        """
        self._check(call)
        lease = self._host.submit(call, self._parent(parent))
        return lease.result() if lease.decided else run(admission(lease))

    async def admit_async(self, call: Call, *, parent: int | None = None) -> Lease:
        """Wait for a lane, suspending this task. The caller settles the lease.

        Args:
            call: What it is for.
            parent: As in `admit`.

        Raises:
            CallRefused: The core said no.
            ClosedError: The core is closed.
            ConfigError: There is no such lane group.
        """
        self._check(call)
        lease = self._host.submit(call, self._parent(parent))
        return lease.result() if lease.decided else await run_async(admission(lease))

    def call(
        self, call: Call, make: Callable[[Lease], T], *, retry: RetryPolicy | None = None
    ) -> T:
        """Make a call in a lane of its own, and again after failures that `retry` would have cured.

        A call that goes again holds nothing meanwhile: its lane is free, it waits at its own place
        in the queue, and its endpoint's limits say when it may go.

        Args:
            call: What is declared of it.
            make: Makes one attempt. It settles the lease if that went well (or the lease was
                reaped); if it raises, the core does.
            retry: Which failures go again; None: none does.

        Raises:
            CallRefused: The core said no.
            ClosedError: The core is closed.
            Exception: What the last attempt raised.
        """
        self._check(call)
        given: T = run(managed_call(self._host, call, self._parent(None), retry), make)
        return given

    async def call_async(
        self, call: Call, make: Callable[[Lease], Awaitable[T]], *, retry: RetryPolicy | None = None
    ) -> T:
        """The same in a task.

        Raises:
            CallRefused: The core said no.
            ClosedError: The core is closed.
            Exception: What the last attempt raised.
        """
        self._check(call)
        flow = managed_call(self._host, call, self._parent(None), retry)
        given: T = await run_async(flow, make)
        return given

    def observe(
        self,
        endpoint: str,
        report: LimitReport,
        verdict: Verdict | None = None,
        sent_s: float | None = None,
    ) -> None:
        """For transports: a response of `endpoint` was seen, and what it says of the limits.

        Args:
            endpoint: "host/model#fingerprint of the key".
            report: What its headers say.
            verdict: What became of the request, if no managed call will tell: else it counts twice.
            sent_s: When the request went, on this core's clock (`now_s`); None: just now.
        """
        self._host.feed(Observe(endpoint, report, verdict, sent_s))

    def lease_of(self, ticket: int) -> Lease | None:
        """For transports: the lease of a call that runs; None if it ended or was reaped."""
        return self._host.lease(ticket)

    @property
    def now_s(self) -> float:
        """The time on this core's clock, seconds."""
        return self._host.clock.now()

    def admit_nowait(self, call: Call) -> Lease | None:
        """A lane now, or None. The caller settles the lease.

        Raises:
            ClosedError: The core is closed.
            ConfigError: There is no such lane group.
        """
        self._check(call)
        try:
            call = replace(call, wait_timeout_s=0.0)
            lease: Lease = run(admission(self._host.submit(call, self._parent(None))))
        except CallRefused:
            return None
        return lease

    @contextmanager
    def identity(
        self,
        *,
        agent: str | None = None,
        tenant: str | None = None,
        priority: Priority | str | None = None,
        parent_agent: str | None = None,
    ) -> Iterator[None]:
        """Say for whom all managed calls inside this block are made, by whatever plugin.

        What is left out stays as it is around the block. An agent named here works for the agent
        of the block around, if that is another one.

        Raises:
            ConfigError: A name that is empty, or a priority that is not one of the three.
        """
        said = say(agent, tenant, priority, parent_agent)
        token = IDENTITY.set(declared(self.core, said))
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
        self._host.feed(EndAgent(agent, tenant, abandoned))

    def on_abandoned(self, tell: Callable[[str, str], None]) -> None:
        """Call `tell(agent, tenant)` for each agent that is abandoned from here on.

        Args:
            tell: Releases what else is kept for the agent. It is called in whatever thread the
                agent's end is noticed, in a finaliser too, so it must be quick and must not block.
        """
        self._host.on_abandoned(tell)

    # -- looks ------------------------------------------------------------------------------

    def statistics(self, *, agents: bool = True) -> Statistics:
        """The state of the core, frozen.

        Args:
            agents: Whether to list every agent; leave them out where there are very many.
        """
        host = self._host
        host.tick()  # so that what is seen is how things are now

        def look(kernel: Any) -> Statistics:
            found: Statistics = kernel.statistics(agents=agents)
            left = {agent_key(*key): times for key, times in host.abandoned.items()}
            return replace(found, abandoned=left)

        return replace(host.read(look), events_dropped=host.events_dropped)

    def events(self, capacity: int = 10_000) -> EventStream:
        """A stream of what happens from here on, bounded to the newest `capacity` events.

        Raises:
            ConfigError: `capacity` is below 1.
        """
        check_whole("capacity", capacity, 1, of="events")
        return self._host.subscribe(capacity)

    def story(self, ticket: int) -> list[Any]:
        """What has lately happened to one call, the oldest first."""
        return self._host.read(lambda kernel: kernel.story(ticket))

    # -- end --------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._host.closed

    def close(self, drain_s: float = 0.0) -> None:
        """Refuse whoever waits and whoever comes, and end the core's thread.

        Running calls may still settle. A second time does nothing.

        Args:
            drain_s: Seconds to wait for running calls to end; 0 does not wait.
        """
        if not self.closed:
            self._host.close()
        if drain_s > 0:
            idle = Bell()
            self._host.on_idle(idle.ring)
            idle.wait(drain_s)
        self._host.stop()

    async def aclose(self, drain_s: float = 0.0) -> None:
        """The same without blocking the event loop."""
        if not self.closed:
            self._host.close()
        if drain_s > 0:
            loop, idle = asyncio.get_running_loop(), asyncio.Event()
            self._host.on_idle(lambda: _ring(loop, idle))
            with suppress(TimeoutError):
                async with asyncio.timeout(drain_s):
                    await idle.wait()
        self._host.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    # -- helpers ----------------------------------------------------------------------------

    def _parent(self, given: int | None) -> int | None:
        if given is not None:
            return given
        active = ACTIVE.get()
        return active.ticket if active is not None and active.core == self.core else None

    def _check(self, call: Call) -> None:
        if call.group not in self._groups:
            check_group("group", call.group, self.config.groups)
        if self.closed:
            raise ClosedError("this AgentRM is closed; make a new one, or keep it open for longer")


def _ring(loop: asyncio.AbstractEventLoop, idle: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(idle.set)


def _configure(config: Config | None, settings: dict[str, Any]) -> Config:
    if config is not None:
        if not isinstance(config, Config):
            raise ConfigError("config", config, "give a Config(...), or single fields by name")
        if settings:
            name = next(iter(settings))
            raise ConfigError(name, settings[name], "give either a Config or single fields")
        return config
    for name, value in settings.items():
        if name not in _TOP | _SCHEDULER:
            way = f"no such setting; use one of {', '.join(sorted(_TOP | _SCHEDULER))}"
            raise ConfigError(name, value, way)
    top = {name: value for name, value in settings.items() if name in _TOP}
    inner = {name: value for name, value in settings.items() if name in _SCHEDULER}
    if inner:
        base = top.get("scheduler", SchedulerConfig())
        top["scheduler"] = replace(base, **inner)
    return Config(**top)
