"""A node that puts what to send beside a graph's messages, which stay as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.messages import BaseMessage, SystemMessage, convert_to_messages
from langchain_core.runnables import RunnableLambda

from agentrm_langchain.identity import Options, declared
from agentrm_langchain.views import Views, conversation_of
from agentrm_plugins import ConfigError

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

    from agentrm_langchain.views import Fitted
    from agentrm_plugins import AgentRM, ContextLifecycle

__all__ = ["pre_model_hook"]


def pre_model_hook(
    context: ContextLifecycle,
    *,
    rm: AgentRM | None = None,
    prompt: str | SystemMessage | None = None,
    tools: Sequence[Any] = (),
    tenant: str | None = None,
    model: str | None = None,
    messages_key: str = "messages",
    output_key: str = "llm_input_messages",
) -> Runnable[Any, dict[str, Any]]:
    """Make a node, sync and async, for ``create_react_agent(pre_model_hook=)`` or a `StateGraph`.

    It reads the state's messages and gives ``{output_key: what to send}``. In a graph of your own
    the state needs a key `output_key`, without a reducer, which the model's node then reads.

    Args:
        context: Keeps the sessions, by the thread id.
        rm: The core, so that `pressure` and `rm.identity` know of them.
        prompt: The system prompt that the agent itself adds: it is counted, and not given back.
        tools: Those that are sent along: they are counted.
        tenant: Whose sessions they are; None: metadata, `rm.identity`, or "default".
        model: The name of the model that is called then, for whose counts the budget holds;
            `ContextConfig.model` comes first. None: "gpt-4o".
        messages_key: Where the state has its messages.
        output_key: Where to put what to send.

    Raises:
        ConfigError: A value that cannot be.
    """
    own = declared(None, tenant, None, "model")
    head = [SystemMessage(prompt)] if isinstance(prompt, str) else [prompt] if prompt else []
    hook = _Hook(Views(context, rm), (rm, own), head, (tools, model), (messages_key, output_key))
    return RunnableLambda(hook.call, hook.acall, name="context")


class _Hook:
    """The two colours of the node."""

    def __init__(
        self,
        views: Views,
        whose: tuple[AgentRM | None, Options],
        head: list[SystemMessage],
        sent_along: tuple[Sequence[Any], str | None],
        keys: tuple[str, str],
    ) -> None:
        self._views = views
        self._whose = whose
        self._head = head
        self._sent_along = sent_along
        self._from, self._to = keys

    def call(self, state: Any) -> dict[str, Any]:
        messages = self._messages(state)
        place = conversation_of(*self._whose)
        return self._given(self._views.fitted(place, messages, *self._sent_along))

    async def acall(self, state: Any) -> dict[str, Any]:
        messages = self._messages(state)
        place = conversation_of(*self._whose)
        return self._given(await self._views.afitted(place, messages, *self._sent_along))

    def _messages(self, state: Any) -> list[BaseMessage]:
        if isinstance(state, Mapping):
            found = state.get(self._from)
        else:
            found = getattr(state, self._from, None)
        if found is None:
            way = "the state has no such key; name the one that holds its messages"
            raise ConfigError("messages_key", self._from, way)
        return [*self._head, *convert_to_messages(found)]

    def _given(self, fitted: Fitted) -> dict[str, Any]:
        return {self._to: [*fitted.head[len(self._head) :], *fitted.messages]}
