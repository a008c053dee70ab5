"""`AgentRMMiddleware` for `langchain.agents.create_agent`: model calls, tool calls and context.

A model call goes through the same managed model as everywhere else, so it takes one lane and is
charged once, also where the chain has our callback or the model was wrapped before. The messages
sent are a view, put in by ``request.override(messages=...)``; the agent's state keeps them all.

First in the list of middlewares is outermost. Any place is right; at the last one nothing comes
between this view and the model, so there the budget also holds for what other middlewares add.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, cast

from langchain.agents.middleware import AgentMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables.config import ensure_config

from agentrm_langchain.agent_forms import form_of_request
from agentrm_langchain.answers import usage_of_metadata
from agentrm_langchain.chat_model import AgentRMChatModel
from agentrm_langchain.identity import Options, identify
from agentrm_langchain.model_facts import model_of
from agentrm_langchain.recalling import recall_tool
from agentrm_langchain.tool_models import ToolModels
from agentrm_langchain.toolcalls import run_tool, run_tool_async
from agentrm_langchain.views import PREPARED, Asked, Conversation, Fitted, Views, conversation_of
from agentrm_langchain.wrap import OPTIONS, managed_model
from agentrm_plugins import AgentRM, Call, ConfigError
from agentrm_plugins.integration import asking, checked, core_of, suggesting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain.agents.middleware import ModelRequest
    from langchain_core.tools import BaseTool
    from langgraph.prebuilt.tool_node import ToolCallRequest

    from agentrm_plugins import ContextLifecycle, Pressure, RetryPolicy, SessionKey
    from agentrm_plugins.integration import Priority, PriorityName

__all__ = ["AgentRMMiddleware"]

_LOG = logging.getLogger("agentrm.langchain")
_MODELS = 16
"""Managed models that are remembered: an agent has one or a few, a router at most some."""


class AgentRMMiddleware(AgentMiddleware[Any, Any, Any]):
    """Puts an agent's model calls, tool calls and messages under one core's management.

    Args:
        rm: The core.
        context: Keeps the messages sent within its budget, archives them, and recalls; None: the
            messages are left alone.
        agent: For whom all calls are made; None: the thread id, and the other rules of
            `agentrm_langchain.identity`.
        tenant: Who pays; sessions are kept apart by it.
        priority: "interactive", "batch" or "background".
        tools: The lane group whose lanes tool calls take. None: the group "tools" if the core has
            one. False: tool calls take no lane.
        recall: Whether the agent gets the tool `recall`. It needs a `context`.
        group: This and the following are those of `AgentRMChatModel`, for a model that is not
            managed yet.
        retry: Which failures go again.
        keep_sdk_retries: Whether the provider's SDK may retry by itself.
        abandon_hung: Whether a sync call that hangs is left behind.
        wait_timeout_s: Seconds that a model call may wait for a lane.
        first_token_timeout_s: Seconds of silence before its first chunk or its answer.
        silence_timeout_s: Seconds of silence between two chunks.
        total_timeout_s: Seconds for which it may run.
        hedge: Whether a second request may be sent when a call is late.
        adaptive: Whether what is learnt of the endpoint may make a call late.
        on_stall: What becomes of a stream that breaks off after its first words.

    Raises:
        ConfigError: A value that cannot be.
        ClosedError: The core is closed.
    """

    @suggesting
    def __init__(
        self,
        rm: AgentRM,
        *,
        context: ContextLifecycle | None = None,
        agent: str | None = None,
        tenant: str | None = None,
        priority: Priority | PriorityName | None = None,
        tools: str | Literal[False] | None = None,
        recall: bool = True,
        group: str = "model",
        retry: RetryPolicy | Literal["default"] | None = "default",
        keep_sdk_retries: bool = False,
        abandon_hung: bool = True,
        wait_timeout_s: float | None = None,
        first_token_timeout_s: float | None = None,
        silence_timeout_s: float | None = None,
        total_timeout_s: float | None = None,
        hedge: bool = True,
        adaptive: bool | None = None,
        on_stall: Literal["error", "restart"] = "error",
    ) -> None:
        given = {name: value for name, value in locals().items() if name in OPTIONS}
        super().__init__()
        self.rm = rm
        self.context = context
        self._own = Options(checked(rm, {**given, "recall": recall}), group)
        self._tool_lanes = _tool_lanes(rm, tools)
        if self._tool_lanes is not None:
            self.__class__ = _with_tool_calls(cast("Any", type(self)))
        # The messages are fitted here, and not by the model once more.
        self._options = {**given, "priority": self._own.said.priority, "context": None}
        self._views = None if context is None else Views(context, rm)
        self.tools: list[BaseTool] = []
        if self._views is not None and recall:
            self.tools = [recall_tool(self._views, rm, self._own)]
        self._models: dict[int, tuple[BaseChatModel, AgentRMChatModel]] = {}
        self._told: set[int] = set()
        self._tool_models = ToolModels(rm)

    # -- model calls ------------------------------------------------------------------------

    def wrap_model_call(self, request: ModelRequest[Any], handler: Callable[..., Any]) -> Any:
        """Make the model call through the core, with a view of the messages.

        A prompt that the provider refuses as too long is compacted harder and sent once more.
        """
        asked = self._asked(request)
        fitted = None if self._views is None else self._views.fitted(*asked)
        with self._marked():
            try:
                response = handler(self._changed(request, fitted))
            except Exception as error:
                if self._views is None:
                    raise
                fitted = self._views.again(fitted, error, asked)
                response = handler(self._changed(request, fitted))
        _report(fitted, response)
        return response

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[..., Awaitable[Any]]
    ) -> Any:
        """Do the same in async code."""
        asked = self._asked(request)
        fitted = None if self._views is None else await self._views.afitted(*asked)
        with self._marked():
            try:
                response = await handler(self._changed(request, fitted))
            except Exception as error:
                if self._views is None:
                    raise
                fitted = await self._views.aagain(fitted, error, asked)
                response = await handler(self._changed(request, fitted))
        _report(fitted, response)
        return response

    def _asked(self, request: ModelRequest[Any]) -> Asked:
        messages: list[Any] = list(request.messages)
        if request.system_message is not None:
            messages.insert(0, request.system_message)
        self._tool_models.look(request.tools)
        if self._views is None:  # nothing is fitted
            return Asked(None, messages)
        managed = self._managed(request.model)
        name = model_of(managed.inner, request.model_settings)
        return Asked(self._conversation(), messages, form_of_request(request, managed), name)

    def _changed(self, request: ModelRequest[Any], fitted: Fitted | None) -> ModelRequest[Any]:
        changes: dict[str, Any] = {"model": self._managed(request.model)}
        if fitted is not None:
            # The system prompt is sent by the agent itself; other leading system messages stay.
            head = fitted.head[1:] if request.system_message is not None else fitted.head
            changes["messages"] = [*head, *fitted.messages]
        return request.override(**changes)

    def _managed(self, model: BaseChatModel) -> AgentRMChatModel:
        if isinstance(model, AgentRMChatModel) and not model.rm.closed:
            if model.rm is not self.rm:
                way = (
                    "it is managed by another core than this middleware's; give the same core to "
                    "both, or give the agent the bare model"
                )
                raise ConfigError("model", model, way)
            if id(model) not in self._told and len(self._told) < _MODELS:
                self._told.add(id(model))
                _LOG.info(
                    "The model %r is managed already: AgentRMMiddleware leaves its lanes and "
                    "settings to it, and each call is made and charged once.",
                    model,
                )
            return model
        found = self._models.get(id(model))
        if found is None or found[0] is not model:
            while len(self._models) >= _MODELS:
                self._models.pop(next(iter(self._models)))
            found = self._models[id(model)] = (
                model,
                managed_model(model, self.rm, self._options),
            )
        return found[1]

    @contextmanager
    def _marked(self) -> Iterator[None]:
        """A wrapped model with the same context does not fit again what was fitted here."""
        if self.context is None:
            yield
            return
        token = PREPARED.set(self.context)
        try:
            yield
        finally:
            PREPARED.reset(token)

    def _conversation(self) -> Conversation | None:
        return conversation_of(self.rm, self._own)

    # -- tool calls -------------------------------------------------------------------------

    def _wrapped_tool_call(self, request: ToolCallRequest, handler: Callable[..., Any]) -> Any:
        """Run a tool in a lane of its group, if there is one."""
        if not self._needs_lane(request):
            return handler(request)
        who = self._who()
        entered = asking.enter(who)
        try:
            return run_tool(self.rm, self._tool_call(request, who), handler, request)
        finally:
            asking.leave(entered)

    async def _awrapped_tool_call(
        self, request: ToolCallRequest, handler: Callable[..., Awaitable[Any]]
    ) -> Any:
        """Do the same in async code: a tool that hangs is cancelled when its lane is lost."""
        if not self._needs_lane(request):
            return await handler(request)
        who = self._who()
        entered = asking.enter(who)
        try:
            return await run_tool_async(self.rm, self._tool_call(request, who), handler, request)
        finally:
            asking.leave(entered)

    def _needs_lane(self, request: ToolCallRequest) -> bool:
        return self._tool_lanes is not None and not any(request.tool is tool for tool in self.tools)

    def _who(self) -> asking.Identity:
        return identify(core_of(self.rm).number, self._own, ensure_config().get("metadata") or {})

    def _tool_call(self, request: ToolCallRequest, who: asking.Identity) -> Call:
        return Call(
            who.agent or "main",
            who.tenant or "default",
            who.priority,
            self._tool_lanes or "",
            parent_agent=who.parent_agent,
            label=str(request.tool_call["name"]),
        )

    # -- looks ------------------------------------------------------------------------------

    def pressure(self) -> dict[SessionKey, Pressure]:
        """How full the window of each live session is; beside `rm.statistics()`."""
        return {} if self.context is None else dict(self.context.statistics())


@lru_cache(maxsize=64)
def _with_tool_calls(kind: type[AgentRMMiddleware]) -> type[AgentRMMiddleware]:
    """The same class with the hooks of tool calls.

    `create_agent` looks at the class: where it has such a hook an agent gets a node for tools, even
    without any, and tools that do not exist are no error.
    """
    hooks = {
        "wrap_tool_call": kind._wrapped_tool_call,
        "awrap_tool_call": kind._awrapped_tool_call,
        "__module__": kind.__module__,
        "__doc__": kind.__doc__,
        "__qualname__": kind.__qualname__,
    }
    return type(kind.__name__, (kind,), hooks)


def _tool_lanes(rm: AgentRM, tools: str | Literal[False] | None) -> str | None:
    names = {group.name for group in rm.config.groups}
    if tools is None:
        return "tools" if "tools" in names else None
    if tools is False:
        return None
    if not isinstance(tools, str) or tools not in names:
        known = ", ".join(map(repr, sorted(names)))
        raise ConfigError("tools", tools, f"the core has the lane groups {known}; or give False")
    return tools


def _report(fitted: Fitted | None, response: Any) -> None:
    if fitted is None:
        return
    response = getattr(response, "model_response", response)
    for message in getattr(response, "result", [response]):
        usage = usage_of_metadata(getattr(message, "usage_metadata", None))
        if usage is not None:
            fitted.used(usage.input_tokens)
            return
