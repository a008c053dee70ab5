"""What an agent binds to its model beside the messages: tools, and the form of its answer.

The agent binds them after its middlewares, so it is asked for here in the agent's own way: the
same strategy, the same tools, the model's own `bind_tools`. So what a view leaves room for is what
the call then reserves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain.agents import factory
from langchain.agents.structured_output import (
    AutoStrategy,
    OutputToolBinding,
    ProviderStrategy,
    ToolStrategy,
)

from agentrm_langchain.messages import form_in

if TYPE_CHECKING:
    from langchain.agents.middleware import ModelRequest

    from agentrm_langchain.chat_model import AgentRMChatModel

__all__ = ["form_of_request"]


def form_of_request(request: ModelRequest[Any], model: AgentRMChatModel) -> list[Any]:
    """What tells the tools and the answer's form of a request, as this model is sent them.

    Args:
        request: The agent's.
        model: The managed model; the one inside it shapes tools in its own way.
    """
    tools, options = list(request.tools), dict(request.model_settings)
    wanted = _strategy(request, model)
    if isinstance(wanted, ToolStrategy):
        tools += [OutputToolBinding.from_schema_spec(spec).tool for spec in wanted.schema_specs]
    elif isinstance(wanted, ProviderStrategy):
        options = {**wanted.to_model_kwargs(), **options}
    if not tools and wanted is None:
        return form_in(options)
    try:
        bound = model.inner.bind_tools(tools, **options)
    except Exception:  # noqa: BLE001 - the agent will bind them too, and tell of it
        return form_in({"tools": tools, **options})
    sent = getattr(bound, "kwargs", None)
    return form_in(sent if isinstance(sent, dict) else {"tools": tools, **options})


def _strategy(request: ModelRequest[Any], model: AgentRMChatModel) -> Any:
    """The strategy that the agent will choose; None without a form of the answer."""
    wanted: Any = request.response_format
    if wanted is None or isinstance(wanted, ToolStrategy | ProviderStrategy):
        return wanted
    schema = wanted.schema if isinstance(wanted, AutoStrategy) else wanted
    if _has_own_form(model, request.tools):
        return ProviderStrategy(schema=schema)
    return ToolStrategy(schema=schema)


def _has_own_form(model: AgentRMChatModel, tools: list[Any]) -> bool:
    """Whether the agent takes the provider's own form; by the profile where it cannot be asked."""
    ask: Any = getattr(factory, "_supports_provider_strategy", None)
    try:
        return bool(ask(model, tools=tools))
    except TypeError:  # another version of it, or none
        return bool((model.profile or {}).get("structured_output"))
