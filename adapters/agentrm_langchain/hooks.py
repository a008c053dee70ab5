"""Small questions that the managed model asks of the model it manages, and of a run."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any

from langchain_core.language_models import BaseChatModel, SimpleChatModel

from agentrm_langchain.ledger import RUN, Run
from agentrm_plugins import ConfigError

__all__ = [
    "SECONDS",
    "Serialized",
    "check_model",
    "is_sync_only",
    "passed",
    "reporting_usage",
    "run_of",
    "settings",
]

_NOWHERE = Run(None, None, {})


class Serialized(dict[str, Any]):
    """A model's serialised form that remembers by which core it is managed."""

    def __init__(self, fields: Any, core: int) -> None:
        super().__init__(fields)
        self.agentrm_core = core


SECONDS = ("wait_timeout_s", "first_token_timeout_s", "silence_timeout_s", "total_timeout_s")


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
    # Only the type is shown: a client's repr may hold a key.
    raise ConfigError("model", type(model).__name__, way)


def settings(model: BaseChatModel) -> dict[str, Any]:
    """What the user gave for this model."""
    return {
        name: getattr(model, name)
        for name in model.model_fields_set
        if name not in {"inner", "rm", "context"}
    }


def reporting_usage(model: BaseChatModel) -> BaseChatModel:
    """OpenAI models with a base URL or a client of their own are silent about streamed usage."""
    asks = hasattr(type(model), "_should_stream_usage")
    if not asks or getattr(model, "stream_usage", False) is not None:
        return model
    return model.model_copy(update={"stream_usage": True})


def run_of(run_manager: Any) -> Run:
    """The run of this call: its manager's, or what was noted on the way in."""
    if run_manager is None:
        return RUN.get() or _NOWHERE
    told = run_manager.metadata
    return Run(run_manager.run_id, run_manager.parent_run_id, told, callbacks=(run_manager,))


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


def is_sync_only(kind: type[BaseChatModel]) -> bool:
    """Whether its async way is only a thread of the loop's executor."""
    return kind._agenerate in {BaseChatModel._agenerate, SimpleChatModel._agenerate}
