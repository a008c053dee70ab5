"""The names of OpenTelemetry's GenAI semantic conventions, as far as a resource manager has them.

Law: what a client measures itself is its to report, and nobody reports it twice. The core knows of
    each request how long it took, which tokens it used, and how it failed; it knows nothing of what
    was said. So it has the two metrics of a client, and none of the attributes of content.
Limits: the conventions are in development. These are those of the package
    opentelemetry-semantic-conventions 0.66b2, whose constants a test compares.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

__all__ = ["DURATION", "TOKENS", "Metric", "attributes_of", "error_type", "somebody_else_reports"]

Attributes = dict[str, str | int]


class Metric(NamedTuple):
    """A histogram of the conventions, with the buckets that they ask for."""

    name: str
    unit: str
    help: str
    buckets: tuple[float, ...]


DURATION = Metric(
    "gen_ai.client.operation.duration",
    "s",
    "GenAI operation duration.",
    tuple(0.01 * 2**place for place in range(14)),  # to 81.92 s
)
TOKENS = Metric(
    "gen_ai.client.token.usage",
    "{token}",
    "Number of input and output tokens used.",
    tuple(float(4**place) for place in range(14)),  # to 67,108,864
)

# By the end of the host's name: what the conventions call the provider.
_PROVIDERS = {
    "openai.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "models.ai.azure.com": "azure.ai.inference",
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "amazonaws.com": "aws.bedrock",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "api.mistral.ai": "mistral_ai",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "x_ai",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.perplexity.ai": "perplexity",
    "cloud.ibm.com": "ibm.watsonx.ai",
}
_OTHER = "_OTHER"  # the conventions' word for an error without a better one
# Instrumentations that report the client's metrics themselves, by their modules.
_REPORTERS = (
    *("opentelemetry.util.genai", "opentelemetry.instrumentation.openai_v2"),
    *("opentelemetry.instrumentation.openai", "opentelemetry.instrumentation.langchain"),
    *("opentelemetry.instrumentation.anthropic", "openlit", "traceloop.sdk"),
)


def somebody_else_reports() -> bool:
    """Whether an instrumentation is loaded that reports the client's metrics itself."""
    return any(module in sys.modules for module in _REPORTERS)


def attributes_of(endpoint: str) -> Attributes:
    """What the conventions want to know of where a request went.

    >>> attributes_of("api.openai.com/gpt-4o-mini#0123abcd")["gen_ai.provider.name"]
    'openai'
    >>> attributes_of("localhost:8000/my-embedder")
    {'gen_ai.operation.name': 'embeddings', 'gen_ai.provider.name': 'localhost',
     'gen_ai.request.model': 'my-embedder', 'server.address': 'localhost', 'server.port': 8000}
    """
    place, _, model = endpoint.partition("#")[0].partition("/")
    host, colon, port = place.rpartition(":")
    if not (colon and port.isdigit()):
        host, port = place, ""
    found: Attributes = {
        "gen_ai.operation.name": "embeddings" if "embed" in model.lower() else "chat",
        "gen_ai.provider.name": _provider(host),
        "gen_ai.request.model": model,
        "server.address": host,
    }
    if port:
        found["server.port"] = int(port)
    return {name: value for name, value in found.items() if value != ""}


def _provider(host: str) -> str:
    for end, provider in _PROVIDERS.items():
        if host == end or host.endswith(f".{end}"):
            return provider
    return host or _OTHER


def error_type(effect: Any) -> str | None:
    """The conventions' ``error.type``: a status, a word of few, or None where all went well."""
    status = getattr(effect, "status", None)
    cause = str(effect.cause)
    if cause in {"ok", "late"}:
        return None
    if status is not None:
        return str(status)
    return cause if cause in _CAUSES else _OTHER


_CAUSES = {
    *("cancelled", "superseded", "limit", "overloaded", "transient"),
    *("first_token", "response", "silence", "total"),
}
