"""The callback: add it to any chain, model or agent, and every model call below passes the core.

One object gates in both worlds. LangChain asks a handler for its method and then either calls it or
awaits it; so the start methods are properties that look at who asks: a coroutine function gets one
to await in the caller's own task, anybody else gets a plain one that blocks its own thread. No
executor is used, so none can starve.

Some ends never come (INTEGRATION: a cancelled `ainvoke` fires no event at all). A lane therefore
comes back by whatever is first: the end event; the end of the caller's task; the end of the run
above; the moment when nobody holds the run's id any more; the lease's timeouts.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import BaseCallbackHandler

from agentrm_langchain.answers import Tally, usage_of_generations, used_or_estimated
from agentrm_langchain.call_register import Held, Hint, register_of, watch
from agentrm_langchain.identity import (
    Options,
    agent_of,
    caller_of_callback,
    identify,
    lane_of,
)
from agentrm_langchain.model_facts import endpoint_of
from agentrm_langchain.noting import thread_of
from agentrm_langchain.runs import ChainRun, Node, Runs, as_text
from agentrm_langchain.sdk import warn_of_retries, watch_clients
from agentrm_langchain.starts import Batches, Start, asked_of, is_streaming
from agentrm_plugins import AgentRM, Call, ConfigError, Usage
from agentrm_plugins.integration import HostLease, checked, core_of, outcome_of, suggesting

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from agentrm_langchain.runs import Kind
    from agentrm_plugins.integration import Priority, PriorityName

__all__ = ["AgentRMCallbackHandler"]


class AgentRMCallbackHandler(BaseCallbackHandler):
    """Manages every model call of the chains that it is given to, and notes who called what.

    A call waits for its lane before it starts, beats with each token and settles with the
    provider's usage. A refusal aborts the call with the core's error. A reaped call's lane is free
    at once; its caller gets `CallReaped` at the call's next event, for a callback cannot interrupt
    anything (the wrapped model can). A model that is wrapped for the same core is left to itself.

    Args:
        rm: The core.
        agent: For whom the calls are made; None: see `agentrm_langchain.identity`.
        tenant: Who pays for them.
        priority: "interactive", "batch" or "background": where an agent starts.
        group: The group of lanes.
        wait_timeout_s: Seconds that a call may wait for a lane; None: the core's setting.
        max_runs: How many ended runs `runs` remembers; 0 or more.

    Raises:
        ConfigError: `rm` is no core, or an argument has a bad value.
        ClosedError: The core is closed.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> from agentrm_plugins import AgentRM
        >>> model = FakeListChatModel(responses=["hello"])
        >>> with AgentRM(lanes=2) as rm:
        ...     handler = AgentRMCallbackHandler(rm)
        ...     answer = model.invoke("hi", {"callbacks": [handler]})
        ...     rm.statistics().settled, handler.runs()[0].kind
        (1, 'model')
    """

    agentrm_only_counts = True  # it shows no token to anybody
    raise_error = True  # so that a refusal aborts the call
    run_inline = True  # in order, in the caller's own task and context

    @suggesting
    def __init__(
        self,
        rm: AgentRM | None = None,
        *,
        agent: str | None = None,
        tenant: str | None = None,
        priority: Priority | PriorityName | None = None,
        group: str = "model",
        wait_timeout_s: float | None = None,
        max_runs: int = 1000,
    ) -> None:
        given = {"agent": agent, "tenant": tenant, "priority": priority, "group": group}
        said = checked(rm, {**given, "wait_timeout_s": wait_timeout_s})
        assert rm is not None  # noqa: S101 - it was just checked
        if not isinstance(max_runs, int) or max_runs < 0:
            raise ConfigError("max_runs", max_runs, "give a whole number of runs, 0 or more")
        self.rm = rm
        self._own = Options(said, group)
        self._wait_timeout_s = wait_timeout_s
        self._register = register_of(rm)
        self._runs = Runs(max_runs)
        self._batches = Batches()

    def __repr__(self) -> str:
        return f"<AgentRMCallbackHandler of {self.rm!r}>"

    def __deepcopy__(self, memo: Any) -> AgentRMCallbackHandler:
        """A copy of a config shares its handlers: there is one account."""
        return self

    def runs(self) -> tuple[ChainRun, ...]:
        """Who called what, and for how long: the newest runs, ended ones first; frozen."""
        return self._runs.look()

    def agentrm_root_of(self, run_id: UUID) -> str | None:
        """The id of the root above a run that it has seen; None of any other."""
        node = self._runs.live.get(run_id.int)
        return None if node is None else as_text(node.root)

    # -- a model call begins ----------------------------------------------------------------

    @property
    def on_chat_model_start(self) -> Any:
        """Wait for a lane: awaited in async code, blocking in sync code."""
        return self._begin_async if _asked_by_coroutine() else self._begin

    @property
    def on_llm_start(self) -> Any:
        """The same for the older models of text in, text out."""
        return self._begin_async if _asked_by_coroutine() else self._begin

    def _begin(self, serialized: Any, prompts: Any, *, run_id: UUID, **kwargs: Any) -> None:
        start = self._prepare(serialized, prompts, run_id, kwargs)
        if start is not None:
            lease = core_of(self.rm).admit(start.call, parent=start.parent)
            self._hold(start, lease, run_id, None)

    async def _begin_async(
        self, serialized: Any, prompts: Any, *, run_id: UUID, **kwargs: Any
    ) -> None:
        start = self._prepare(serialized, prompts, run_id, kwargs)
        if start is not None:
            lease = await core_of(self.rm).admit_async(start.call, parent=start.parent)
            self._hold(start, lease, run_id, asyncio.current_task())

    def _prepare(self, serialized: Any, prompts: Any, run_id: UUID, kwargs: Any) -> Start | None:
        metadata = kwargs.get("metadata") or {}
        node = self._open(run_id, kwargs, "model", serialized, metadata)
        key, register = node.key, self._register
        if key in register.held:  # another handler of this core was first
            return None
        caller = caller_of_callback()
        thread = thread_of(metadata) if caller.thread is None else caller.thread
        root = as_text(node.root)
        who = identify(core_of(self.rm).number, self._own, metadata, root=root, thread=thread)
        node.agent = agent = who.agent or root
        above = self._runs.above(node)
        parent_agent = who.parent_agent or (above.agent if above is not None else None)
        if (
            getattr(serialized, "agentrm_core", None) == core_of(self.rm).number
        ):  # it manages itself
            gone = partial(_forget, register.hints, key)
            register.hints[key] = Hint(as_text(node.root), parent_agent, watch(run_id, gone))
            return None
        batch = self._batches.enter(kwargs, self.rm)
        params = kwargs.get("invocation_params") or {}
        asked = asked_of(serialized, prompts, metadata, params)
        endpoint, watched = asked.endpoint, False
        if caller.model is not None:  # as the wrapped model knows it: with its key, and its headers
            endpoint = endpoint_of(caller.model, metadata, params) or endpoint
            watched = watch_clients(caller.model, self.rm)
            warn_of_retries(caller.model, self.rm, watched=watched)
        call = Call(
            agent,
            who.tenant or "default",
            who.priority,
            lane_of(metadata, self._own.group, self.rm),
            endpoint,
            Usage(asked.input_tokens),
            parent_agent,
            is_streaming(kwargs),
            self._wait_timeout_s,
            batch.first_s,
            None,
            batch.total_s,
            max_output_tokens=asked.max_output_tokens,
        )
        parent = batch.ticket or self._running_above(node)
        return Start(call, key, parent, batch, watched)

    def _running_above(self, node: Node) -> int | None:
        """The ticket of the model call inside which this one is made, if there is one."""
        key = node.parent
        while key is not None:
            held = self._register.held.get(key)
            if held is not None:
                return held.lease.ticket
            above = self._runs.live.get(key)
            key = None if above is None else above.parent
        return None

    def _hold(self, start: Start, lease: HostLease, run_id: UUID, task: Any) -> None:
        held = Held(lease, id(self), Tally(start.call.estimate), watched=start.watched)
        start.batch.granted(lease.ticket)
        gone = partial(self._lost, start.key)
        held.alive = watch(run_id, gone)
        self._register.held[start.key] = held
        if task is not None:
            held.follow(task, partial(_if_broken, gone))

    # -- it goes on, and ends ---------------------------------------------------------------

    def on_llm_new_token(self, token: Any, *, chunk: Any = None, run_id: UUID, **_: Any) -> None:
        """A sign of life.

        Raises:
            CallReaped: The call had lost its lane.
        """
        held = self._register.held.get(run_id.int)
        if held is not None and held.owner == id(self):
            _raise_if_given_up(held.lease)
            held.tally.add(chunk)
            held.came(token, chunk)
            held.lease.beat(1 if held.said else 0, ping=not held.said)

    def on_stream_event(self, event: Any, *, run_id: UUID, **_: Any) -> None:
        """A sign of life of a protocol stream, which may run in a task of its own.

        Raises:
            CallReaped: The call had lost its lane.
        """
        held = self._register.held.get(run_id.int)
        if held is None or held.owner != id(self):
            return
        _raise_if_given_up(held.lease)
        held.lease.beat(1)
        if held.task is not None:
            try:
                task = asyncio.current_task()
            except RuntimeError:  # told from a thread
                return
            if task is not held.task:
                held.follow(task, partial(_if_broken, partial(self._lost, run_id.int)))

    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        """The call is over: charge what it used.

        Raises:
            CallReaped: The call had lost its lane.
        """
        key = run_id.int
        self._runs.close(key, "ok")
        self._register.hints.pop(key, None)
        held = self._register.held.pop(key, None)
        if held is None:
            return
        held.let_go()
        generations = response.generations[0] if response.generations else ()
        failure = held.failure(generations)
        if failure is not None:  # LangChain makes an empty message of it: its caller goes on
            held.fail(failure)
            return
        used = held.tally.usage()  # before the answer's: LangChain adds running totals up
        if used is None and held.tally.chunks:
            used = usage_of_generations(generations, response.llm_output) or held.tally.cut()
        if used is None:
            used = used_or_estimated(held.lease.call, generations, response.llm_output)
        held.lease.settle(used)
        _raise_if_given_up(held.lease)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """The call failed or was cut off: its lane is free, and its endpoint learns why."""
        key = run_id.int
        self._runs.close(key, outcome_of(error.__class__).value)
        self._register.hints.pop(key, None)
        held = self._register.held.pop(key, None)
        if held is not None:
            held.fail(error)

    # -- chains, nodes, tools and retrievers ------------------------------------------------

    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Note who called it."""
        self._open(run_id, kwargs, "chain", serialized, kwargs.get("metadata") or {})

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_: Any) -> None:
        """Note how long it took, and close what has not told its end."""
        self._close(run_id.int, "ok")

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """The same."""
        self._close(run_id.int, outcome_of(error.__class__).value)

    def on_tool_start(
        self, serialized: Any, input_str: str, *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Note who called it."""
        self._open(run_id, kwargs, "tool", serialized, kwargs.get("metadata") or {})

    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """Note how long it took."""
        self._close(run_id.int, "ok")

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """The same."""
        self._close(run_id.int, outcome_of(error.__class__).value)

    def on_retriever_start(
        self, serialized: Any, query: str, *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Note who called it."""
        self._open(run_id, kwargs, "retriever", serialized, kwargs.get("metadata") or {})

    def on_retriever_end(self, documents: Any, *, run_id: UUID, **_: Any) -> None:
        """Note how long it took."""
        self._close(run_id.int, "ok")

    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """The same."""
        self._close(run_id.int, outcome_of(error.__class__).value)

    # -- helpers ----------------------------------------------------------------------------

    def _open(self, run_id: UUID, kwargs: Any, kind: Kind, serialized: Any, metadata: Any) -> Node:
        name = kwargs.get("name")
        if not name and serialized:
            name = serialized.get("name") or (serialized.get("id") or [kind])[-1]
        node = self._runs.open(run_id, kwargs.get("parent_run_id"), kind, name or kind)
        node.agent = agent_of(metadata) or node.agent or as_text(node.root)
        if asyncio._get_running_loop() is not None:
            task = asyncio.current_task()
            node.task = None if task is None else weakref.ref(task)
        return node

    def _close(self, key: int, outcome: str) -> None:
        node = self._runs.close(key, outcome)
        if node is None:
            return
        for child in list(node.children):
            self._close_below(child, node)

    def _close_below(self, key: int, above: Node) -> None:
        """A run above ended: its calls have, too, unless a task of their own still makes them."""
        held = self._register.held.get(key)
        if held is not None and held.task is not None and not held.task.done():
            task = above.task() if above.task is not None else None
            if held.task is not task:
                return
        node = self._runs.close(key, "cancelled")
        self._end(key, "cancelled")
        for child in list(node.children) if node is not None else ():
            self._close_below(child, above)

    def _lost(self, key: int) -> None:
        """No end will come. This may run in a finaliser: it never blocks."""
        self._runs.close(key, "cancelled")
        self._end(key, "cancelled")

    def _end(self, key: int, outcome: Any) -> None:
        self._register.hints.pop(key, None)
        held = self._register.held.pop(key, None)
        if held is not None:
            held.end(outcome)


def _raise_if_given_up(lease: HostLease) -> None:
    """Raise `CallReaped` for a call that passed a limit; but a chunk that came late has come.

    Whether the provider was silent or the consumer did not ask for more a callback cannot know. So
    after a silence the lane is free, and no more.
    """
    if lease.reap_cause != "silence":
        lease.raise_if_reaped()


def _if_broken(gone: Callable[[], None], task: asyncio.Task[Any]) -> None:
    """The task that made the call has ended; if it ended badly, so has the call.

    If it ended well it was only a part of the way: LangChain pulls each chunk of a stream within a
    chain in a task of its own. (`exception()` would mark the error as seen, and hide it from
    asyncio's own report.)
    """
    if task.cancelled() or getattr(task, "_exception", None) is not None:
        gone()


def _forget(hints: dict[int, Any], key: int) -> None:
    hints.pop(key, None)


def _asked_by_coroutine() -> bool:
    """Whether a coroutine asked for the property: whoever can await what it gets."""
    return bool(sys._getframe(2).f_code.co_flags & inspect.CO_COROUTINE)
