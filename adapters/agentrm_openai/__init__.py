"""AgentRM for the OpenAI SDK: managed clients, and transports that show the core every header."""

from __future__ import annotations

try:
    import httpx2  # noqa: F401 - only whether they are there
    import openai  # noqa: F401 - the same
except ModuleNotFoundError as error:
    if error.name not in {"httpx2", "openai"}:
        raise
    msg = f"agentrm_openai needs {error.name}: pip install 'agentrm-plugins[openai]'"
    raise ModuleNotFoundError(msg, name=error.name) from None

from agentrm_openai.clients import (
    managed_async_http_client,
    managed_http_client,
    observe_client,
    observed_twin,
)
from agentrm_openai.exchange import (
    Answer,
    Endpoint,
    Exchange,
    ResponseObserver,
    endpoint_of,
    key_fingerprint,
)
from agentrm_openai.managed import manage_client
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
    "manage_client",
    "managed_async_http_client",
    "managed_http_client",
    "observe_client",
    "observed_twin",
]


def __dir__() -> list[str]:
    """What completion offers."""
    return sorted(__all__)
