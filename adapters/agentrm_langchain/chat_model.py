"""The managed chat model: a `BaseChatModel` around another one.

It delegates by an explicit list, for `__getattr__` would silently skip whatever the base class
defines. Gated are the four hooks through which every call must go, `_generate`, `_agenerate`,
`_stream` and `_astream`; what describes the model is the inner one's; what runs around the hooks
(callbacks, cache, rate limiter, tracing, retries) is LangChain's own and runs once, out here.

Composition, not a generated subclass of the provider's class: it wraps any chat model, its own
methods cannot reach the bare hooks, and it never serialises to an unmanaged model. The price is
that ``isinstance(model, ChatOpenAI)`` is False; ask ``model.inner``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator
from functools import cached_property, partial
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal, Self

from langchain_core.language_models import BaseChatModel
from pydantic import Field, PrivateAttr, SkipValidation

from agentrm_langchain.call_register import CallRegister, Run, register_of
from agentrm_langchain.cores import check_free
from agentrm_langchain.hooks import (
    Serialized,
    check_model,
    reporting_usage,
    settings,
)
from agentrm_langchain.identity import lane_of
from agentrm_langchain.managed_call import ManagedCall, is_sync_only
from agentrm_langchain.messages import input_tokens
from agentrm_langchain.model_facts import CLIENT, ModelFacts, model_of
from agentrm_langchain.noting import NotedCalls, passed, run_of, thread_of
from agentrm_langchain.restarts import passed_on, passed_on_async, streamed, streamed_async
from agentrm_langchain.sdk import under_management
from agentrm_langchain.usage_question import UsageQuestion
from agentrm_plugins import AgentRM, Call, Usage
from agentrm_plugins.integration import (
    HostLease,
    Priority,
    asking,
    checked,
    core_of,
    counting,
)

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import ChatGenerationChunk, ChatResult

    from agentrm_plugins import RetryPolicy
    from agentrm_plugins.integration import Core, PriorityName

__all__ = ["AgentRMChatModel"]


class AgentRMChatModel(NotedCalls):
    """A chat model whose every call passes the core, and which is the inner one in all else.

    A call waits for a lane, beats with each streamed chunk and settles with the provider's usage.
    A cache hit needs no lane. A call that met a rate limit, an overload, a broken connection or a
    hang goes again, holding nothing meanwhile; a stream only before its first chunk. When the core
    gives a call up for good, its caller gets `CallReaped` at once.

    Args:
        inner: The chat model to manage. It is not changed.
        rm: The core that manages it.
        agent: For whom all its calls are made; None: see `agentrm_langchain.identity`.
        tenant: Who pays for them.
        priority: "interactive", "batch" or "background": where the agent starts.
        group: The group of lanes.
        wait_timeout_s: Seconds that a call may wait for a lane; None: the core's setting.
        first_token_timeout_s: Seconds of silence before the first chunk (or, without streaming,
            before the answer); None: the inner model's own `timeout`, or else the core's setting.
        silence_timeout_s: Seconds of silence between two chunks; None: the core's setting.
        total_timeout_s: Seconds for which a call may hold a lane; None: the core's setting.
        abandon_hung: Whether sync calls run on a worker thread that is left behind when the core
            gives the call up. Without it the caller learns of that only when the call returns. A
            stream that has said something is read on the caller's thread where that can be woken.
        retry: A `RetryPolicy`: which failures go again, and how often; "default": the default one;
            None: none does.
        hedge: Whether a second request may be sent when a call is late (see `sending`).
        adaptive: Whether what is learnt may make a call late; None: the core's setting.
        on_stall: What becomes of a stream that breaks off after its first words. "error": the error
            carries the text so far (`text_so_far`). "restart": after a curable one comes a chunk
            with ``"agentrm_restart": True`` in its `response_metadata`, then the answer anew.
        keep_sdk_retries: Whether the provider's SDK may retry by itself, which holds the lane.
        fields: Any field of `BaseChatModel` or of the inner model, to change it on a copy.

    Raises:
        ConfigError: `inner` is no chat model or another open core's, `rm` is no core, or an
            argument has a bad value.
        ClosedError: The core is closed.
    """

    rm: SkipValidation[AgentRM] = Field(exclude=True, repr=False)
    agent: str | None = None
    tenant: str | None = None
    priority: Priority | None = None
    group: str = "model"
    wait_timeout_s: float | None = None
    first_token_timeout_s: float | None = None
    silence_timeout_s: float | None = None
    total_timeout_s: float | None = None
    abandon_hung: bool = True
    hedge: bool = True
    adaptive: bool | None = None
    on_stall: Literal["error", "restart"] = "error"
    retry: SkipValidation[Any] = Field(default="default", exclude=True, repr=False)
    keep_sdk_retries: bool = False

    _asks_usage: bool = PrivateAttr(default=False)  # we do, not the user

    if TYPE_CHECKING:  # the fields of the inner model come by `configurable_fields` and the like

        def __init__(
            self,
            inner: BaseChatModel,
            rm: AgentRM,
            *,
            agent: str | None = None,
            tenant: str | None = None,
            priority: Priority | PriorityName | None = None,
            group: str = "model",
            wait_timeout_s: float | None = None,
            first_token_timeout_s: float | None = None,
            silence_timeout_s: float | None = None,
            total_timeout_s: float | None = None,
            abandon_hung: bool = True,
            hedge: bool = True,
            adaptive: bool | None = None,
            on_stall: Literal["error", "restart"] = "error",
            retry: RetryPolicy | Literal["default"] | None = "default",
            keep_sdk_retries: bool = False,
        ) -> None: ...

    def __init__(self, inner: Any = None, rm: Any = None, **fields: Any) -> None:  # type: ignore[no-redef]
        check_model(inner)
        fields["priority"] = checked(rm, {"group": "model", **fields}).priority
        check_free(rm, inner)
        if isinstance(inner, AgentRMChatModel):
            fields = {**settings(inner), **fields}
            inner = inner.inner  # managed twice is managed once, or its core is closed
        inner_model = reporting_usage(inner)
        super().__init__(**{"inner": inner_model, "rm": rm, **fields})
        self._asks_usage = inner_model is not inner
        self.__dict__["inner"] = under_management(self.inner, rm, self.keep_sdk_retries)
        counting.prepare(model_of(self.inner, {}))

    def __deepcopy__(self, memo: Any = None) -> Self:
        """A copy shares the core: it is one for all."""
        memo = {} if memo is None else memo
        for shared in (self.rm, self._core, self._register):
            memo[id(shared)] = shared
        return super().__deepcopy__(memo)

    def __reduce__(self) -> Any:
        """Refuse to be pickled: the core is this process's."""
        msg = (
            "an AgentRMChatModel cannot be pickled, for its core lives in this process; "
            "pickle the inner model and wrap it there with a core of its own"
        )
        raise TypeError(msg)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """The same, where pickle asks first."""
        return self.__reduce__()

    @cached_property
    def _serialized(self) -> Any:
        """What handlers get; ours sees in it that the call is managed already."""
        return Serialized(super()._serialized, self._core.number)

    @cached_property
    def _core(self) -> Core:
        return core_of(self.rm)

    @cached_property
    def _register(self) -> CallRegister:
        return register_of(self.rm)

    @property
    def _policy(self) -> RetryPolicy | None:
        return self._core.policy(self.retry)

    @cached_property
    def _facts(self) -> ModelFacts:
        return ModelFacts()

    # -- the gate ---------------------------------------------------------------------------

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        hook = self.inner._generate
        work = partial(hook, messages, stop=stop, **passed(hook, run_manager), **kwargs)
        run = run_of(run_manager)
        managed = ManagedCall(self._core, self._register, run, self._policy)
        if managed.is_running:
            return work()
        call = self._call(run, messages, kwargs)
        try:
            result: ChatResult = managed.answer(call, work, abandon=self.abandon_hung)
        finally:
            managed.leave()
        return result

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        run = run_of(run_manager)
        managed = ManagedCall(self._core, self._register, run, self._policy)
        if managed.is_running:
            return await self.inner._agenerate(messages, stop, run_manager, **kwargs)
        threaded = self.abandon_hung and is_sync_only(type(self.inner))
        hook: Any = self.inner._generate if threaded else self.inner._agenerate
        if threaded and run_manager is not None:
            run_manager = run_manager.get_sync()
        work = partial(hook, messages, stop=stop, **passed(hook, run_manager), **kwargs)
        call = self._call(run, messages, kwargs)
        try:
            result: ChatResult = await managed.answer_async(call, work, threaded=threaded)
        finally:
            managed.leave()
        return result

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if not self._asks_usage:
            return self._stream_of(self.inner._stream, messages, stop, run_manager, kwargs)
        question = UsageQuestion(self.inner, self._register.silent)
        return question.asked(
            lambda model: self._stream_of(model._stream, messages, stop, run_manager, kwargs)
        )

    def _astream(  # it gives the generator that does it: each layer costs at each chunk
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        if not self._asks_usage:
            return self._astream_of(self.inner._astream, messages, stop, run_manager, kwargs)
        question = UsageQuestion(self.inner, self._register.silent)
        return question.asked_async(
            lambda model: self._astream_of(model._astream, messages, stop, run_manager, kwargs)
        )

    def _stream_of(
        self, hook: Any, messages: Any, stop: Any, run_manager: Any, kwargs: Any
    ) -> Iterator[Any]:
        work = partial(hook, messages, stop=stop, **passed(hook, run_manager), **kwargs)
        run = run_of(run_manager)
        managed = ManagedCall(self._core, self._register, run, self._policy)
        if managed.is_running:
            return passed_on(work)

        def make(lease: HostLease) -> Iterator[Any]:
            return managed.open(lease, work, abandon=self.abandon_hung)

        call = self._call(run, messages, kwargs, True)
        return streamed(managed, call, make, self._restarts(call))

    def _astream_of(
        self, hook: Any, messages: Any, stop: Any, run_manager: Any, kwargs: Any
    ) -> AsyncGenerator[Any, None]:
        work = partial(hook, messages, stop=stop, **passed(hook, run_manager), **kwargs)
        run = run_of(run_manager)
        managed = ManagedCall(self._core, self._register, run, self._policy)
        if managed.is_running:
            return passed_on_async(work)

        def make(lease: HostLease) -> Awaitable[AsyncGenerator[Any, None]]:
            return managed.open_async(lease, work)

        call = self._call(run, messages, kwargs, True)
        return streamed_async(managed, call, make, self._restarts(call))

    # -- what the call is -------------------------------------------------------------------

    def _restarts(self, call: Call) -> Any:
        policy = self._policy if self.on_stall == "restart" else None
        return self._core.restarts(policy, call)

    def _call(self, run: Run, messages: Any, kwargs: Any, streaming: bool = False) -> Call:
        run_id, parent, metadata, *_ = run
        core, hints = self._core.number, self._register.hints
        hint = hints.get(run_id.int) if hints and run_id is not None else None
        if hint is None:
            first, above = parent or run_id, None
            root = None if first is None else str(first)
        else:
            root, above = hint.root, hint.parent_agent
        own = asking.Said(self.agent, self.tenant, self.priority)
        about = asking.RunInfo(metadata, thread_of(metadata), root, above)
        who = asking.resolve(core, own=own, run=about)
        facts = self._facts.of(self.inner, metadata, kwargs)
        client_s, first_s, total_s = facts.timeout_s, self.first_token_timeout_s, None
        if client_s is not None:  # its client would wait for longer than the core, or for less
            most_s = self.rm.config.leases.total_timeout_s
            total_s = client_s if most_s is not None and client_s > most_s else None
        return Call(
            who.agent or "main",
            who.tenant or "default",
            who.priority,
            lane_of(metadata, self.group, self.rm) if "agentrm_lane" in metadata else self.group,
            facts.endpoint,
            Usage(input_tokens(messages, kwargs, facts.name)),
            who.parent_agent,
            streaming,
            self.wait_timeout_s,
            client_s if first_s is None else first_s,
            self.silence_timeout_s,
            total_s if self.total_timeout_s is None else self.total_timeout_s,
            max_output_tokens=facts.most_output,
            hedge=self.hedge and facts.may_hedge,
            once=facts.acts,
            adaptive=self.adaptive,
            timeout_source=CLIENT if first_s is None and client_s else "",
        )

    # -- native protocol events, where the inner model has them -----------------------------

    @property
    def _stream_chat_model_events(self) -> Any:
        return self._events_of("_stream_chat_model_events", self._stream_of)

    @property
    def _astream_chat_model_events(self) -> Any:
        return self._events_of("_astream_chat_model_events", self._astream_of)

    def _events_of(self, name: str, through: Any) -> Any:
        """The inner model's hook of that name, managed; none where it has none."""
        hook = getattr(self.inner, name, None)
        if hook is None:
            raise AttributeError(name)
        return lambda messages, stop=None, run_manager=None, **kwargs: through(
            hook, messages, stop, run_manager, kwargs
        )


# LangChain asks for the signature of these two at each call: it is worked out once.
AgentRMChatModel._generate.__signature__ = signature(AgentRMChatModel._generate)  # type: ignore[attr-defined]
AgentRMChatModel._agenerate.__signature__ = signature(AgentRMChatModel._agenerate)  # type: ignore[attr-defined]
