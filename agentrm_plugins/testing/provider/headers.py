"""Rate-limit headers and error bodies, in the forms that real providers send.

Sources: OpenAI's guides to rate limits and to error codes; Anthropic's page on rate limits;
Azure OpenAI's page on quotas; the response headers documented by Mistral and Cerebras; LiteLLM's
proxy ("gateway"); the IETF's draft-ietf-httpapi-ratelimit-headers. Pure: wall time comes in as an
argument.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import ceil, isinf
from typing import TYPE_CHECKING, NamedTuple

from agentrm_plugins.testing.provider.wire import dump

if TYPE_CHECKING:
    from agentrm_plugins.testing.provider.config import HeaderStyle, ResetMeans, RetryAfterStyle
    from agentrm_plugins.testing.provider.limits import Admission, LimitSet
    from agentrm_plugins.testing.provider.replies import Status
    from agentrm_plugins.testing.provider.windows import Meter

__all__ = [
    "error_body",
    "go_duration",
    "limit_headers",
    "rejection",
    "retry_headers",
    "status_body",
]

Headers = list[tuple[bytes, bytes]]

_PER = {
    "requests": "requests per min (RPM)",
    "tokens": "tokens per min (TPM)",
    "input_tokens": "input tokens per min",
    "output_tokens": "output tokens per min",
}

# The type, the code and the message of each status.
_ERRORS: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "Your request was malformed."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", "unsupported_country_region_territory", "Not supported here."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    408: ("server_error", None, "The request timed out."),
    409: ("invalid_request_error", None, "The resource was changed by another request."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached."),
    500: ("server_error", None, "The server had an error while processing your request."),
    502: ("server_error", None, "Bad gateway."),
    503: ("server_error", None, "The engine is currently overloaded, please try again later."),
    529: ("overloaded_error", None, "Overloaded"),
}

_CODE_TYPES = {
    "insufficient_quota": "insufficient_quota",
    "content_filter": "invalid_request_error",
    "content_policy_violation": "image_generation_user_error",
    "context_length_exceeded": "invalid_request_error",
}

_CODE_MESSAGES = {
    "insufficient_quota": "You exceeded your current quota, please check your plan and billing "
    "details.",
    "content_filter": "The response was filtered due to the prompt triggering the content "
    "management policy.",
    "context_length_exceeded": "This model's maximum context length is exceeded. Please reduce "
    "the length of the messages.",
}


def go_duration(seconds: float) -> str:
    """A duration as OpenAI writes it: "12ms", "8.64s", "6m0s", "1h2m3s"."""
    if isinf(seconds):
        return "0s"
    milliseconds = max(0, ceil(seconds * 1000 - 1e-6))
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    whole, rest = divmod(milliseconds, 1000)
    hours, minutes, left = whole // 3600, whole // 60 % 60, whole % 60
    tail = f"{left}.{rest:03d}".rstrip("0") if rest else str(left)
    text = f"{tail}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text


def _pair(name: str, value: object) -> tuple[bytes, bytes]:
    return name.encode(), str(value).encode()


def limit_headers(
    limits: LimitSet,
    style: HeaderStyle,
    now_s: float,
    wall_s: float,
    *,
    resets: ResetMeans | None = "whole",
) -> Headers:
    """The headers that say what is left.

    Args:
        limits: The limits of the request's scope.
        style: Whose headers.
        now_s: The limits' time.
        wall_s: Unix time, for timestamps.
        resets: What a reset is the time of: all is back, or the next that is; None: none is named.
    """
    said = [
        _Said(
            name,
            int(meter.limit),
            max(0, int(meter.remaining(now_s) + 1e-9)),
            _reset_s(meter, now_s, resets),
        )
        for name, meter in limits.meters()
    ]
    if style == "none" or (style == "limiter" and not resets):
        return []
    if style == "ietf":
        return _structured(said, limits.window_s)
    if style == "ietf-07":
        return _dictionary(said, limits.window_s)
    headers: Headers = []
    for limit in said:
        names = _names(limit, style, limits.window_s)
        if names is None:
            continue
        stem, unit = names
        headers.append(_pair(stem.format("limit"), f"{limit.limit}{unit}"))
        headers.append(_pair(stem.format("remaining"), limit.left))
        if limit.reset_s is not None and style in _RESETS:
            headers.append(_pair(stem.format("reset"), _reset(limit.reset_s, style, wall_s)))
    return headers


def _reset_s(meter: Meter, now_s: float, means: ResetMeans | None) -> float | None:
    if means is None:
        return None
    return meter.reset_s(now_s) if means == "whole" else meter.next_s(now_s)


class _Said(NamedTuple):
    resource: str
    limit: int
    left: int
    reset_s: float | None


_RESETS = ("openai", "anthropic", "plain", "cerebras", "limiter")


def _names(said: _Said, style: HeaderStyle, window_s: float) -> tuple[str, str] | None:
    """The form of a limit's three names, and what follows the limit; None: it is not told of."""
    dashed = said.resource.replace("_", "-")
    if style == "anthropic":
        return f"anthropic-ratelimit-{dashed}-{{}}", ""
    if said.resource not in ("requests", "tokens"):
        return None
    match style:
        case "plain":
            told = said.resource == "requests"
            policy = f", {said.limit};w={max(1, round(window_s))}"
            return ("x-ratelimit-{}", policy) if told else None
        case "limiter":
            return ("x-ratelimit-{}", "") if said.resource == "requests" else None
        case "mistral":
            short = "req" if said.resource == "requests" else "tokens"
            return f"x-ratelimit-{{}}-{short}-minute", ""
        case "cerebras":
            return f"x-ratelimit-{{}}-{dashed}-minute", ""
        case _:
            return f"x-ratelimit-{{}}-{dashed}", ""


