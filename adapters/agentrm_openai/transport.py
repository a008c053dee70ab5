"""Transports that show the core every response's headers and every failure (httpx2).

They sit where each attempt passes, the SDK's own retries included, and see a success's headers too.
What they add to a request is one JSON parse of its body, to know the model.

Each event loop has connections of its own: those of a closed loop cannot be used, nor closed. An
async client is often shared by several loops (`asyncio.run` in a script's functions, LangChain's
cached clients), while each pooled connection belongs to the loop that opened it: met by another one
it raises ``Event loop is closed``. So the pool serves the loop that was seen first with it, and any
other loop gets a copy of the pool without connections. A pool that has connections of nobody we
know of (a bare client's) is left to that client.
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
import weakref
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx2

from agentrm_openai.abortable import finish_in, make_abortable
from agentrm_openai.exchange import (
    LEAST_ERROR,
    Exchange,
    ResponseObserver,
    is_answered,
    is_document,
    open_exchange,
)
from agentrm_openai.large_requests import LARGE, at_the_ends
from agentrm_openai.retelling import Retold, plain_headers, refusing, retold
from agentrm_plugins.integration import wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

__all__ = ["ManagedAsyncTransport", "ManagedTransport"]

_OWNERS: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
_OTHERS: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def _inner_for_loop(inner: Any) -> Any:
    """The transport to use in the running loop: this one, or its twin with its own pool."""
    pool: Any = getattr(inner, "_pool", None)
    if not hasattr(pool, "_connections") or not hasattr(pool, "_requests"):
        return inner  # no pool that we know: a mock, or a transport of the user's own
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # trio
        return inner
    owner = _OWNERS.get(pool)
    if owner is None and not pool._connections:
        _OWNERS[pool] = weakref.ref(loop)
        return inner
    if owner is not None and owner() is loop:
        return inner
    twins = _OTHERS.setdefault(pool, weakref.WeakKeyDictionary())
    twin = twins.get(loop)
    if twin is None:
        twin = twins[loop] = _fresh(inner)
    return twin


def _fresh(inner: Any) -> Any:
    """A copy of a transport whose pool has no connections; the old one stays as it is."""
    pool = copy.copy(inner._pool)
    pool._connections, pool._requests = [], []
    lock = getattr(pool, "_optional_thread_lock", None)
    if lock is not None:
        pool._optional_thread_lock = type(lock)()  # another thread may hold it
    twin = copy.copy(inner)
    twin._pool = pool
    return twin


_NO_RETRY = "x-should-retry"


class ObservedPieces:
    """The body of a response, seen passing (sync). `close` is what ends it."""

    def __init__(self, inner: Any, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange
        self._broke = False
        self.retold: Retold | None = None

    def __iter__(self) -> Iterator[bytes]:
        exchange = self._exchange
        pieces = iter(self._inner)
        while True:
            try:
                piece: bytes | None = None if exchange.error else next(pieces, None)
                if exchange.error is not None:
                    exchange.raise_aborted()
            except BaseException as error:
                cause = exchange.broken(error)
                with wire.first_told(error):
                    self._inner.close()
                self._broke = True
                if cause is error:
                    raise
                raise cause from error
            if piece is not None:
                exchange.piece(len(piece))
            told, events = piece, self.retold
            if events is not None:
                told = events.rest() if piece is None else events.told(piece)
            if told:
                yield told
            if piece is None:
                return

    def close(self) -> None:
        """The caller wants no more."""
        self._exchange.over()
        if not self._broke:  # else it was closed then
            self._inner.close()


class ObservedAsyncPieces:
    """The body of a response, seen passing (async). `aclose` is what ends it."""

    def __init__(self, inner: Any, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange
        self._broke = False
        self.retold: Retold | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        exchange = self._exchange
        pieces = aiter(self._inner)
        while True:
            try:
                piece: bytes | None = None if exchange.error else await anext(pieces, None)
                if exchange.error is not None:
                    exchange.raise_aborted()
            except BaseException as error:
                cause = exchange.broken(error)
                with wire.first_told(error):
                    await self._inner.aclose()
                self._broke = True
                if cause is error:
                    raise
                raise cause from error
            if piece is not None:
                exchange.piece(len(piece))
            told, events = piece, self.retold
            if events is not None:
                told = events.rest() if piece is None else events.told(piece)
            if told:
                yield told
            if piece is None:
                return

    async def aclose(self) -> None:
        """The caller wants no more."""
        self._exchange.over()
        if not self._broke:  # else it was closed then
            await self._inner.aclose()


def _asks_for_a_stream(request: Any) -> bool:
    asked = getattr(request, "_content", b"")  # a file that is sent has none
    if b'"stream"' not in asked:
        return False
    if len(asked) > LARGE and (told := at_the_ends(asked, "stream")) is not None:
        return bool(told)
    try:
        body = json.loads(asked)
    except ValueError:
        return False
    return isinstance(body, dict) and bool(body.get("stream"))


class TransportBase:
    """What the sync and the async transport of either library share.

    Whoever looks at it sees the transport that it stands before, its class and its pool too: what
    watches a client's connections goes on to find them.

    Args:
        observer: Who is shown what passes.
        inner: The transport that does the work.
        sdk_retries: False tells the OpenAI SDK not to retry what the server refused, by a header
            (``x-should-retry``) that it obeys.
        clock: Seconds, for all times that the observer is told.
        tells_errors: How errors of status 200 are told to callers that look for none themselves:
            "events" in a stream (of a whole answer, under the name ``error``), or "statuses", for
            packages that know no other errors; "" for as they came.
    """

    blocks = False

    def __init__(
        self,
        observer: ResponseObserver,
        inner: Any,
        *,
        sdk_retries: bool = True,
        clock: Callable[[], float] = time.monotonic,
        tells_errors: str = "",
    ) -> None:
        self.observer = observer
        self.inner = inner
        self.sdk_retries = sdk_retries
        self.clock = clock
        self.tells_errors = tells_errors
        if self.blocks:
            make_abortable(inner)

    @property  # type: ignore[misc]
    def __class__(self) -> type[Any]:
        return type(self.inner)

    def __getattr__(self, name: str) -> Any:
        if name == "inner":  # not set yet: it is being copied
            raise AttributeError(name)
        return getattr(self.inner, name)

    def _tables(self) -> dict[str, Any]:
        """What providers say, where the observer knows better than the usual."""
        known = getattr(self.observer, "tables", None)
        return {} if known is None else {"tables": known}

    def _retold(self, request: Any, response: Any) -> Retold:
        refuse = refusing(request, response) if self.tells_errors == "statuses" else None
        return Retold(refuse, **self._tables())

    def _refused(self, exchange: Exchange, response: Any, raw: bytes, stream: Any) -> Any:
        """An error's response, its body read: shown to the observer and made readable again."""
        kind = type(response)
        try:
            content = kind(response.status_code, headers=response.headers, content=raw).content
        except Exception:  # noqa: BLE001 - a broken encoding of an error text is not worth another
            content = b""
        exchange.answered(response.status_code, response.headers, content)
        exchange.over()
        headers = response.headers.copy()
        if not self.sdk_retries:
            headers[_NO_RETRY] = "false"
        return kind(
            response.status_code,
            headers=headers,
            stream=stream(raw),
            extensions=response.extensions,
        )

    def _told(self, response: Any, raw: bytes, streaming: bool) -> Any:
        """The response again, its body read: as an error, if it is one."""
        response.stream = self.byte_stream(raw)
        headers = response.headers
        content: bytes | None = raw
        if "content-encoding" in headers:
            with suppress(Exception):  # its reader is to say what is wrong with it
                content = type(response)(200, headers=headers, content=raw).content
        if content and not streaming and is_answered(content):
            return response
        told = retold(content or b"", self.tells_errors, streaming, **self._tables())
        if told is None:
            return response
        headers = plain_headers(headers)
        if streaming:
            headers["content-type"] = "text/event-stream"
        (status, document), more = told, response.extensions
        body = self.byte_stream(document)
        return type(response)(status, headers=headers, stream=body, extensions=more)


