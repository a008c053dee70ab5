"""Azure OpenAI and Azure API Management."""

from __future__ import annotations

from agentrm_plugins.types.provider import Provider
from agentrm_plugins.types.verdicts import Kind

__all__ = ["AZURE"]

AZURE = Provider(
    name="Azure",
    source="learn.microsoft.com: Azure OpenAI quotas and limits; API Management's llm-token-limit",
    codes={
        "RateLimitReached": Kind.LIMIT,
        "TooManyRequests": Kind.LIMIT,
        "NoCapacity": Kind.OVERLOADED,
        "ServiceUnavailable": Kind.OVERLOADED,
        "InternalServerError": Kind.TRANSIENT,
        "ModelTimeout": Kind.TRANSIENT,
        "DeploymentNotFound": Kind.PERMANENT,
        "ResponsibleAIPolicyViolation": Kind.PERMANENT,
        "OperationNotSupported": Kind.PERMANENT,
    },
    words={
        "exceeded token rate limit": Kind.LIMIT,
        "exceeded ... call rate limit": Kind.LIMIT,
        "out of call volume quota": Kind.LIMIT,
    },
    waits=("x-ms-retry-after-ms",),
)
