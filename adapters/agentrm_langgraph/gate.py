"""The gate of a node: for whom it runs, and whether it needs a lane.

Identity is set for every managed node, and remembered by thread: it costs a few look-ups. A lane is
taken only where a lane group for nodes was given: a node in the group "model" would hold a model's
lane while it does something else. A node that only waits (for a person, for its own retry) is not
inside its gate.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from agentrm_langgraph.guard import BEATS, Beats, Guard, idle_heartbeat
from agentrm_langgraph.runs import RUN
from agentrm_langgraph.slips import LOOKS, look, look_away
from agentrm_plugins import Call
from agentrm_plugins.integration import (
    Attempt,
    Priority,
    asking,
    checked,
    core_of,
    parse_priority,
)

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from agentrm_langgraph.slips import Looking
    from agentrm_plugins import AgentRM
    from agentrm_plugins.integration import HostLease, PriorityName

__all__ = ["BRANCHES", "AgentOf", "Gate", "Options"]

T = TypeVar("T")
AgentOf = Callable[[Mapping[str, Any]], str | None]
BRANCHES = ("batch", "background")
_HINTS = frozenset(
    (
        *("agentrm_agent", "agentrm_agent_id", "agentrm_tenant", "agentrm_priority"),
        *("agentrm_parent_agent", "agent", "tenant", "priority"),
    )
)
_NOTHING = asking.Said()
_REMEMBERED = 256  # threads for each node; guessed: enough for those that talk at one time


@dataclass(frozen=True, slots=True)
class Options:
    """What `manage_graph` and `managed_node` let one choose, apart from the lane.

    Args:
        agent: From the run's config to the name of the agent; None: `said`, or the thread id.
        wait_timeout_s: Seconds that a node may wait for its lane; None: the configured.
        silence_timeout_s: Seconds of silence after which a node with a lane counts as hung;
            None: the core's `response_timeout_s`.
        total_timeout_s: Seconds for which a node may hold its lane; None: the configured.
        abandon: Whether sync nodes with a lane run on a thread that can be given up.
        said: Whom the arguments name, for all runs.
    """

    agent: AgentOf | None = None
    wait_timeout_s: float | None = None
    silence_timeout_s: float | None = None
    total_timeout_s: float | None = None
    abandon: bool = True
    said: asking.Said = _NOTHING

    @classmethod
    def checked(
        cls,
        rm: AgentRM,
        who: tuple[AgentOf | str | None, str | None, Priority | PriorityName | None],
        seconds: tuple[float | None, float | None, float | None],
        abandon: bool,
        lane: Mapping[str, str | None],
    ) -> Options:
        """What a user declares, looked at.

        Args:
            rm: The core.
            who: The arguments `agent`, `tenant` and `priority`.
            seconds: The three timeouts.
            abandon: As above.
            lane: The argument `lane`, by its name, where it is to be looked at here.

        Raises:
            ConfigError: A value that cannot be.
            ClosedError: The core is closed.
        """
        agent, tenant, priority = who
        of_config = agent if callable(agent) else None
        options = cls(of_config, *seconds, abandon)
        named = {"agent": agent if of_config is None else None, "tenant": tenant}
        said = checked(
            rm, {**named, "priority": priority, "abandon": abandon, **lane, **options.seconds}
        )
        return replace(options, said=said)

    @property
    def seconds(self) -> dict[str, float | None]:
        """Its timeouts by name."""
        names = "wait_timeout_s", "silence_timeout_s", "total_timeout_s"
        return {name: getattr(self, name) for name in names}


class Who(NamedTuple):
    """For whom a node runs.

    Args:
        identity: What its calls are made for.
        key: Tenant and agent whose run this is, for `Run.works_for`; None if an outer run's.
        call: What is declared of the node; None if it takes no lane.
    """

    identity: asking.Identity
    key: tuple[str, str] | None
    call: Call | None


def _later(one: Priority | None, other: Priority | None) -> Priority | None:
    """Whichever of the two starts lower."""
    order = (None, *Priority)
    return max(one, other, key=order.index)


class Gate:
    """One node's, or one task's, way into the core.

    Args:
        rm: The core.
        lane: The group whose lane the node holds while it runs; None for no lane.
        label: For people: the node's name.
        options: The rest.
        branch: "batch" or "background": a node that nobody waits for, by the user's mark or by the
            graph's edges.
        tasks: The group for tasks that the node calls; None for no lane.

    `carried` says that a function carries it, which may be a node and so pass it twice.
    """

    __slots__ = (
        "_known",
        "_looks",
        "branch",
        "carried",
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
        self.carried = False
        self._known: dict[str, Who] = {}
        self._looks = LOOKS
        self.watched = lane is not None or tasks is not None
        self.silence_s = options.silence_timeout_s or rm.config.leases.response_timeout_s

    def for_task(self, name: str) -> Gate:
        """The gate of a task that this node calls."""
        lane = self.task_lanes.get(name, self.tasks)
        gate = Gate(self.rm, lane, name, self.options, tasks=self.tasks)
        gate.task_lanes = self.task_lanes
        return gate

    # -- for whom ---------------------------------------------------------------------------

    def who(self, config: RunnableConfig | None) -> Who:
        """The agent, its tenant, its priority and its parent; the run is told of them."""
        run = RUN.get()
        if run is not None and run.rm is not self.rm:
            run = None
        conf: Mapping[str, Any] = (config.get("configurable") if config else None) or {}
        metadata: Mapping[str, Any] = (config.get("metadata") if config else None) or {}
        outer = asking.current_identity()
        thread = conf.get("thread_id")
        plain = (
            outer is asking.NOBODY
            and thread.__class__ is str
            and thread != ""
            and self.options.agent is None
            and _HINTS.isdisjoint(metadata)
            and core_of(self.rm).active_call() is None
        )
        found = self._known.get(cast("str", thread)) if plain else None
        if found is None:
            found = self._resolve(config, asking.run_around(config), outer)
            if plain:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[cast("str", thread)] = found
        if run is not None and found.key is not None:
            run.works_for(found.key)
        return found

    def _resolve(
        self, config: RunnableConfig | None, run: asking.RunInfo, outer: asking.Identity
    ) -> Who:
        agent_of = self.options.agent
        named = agent_of(config or {}) if agent_of is not None else None
        own = self.options.said
        if named is not None and named != "":
            own = own._replace(agent=str(named))
        who = asking.resolve(core_of(self.rm).number, own=own, run=run)
        agent, parent, priority = who.agent or "main", who.parent_agent, who.priority
        key = (who.tenant or "default", agent)
        ours = key != (outer.tenant or "default", outer.agent)
        if self.branch is not None:
            priority = _later(priority, parse_priority(self.branch))
            if asking.named_in(run.metadata) is None and not agent.endswith(f"/{self.branch}"):
                # A hint says where an agent starts. So a branch with a hint of its own is an agent
                # of its own, and its service does not demote the nodes that somebody waits for.
                agent, parent = f"{agent}/{self.branch}", agent
        who = who._replace(agent=agent, parent_agent=parent, priority=priority)
        return Who(who, key if ours else None, None if self.lane is None else self._call(who))

    def _call(self, who: asking.Identity) -> Call:
        options = self.options
        return Call(
            cast("str", who.agent),
            cast("str", who.tenant),
            who.priority,
            cast("str", self.lane),
            parent_agent=who.parent_agent,
            wait_timeout_s=options.wait_timeout_s,
            first_token_timeout_s=self.silence_s,
            silence_timeout_s=self.silence_s,
            total_timeout_s=options.total_timeout_s,
            label=self.label,
        )

    def _watch(self, lease: HostLease | None = None) -> Looking | None:
        """For the first runs: see whether a bare model is called in this node."""
        if not self._looks:
            return None
        self._looks -= 1
        return look(self.rm, self.label, lease)

    # -- through the gate -------------------------------------------------------------------

    def run(self, config: RunnableConfig | None, body: Callable[[Any], T]) -> T:
        """Run `body(config)` for its agent, on a lane if the node needs one.

        Raises:
            CallRefused: The core said no.
            CallReaped: The node made no progress and lost its lane.
        """
        who = self.who(config)
        if who.call is not None:
            return self._run_leased(who, who.call, config, body)
        entered, watch = asking.enter(who.identity), self._watch()
        try:
            return body(Guard(self, None).wrap(config) if self.watched else config)
        finally:
            look_away(watch)
            asking.leave(entered)

    def _run_leased(
        self, who: Who, call: Call, config: RunnableConfig | None, body: Callable[[Any], T]
    ) -> T:
        def make(lease: HostLease) -> T:
            guard, attempt = Guard(self, lease), Attempt(core_of(self.rm).number, lease)
            run = attempt.on_worker if self.options.abandon else attempt.here
            entered, beats = asking.enter(who.identity, attempt.active), BEATS.set(Beats(lease))
            watch = self._watch(lease)
            try:
                return run(partial(body, guard.wrap(config)))
            finally:
                guard.close()
                look_away(watch)
                asking.restore(BEATS, beats)
                asking.leave(entered)

        return core_of(self.rm).call(call, make)

    async def arun(self, config: RunnableConfig | None, body: Callable[[Any], Awaitable[T]]) -> T:
        """The same for async code.

        Raises:
            CallRefused: The core said no.
            CallReaped: The node made no progress: it lost its lane and was cancelled.
        """
        beat = idle_heartbeat(config)
        if beat is None:
            return await self._arun(config, body)
        with asking.while_waiting(beat):
            return await self._arun(config, body)

    async def _arun(self, config: RunnableConfig | None, body: Callable[[Any], Awaitable[T]]) -> T:
        who = self.who(config)
        if who.call is not None:
            return await self._arun_leased(who, who.call, config, body)
        entered, watch = asking.enter(who.identity), self._watch()
        try:
            return await body(Guard(self, None).wrap(config) if self.watched else config)
        finally:
            look_away(watch)
            asking.leave(entered)

    async def _arun_leased(
        self,
        who: Who,
        call: Call,
        config: RunnableConfig | None,
        body: Callable[[Any], Awaitable[T]],
    ) -> T:
        async def make(lease: HostLease) -> T:
            guard, attempt = Guard(self, lease), Attempt(core_of(self.rm).number, lease)
            entered, beats = asking.enter(who.identity, attempt.active), BEATS.set(Beats(lease))
            watch = self._watch(lease)
            try:
                return await attempt.in_task(partial(body, guard.wrap(config)))
            finally:
                guard.close()
                look_away(watch)
                asking.restore(BEATS, beats)
                asking.leave(entered)

        return await core_of(self.rm).call_async(call, make)
