"""How a model's request may be sent: how long its client waits, and whether twice does no harm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.tracers._streaming import _StreamingCallbackHandler
from langchain_core.tracers.base import AsyncBaseTracer, BaseTracer

from agentrm_plugins.integration import client_timeout_s, is_sent_once

__all__ = ["CLIENT", "Patience", "forwards_tokens", "may_hedge", "patience_of"]

CLIENT = "the client's timeout"
_TIMEOUTS = ("request_timeout", "default_request_timeout", "timeout")
_PLAIN = (BaseCallbackHandler, AsyncCallbackHandler)


class Patience(NamedTuple):
    """Seconds that a model's own client would wait; None where the user set none.

    Args:
        first_s: For the answer, or its first piece.
        total_s: In all, where that is longer than the core's limit.
    """

    first_s: float | None = None
    total_s: float | None = None


def patience_of(model: Any, kwargs: Mapping[str, Any], total_s: float | None) -> Patience:
    """What the user gave the model, or this one call, as its timeout.

    Args:
        model: The provider's chat model.
        kwargs: The call's own arguments.
        total_s: The core's limit for the whole call.
    """
    given = kwargs.get("timeout")
    for name in _TIMEOUTS:
        if given is None:
            given = model.__dict__.get(name)
    first_s = client_timeout_s(given)
    longer = first_s is not None and total_s is not None and first_s > total_s
    return Patience(first_s, first_s if longer else None)


def may_hedge(model: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether a second request of this call would do nothing at the provider but answer."""
    fields = model.__dict__
    body = {
        **_mapping(fields.get("model_kwargs")),
        **_mapping(fields.get("extra_body")),
        **_mapping(kwargs.get("extra_body")),
        **kwargs,
    }
    for name in ("store", "background"):
        body.setdefault(name, fields.get(name))
    decide = getattr(model, "_use_responses_api", None)
    responses = fields.get("use_responses_api")
    if responses is None and decide is not None:
        responses = decide(dict(body))
    return not is_sent_once(body, responses=bool(responses))


def forwards_tokens(run_manager: Any) -> bool:
    """Whether somebody sees the chunks of an answer that is asked for as a whole."""
    return any(map(_forwards, getattr(run_manager, "handlers", ())))


def _forwards(handler: Any) -> bool:
    if isinstance(handler, _StreamingCallbackHandler):
        return True
    kind = type(handler)
    if isinstance(handler, BaseTracer | AsyncBaseTracer) or hasattr(kind, "agentrm_only_counts"):
        return False
    return not any(kind.on_llm_new_token is base.on_llm_new_token for base in _PLAIN)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
