"""The gate of a node: for whom it runs, and whether it needs a lane.

Identity costs two lookups and is set for every managed node. A lane is taken only where a lane
group for nodes was given: a node in the group "model" would hold a model's lane while it does
something else. A node that only waits (for a person, for its own retry) is not inside its gate.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from langgraph.errors import GraphBubbleUp

from agentrm_langgraph import workers
from agentrm_langgraph.guard import Guard, idle_heartbeat
from agentrm_langgraph.runs import RUN
from agentrm_plugins import Call, ConfigError
from agentrm_plugins.integration import (
    Outcome,
    ReapGuard,
    activated,
    current_identity,
    outcome_of,
    parse_priority,
    while_waiting,
)

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from agentrm_plugins import AgentRM, Lease
    from agentrm_plugins.integration import Priority

__all__ = ["AgentOf", "Gate", "Options", "check_group"]

T = TypeVar("T")
AgentOf = Callable[[Mapping[str, Any]], str | None]
_AGENT_KEYS = ("agentrm_agent", "agentrm_agent_id", "agent")


@dataclass(frozen=True, slots=True)
class Options:
    """What `manage_graph` and `managed_node` let one choose, apart from the lane.

    Args:
        agent: From the run's config to the name of the agent; None: the thread id.
        wait_timeout_s: Seconds that a node may wait for its lane; None: the configured.
        silence_timeout_s: Seconds of silence after which a node with a lane counts as hung;
            None: the core's `response_timeout_s`.
        total_timeout_s: Seconds for which a node may hold its lane; None: the configured.
        abandon: Whether sync nodes with a lane run on a thread that can be given up.
    """

    agent: AgentOf | None = None
    wait_timeout_s: float | None = None
    silence_timeout_s: float | None = None
    total_timeout_s: float | None = None
    abandon: bool = True


class _Who(NamedTuple):
    agent: str
    tenant: str
    priority: Priority | None
    parent: str | None


def check_group(rm: AgentRM, group: str | None, field: str = "lane") -> None:
    """Refuse a lane group that the core does not have.

    Raises:
        ConfigError: There is no such group.
    """
    names = {known.name for known in rm.config.groups}
    if group is not None and group not in names:
        words = ", ".join(map(repr, sorted(names)))
        way = f"the core has the lane groups {words}; add LaneGroup({group!r}, ...), or give None"
        raise ConfigError(field, group, way)


class Gate:
    """One node's, or one task's, way into the core.

    Args:
        rm: The core.
        lane: The group whose lane the node holds while it runs; None for no lane.
        label: For people: the node's name.
        options: The rest.
        branch: "batch" or "background": the user's mark of a node that nobody waits for.
        tasks: The group for tasks that the node calls; None for no lane.
    """

    __slots__ = (
        "branch",
        "label",
        "lane",
        "options",
        "rm",
        "silence_s",
        "task_lanes",
        "tasks",
        "watched",
    )

    def __init__(
        self,
        rm: AgentRM,
        lane: str | None,
        label: str,
        options: Options,
        *,
        branch: str | None = None,
        tasks: str | None = None,
    ) -> None:
        self.rm = rm
        self.lane = lane
        self.label = label
        self.options = options
        self.branch = branch
        self.tasks = tasks
        self.task_lanes: Mapping[str, str | None] = {}
        self.watched = lane is not None or tasks is not None
        self.silence_s = options.silence_timeout_s or rm.config.leases.response_timeout_s

    def for_task(self, name: str) -> Gate:
        """The gate of a task that this node calls."""
        lane = self.task_lanes.get(name, self.tasks)
        gate = Gate(self.rm, lane, name, self.options, tasks=self.tasks)
        gate.task_lanes = self.task_lanes
        return gate

    # -- for whom ---------------------------------------------------------------------------

    def who(self, config: RunnableConfig | None) -> _Who:
        """The agent, its tenant, its priority and its parent; the run is told of them."""
        conf: Mapping[str, Any] = (config.get("configurable") if config else None) or {}
        metadata: Mapping[str, Any] = (config.get("metadata") if config else None) or {}
        outer = current_identity()
        named = next((metadata[key] for key in _AGENT_KEYS if metadata.get(key)), None)
        agent = self.options.agent(config or {}) if self.options.agent is not None else None
        agent = agent or named or conf.get("thread_id")
        run = RUN.get()
        if run is not None and run.rm is not self.rm:
            run = None
        if agent is None:
            agent = outer.agent or (run.name if run is not None else "main")
        agent = agent if agent.__class__ is str else str(agent)
        tenant = str(metadata.get("agentrm_tenant") or outer.tenant or "default")
        hint = metadata.get("agentrm_priority")
        priority = parse_priority(hint, "agentrm_priority") if hint else outer.priority
        parent = outer.agent if outer.agent != agent else outer.parent_agent
        if run is not None and outer.agent != agent:
            run.works_for(tenant, agent)
        if self.branch is not None and named is None and not agent.endswith(f"/{self.branch}"):
            # A hint says where an agent starts. So a branch with a hint of its own is an agent of
            # its own, and its service does not demote the nodes that somebody waits for.
            return _Who(f"{agent}/{self.branch}", tenant, priority, agent)
        return _Who(agent, tenant, priority, parent if parent != agent else None)

    def _enter(self, who: _Who) -> AbstractContextManager[None]:
        return self.rm.identity(
            agent=who.agent, tenant=who.tenant, priority=who.priority, parent_agent=who.parent
        )

    def _call(self, who: _Who) -> Call:
        assert self.lane is not None  # noqa: S101 - the callers looked
        options = self.options
        return Call(
            who.agent,
            who.tenant,
            who.priority,
            self.lane,
            parent_agent=who.parent,
            wait_timeout_s=options.wait_timeout_s,
            first_token_timeout_s=self.silence_s,
            silence_timeout_s=self.silence_s,
            total_timeout_s=options.total_timeout_s,
            label=self.label,
        )

    # -- through the gate -------------------------------------------------------------------

    def run(self, config: RunnableConfig | None, body: Callable[[Any], T]) -> T:
        """Run `body(config)` for its agent, on a lane if the node needs one.

        Raises:
            CallRefused: The core said no.
            CallReaped: The node made no progress and lost its lane.
        """
        who = self.who(config)
        with self._enter(who), _waiting(config):
            if not self.watched:
                return body(config)
            if self.lane is None:
                return body(Guard(self, None).wrap(config))
            lease = self.rm.admit(self._call(who))
            guard = Guard(self, lease)
            outcome = Outcome.CANCELLED
            try:
                with activated(self.rm, lease):
                    if self.options.abandon:
                        result = workers.run(lease, body, guard.wrap(config))
                    else:
                        result = body(guard.wrap(config))
                        lease.raise_if_reaped()
            except BaseException as error:
                outcome = _outcome(error)
                raise
            else:
                outcome = Outcome.OK
                return result
            finally:
                guard.close()
                lease.settle(outcome=outcome)

    async def arun(self, config: RunnableConfig | None, body: Callable[[Any], Awaitable[T]]) -> T:
        """The same for async code.

        Raises:
            CallRefused: The core said no.
            CallReaped: The node made no progress: it lost its lane and was cancelled.
        """
        who = self.who(config)
        with self._enter(who), _waiting(config):
            if not self.watched:
                return await body(config)
            if self.lane is None:
                return await body(Guard(self, None).wrap(config))
            return await self._arun_leased(await self.rm.admit_async(self._call(who)), config, body)

    async def _arun_leased(
        self, lease: Lease, config: RunnableConfig | None, body: Callable[[Any], Awaitable[T]]
    ) -> T:
        guard = Guard(self, lease)
        reaper = ReapGuard(lease)
        outcome = Outcome.CANCELLED
        try:
            with activated(self.rm, lease):
                result = await body(guard.wrap(config))
        except BaseException as error:
            outcome = _outcome(error)
            reaped = reaper.convert(error)
            if reaped is not None:
                raise reaped from error
            raise
        else:
            outcome = Outcome.OK
            reaped = reaper.convert(None)
            if reaped is not None:
                raise reaped
            return result
        finally:
            guard.close()
            lease.settle(outcome=outcome)


def _waiting(config: RunnableConfig | None) -> AbstractContextManager[None]:
    beat = idle_heartbeat(config)
    return nullcontext() if beat is None else while_waiting(beat)


def _outcome(error: BaseException) -> Outcome:
    """Interrupts, drains and commands to a parent graph are no failures."""
    return Outcome.OK if isinstance(error, GraphBubbleUp) else outcome_of(type(error))
