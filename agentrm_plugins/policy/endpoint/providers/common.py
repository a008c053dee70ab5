"""What all of HTTP says: statuses, the usual codes, and the headers that many send alike."""

from __future__ import annotations

from collections.abc import Iterator

from agentrm_plugins.types.provider import LimitHeaders, Provider
from agentrm_plugins.types.verdicts import Kind

__all__ = ["COMMON"]

_WINDOWS_S = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0, "month": 2_592_000.0}
_WORDS = ("limit", "remaining", "reset")


def _triple(resource: str, form: str, window_s: float | None = None) -> LimitHeaders:
    """Headers of which the names differ by the words "limit", "remaining" and "reset" alone."""
    limit, remaining, reset = (form.format(word) for word in _WORDS)
    return LimitHeaders(resource, limit, remaining, reset, window_s)


def _limits() -> Iterator[LimitHeaders]:
    for form in ("x-ratelimit-{}", "x-rate-limit-{}", "ratelimit-{}"):
        yield _triple("requests", form)
    for resource in ("requests", "tokens", "input_tokens", "output_tokens"):
        yield _triple(resource, "x-ratelimit-{}-" + resource.replace("_", "-"))
    for unit, window_s in _WINDOWS_S.items():
        yield _triple("requests", f"x-ratelimit-{{}}-{unit}", window_s)
        for resource in ("requests", "tokens"):
            yield _triple(resource, f"x-ratelimit-{{}}-{resource}-{unit}", window_s)


COMMON = Provider(
    name="HTTP",
    source="RFC 9110 and RFC 6585; cloudflare.com's page of its own statuses (520 to 527)",
    statuses={
        402: Kind.PERMANENT,
        408: Kind.TRANSIENT,
        409: Kind.TRANSIENT,
        425: Kind.TRANSIENT,
        429: Kind.LIMIT,
        501: Kind.PERMANENT,
        505: Kind.PERMANENT,
        503: Kind.OVERLOADED,
    },
    codes={
        "rate_limit_exceeded": Kind.LIMIT,
        "rate_limited": Kind.LIMIT,
        "rate_limit": Kind.LIMIT,
        "rate_limit_reached": Kind.LIMIT,
        "too_many_requests": Kind.LIMIT,
        "overloaded": Kind.OVERLOADED,
        "service_unavailable": Kind.OVERLOADED,
        "internal_error": Kind.TRANSIENT,
        "internal_server_error": Kind.TRANSIENT,
        "timeout": Kind.TRANSIENT,
        "gateway_timeout": Kind.TRANSIENT,
        "bad_gateway": Kind.TRANSIENT,
    },
    words={
        "rate limit ... exceeded": Kind.LIMIT,
        "rate limit reached": Kind.LIMIT,
        "exceeded ... rate limit": Kind.LIMIT,
        "rate limited": Kind.LIMIT,
        "too many requests": Kind.LIMIT,
        "temporarily unavailable": Kind.OVERLOADED,
    },
    billing=(
        "billing_error",
        "payment_required",
        "insufficient balance",
        "balance ... insufficient",
        "insufficient account balance",
        "insufficient credit",
        "credits ... exhausted",
        "not enough credits",
        "no credits",
        "out of credits",
        "insufficient funds",
        "not enough balance",
        "no remaining credit",
        "credit ... depleted",
        "credits are depleted",
        "spending limit",
        "spend limit",
        "spending cap",
        "spend cap",
        "payment required",
        "unpaid invoice",
        "overdue balance",
        "account is suspended",
        "account has been suspended",
        "account suspended",
        "top up your",
        "recharge your",
        "balance is too low",
        "balance too low",
        "free trial has ended",
        "trial has expired",
        "budget has been used up",
        "budget exhausted",
        "over budget",
        "max_budget",
        "余额不足",
        "欠费",
    ),
    quota=(
        "quota exhausted",
        "quota has been exhausted",
        "out of quota",
        "exceeded your monthly",
        "monthly quota",
        "monthly limit",
        "monthly usage limit",
        "quota for this month",
        "billing period",
        "billing cycle",
    ),
    too_long=(
        "context_length_exceeded",
        "context_window_exceeded",
        "maximum context length",
        "context length exceeded",
        "exceeds the context window",
        "exceeds ... context length",
        "exceeds ... context window",
        "exceed context limit",
        "context window exceeded",
        "prompt is too long",
        "input is too long",
        "input too long",
    ),
    limits=tuple(_limits()),
    waits=("retry-after-ms", "retry-after", "x-retry-after", "x-ratelimit-retry-after"),
)
