"""How a request may be sent: how long its client would wait, and whether twice does no harm.

A call is sent once (never hedged) if it does more at the provider than answer: an answer that is
stored or made in the background (OpenAI's Responses store unless ``store`` is False), one that goes
into a conversation kept there, and one with tools that the provider runs. After a hang or a broken
connection one that is merely stored goes again, as the SDK has it; the others do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agentrm_plugins.errors import CallReaped
from agentrm_plugins.types.verdicts import Kind

if TYPE_CHECKING:
    from agentrm_plugins.types.verdicts import Verdict

__all__ = ["acts", "client_timeout_s", "is_sent_once", "may_have_acted"]

_NEVER_S = 1e9
"""Seconds that stand for a client without any timeout: thirty years."""
_OURS = frozenset({"function", "custom"})
_EFFECTS = ("background", "conversation", "web_search_options")


def client_timeout_s(given: Any) -> float | None:
    """Seconds for which a client waits for an answer; None if nothing usable was given.

    Args:
        given: What the user gave: seconds, a pair of them (connect, read), or a `Timeout` of httpx.
    """
    if isinstance(given, tuple | list):
        given = given[1] if len(given) > 1 else None
    if hasattr(given, "read") and hasattr(given, "connect"):
        given = _NEVER_S if given.read is None else given.read
    number = isinstance(given, int | float) and not isinstance(given, bool)
    return float(given) if number and 0 < given < float("inf") else None


def is_sent_once(body: Mapping[str, Any], *, responses: bool) -> bool:
    """Whether a request must not be sent a second time beside itself.

    Args:
        body: Its JSON.
        responses: Whether it goes to OpenAI's Responses.
    """
    stored = body.get("store")
    return bool(stored) or (responses and stored is not False) or acts(body)


def acts(body: Mapping[str, Any]) -> bool:
    """Whether a request, given its JSON, has something done at the provider besides an answer."""
    if any(body.get(name) for name in _EFFECTS):
        return True
    tools = body.get("tools")
    return isinstance(tools, list | tuple) and any(map(_run_by_provider, tools))


def may_have_acted(error: BaseException, verdict: Verdict, *, asked: bool | None) -> bool:
    """Whether the provider may have done what it was asked for, though no answer came.

    Args:
        error: What the call met.
        verdict: What it means.
        asked: Whether its request was sent to the last byte; None: nobody can tell.
    """
    if asked is False:
        return False
    if isinstance(error, CallReaped):
        return True
    refused = verdict.status is not None or verdict.code or verdict.why == "unconnected"
    return verdict.kind is Kind.TRANSIENT and not refused


def _run_by_provider(tool: Any) -> bool:
    if not isinstance(tool, Mapping):
        return False
    kind = tool.get("type")
    if kind in _OURS or "function" in tool or "input_schema" in tool:
        return False
    return not (kind is None and "name" in tool and "parameters" in tool)
