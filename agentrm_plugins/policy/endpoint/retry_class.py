"""What became of a call: does it pay to send it again, and what does it say of the endpoint?

Law: the error's code decides, then the HTTP status, then the exception's kind; unknown is
*permanent*, for to repeat what is not understood is how storms begin.

- *limit*: 429 and its kin. Retry at the server's time; the rate is cut; no failure of the endpoint.
- *overloaded*: 503, 529. Retry later; the number of calls in flight is cut.
- *transient*: 408, 409, 425, 5xx, broken connections, timeouts, reaped calls. Retry.
- *permanent*: other 4xx, insufficient quota, content policy, context overflow, refusals of our own.
- *neutral*: not the provider's doing: cancelled, interrupted, ended by the caller. Never a failure.

It reads plain attributes (``status_code``, ``code``, ``body``, ``response``, ``is_retryable``)
and the names of the classes an exception derives from, so no framework is imported and any is
understood. An exception that shows none of these is judged by the one that it was raised from.

Limits: a 429 without a code from a provider that also sends 429 for an empty account cannot be told
apart by status; its text is searched for the few words that all of them use.

Sources: OpenAI's and Anthropic's pages of error codes; `openai._base_client._should_retry`;
`langchain_core.exceptions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentrm_plugins.types.verdicts import Kind, Verdict

__all__ = ["classify", "classify_status"]

_PERMANENT_CODES = frozenset({
    "insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "account_deactivated",
    "content_filter", "content_policy_violation", "context_length_exceeded", "invalid_api_key",
    "model_not_found", "string_above_max_length", "request_too_large",
    "authentication_error", "permission_error", "not_found_error", "unsupported_value",
    "billing_error", "credit_balance_too_low",
})  # fmt: skip
_LIMIT_CODES = frozenset({
    "rate_limit_exceeded", "rate_limit_error", "too_many_requests", "RESOURCE_EXHAUSTED",
})  # fmt: skip
_OVERLOAD_CODES = frozenset({
    "overloaded_error", "overloaded", "engine_overloaded", "slow_down", "UNAVAILABLE",
})  # fmt: skip
_QUOTA_WORDS = ("exceeded your current quota", "check your plan and billing", "insufficient quota")
_TOO_LARGE_WORDS = ("request too large",)

_TOO_MANY, _CLIENT_FAULT, _SERVER_FAULT, _NO_STATUS = 429, 400, 500, 600
_CAUSES = 3  # an adapter's own error around the SDK's, and one more

_NEUTRAL_NAMES = frozenset({
    "CancelledError", "GraphBubbleUp", "GeneratorExit", "KeyboardInterrupt", "SystemExit",
})  # fmt: skip
_PERMANENT_NAMES = frozenset({
    "ContextOverflowError", "ModelRefusalError", "CallRefused", "ClosedError", "ConfigError",
    "ModelAuthenticationError", "ModelInvalidRequestError", "ContentFilterFinishReasonError",
})  # fmt: skip
_LIMIT_NAMES = frozenset({"ModelRateLimitError", "RateLimitError"})
_TRANSIENT_NAMES = frozenset({
    "CallReaped", "ModelTimeoutError", "ModelConnectionError", "APIConnectionError",
    "APITimeoutError", "TimeoutError", "ConnectionError", "TransportError",
    "StreamChunkTimeoutError",
})  # fmt: skip


def classify_status(
    status: int, code: str = "", text: str = "", should_retry: bool | None = None
) -> Verdict:
    """Judge a response that is an error.

    Args:
        status: The HTTP status, 400 or more.
        code: The error's ``code``, or its ``type``.
        text: Its message, searched for a few words and not kept.
        should_retry: The server's own opinion, if it sent one.
    """
    lower = text.lower()
    kind = _kind_of_status(status)
    if code in _PERMANENT_CODES or any(
        word in lower for word in (*_QUOTA_WORDS, *_TOO_LARGE_WORDS)
    ):
        kind = Kind.PERMANENT
    elif code in _LIMIT_CODES:
        kind = Kind.LIMIT
    elif code in _OVERLOAD_CODES:
        kind = Kind.OVERLOADED
    elif should_retry is not None and kind is not Kind.LIMIT:
        kind = (
            (Kind.TRANSIENT if kind is Kind.PERMANENT else kind) if should_retry else Kind.PERMANENT
        )
    return Verdict(kind, status, code)


def classify(error: BaseException) -> Verdict:
    """Judge an exception of any framework; one that says nothing, by what it was raised from."""
    for _ in range(_CAUSES):
        verdict = _judged(error)
        if verdict is not None:
            return verdict
        if error.__cause__ is None:
            break
        error = error.__cause__
    return Verdict(Kind.PERMANENT, None, _code(error))


def _judged(error: BaseException) -> Verdict | None:
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & _NEUTRAL_NAMES:
        return Verdict(Kind.NEUTRAL)
    status = _status(error)
    code = _code(error)
    if names & _PERMANENT_NAMES:
        return Verdict(Kind.PERMANENT, status, code)
    if status is not None:
        return classify_status(status, code, str(error), _should_retry(error))
    if code in _PERMANENT_CODES:
        return Verdict(Kind.PERMANENT, None, code)
    if code in _LIMIT_CODES or names & _LIMIT_NAMES:
        return Verdict(Kind.LIMIT, None, code)
    if code in _OVERLOAD_CODES:
        return Verdict(Kind.OVERLOADED, None, code)
    if names & _TRANSIENT_NAMES or getattr(error, "is_retryable", None) is True:
        return Verdict(Kind.TRANSIENT, None, code)
    return None


def _kind_of_status(status: int) -> Kind:
    if status == _TOO_MANY:
        return Kind.LIMIT
    if status in {503, 529}:
        return Kind.OVERLOADED
    if status in {408, 409, 425} or status >= _SERVER_FAULT:
        return Kind.TRANSIENT
    return Kind.PERMANENT


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    # Google's errors call it their code.
    for holder, name in ((error, "status_code"), (response, "status_code"), (error, "code")):
        status = getattr(holder, name, None)
        if not isinstance(status, int) or isinstance(status, bool):
            continue
        if _CLIENT_FAULT <= status < _NO_STATUS:
            return int(status)
    return None


def _code(error: BaseException) -> str:
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    holders: list[Any] = [getattr(error, "code", None), getattr(error, "type", None)]
    if isinstance(inner, Mapping):
        holders = [holders[0], inner.get("code"), holders[1], inner.get("type")]
    holders.append(getattr(error, "status", None))  # Google's word for it
    words = [word for word in holders if isinstance(word, str) and word]
    known = _PERMANENT_CODES | _LIMIT_CODES | _OVERLOAD_CODES
    return next((word for word in words if word in known), words[0] if words else "")


def _should_retry(error: BaseException) -> bool | None:
    headers = getattr(getattr(error, "response", None), "headers", None)
    value = headers.get("x-should-retry") if isinstance(headers, Mapping) else None
    return {"true": True, "false": False}.get(str(value).lower())
