"""Google's Gemini, at its own API, at the OpenAI-compatible one, and through gRPC."""

from __future__ import annotations

from agentrm_plugins.types.provider import Provider
from agentrm_plugins.types.verdicts import Kind

__all__ = ["GEMINI"]

GEMINI = Provider(
    name="Gemini",
    source="ai.google.dev/gemini-api/docs/troubleshooting and /rate-limits; google.rpc.Code",
    codes={
        "RESOURCE_EXHAUSTED": Kind.LIMIT,
        "ResourceExhausted": Kind.LIMIT,
        "UNAVAILABLE": Kind.OVERLOADED,
        "INTERNAL": Kind.TRANSIENT,
        "DEADLINE_EXCEEDED": Kind.TRANSIENT,
        "ABORTED": Kind.TRANSIENT,
        "UNKNOWN": Kind.TRANSIENT,
        "INVALID_ARGUMENT": Kind.PERMANENT,
        "FAILED_PRECONDITION": Kind.PERMANENT,
        "PERMISSION_DENIED": Kind.PERMANENT,
        "UNAUTHENTICATED": Kind.PERMANENT,
        "NOT_FOUND": Kind.PERMANENT,
    },
    # A limit of nothing is a model that the account may not use, whatever wait is named beside it.
    words={"limit: 0,": Kind.PERMANENT, "model is overloaded": Kind.OVERLOADED},
    billing=("prepayment credits", "monthly spending cap", "BILLING_DISABLED",
             "requires billing to be enabled"),
    too_long=("input token count ... exceeds the maximum",),
)  # fmt: skip
