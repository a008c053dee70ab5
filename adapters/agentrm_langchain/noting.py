"""A model that notes the thread and the run of each call: LangChain hands the hooks neither.

A hook like `_stream` gets no run manager where it is called by the streaming path, and none gets
the config. So both are noted on the way in; nothing else is changed.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.callbacks import (
    AsyncCallbackHandler,
    AsyncCallbackManager,
    BaseCallbackHandler,
    CallbackManager,
)
from langchain_core.runnables.config import ensure_config, var_child_runnable_config
from langchain_core.tracers._streaming import _StreamingCallbackHandler
from langchain_core.tracers.base import AsyncBaseTracer, BaseTracer
from langchain_core.utils.uuid import uuid7
from langsmith.utils import tracing_is_enabled

from agentrm_langchain.call_register import RUN, Run
from agentrm_langchain.delegate import Delegate
from agentrm_plugins.integration import wire

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token

    from langchain_core.language_models import LanguageModelInput
    from langchain_core.messages import AIMessage, AIMessageChunk
    from langchain_core.outputs import ChatResult
    from langchain_core.runnables import RunnableConfig

__all__ = ["NotedCalls", "passed", "run_of", "thread_of"]

_NOWHERE = Run(None, None, {})
_PLAIN = (BaseCallbackHandler, AsyncCallbackHandler)


class _Direct(NamedTuple):
    """The thread id in the config of a model that is called directly, and where that was."""

    thread: Any
    around: Any


# A model that is called directly hands its config to nobody: its thread id is noted here.
_DIRECT: ContextVar[_Direct | None] = ContextVar("agentrm_langchain_direct", default=None)


def thread_of(metadata: Mapping[str, Any]) -> Any:
    """The thread id of the run that runs now.

    A model that is called directly has it in its own config; a chain and a graph have it in theirs,
    which the runnables inside see. LangGraph copies it into the metadata too, where a graph inside
    another one may still have the outer one's.
    """
    direct, around = _DIRECT.get(), var_child_runnable_config.get()
    if direct is not None and direct.around is around:
        return direct.thread
    thread = (around.get("configurable") or {}).get("thread_id") if around else None
    return metadata.get("thread_id") if thread is None else thread


class noted_thread:  # noqa: N801 - it reads as a verb, and a generator costs three times as much
    """A model is called directly with this config: its thread id is known inside the block."""

    __slots__ = ("_direct", "_token")

    def __init__(self, config: Any) -> None:
        thread = (config.get("configurable") or {}).get("thread_id") if config else None
        self._direct = None if thread is None else _Direct(thread, var_child_runnable_config.get())
        self._token: Token[_Direct | None] | None = None

    def __enter__(self) -> None:
        if self._direct is not None:
            self._token = _DIRECT.set(self._direct)

    def __exit__(self, *exc: object) -> None:
        if self._token is not None:
            _DIRECT.reset(self._token)


class NotedCalls(Delegate):
    """A delegate whose hooks can ask for whom they are called."""

    def invoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Answer; see `BaseChatModel.invoke`."""
        if not config:
            return super().invoke(input, config, stop=stop, **kwargs)
        with noted_thread(config):
            return super().invoke(input, config, stop=stop, **kwargs)

    async def ainvoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Answer; see `BaseChatModel.ainvoke`."""
        if not config:
            return await super().ainvoke(input, config, stop=stop, **kwargs)
        with noted_thread(config):
            return await super().ainvoke(input, config, stop=stop, **kwargs)

    def stream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """Stream the answer; see `BaseChatModel.stream`."""
        noted, (config, run) = noted_thread(config), self._noted(config, CallbackManager)
        chunks = super().stream(input, config, stop=stop, **kwargs)
        with wire.Shutting(chunks):
            token = RUN.set(run)  # only while the hook is entered: between chunks the user runs
            try:
                with noted:
                    first = next(chunks)
            except StopIteration:
                return
            finally:
                RUN.reset(token)
            yield first
            yield from chunks

    async def astream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """Stream the answer; see `BaseChatModel.astream`."""
        noted, (config, run) = noted_thread(config), self._noted(config, AsyncCallbackManager)
        chunks = super().astream(input, config, stop=stop, **kwargs)
        async with wire.Shutting(chunks):
            token = RUN.set(run)
            try:
                with noted:
                    first = await anext(chunks)
            except StopAsyncIteration:
                return
            finally:
                RUN.reset(token)
            yield first
            async for chunk in chunks:
                yield chunk

    def _noted(
        self,
        config: RunnableConfig | None,
        managers: type[CallbackManager | AsyncCallbackManager],
    ) -> tuple[RunnableConfig, Run]:
        config = ensure_config(config)
        if tracing_is_enabled():  # by the environment, too: LangChain adds that tracer once
            config["callbacks"] = managers.configure(config.get("callbacks"))
        run_id = config.get("run_id")
        if run_id is None:
            run_id = config["run_id"] = uuid7()
        metadata = {**(config.get("metadata") or {}), **(self.metadata or {})}
        # Instrumentations add a handler of theirs to every manager that is made.
        told = config.get("callbacks"), self.callbacks, managers([]).handlers
        parent = getattr(told[0], "parent_run_id", None)
        return config, Run(run_id, parent, metadata, False, told if any(told) else None)

    def _generate_with_cache(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        token = RUN.set(run_of(run_manager, whole=not _forwards_tokens(run_manager)))
        try:
            return super()._generate_with_cache(messages, stop, run_manager, **kwargs)
        finally:
            RUN.reset(token)

    async def _agenerate_with_cache(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        token = RUN.set(run_of(run_manager, whole=not _forwards_tokens(run_manager)))
        try:
            return await super()._agenerate_with_cache(messages, stop, run_manager, **kwargs)
        finally:
            RUN.reset(token)


def _forwards_tokens(run_manager: Any) -> bool:
    """Whether somebody sees the chunks of an answer that is asked for as a whole."""
    handlers = getattr(run_manager, "handlers", ())
    return any(map(_forwards, handlers)) if handlers else False


def _forwards(handler: Any) -> bool:
    if isinstance(handler, _StreamingCallbackHandler):
        return True
    kind = type(handler)
    if isinstance(handler, BaseTracer | AsyncBaseTracer) or hasattr(kind, "agentrm_only_counts"):
        return False
    return not any(kind.on_llm_new_token is base.on_llm_new_token for base in _PLAIN)


def run_of(run_manager: Any, *, whole: bool = False) -> Run:
    """The run of this call: its manager's, or what was noted on the way in.

    Args:
        run_manager: LangChain's, if it gave one.
        whole: Whether nobody sees a chunk of the answer before all have come, if that is known.
    """
    if run_manager is None:
        noted = RUN.get() or _NOWHERE
        return noted._replace(whole=True) if whole else noted
    told = (run_manager,) if run_manager.handlers else None
    run_id, parent = run_manager.run_id, run_manager.parent_run_id
    return Run(run_id, parent, run_manager.metadata, whole, told)


def passed(hook: Any, run_manager: Any) -> dict[str, Any]:
    """The run manager as a hook's keyword, for hooks that take one."""
    if run_manager is None or not _takes_run_manager(getattr(hook, "__func__", hook)):
        return {}
    return {"run_manager": run_manager}


@lru_cache(maxsize=256)
def _takes_run_manager(function: Any) -> bool:
    kinds = inspect.signature(function).parameters
    return "run_manager" in kinds or any(
        kind.kind is inspect.Parameter.VAR_KEYWORD for kind in kinds.values()
    )
