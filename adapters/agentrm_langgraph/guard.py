"""What a node with a lane sees of its run: writers that beat, and that fall silent once it is over.

A sync node that was reaped cannot be stopped. Its thread runs on, and what it still writes must
reach neither the stream nor the channels, where a second attempt may be at work by then.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import BaseCallbackHandler
from langgraph._internal._constants import (
    CONFIG_KEY_CALL,
    CONFIG_KEY_RUNTIME,
    CONFIG_KEY_SEND,
)
from langgraph.runtime import DEFAULT_RUNTIME, Runtime

from agentrm_langgraph import workers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_core.runnables import RunnableConfig

    from agentrm_langgraph.gate import Gate
    from agentrm_plugins import Lease

__all__ = ["Guard", "idle_heartbeat"]

_NO_HEARTBEAT = DEFAULT_RUNTIME.heartbeat


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

    __slots__ = ("_gate", "_lease", "_open")

    def __init__(self, gate: Gate, lease: Lease | None) -> None:
        self._gate = gate
        self._lease = lease
        self._open = True

    def close(self) -> None:
        """The attempt is over: nothing that it still does counts."""
        self._open = False

    def wrap(self, config: RunnableConfig | None) -> Any:
        """The node's config, with every sign of life wired to its lease."""
        if config is None:
            return None
        conf: Mapping[str, Any] = config.get("configurable") or {}
        patch: dict[str, Any] = {}
        lease = self._lease
        if (call := conf.get(CONFIG_KEY_CALL)) is not None:
            patch[CONFIG_KEY_CALL] = self._calls(call)
        if lease is not None:
            if (send := conf.get(CONFIG_KEY_SEND)) is not None:
                patch[CONFIG_KEY_SEND] = self._while_open(send, beat=False)
            runtime = conf.get(CONFIG_KEY_RUNTIME)
            if isinstance(runtime, Runtime):
                patch[CONFIG_KEY_RUNTIME] = runtime.override(
                    stream_writer=self._while_open(runtime.stream_writer),
                    heartbeat=self._while_open(runtime.heartbeat),
                )
        wrapped = {**config, "configurable": {**conf, **patch}}
        if lease is not None:
            wrapped["callbacks"] = _with_handler(config.get("callbacks"), _Beats(lease))
        return wrapped

    def _while_open(self, inner: Callable[..., Any], *, beat: bool = True) -> Callable[..., None]:
        """`inner` for as long as the attempt lasts; each use is a sign of life."""
        lease = self._lease

        def guarded(*args: Any) -> None:
            if self._open and lease is not None and not lease.reaped:
                if beat:
                    lease.beat()
                inner(*args)

        return guarded

    def _calls(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Calls of tasks, with each task managed."""
        from agentrm_langgraph.functions import manage_function  # they know each other
        from agentrm_langgraph.hoist import gate_of

        lease, gate = self._lease, self._gate
        if isinstance(call, functools.partial) and not _in_async(call):
            call = functools.partial(call, submit=lambda: workers.submit)

        def managed_call(func: Any, task_input: Any, **options: Any) -> Any:
            if lease is not None:
                lease.raise_if_reaped()
                lease.beat()
            if gate_of(func) is None:
                name = getattr(func, "__name__", func.__class__.__name__)
                func = manage_function(func, gate.for_task(name))
            return call(func, task_input, **options)

        return managed_call


def _in_async(call: functools.partial[Any]) -> bool:
    """Whether tasks go to an event loop, which has no threads to run out of."""
    return "loop" in call.keywords or "submit" not in call.keywords


def _with_handler(callbacks: Any, handler: BaseCallbackHandler) -> Any:
    """Not LangChain's `merge_configs`: that one also merges in the config of the caller's node."""
    if callbacks is None:
        return [handler]
    if isinstance(callbacks, list):
        return [*callbacks, handler]
    manager = callbacks.copy()
    manager.add_handler(handler, inherit=True)
    return manager


class _Beats(BaseCallbackHandler):
    """Each event of a model, tool or retriever below the node is a sign of life."""

    run_inline = True
    ignore_chain = True

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def _beat(self, *_args: Any, **_kwargs: Any) -> None:
        self._lease.beat()

    on_chat_model_start = on_llm_start = on_llm_new_token = on_llm_end = on_llm_error = _beat
    on_tool_start = on_tool_end = on_tool_error = on_custom_event = on_retry = on_text = _beat
    on_retriever_start = on_retriever_end = on_retriever_error = _beat
