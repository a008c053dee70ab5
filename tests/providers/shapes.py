"""What each provider answers when it refuses, in its own words; none of it was recorded.

Sources: the pages that the tables in `agentrm_plugins/policy/endpoint/providers` name.
"""

from __future__ import annotations

from typing import NamedTuple


class Shape(NamedTuple):
    """The refusals of one provider: status, headers, body of each.

    Args:
        limit: Too many requests; ends well when it is asked again.
        billing: An account without money; never again.
        too_long: A prompt longer than the window.
        overloaded: It has no room; again.
        headers: What its good answers say of its limits.
        learnt: The resource and the limit per minute that follow; None: it says nothing.
    """

    limit: tuple
    billing: tuple
    too_long: tuple
    overloaded: tuple
    headers: dict
    learnt: tuple | None


def openai(message, kind, code=None):
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic(kind, message):
    return {"type": "error", "error": {"type": kind, "message": message}}


def google(code, status, message, *details):
    error = {"code": code, "message": message, "status": status, "details": list(details)}
    return {"error": error}


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.05s"}
GEMINI_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. Please retry in "
    "0.05s."
)
OPENAI_LIMIT = openai(
    "Rate limit reached for m in organization o on requests per min (RPM): Limit 60, Used 60, "
    "Requested 1. Please try again in 50ms.",
    "requests",
    "rate_limit_exceeded",
)
OPENAI_BILLING = openai(
    "You exceeded your current quota, please check your plan and billing details.",
    "insufficient_quota",
    "insufficient_quota",
)
OPENAI_LONG = openai(
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 "
    "tokens. Please reduce the length of the messages.",
    "invalid_request_error",
    "context_length_exceeded",
)
OPENAI_FULL = openai("The server is overloaded.", "server_error")
OPENAI_HEADERS = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
}
OPENAI = Shape(
    limit=(429, {"retry-after-ms": "50"}, OPENAI_LIMIT),
    billing=(429, {"x-should-retry": "false"}, OPENAI_BILLING),
    too_long=(400, {}, OPENAI_LONG),
    overloaded=(503, {}, OPENAI_FULL),
    headers=OPENAI_HEADERS,
    learnt=("requests", 60),
)

