"""Providers whose table is short: what they say beyond HTTP's and OpenAI's words."""

from __future__ import annotations

from agentrm_plugins.types.provider import LimitHeaders, Provider
from agentrm_plugins.types.verdicts import Kind

__all__ = ["CEREBRAS", "DEEPSEEK", "GROQ", "MISTRAL", "OLLAMA", "OPENROUTER", "VLLM", "XAI"]

_MONTH_S = 2_592_000.0

MISTRAL = Provider(
    name="Mistral",
    source="docs.mistral.ai: rate limits; the headers of its answers",
    codes={"service_tier_capacity_exceeded": Kind.LIMIT, "rate_limited": Kind.LIMIT},
    words={"service tier capacity exceeded": Kind.LIMIT, "requests rate limit": Kind.LIMIT},
    quota=("monthly ... limit ... reached", "usage limit has been reached"),
    too_long=("prompt contains ... too large for model", "too large for model with"),
    limits=(
        LimitHeaders(
            "requests",
            "x-ratelimit-limit-req-minute",
            "x-ratelimit-remaining-req-minute",
            window_s=60.0,
        ),
        LimitHeaders("tokens", "ratelimitbysize-limit", "ratelimitbysize-remaining",
                     "ratelimitbysize-reset"),
        LimitHeaders("tokens", "x-ratelimitbysize-limit-minute",
                     "x-ratelimitbysize-remaining-minute", window_s=60.0),
        LimitHeaders("tokens", "x-ratelimitbysize-limit-month",
                     "x-ratelimitbysize-remaining-month", window_s=_MONTH_S),
    ),
)  # fmt: skip

GROQ = Provider(
    name="Groq",
    source="console.groq.com/docs/errors and /rate-limits; its request limit is per day",
    statuses={498: Kind.OVERLOADED},
    codes={"capacity_exceeded": Kind.OVERLOADED, "over_capacity": Kind.OVERLOADED},
    words={"flex tier capacity exceeded": Kind.OVERLOADED, "over capacity": Kind.OVERLOADED},
    billing=("blocked_api_access", "spend_limit_reached"),
    too_long=("reduce the length of the messages or completion", "reduce your message size"),
)

CEREBRAS = Provider(
    name="Cerebras",
    source="inference-docs.cerebras.ai: rate limits, whose headers end in -day and -minute",
    codes={
        "token_quota_exceeded": Kind.LIMIT,
        "request_quota_exceeded": Kind.LIMIT,
        "queue_exceeded": Kind.OVERLOADED,
    },
)

DEEPSEEK = Provider(
    name="DeepSeek",
    source="api-docs.deepseek.com/quick_start/error_codes: 402 for an empty account",
)

OPENROUTER = Provider(
    name="OpenRouter",
    source="openrouter.ai/docs/api/reference/errors-and-debugging and /limits",
    codes={"provider_overloaded": Kind.OVERLOADED},
    words={
        "temporarily rate-limited upstream": Kind.LIMIT,
        "provider returned error": Kind.TRANSIENT,
        "no instances available": Kind.OVERLOADED,
    },
    billing=("requires more credits", "insufficient credits", "add more using",
             "key limit exceeded ("),
    too_long=("maximum context length is", "endpoint's maximum context length"),
)  # fmt: skip

XAI = Provider(
    name="xAI",
    source="docs.x.ai: debugging errors, and rate limits",
    billing=("used all available credits", "monthly spending limit", "doesn't have any credits",
             "does not have any credits"),
    too_long=("maximum prompt length",),
)  # fmt: skip

OLLAMA = Provider(
    name="Ollama",
    source="docs.ollama.com: OLLAMA_MAX_QUEUE and errors (503 when its queue is full)",
    words={
        "server busy": Kind.OVERLOADED,
        "model is loading": Kind.OVERLOADED,
        "loading model": Kind.OVERLOADED,
    },
    too_long=("exceeds the available context size", "input length exceeds the context length"),
)

VLLM = Provider(
    name="vLLM",
    source="docs.vllm.ai: its OpenAI-compatible server; the checks of a prompt's length",
    too_long=(
        "longer than the maximum model length",
        "maximum model length of",
        "model's context length is only",
        "is too large: ... maximum context length",
    ),
)
