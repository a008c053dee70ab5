"""A whole graph under management: `manage_graph`.

What comes back behaves as the graph does, but for when things run: a copy of the same class, whose
nodes have gates and whose runs are counted; the
graph that was given stays as it was; one that is managed already comes back as it is.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, cast

from langgraph.constants import TAG_HIDDEN
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph.pregel._read import DEFAULT_BOUND

from agentrm_langgraph.depth import aside
from agentrm_langgraph.gate import BRANCHES, AgentOf, Gate, Options
from agentrm_langgraph.hoist import gate_of
from agentrm_langgraph.nodes import ManagedNode
from agentrm_langgraph.runs import RUN, new_run, release_contexts
from agentrm_plugins import AgentRM, ConfigError
from agentrm_plugins.integration import check_group, check_one_core, suggesting, wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langgraph.pregel._read import PregelNode

    from agentrm_plugins import ContextLifecycle
    from agentrm_plugins.integration import Priority, PriorityName

__all__ = ["manage_graph"]

G = TypeVar("G")
Lane = str | Mapping[str, str | None] | None
_AUTO = "auto"
_PREVIOUS = "__previous__"  # the channel that only a functional graph has


@suggesting
def manage_graph(
    graph: G,
    rm: AgentRM,
    *,
    lane: Lane = _AUTO,
    agent: AgentOf | str | None = None,
    tenant: str | None = None,
    priority: Priority | PriorityName | None = None,
    wait_timeout_s: float | None = None,
    silence_timeout_s: float | None = None,
    total_timeout_s: float | None = None,
    abandon: bool = True,
    hint: Literal["depth"] | None = None,
    context: ContextLifecycle | None = None,
) -> G:
    """Put every node of a graph under management.

    Subgraphs that are nodes are managed with it; one that a node's function calls runs inside that
    node, unless it is managed itself.

    Args:
        graph: A `StateGraph`, compiled or not, an ``@entrypoint``, or an agent.
        rm: The core.
        lane: Which lane group's lane a node holds while it runs. "auto": nodes that run tools one
            of the group "tools", others one of "node", where the core has such groups; else none.
            A group's name: all take one of it. None: none does. A mapping from a node's name to a
            group or None decides for those that it names. Nodes that are graphs, and entrypoints,
            take none: what is in them does.
        agent: The name of the agent, or a function from the run's config to it; None: the thread.
        tenant: Who pays.
        priority: "interactive", "batch" or "background": where the agent starts.
        wait_timeout_s: Seconds that a node may wait for its lane; None: as the core is configured.
        silence_timeout_s: Seconds without a sign of life (a token, a write to the stream, a call)
            after which a node with a lane is reaped; None: the core's `response_timeout_s`.
        total_timeout_s: Seconds for which a node may hold its lane; None: as configured.
        abandon: Whether sync nodes with a lane run on threads that can be given up when they hang.
        hint: "depth": what the graph's end does not wait for stands back. None: what is marked.
        context: Where the agents' sessions are. An abandoned agent's is hibernated.

    Raises:
        ConfigError: It is no graph, another core manages it, or an argument has a bad value.
    """
    seconds = wait_timeout_s, silence_timeout_s, total_timeout_s
    options = Options.checked(rm, (agent, tenant, priority), seconds, abandon, {})
    if not isinstance(graph, Pregel | StateGraph):
        raise ConfigError("graph", graph, "give a StateGraph, a compiled graph or an @entrypoint")
    manager = _Manager(rm, lane, options, hint)
    if context is not None:
        release_contexts(rm, context)
    return cast("G", _managed(graph, manager))


def _managed(graph: Any, manager: _Manager) -> Any:
    """A managed copy, or the graph itself if it is one."""
    known = getattr(graph, "agentrm_manager", None)
    if known is not None:
        if known.rm is manager.rm:
            return graph
        graph = known.released(graph, manager.rm)
    if isinstance(graph, StateGraph):
        return _managed_builder(graph, manager)
    manager.check_names(graph)
    return manager.manage(graph)


class _Manager:
    """How one graph and its subgraphs are managed."""

    def __init__(self, rm: AgentRM, lane: Lane, options: Options, hint: str | None) -> None:
        if hint not in {None, "depth"}:
            raise ConfigError("hint", hint, "give 'depth', or None for the user's marks alone")
        self.rm = rm
        self._by_depth = hint == "depth"
        self._options = options
        self._groups = {group.name for group in rm.config.groups}
        self._named: Mapping[str, str | None] = {}
        self._all: str | None = _AUTO
        if isinstance(lane, Mapping):
            self._named = dict(lane)
            for name, group in self._named.items():
                check_group(f"lane[{name}]", group, rm.config.groups, none=True)
        else:
            self._all = lane
            if lane != _AUTO:
                check_group("lane", lane, rm.config.groups, none=True)
        self._done: dict[int, Any] = {}

    def released(self, graph: Any, rm: AgentRM) -> Any:
        """The graph as it was before this, for another core; refused while this one is open."""
        check_one_core(rm, self.rm)
        plain = copy.copy(graph)
        plain.__class__ = type(graph).__bases__[-1]
        del plain.agentrm_manager
        if isinstance(plain, Pregel):
            plain.nodes = {name: ManagedNode.plain(node) for name, node in plain.nodes.items()}
        return plain

    def check_names(self, graph: Pregel[Any, Any, Any, Any]) -> None:
        """Refuse a lane for a node that is not there."""
        names = set(graph.nodes)
        for _, inner in graph.get_subgraphs(recurse=True):
            names |= set(getattr(inner, "nodes", ()))
        functional = _PREVIOUS in graph.channels
        for name in self._named:
            if name not in names and not functional:  # a functional graph's tasks show up later
                words = ", ".join(repr(known) for known in sorted(names) if known[:2] != "__")
                raise ConfigError("lane", name, f"the graph has no such node; it has {words}")

    def manage(self, graph: Pregel[Any, Any, Any, Any]) -> Pregel[Any, Any, Any, Any]:
        """A managed copy; the same for the same graph."""
        known = getattr(graph, "agentrm_manager", None)
        if known is not None and known.rm is self.rm:
            return graph
        if id(graph) not in self._done:
            given, graph = graph, graph if known is None else known.released(graph, self.rm)
            self._done[id(given)] = managed = copy.copy(graph)
            managed.__class__ = _managed_class(graph.__class__)
            stand_back = aside(graph) if self._by_depth else {}
            managed.nodes = {
                key: self._node(graph, key, node, _branch(node) or stand_back.get(key))
                for key, node in graph.nodes.items()
            }
            cast("_ManagedGraph", managed).agentrm_manager = self
            return managed
        return cast("Pregel[Any, Any, Any, Any]", self._done[id(graph)])

    def _node(
        self,
        graph: Pregel[Any, Any, Any, Any],
        name: str,
        node: PregelNode,
        branch: str | None,
    ) -> PregelNode:
        if isinstance(node, ManagedNode):
            return node
        if node.bound is DEFAULT_BOUND and len(node.flat_writers) <= 1:
            return node  # no user's code in it
        if isinstance(node.bound, Pregel):
            gate = Gate(self.rm, None, name, self._options, branch=branch)
            return cast("PregelNode", ManagedNode.of(node, gate, self.manage(node.bound)))
        own = gate_of(getattr(node.bound, "func", None) or getattr(node.bound, "afunc", None))
        if own is None:
            own = gate_of(node.bound)
        if own is not None and own.rm is self.rm:
            return cast("PregelNode", ManagedNode.of(node, own))
        entry = _PREVIOUS in graph.channels
        hidden = TAG_HIDDEN in (node.tags or ())
        lane = self._named.get(name) if entry or hidden else self._lane(name, node.bound)
        tasks = self._lane("", None) if not hidden else None
        gate = Gate(self.rm, lane, name, self._options, branch=branch, tasks=tasks)
        gate.task_lanes = self._named
        return cast("PregelNode", ManagedNode.of(node, gate))

    def _lane(self, name: str, bound: Any) -> str | None:
        if name in self._named:
            return self._named[name]
        if self._all != _AUTO:
            return self._all
        tools = any(kind.__name__ == "ToolNode" for kind in bound.__class__.__mro__)
        for group in ("tools", "node") if tools else ("node",):
            if group in self._groups:
                return group
        return None


class _ManagedGraph(Pregel[Any, Any, Any, Any]):
    """A graph whose runs are counted. Mixed in before the graph's own class."""

    agentrm_manager: _Manager

    def copy(self, update: dict[str, Any] | None = None) -> Self:
        attributes = {k: v for k, v in (update or {}).items() if k != "agentrm_manager"}
        manager = self.__dict__.pop("agentrm_manager")  # the class's own __init__ knows it not
        try:
            copied = super().copy(attributes)
        finally:
            self.agentrm_manager = manager
        copied.agentrm_manager = manager
        return copied

    @functools.wraps(Pregel.stream)
    def stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:  # type: ignore[override]
        run = new_run(self.agentrm_manager.rm)
        chunks = super().stream(*args, **kwargs)
        try:
            with wire.Shutting(chunks):
                while True:
                    token = RUN.set(run)
                    try:
                        chunk = next(chunks)
                    except StopIteration:
                        return
                    finally:
                        RUN.reset(token)
                    yield chunk
        except BaseException as error:
            run.abandoned = not isinstance(error, Exception)
            raise
        finally:
            run.end()

    @functools.wraps(Pregel.astream)
    async def astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:  # type: ignore[override]
        run = new_run(self.agentrm_manager.rm)
        chunks = super().astream(*args, **kwargs)
        try:
            async with wire.Shutting(chunks):
                while True:
                    token = RUN.set(run)
                    try:
                        chunk = await anext(chunks)
                    except StopAsyncIteration:
                        return
                    finally:
                        RUN.reset(token)
                    yield chunk
        except BaseException as error:
            run.abandoned = not isinstance(error, Exception)
            raise
        finally:
            run.end()


