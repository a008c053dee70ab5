"""What a node with a lane sees of its run: writers that beat, and that fall silent once it is over.

A sync node that was reaped cannot be stopped. Its thread runs on, and what it still writes must
reach neither the stream nor the channels, where a second attempt may be at work by then.
"""

from __future__ import annotations

import functools
import time
from concurrent.futures import Future
from contextvars import ContextVar, copy_context
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar, cast

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook
from langgraph._internal._constants import (
    CONFIG_KEY_CALL,
    CONFIG_KEY_RUNTIME,
    CONFIG_KEY_SEND,
)
from langgraph.runtime import DEFAULT_RUNTIME, Runtime

from agentrm_plugins.integration import Job, hand_off

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_core.runnables import RunnableConfig

    from agentrm_langgraph.gate import Gate
    from agentrm_plugins import Lease

__all__ = ["BEATS", "Beats", "Guard", "idle_heartbeat"]

T = TypeVar("T")
_NO_HEARTBEAT = DEFAULT_RUNTIME.heartbeat
_FIELDS = tuple(field.name for field in fields(Runtime))
_put = object.__setattr__

# LangChain adds what is in here to the handlers of every run that starts meanwhile.
BEATS: ContextVar[BaseCallbackHandler | None] = ContextVar("agentrm_beats", default=None)
register_configure_hook(BEATS, inheritable=True)


def idle_heartbeat(config: RunnableConfig | None) -> Callable[[], None] | None:
    """What resets the node's idle timeout; None if it has none."""
    if config is None:
        return None
    runtime = config.get("configurable", {}).get(CONFIG_KEY_RUNTIME)
    heartbeat = getattr(runtime, "heartbeat", None)
    if heartbeat is None or heartbeat is _NO_HEARTBEAT:
        return None
    return cast("Callable[[], None]", heartbeat)


class Guard:
    """The run as one attempt of one node sees it.

    Args:
        gate: The node's gate.
        lease: Its lane; None if only its tasks are managed.
    """

    __slots__ = ("gate", "is_open", "lease")

    def __init__(self, gate: Gate, lease: Lease | None) -> None:
        self.gate = gate
        self.lease = lease
        self.is_open = True

    def close(self) -> None:
        """The attempt is over: nothing that it still does counts."""
        self.is_open = False

    def wrap(self, config: RunnableConfig | None) -> Any:
        """The node's config, with every sign of life wired to its lease."""
        if config is None:
            return None
        conf: Mapping[str, Any] = config.get("configurable") or {}
        own = {**conf}
        if (call := conf.get(CONFIG_KEY_CALL)) is not None:
            own[CONFIG_KEY_CALL] = _Calls(self, call)
        if self.lease is not None:
            if (send := conf.get(CONFIG_KEY_SEND)) is not None:
                own[CONFIG_KEY_SEND] = self._while_open(send)
            runtime = conf.get(CONFIG_KEY_RUNTIME)
            if isinstance(runtime, Runtime):
                own[CONFIG_KEY_RUNTIME] = _with_writers(
                    runtime, self._beating(runtime.stream_writer), self._beating(runtime.heartbeat)
                )
        return {**config, "configurable": own}

    def _while_open(self, inner: Callable[..., Any]) -> Callable[..., None]:
        """`inner` for as long as the attempt lasts."""
        lease = cast("Lease", self.lease)

        def guarded(*args: Any) -> None:
            if self.is_open and not lease.reaped:
                inner(*args)

        return guarded

    def _beating(self, inner: Callable[..., Any]) -> Callable[..., None]:
        """The same; each use is a sign of life."""
        lease = cast("Lease", self.lease)

        def guarded(*args: Any) -> None:
            if self.is_open and not lease.reaped:
                lease.beat()
                inner(*args)

        return guarded


def _with_writers(
    runtime: Runtime[Any], writer: Callable[..., None], heartbeat: Callable[..., None]
) -> Runtime[Any]:
    """`runtime.override(...)` at a third of its price; every node with a lane pays it."""
    if runtime.__class__ is not Runtime:
        return runtime.override(stream_writer=writer, heartbeat=heartbeat)
    copied: Runtime[Any] = object.__new__(Runtime)
    for name in _FIELDS:
        _put(copied, name, getattr(runtime, name))
    _put(copied, "stream_writer", writer)
    _put(copied, "heartbeat", heartbeat)
    return copied


class _Calls:
    """Calls of tasks, with each task managed.

    Args:
        guard: The attempt whose node calls.
        call: LangGraph's own way to call a task.
    """

    __slots__ = ("_call", "_guard")

    def __init__(self, guard: Guard, call: Callable[..., Any]) -> None:
        self._guard = guard
        self._call = call

    def __call__(self, func: Any, task_input: Any, **options: Any) -> Any:
        from agentrm_langgraph.functions import (  # they know each other
            manage_function,
            name_of_task,
        )
        from agentrm_langgraph.hoist import gate_of

        lease, call = self._guard.lease, self._call
        if isinstance(call, functools.partial) and not _in_async(call):
            call = functools.partial(call, submit=lambda: submit)
        if lease is not None:
            lease.raise_if_reaped()
            lease.beat()
        if gate_of(func) is None:
            func = manage_function(func, self._guard.gate.for_task(name_of_task(func)))
        return call(func, task_input, **options)


def _in_async(call: functools.partial[Any]) -> bool:
    """Whether tasks go to an event loop, which has no threads to run out of."""
    return "loop" in call.keywords or "submit" not in call.keywords


_EXECUTORS_OWN = {"__name__", "__cancel_on_exit__", "__reraise_on_exit__"}


def submit(
    call: Callable[..., T],
    *args: Any,
    __next_tick__: bool = False,
    **options: Any,
) -> Future[T]:
    """What LangGraph's own executor does for a sync task, with as many threads as there are tasks.

    In that executor nodes that wait for a lane sit on all threads, and the one that has the lane
    would wait for ever for a task of its own.
    """
    future = Future[T]()
    kwargs = {name: value for name, value in options.items() if name not in _EXECUTORS_OWN}

    def work() -> None:
        if not future.set_running_or_notify_cancel():
            return
        if __next_tick__:
            time.sleep(0)  # what was done so far is streamed first
        try:
            result = call(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - the future's reader gets it
            future.set_exception(error)
        else:
            future.set_result(result)

    hand_off(Job(copy_context(), work))
    return future


class Beats(BaseCallbackHandler):
    """Each event of a model, tool or retriever below the node is a sign of life.

    Args:
        lease: The node's lane.
    """

    run_inline = True
    ignore_chain = True

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def _beat(self, *_args: Any, **_kwargs: Any) -> None:
        self._lease.beat()

    on_chat_model_start = on_llm_start = on_llm_new_token = on_llm_end = on_llm_error = _beat
    on_tool_start = on_tool_end = on_tool_error = on_custom_event = on_retry = on_text = _beat
    on_retriever_start = on_retriever_end = on_retriever_error = _beat