SHAPES = {
    "openai": OPENAI,
    "openai_responses": OPENAI,
    "azure": Shape(
        limit=(
            429,
            {"retry-after": "0"},
            openai("Requests have exceeded token rate limit of your current S0 pricing tier. "
                   "Please retry after 1 seconds. For Free Account customers, upgrade to Pay as "
                   "you Go.", None, "429"),
        ),
        billing=(401, {}, openai("Access denied due to invalid subscription key.", None, "401")),
        too_long=(400, {}, OPENAI_LONG),
        overloaded=(503, {}, openai("No capacity", None, "NoCapacity")),
        headers={"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59"},
        learnt=("requests", 60),
    ),
    "anthropic": Shape(
        limit=(
            429,
            {"retry-after": "0"},
            anthropic("rate_limit_error", "This request would exceed your organization's rate "
                      "limit of 40,000 input tokens per minute."),
        ),
        billing=(
            400,
            {},
            anthropic("invalid_request_error",
                      "Your credit balance is too low to access the Anthropic API."),
        ),
        too_long=(
            400,
            {},
            anthropic("invalid_request_error",
                      "prompt is too long: 210000 tokens > 200000 maximum"),
        ),
        overloaded=(529, {}, anthropic("overloaded_error", "Overloaded")),
        headers={
            "anthropic-ratelimit-requests-limit": "60",
            "anthropic-ratelimit-requests-remaining": "59",
            "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:00Z",
        },
        learnt=("requests", 60),
    ),
    "bedrock": Shape(
        limit=(
            429,
            {"x-amzn-errortype": "ThrottlingException"},
            {"message": "Too many requests, please wait before trying again."},
        ),
        billing=(
            403,
            {"x-amzn-errortype": "AccessDeniedException"},
            {"message": "Model access is denied due to INVALID_PAYMENT_INSTRUMENT"},
        ),
        too_long=(
            400,
            {"x-amzn-errortype": "ValidationException"},
            {"message": "Input is too long for requested model."},
        ),
        overloaded=(
            503,
            {"x-amzn-errortype": "ServiceUnavailableException"},
            {"message": "The service is not available."},
        ),
        headers={},
        learnt=None,
    ),
    "gemini": Shape(
        limit=(429, {}, google(429, "RESOURCE_EXHAUSTED", GEMINI_QUOTA, RETRY)),
        billing=(
            429, {}, google(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.")),
        too_long=(
            400,
            {},
            google(400, "INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum "
                   "number of tokens allowed (1048576)."),
        ),
        overloaded=(503, {}, google(503, "UNAVAILABLE", "The model is overloaded.")),
        headers={},
        learnt=None,
    ),
    "gemini_compatible": Shape(
        limit=(429, {}, [google(429, "RESOURCE_EXHAUSTED", GEMINI_QUOTA, RETRY)]),
        billing=(
            429, {}, [google(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.")]),
        too_long=(
            400, {}, [google(400, "INVALID_ARGUMENT", "The input token count (1200000) exceeds "
                             "the maximum number of tokens allowed.")]),
        overloaded=(503, {}, [google(503, "UNAVAILABLE", "The model is overloaded.")]),
        headers={},
        learnt=None,
    ),
    "mistral": Shape(
        limit=(
            429,
            {},
            {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited",
             "param": None, "code": "1300"},
        ),
        billing=(402, {}, {"message": "Payment required", "type": "payment_required"}),
        too_long=(
            400,
            {},
            {"object": "error", "message": "Prompt contains 40000 tokens, too large for model "
             "with 32768 maximum context length", "type": "invalid_request_error", "code": "3051"},
        ),
        overloaded=(503, {}, {"message": "Service unavailable."}),
        headers={"x-ratelimit-limit-req-minute": "60", "x-ratelimit-remaining-req-minute": "59"},
        learnt=("requests", 60),
    ),
    "groq": OPENAI._replace(
        billing=(
            403,
            {},
            openai("Organization has exceeded its spend limit", "invalid_request_error",
                   "blocked_api_access"),
        ),
        too_long=(
            413,
            {},
            openai("Request too large for model m on tokens per minute (TPM): Limit 6000, "
                   "Requested 9000, please reduce your message size and try again.", "tokens",
                   "rate_limit_exceeded"),
        ),
        overloaded=(498, {}, openai("flex tier capacity exceeded", "invalid_request_error",
                                    "capacity_exceeded")),
    ),
    "deepseek": OPENAI._replace(
        limit=(429, {}, openai("Rate limit reached", "rate_limit_error")),
        billing=(402, {}, openai("Insufficient Balance", "unknown_error", "invalid_request_error")),
        headers={},
        learnt=None,
    ),
    "openrouter": Shape(
        limit=(
            429,
            {},
            {"error": {"code": 429, "message": "Rate limit exceeded: free-models-per-min. Add 10 "
                       "credits to unlock 1000 free model requests per day"}},
        ),
        billing=(
            402,
            {},
            {"error": {"code": 402, "message": "This request requires more credits, or fewer "
                       "max_tokens."}},
        ),
        too_long=(
            400,
            {},
            {"error": {"code": 400, "message": "This endpoint's maximum context length is 8192 "
                       "tokens. However, you requested about 9000 tokens."}},
        ),
        overloaded=(503, {}, {"error": {"code": 503, "message": "No instances available"}}),
        headers={},
        learnt=None,
    ),
    "xai": OPENAI._replace(
        billing=(
            429,
            {},
            {"code": "Some resource has been exhausted", "error": "Your team has either used all "
             "available credits or reached its monthly spending limit."},
        ),
        too_long=(
            400,
            {},
            {"code": "Client specified an invalid argument", "error": "This model's maximum prompt "
             "length is 131072 but the request contains 537812 tokens."},
        ),
    ),
    "ollama": Shape(
        limit=(429, {}, {"error": "too many requests"}),
        billing=(402, {}, {"error": "payment required"}),
        too_long=(400, {}, {"error": "the input length exceeds the context length"}),
        overloaded=(503, {}, {"error": "server busy, please try again"}),
        headers={},
        learnt=None,
    ),
    "vllm": OPENAI._replace(
        limit=(429, {}, {"object": "error", "message": "Too many requests", "code": 429}),
        billing=(401, {}, {"error": "Unauthorized"}),
        too_long=(
            400,
            {},
            {"object": "error", "message": "The decoder prompt (length 9000) is longer than the "
             "maximum model length of 8192.", "type": "BadRequestError", "code": 400},
        ),
        headers={},
        learnt=None,
    ),
    "litellm": OPENAI._replace(
        limit=(429, {}, openai("Rate limit exceeded for api_key: k. Limit type: requests. Current "
                               "limit: 60, Remaining: 0.", "throttling_error", "429")),
        billing=(429, {}, openai("Budget has been exceeded! Current cost: 1.2, Max budget: 1.0",
                                 "budget_exceeded", "429")),
        headers={
            "x-ratelimit-api_key-limit-requests": "60",
            "x-ratelimit-api_key-remaining-requests": "59",
        },
    ),
}  # fmt: skip
