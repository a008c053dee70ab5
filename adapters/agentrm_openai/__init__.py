"""AgentRM for the OpenAI SDK: HTTP transports that show the core every header and every refusal."""

from __future__ import annotations

from agentrm_openai.clients import (
    managed_async_http_client,
    managed_http_client,
    observe_client,
    observed_twin,
)
from agentrm_openai.endpoint import Endpoint, endpoint_of, key_fingerprint
from agentrm_openai.exchange import Answer, Exchange, ResponseObserver
from agentrm_openai.observer import CoreObserver
from agentrm_openai.transport import ManagedAsyncTransport, ManagedTransport

__all__ = [
    "Answer",
    "CoreObserver",
    "Endpoint",
    "Exchange",
    "ManagedAsyncTransport",
    "ManagedTransport",
    "ResponseObserver",
    "endpoint_of",
    "key_fingerprint",
    "managed_async_http_client",
    "managed_http_client",
    "observe_client",
    "observed_twin",
]