def _reset(seconds: float, style: HeaderStyle, wall_s: float) -> str:
    match style:
        case "anthropic":
            at = datetime.fromtimestamp(0, UTC) + timedelta(seconds=ceil(wall_s + seconds))
            return at.strftime("%Y-%m-%dT%H:%M:%SZ")
        case "plain":
            return str(ceil(seconds))
        case "limiter":
            return str(ceil(wall_s + seconds))
        case "cerebras":
            return f"{seconds:.6f}"
        case _:
            return go_duration(seconds)


def _structured(said: list[_Said], window_s: float) -> Headers:
    """The fields of the IETF's draft: a list of policies, and a list of what is left of each."""
    if not said:
        return []
    whole_s = max(1, round(window_s))
    policies = [f'"{one.resource}";q={one.limit};w={whole_s}' for one in said]
    left = [
        f'"{one.resource}";r={one.left}'
        + ("" if one.reset_s is None else f";t={ceil(one.reset_s)}")
        for one in said
    ]
    return [_pair("ratelimit-policy", ", ".join(policies)), _pair("ratelimit", ", ".join(left))]


def _dictionary(said: list[_Said], window_s: float) -> Headers:
    """The fields of the IETF's older draft, which know of one limit alone."""
    if not said:
        return []
    one = next((each for each in said if each.resource == "requests"), said[0])
    reset = "" if one.reset_s is None else f", reset={ceil(one.reset_s)}"
    policy = f"{one.limit};w={max(1, round(window_s))}"
    left = f"limit={one.limit}, remaining={one.left}{reset}"
    return [_pair("ratelimit-policy", policy), _pair("ratelimit", left)]


def retry_headers(seconds: float, style: RetryAfterStyle) -> Headers:
    """`retry-after` in the given style: whole seconds are rounded up, as a real server must."""
    if style == "none" or isinf(seconds):
        return []
    headers = [_pair("retry-after", max(1, ceil(seconds)) if seconds else 0)]
    if style == "ms":
        headers.append(_pair("retry-after-ms", ceil(seconds * 1000)))
    return headers


def error_body(
    message: str, kind: str, code: str | None, param: str | None, style: HeaderStyle = "openai"
) -> bytes:
    """OpenAI's error object, or Anthropic's."""
    if style == "anthropic":
        return dump({"type": "error", "error": {"type": kind, "message": message}})
    return dump({"error": {"message": message, "type": kind, "param": param, "code": code}})


def rejection(verdict: Admission, model: str, style: HeaderStyle, window_s: float = 60.0) -> bytes:
    """The body of a 429 for this verdict of limits that count by `window_s`."""
    resource = verdict.resource or "requests"
    if style == "anthropic":
        text = f"This request would exceed your rate limit of {int(verdict.limit)} {resource}."
        return error_body(text, "rate_limit_error", None, None, style)
    if style == "azure":
        text = f"Requests to {model} have exceeded the call rate limit of your pricing tier. "
        text += f"Please retry after {max(1, ceil(min(verdict.wait_s, 86400)))} seconds."
        return error_body(text, "requests", "429", None, style)
    if style == "limiter":
        per = f"{int(verdict.limit)} per {max(1, round(window_s))} seconds"
        return dump({"error": f"Rate limit exceeded: {per}"})
    if style == "gateway":
        text = f"Rate limit exceeded for model: {model}. Limit type: {resource}. "
        text += f"Current limit: {int(verdict.limit)}, Remaining: 0."
        return error_body(text, "throttling_error", "429", None, style)
    if isinf(verdict.wait_s):
        text = f"Request too large for {model} in organization org-simulated on {_PER[resource]}: "
        text += f"Limit {int(verdict.limit)}, Requested {int(verdict.requested)}."
    else:
        text = f"Rate limit reached for {model} in organization org-simulated on {_PER[resource]}: "
        text += f"Limit {int(verdict.limit)}, Used {max(0, ceil(verdict.used - 1e-9))}, "
        text += f"Requested {int(verdict.requested)}. "
        text += f"Please try again in {go_duration(verdict.wait_s)}."
    return error_body(text, resource, "rate_limit_exceeded", None, style)


def status_body(step: Status, style: HeaderStyle) -> bytes:
    """The body of an error that was scripted or drawn."""
    fallback = ("server_error" if step.status >= 500 else "invalid_request_error", None, "Error.")
    kind, code, message = _ERRORS.get(step.status, fallback)
    if step.code is not None:
        kind, code = _CODE_TYPES.get(step.code, kind), step.code
        message = _CODE_MESSAGES.get(step.code, message)
    if style == "anthropic":
        kind = {429: "rate_limit_error", 500: "api_error"}.get(step.status, kind)
    return error_body(step.message or message, kind, code, None, style)
