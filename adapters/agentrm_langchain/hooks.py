"""Small questions that the managed model asks of the model it manages."""

from __future__ import annotations

import re
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable

from agentrm_langchain.model_facts import host_of_model
from agentrm_plugins import AgentRM, ConfigError
from agentrm_plugins.integration import wire

__all__ = [
    "Serialized",
    "check_model",
    "refuses_usage",
    "reporting_usage",
    "settings",
]


class Serialized(dict[str, Any]):
    """A model's serialised form that remembers by which core it is managed."""

    def __init__(self, fields: Any, core: int) -> None:
        super().__init__(fields)
        self.agentrm_core = core


def check_model(model: Any) -> None:
    """Refuse what is no chat model.

    Raises:
        ConfigError: It is not; the message says what to wrap instead.
    """
    if isinstance(model, BaseChatModel):
        return
    way = "give a LangChain chat model (a BaseChatModel)"
    if isinstance(getattr(model, "bound", None), BaseChatModel):
        way += "; wrap the model first, then call bind_tools, bind or with_config on the result"
    elif isinstance(model, AgentRM):
        way += "; the model comes first: wrap_chat_model(model, rm)"
    elif isinstance(model, str):
        way += "; a name becomes one with langchain's init_chat_model(name)"
    elif isinstance(model, Runnable):
        way += "; manage(runnable, rm) manages all models inside a chain, an agent or a graph"
    elif type(model).__module__.startswith("openai"):
        way += "; agentrm_openai.manage_client(client, rm) manages a client of the OpenAI SDK"
    # Only the type is shown: a client's repr may hold a key.
    raise ConfigError.of_kind("model", model, way)


def settings(model: BaseChatModel) -> dict[str, Any]:
    """What the user gave for this model."""
    return {
        name: getattr(model, name)
        for name in model.model_fields_set
        if name not in {"inner", "rm", "context"}
    }


# Hosts whose own documents take `stream_options` with `include_usage`: the API references of OpenAI
# and DeepSeek ("Create chat completion"), and that of Azure from 2024-09-01-preview on.
_REPORTING = ("api.openai.com", "api.deepseek.com", ".openai.azure.com")

_REFUSING = frozenset({400, 404, 405, 422, 500, 501})
_QUESTION = re.compile(r"stream[_ ]?options|include[_ ]?usage", re.IGNORECASE)


def reporting_usage(model: BaseChatModel) -> BaseChatModel:
    """Ask for a stream's usage where that is known to be understood, and was left open.

    OpenAI's models are silent about it with a base URL or a client of their own, for many a server
    answers an error to the question. Of any other host nothing is added to a request: what a stream
    used is estimated there, unless the user says ``stream_usage=True``.
    """
    asks = hasattr(type(model), "_should_stream_usage")
    if not asks or getattr(model, "stream_usage", False) is not None:
        return model
    if not host_of_model(model).partition(":")[0].endswith(_REPORTING):
        return model
    return model.model_copy(update={"stream_usage": True})


def refuses_usage(error: Exception) -> bool:
    """Whether a server refused a request for the question about its usage."""
    if getattr(error, "status_code", None) not in _REFUSING:
        return False
    return _QUESTION.search(wire.spoken(error)) is not None
