"""Anthropic's API; its limits of input and output are apart."""

from __future__ import annotations

from agentrm_plugins.types.provider import LimitHeaders, Provider
from agentrm_plugins.types.verdicts import RESOURCES, Kind

__all__ = ["ANTHROPIC"]


def _limit(resource: str) -> LimitHeaders:
    stem = f"anthropic-ratelimit-{resource.replace('_', '-')}"
    return LimitHeaders(resource, f"{stem}-limit", f"{stem}-remaining", f"{stem}-reset")


ANTHROPIC = Provider(
    name="Anthropic",
    source="docs.anthropic.com/en/api/errors and /rate-limits",
    statuses={529: Kind.OVERLOADED},
    codes={
        "rate_limit_error": Kind.LIMIT,
        "overloaded_error": Kind.OVERLOADED,
        "api_error": Kind.TRANSIENT,
        "timeout_error": Kind.TRANSIENT,
        "authentication_error": Kind.PERMANENT,
        "permission_error": Kind.PERMANENT,
        "not_found_error": Kind.PERMANENT,
        "request_too_large": Kind.PERMANENT,
    },
    billing=("credit_balance_too_low", "credit balance is too low", "workspace api usage limits",
             "reached your specified api usage limits", "extra usage is required"),
    too_long=("input length and `max_tokens` exceed", "prompt is too long"),
    limits=tuple(_limit(resource) for resource in RESOURCES),
)  # fmt: skip
