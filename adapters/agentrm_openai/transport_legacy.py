"""The same transports for clients of the older httpx, which the SDK still takes.

Imported on demand, for the SDK does not install that library any more.
"""

from __future__ import annotations

import httpx

from agentrm_openai.transport import (
    AsyncTransport,
    ObservedAsyncPieces,
    ObservedPieces,
    SyncTransport,
)

__all__ = ["LegacyManagedAsyncTransport", "LegacyManagedTransport"]


class _Pieces(ObservedPieces, httpx.SyncByteStream):
    pass


class _AsyncPieces(ObservedAsyncPieces, httpx.AsyncByteStream):
    pass


class LegacyManagedTransport(SyncTransport, httpx.BaseTransport):
    """A sync transport for `httpx.Client`."""

    byte_stream = httpx.ByteStream
    observed = _Pieces


class LegacyManagedAsyncTransport(AsyncTransport, httpx.AsyncBaseTransport):
    """An async transport for `httpx.AsyncClient`."""

    byte_stream = httpx.ByteStream
    observed = _AsyncPieces