class SyncTransport(TransportBase):
    """How a sync transport of either library works."""

    byte_stream: Any
    observed: Callable[[Any, Exchange], Any]
    blocks = True

    def handle_request(self, request: Any) -> Any:
        """Send a request, in full view of the observer."""
        exchange = open_exchange(self.observer, request, self.clock, self.inner, blocking=True)
        if exchange is None:
            return self.inner.handle_request(request)
        try:
            with exchange.current():
                response = self.inner.handle_request(request)
                if response.status_code >= LEAST_ERROR:
                    raw = b"".join(response.stream)
                    exchange.detach()
                    with suppress(Exception):  # the answer is here, whole
                        response.stream.close()
                    return self._refused(exchange, response, raw, self.byte_stream)
                exchange.answered(response.status_code, response.headers)
        except BaseException as error:
            cause = exchange.broken(error)
            if cause is error:
                raise
            raise cause from error
        response.stream = pieces = self.observed(response.stream, exchange)
        if not self.tells_errors:
            return response
        if is_document(response, streaming := _asks_for_a_stream(request)):
            raw = b"".join(response.stream)
            response.stream.close()
            return self._told(response, raw, streaming)
        if streaming and "content-encoding" not in response.headers:
            pieces.retold = self._retold(request, response)
        return response

    def close(self) -> None:
        """Close the inner transport."""
        self.inner.close()


