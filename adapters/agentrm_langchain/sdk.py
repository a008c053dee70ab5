"""The provider SDK inside a model, under management: its own retries off, its traffic seen.

The SDKs of OpenAI and Anthropic make copies of their clients with other settings; the model gets
such copies, the user's own model and clients stay as they are. Where `agentrm_openai` is
installed, the copies' HTTP transports show the core every header, on success too. Of models of any
other kind nothing is known: give them their SDK's equivalent of ``max_retries=0`` yourself.
"""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from agentrm_plugins import AgentRM

__all__ = ["under_management"]


def under_management(model: BaseChatModel, rm: AgentRM, keep_retries: bool) -> BaseChatModel:
    """The model with its SDK clients under management; itself if it has none that are known.

    Args:
        model: The chat model. It is not changed.
        rm: The core that is shown the headers.
        keep_retries: Whether the SDK goes on to retry by itself.
    """
    changes: dict[str, Any] = {}
    for root, resource in (("root_client", "client"), ("root_async_client", "async_client")):
        client = model.__dict__.get(root)
        managed = None if client is None else _managed(client, rm, keep_retries)
        # A model whose resource is none of its root's was given a client of its own (a mock).
        if managed is not None and _owner(model.__dict__.get(resource)) is client:
            changes[root] = managed
            changes[resource] = managed.chat.completions
    for name in ("_client", "_async_client"):
        if isinstance(getattr(type(model), name, None), cached_property):
            managed = _managed(getattr(model, name), rm, keep_retries)
            if managed is not None:
                changes[name] = managed
    if not changes:
        return model
    copy = model.model_copy()
    copy.__dict__.update(changes)
    return copy


def _owner(resource: Any) -> Any:
    return getattr(resource, "_client", None)


def _managed(client: Any, rm: AgentRM, keep_retries: bool) -> Any:
    """A copy of an SDK's client; None if it is of no known kind."""
    if not hasattr(type(client), "with_options") or not hasattr(client, "max_retries"):
        return None
    options: dict[str, Any] = {} if keep_retries else {"max_retries": 0}
    seen = _observed(getattr(client, "_client", None), rm)
    if seen is not None:
        options["http_client"] = seen
    return client.with_options(**options) if options else client


def _observed(http: Any, rm: AgentRM) -> Any:
    try:
        adapter = import_module("agentrm_openai")
    except ImportError:  # neither the SDK nor its HTTP library is installed
        return None
    return adapter.observed_twin(http, rm)
