"""OpenAI's own words, and those of who copies its API."""

from __future__ import annotations

from agentrm_plugins.types.provider import LimitHeaders, Provider
from agentrm_plugins.types.verdicts import Kind

__all__ = ["OPENAI"]

OPENAI = Provider(
    name="OpenAI",
    source="platform.openai.com/docs/guides/error-codes and /rate-limits; the SDK's response types",
    codes={
        "content_filter": Kind.PERMANENT,
        "content_policy_violation": Kind.PERMANENT,
        "invalid_api_key": Kind.PERMANENT,
        "invalid_prompt": Kind.PERMANENT,
        "model_not_found": Kind.PERMANENT,
        "string_above_max_length": Kind.PERMANENT,
        "unsupported_value": Kind.PERMANENT,
        "account_deactivated": Kind.PERMANENT,
        "slow_down": Kind.OVERLOADED,
        "engine_overloaded": Kind.OVERLOADED,
        "server_error": Kind.TRANSIENT,
        "vector_store_timeout": Kind.TRANSIENT,
    },
    words={"request too large": Kind.PERMANENT},
    billing=(
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "exceeded_current_quota_error",
        "insufficient quota",
        "billing hard limit",
        "account is not active",
    ),
    quota=("exceeded your current quota", "check your plan and billing"),
    limits=(
        LimitHeaders(
            "tokens",
            "x-ratelimit-limit-project-tokens",
            "x-ratelimit-remaining-project-tokens",
            "x-ratelimit-reset-project-tokens",
        ),
    ),
)