@functools.cache
def _managed_class(kind: type[Any]) -> type[Any]:
    """A subclass that counts runs, under the same name."""
    return type(kind.__name__, (_ManagedGraph, kind), {"__module__": kind.__module__})


def _managed_builder(builder: StateGraph[Any, Any, Any, Any], manager: _Manager) -> Any:
    """A copy of the builder that compiles to a managed graph."""
    managed = copy.copy(builder)
    for name, value in vars(builder).items():
        if isinstance(value, dict | set | list):
            setattr(managed, name, copy.copy(value))
    managed.__class__ = _managed_builder_class(cast("Any", builder.__class__))
    cast("Any", managed).agentrm_manager = manager
    return managed


@functools.cache
def _managed_builder_class(kind: type[Any]) -> type[Any]:
    def compile_managed(self: Any, *args: Any, **kwargs: Any) -> Any:
        graph = kind.compile(self, *args, **kwargs)
        self.agentrm_manager.check_names(graph)
        return self.agentrm_manager.manage(graph)

    functools.update_wrapper(compile_managed, kind.compile)
    body = {"__module__": kind.__module__, "compile": compile_managed}
    return type(kind.__name__, (kind,), body)


def _branch(node: PregelNode) -> str | None:
    mark = (node.metadata or {}).get("agentrm_priority")
    return str(mark) if mark in BRANCHES else None
