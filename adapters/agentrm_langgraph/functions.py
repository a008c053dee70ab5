"""One function, task or runnable under management."""

from __future__ import annotations

import copy
import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar, cast

from langchain_core.runnables import Runnable
from langchain_core.runnables.config import var_child_runnable_config
from langgraph._internal._constants import CONFIG_KEY_RUNTIME
from langgraph._internal._runnable import RunnableCallable, is_async_callable
from langgraph.func import _TaskFunction
from langgraph.pregel import Pregel

from agentrm_langgraph.gate import AgentOf, Gate, Options
from agentrm_langgraph.hoist import GATE, gate_of, passed
from agentrm_langgraph.nodes import GatedRunnable
from agentrm_plugins import AgentRM, ConfigError
from agentrm_plugins.integration import suggesting

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.runnables import RunnableConfig

    from agentrm_plugins.integration import Priority, PriorityName

__all__ = ["gate_of", "manage_function", "managed_node"]

F = TypeVar("F")


@suggesting
def managed_node(
    fn: F,
    rm: AgentRM,
    *,
    lane: str | None = None,
    agent: AgentOf | str | None = None,
    tenant: str | None = None,
    priority: Priority | PriorityName | None = None,
    wait_timeout_s: float | None = None,
    silence_timeout_s: float | None = None,
    total_timeout_s: float | None = None,
    abandon: bool = True,
) -> F:
    """Put one node or one task under management, before it goes into a graph.

    What comes back is of the same kind: a function keeps its name, signature, hints and
    async-ness, a ``@task`` its policies. In a graph given to `manage_graph` too, it is managed
    once, with the settings given here.

    Args:
        fn: A node's function, a ``@task``, or a runnable.
        rm: The core.
        lane: The lane group whose lane it holds while it runs; None for no lane: then it only
            runs for its agent.
        agent: The name of the agent, or a function from the run's config to it; None: the thread.
        tenant: Who pays.
        priority: "interactive", "batch" or "background": where the agent starts.
        wait_timeout_s: Seconds that it may wait for its lane; None: as the core is configured.
        silence_timeout_s: Seconds without a sign of life (a token, something written to the
            stream, a call of a task or a tool) after which it is reaped, if it holds a lane; None:
            the core's `response_timeout_s`.
        total_timeout_s: Seconds for which it may hold its lane; None: as configured.
        abandon: Whether a sync function with a lane runs on a thread that can be given up when
            it hangs. False keeps it on LangGraph's thread; it is then reaped, but waited for.

    Raises:
        ConfigError: There is no such lane group, or `fn` is a generator function or a graph.
    """
    seconds = wait_timeout_s, silence_timeout_s, total_timeout_s
    who = agent, tenant, priority
    options = Options.checked(rm, who, seconds, abandon, {"lane": lane})
    name = name_of_task(fn)
    known = gate_of(fn.func if isinstance(fn, _TaskFunction) else fn)
    if known is not None and known.rm is rm:
        return fn
    gate = Gate(rm, lane, name, options)
    return cast("F", _manage(fn, gate))


def _manage(fn: Any, gate: Gate) -> Any:
    if isinstance(fn, _TaskFunction):
        task = copy.copy(fn)
        task.func = manage_function(fn.func, gate)
        return task
    if isinstance(fn, Pregel):
        raise ConfigError("fn", fn, "this is a whole graph: give it to manage_graph")
    if isinstance(fn, RunnableCallable):
        node = copy.copy(fn)  # still what it was: a ToolNode, for instance
        if fn.func is not None:
            node.func = manage_function(fn.func, gate)
        if fn.afunc is not None and is_async_callable(fn.afunc):
            node.afunc = manage_function(fn.afunc, gate)
        elif isinstance(fn.afunc, functools.partial):
            executor, *_ = fn.afunc.args
            node.afunc = functools.partial(fn.afunc.func, executor, node.func)
        return node
    if isinstance(fn, Runnable):
        return GatedRunnable(fn, gate)
    if not callable(fn):
        raise ConfigError("fn", fn, "give a function, a @task or a runnable")
    return manage_function(fn, gate)


def manage_function(fn: Any, gate: Gate) -> Any:
    """`fn` behind `gate`, as like it as can be.

    Raises:
        ConfigError: It is a generator function.
    """
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise ConfigError("fn", fn, "a generator has no one end: give its graph to manage_graph")
    wrap = _managed_async if is_async_callable(fn) else _managed_sync
    managed = wrap(fn, gate)
    inner = getattr(fn, "__func__", fn)
    functools.update_wrapper(managed, fn)
    # LangGraph looks one step down for subgraphs. What it would have found, it still finds.
    managed.__wrapped__ = getattr(inner, "__wrapped__", fn)
    if not hasattr(fn, "__name__"):
        managed.__name__ = name_of_task(fn)
    if not hasattr(fn, "__qualname__"):
        del managed.__module__  # no name of its own: no cache key of its own, as before
    managed.__dict__[GATE] = gate
    gate.carried = True
    return managed


def name_of_task(fn: Any) -> str:
    """What LangGraph calls a task: a partial is called by its function, an object by its class."""
    named = getattr(fn, "__name__", None) or getattr(getattr(fn, "func", None), "__name__", None)
    return str(named or fn.__class__.__name__)


def _managed_sync(fn: Callable[..., Any], gate: Gate) -> Any:
    def managed(*args: Any, **kwargs: Any) -> Any:
        if passed(gate):
            return fn(*args, **kwargs)
        config = var_child_runnable_config.get()

        def body(own: Any) -> Any:
            if own is None or own is config:
                return fn(*args, **kwargs)
            token = var_child_runnable_config.set(own)
            try:
                return fn(*args, **_injected(kwargs, config, own))
            finally:
                var_child_runnable_config.reset(token)

        return gate.run(config, body)

    return managed


def _managed_async(fn: Callable[..., Any], gate: Gate) -> Any:
    async def managed(*args: Any, **kwargs: Any) -> Any:
        if passed(gate):
            return await fn(*args, **kwargs)
        config = var_child_runnable_config.get()

        async def body(own: Any) -> Any:
            if own is None or own is config:
                return await fn(*args, **kwargs)
            token = var_child_runnable_config.set(own)
            try:
                return await fn(*args, **_injected(kwargs, config, own))
            finally:
                var_child_runnable_config.reset(token)

        return await gate.arun(config, body)

    return managed


def _injected(
    kwargs: dict[str, Any], config: RunnableConfig | None, own: RunnableConfig
) -> dict[str, Any]:
    """What LangGraph injected, wired to the lease. A task's own argument of that name stays.

    Args:
        kwargs: As LangGraph gives them.
        config: The config that it injected from.
        own: That config, wired.
    """
    given, wired = _runtime_of(config), _runtime_of(own)
    patch: dict[str, Any] = {}
    if given is not None and wired is not None:
        if _runtime_of(kwargs.get("config")) is given:
            patch["config"] = own
        if kwargs.get("runtime") is given:
            patch["runtime"] = wired
        if kwargs.get("writer") is given.stream_writer:
            patch["writer"] = wired.stream_writer
    return {**kwargs, **patch} if patch else kwargs


def _runtime_of(config: Any) -> Any:
    """LangGraph's runtime in a config; None where there is none, or where it is no config."""
    configurable = config.get("configurable") if isinstance(config, dict) else None
    return configurable.get(CONFIG_KEY_RUNTIME) if isinstance(configurable, dict) else None
