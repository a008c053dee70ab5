"""Gateways before providers: what they say themselves. Others' words they pass on as they are."""

from __future__ import annotations

from agentrm_plugins.types.provider import LimitHeaders, Provider
from agentrm_plugins.types.verdicts import Kind

__all__ = ["APIGEE", "CLOUDFLARE", "DATABRICKS", "HELICONE", "KONG", "PORTKEY"]

PORTKEY = Provider(
    name="Portkey",
    source="portkey.ai/docs: error codes of the gateway (412 a used-up budget, 446 a guardrail)",
    statuses={446: Kind.PERMANENT},
    codes={"hooks_failed": Kind.PERMANENT, "timeout_error": Kind.TRANSIENT},
    billing=("exhausted its budget", "budget exhausted"),
)

HELICONE = Provider(
    name="Helicone",
    source="docs.helicone.ai: custom rate limits",
    limits=(
        LimitHeaders(
            "requests",
            "helicone-ratelimit-limit",
            "helicone-ratelimit-remaining",
            "helicone-ratelimit-reset",
        ),
    ),
)

CLOUDFLARE = Provider(
    name="Cloudflare",
    source="developers.cloudflare.com: AI Gateway's limits, Workers AI's errors",
    quota=("daily free allocation",),
)

DATABRICKS = Provider(
    name="Databricks",
    source="docs.databricks.com: limits and errors of the foundation model APIs",
    codes={
        "REQUEST_LIMIT_EXCEEDED": Kind.LIMIT,
        "RESOURCE_EXHAUSTED": Kind.LIMIT,
        "TEMPORARILY_UNAVAILABLE": Kind.OVERLOADED,
    },
    words={"rate limit set to 0": Kind.PERMANENT},
)

KONG = Provider(
    name="Kong",
    source="developer.konghq.com: the plugins rate-limiting and ai-rate-limiting-advanced",
    words={"token rate limit exceeded for provider": Kind.LIMIT},
)

APIGEE = Provider(
    name="Apigee",
    source="cloud.google.com/apigee/docs: the policies Quota and SpikeArrest",
    codes={"policies.ratelimit.QuotaViolation": Kind.LIMIT},
    words={"spike arrest violation": Kind.LIMIT},
)
