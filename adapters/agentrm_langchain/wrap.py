"""The managed model from a bare one: `wrap_chat_model`, and the same for other doors.

Example:
    >>> from langchain_core.language_models import FakeListChatModel
    >>> from agentrm_plugins import AgentRM
    >>> with AgentRM(lanes=2) as rm:
    ...     model = wrap_chat_model(FakeListChatModel(responses=["hello"]), rm, agent="me")
    ...     model.invoke("hi").content, rm.statistics().settled
    ('hello', 1)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from agentrm_langchain.chat_model import AgentRMChatModel
from agentrm_langchain.configurable import is_configurable, managed_configurable
from agentrm_langchain.cores import check_free
from agentrm_plugins.integration import checked, suggesting

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from agentrm_plugins import AgentRM, ContextLifecycle, RetryPolicy
    from agentrm_plugins.integration import Priority, PriorityName

__all__ = ["OPTIONS", "managed_model", "wrap_chat_model"]

OPTIONS: Mapping[str, Any] = {
    "context": None,
    **{
        name: field.default
        for name, field in AgentRMChatModel.model_fields.items()
        if name != "rm" and name in AgentRMChatModel.__annotations__
    },
}
"""What a user may say of a managed model, with the defaults."""


@suggesting
def wrap_chat_model(
    model: BaseChatModel,
    rm: AgentRM,
    *,
    agent: str | None = None,
    tenant: str | None = None,
    priority: Priority | PriorityName | None = None,
    group: str = "model",
    context: ContextLifecycle | None = None,
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
) -> AgentRMChatModel:
    """Manage a chat model: the same model to everybody, but every call passes the core.

    Args:
        model: Any chat model, also one of ``init_chat_model(configurable_fields=...)``, which stays
            configurable. It is not changed. Wrap it before `bind_tools` and the like.
        rm: The core.
        agent: This and the following, but for `context`: as for `AgentRMChatModel`.
        tenant: Who pays.
        priority: Where the agent starts.
        group: The group of lanes.
        context: Keeps each thread's messages within its budget
            (see `agentrm_langchain.contextual`); None: messages are sent as they are.
        retry: Which failures go again.
        keep_sdk_retries: Whether the provider's SDK may retry by itself.
        abandon_hung: Whether a sync call that hangs is left behind.
        wait_timeout_s: Seconds that a call may wait for a lane.
        first_token_timeout_s: Seconds of silence before the first chunk or the answer.
        silence_timeout_s: Seconds of silence between two chunks.
        total_timeout_s: Seconds for which a call may run.
        hedge: Whether a second request may be sent when a call is late.
        adaptive: Whether what is learnt of the endpoint may make a call late.
        on_stall: What becomes of a stream that breaks off after its first words.

    Raises:
        ConfigError: `model` is no chat model, another open core manages it, `rm` is no core, or an
            option has a bad value.
        ClosedError: The core is closed.
    """
    return managed_model(model, rm, {name: v for name, v in locals().items() if name in OPTIONS})


def managed_model(model: Any, rm: AgentRM, options: Mapping[str, Any]) -> AgentRMChatModel:
    """Manage a model by these `OPTIONS`; those with their default value leave it as it is."""
    if is_configurable(model):
        checked(rm, options)  # the model is not there yet
        check_free(rm, model)
        return cast(
            "AgentRMChatModel",
            managed_configurable(model, rm, lambda made: managed_model(made, rm, options)),
        )
    usual = {name: (type(value), value) for name, value in OPTIONS.items()}  # 1 is not True
    given = {name: value for name, value in options.items() if (type(value), value) != usual[name]}
    if given.get("context") is not None or hasattr(type(model), "_with_context"):
        from agentrm_langchain.contextual import ContextChatModel

        return ContextChatModel(model, rm, **given)
    return AgentRMChatModel(model, rm, **given)