class AsyncTransport(TransportBase):
    """How an async transport of either library works."""

    byte_stream: Any
    observed: Callable[[Any, Exchange], Any]

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request, in full view of the observer."""
        inner = _inner_for_loop(self.inner)
        exchange = open_exchange(self.observer, request, self.clock, inner)
        if exchange is None:
            return await inner.handle_async_request(request)
        exchange.finish = partial(finish_in, inner, request.extensions)
        try:
            response = await inner.handle_async_request(request)
            if response.status_code >= LEAST_ERROR:
                raw = b"".join([piece async for piece in response.stream])
                exchange.detach()
                with suppress(Exception):  # the answer is here, whole
                    await response.stream.aclose()
                return self._refused(exchange, response, raw, self.byte_stream)
            exchange.answered(response.status_code, response.headers)
        except BaseException as error:
            cause = exchange.broken(error)
            if cause is error:
                raise
            raise cause from error
        response.stream = pieces = self.observed(response.stream, exchange)
        if not self.tells_errors:
            return response
        if is_document(response, streaming := _asks_for_a_stream(request)):
            raw = b"".join([piece async for piece in response.stream])
            await response.stream.aclose()
            return self._told(response, raw, streaming)
        if streaming and "content-encoding" not in response.headers:
            pieces.retold = self._retold(request, response)
        return response

    async def aclose(self) -> None:
        """Close the inner transport, with the running loop's connections."""
        inner = _inner_for_loop(self.inner)
        if inner is not self.inner:
            await inner.aclose()
        await self.inner.aclose()


class _Pieces(ObservedPieces, httpx2.SyncByteStream):
    pass


class _AsyncPieces(ObservedAsyncPieces, httpx2.AsyncByteStream):
    pass


class ManagedTransport(SyncTransport, httpx2.BaseTransport):
    """A sync transport for `httpx2.Client`, and so for `OpenAI(http_client=...)`."""

    byte_stream = httpx2.ByteStream
    observed = _Pieces


class ManagedAsyncTransport(AsyncTransport, httpx2.AsyncBaseTransport):
    """An async transport for `httpx2.AsyncClient`, and so for `AsyncOpenAI(http_client=...)`."""

    byte_stream = httpx2.ByteStream
    observed = _AsyncPieces
