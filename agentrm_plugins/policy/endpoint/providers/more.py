"""Further providers, each in a few words: what they say beyond HTTP's and OpenAI's."""

from __future__ import annotations

from agentrm_plugins.types.provider import Provider
from agentrm_plugins.types.verdicts import Kind

__all__ = ["COHERE", "DASHSCOPE", "GITHUB", "HUGGING_FACE", "MOONSHOT", "SERVERS", "TOGETHER"]

COHERE = Provider(
    name="Cohere",
    source="docs.cohere.com: errors; a trial key's limits per minute and per month",
    billing=("add or update your payment method",),
    quota=("api calls / month",),
    too_long=("tokens in the prompt cannot exceed",),
)

TOGETHER = Provider(
    name="Together",
    source="docs.together.ai: error codes (402, 429, 503)",
    codes={"model_rate_limit": Kind.LIMIT},
    billing=("credit_limit", "credit limit exceeded"),
)

HUGGING_FACE = Provider(
    name="Hugging Face",
    source="huggingface.co/docs/text-generation-inference: errors, and its router's validation",
    words={"model too busy": Kind.OVERLOADED, "currently loading": Kind.OVERLOADED},
    billing=("monthly included credits",),
    too_long=("`inputs` must have less than", "max_new_tokens` must be <="),
)

DASHSCOPE = Provider(
    name="Alibaba Model Studio",
    source="help.aliyun.com: error codes of DashScope",
    codes={
        "limit_requests": Kind.LIMIT,
        "limit_burst_rate": Kind.LIMIT,
        "Throttling.RateQuota": Kind.LIMIT,
        "Throttling.BurstRate": Kind.LIMIT,
        "Throttling.AllocationQuota": Kind.LIMIT,
    },
    billing=("Arrearage",),
    too_long=("range of input length should be",),
)

MOONSHOT = Provider(
    name="Moonshot, Volcengine",
    source="platform.moonshot.ai and www.volcengine.com/docs: error codes",
    codes={
        "engine_overloaded_error": Kind.OVERLOADED,
        "ServerOverloaded": Kind.OVERLOADED,
        "rate_limit_reached_error": Kind.LIMIT,
    },
    billing=("exceeded_current_quota_error", "AccountOverdueError"),
    too_long=("exceeded model token limit",),
)

GITHUB = Provider(
    name="GitHub Models",
    source="docs.github.com: rate limits of GitHub Models",
    codes={"RateLimitReached": Kind.LIMIT},
    too_long=("tokens_limit_reached", "request body too large for"),
)

SERVERS = Provider(
    name="SGLang, LM Studio",
    source="their servers' own checks of a prompt's length",
    too_long=("longer than the model's context length", "loaded with context length of only"),
)
