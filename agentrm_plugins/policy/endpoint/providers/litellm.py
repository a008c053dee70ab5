"""LiteLLM's proxy, and the exceptions of its SDK and router."""

from __future__ import annotations

from collections.abc import Iterator

from agentrm_plugins.types.provider import LimitHeaders, Provider
from agentrm_plugins.types.verdicts import Kind

__all__ = ["LITELLM"]

_WHOSE = (
    *("api_key", "user", "team", "team_member", "end_user", "organization", "project"),
    *("model_per_key", "model_per_team", "model_per_user", "model_per_project"),
)


def _limits() -> Iterator[LimitHeaders]:
    for resource in ("requests", "tokens"):
        for whose in _WHOSE:
            stem = f"x-ratelimit-{whose}"
            yield LimitHeaders(resource, f"{stem}-limit-{resource}", f"{stem}-remaining-{resource}")
        upstream = "llm_provider-x-ratelimit"
        yield LimitHeaders(
            resource,
            f"{upstream}-limit-{resource}",
            f"{upstream}-remaining-{resource}",
            f"{upstream}-reset-{resource}",
        )


LITELLM = Provider(
    name="LiteLLM",
    source="docs.litellm.ai: proxy rate limits, budgets, exception mapping; its own limiter's code",
    codes={
        "throttling_error": Kind.LIMIT,
        "budget_exceeded": Kind.PERMANENT,
        "key_model_access_denied": Kind.PERMANENT,
    },
    names={"BudgetExceededError": Kind.PERMANENT, "RouterRateLimitError": Kind.LIMIT},
    words={
        "no deployments available": Kind.OVERLOADED,
        "crossed tpm / rpm": Kind.LIMIT,
        "max parallel request limit": Kind.LIMIT,
    },
    billing=("budget_exceeded", "budget has been exceeded", "exceeded budget", "exceededbudget"),
    limits=tuple(_limits()),
)
