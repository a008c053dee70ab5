"""Connections of which a blocked reader can be woken, and which can be closed in one direction.

A sync caller that waits for a hung provider blocks in ``recv``. Closing the socket from another
thread does not wake it (and its number may be given to somebody else meanwhile); shutting it down
does: the read ends as if the server had closed. The stream classes of httpcore and httpcore2 are
alike, so one wrapper serves both. It sits below the connection pool, because before the headers
have come nothing above it knows which socket a request went out on.

A task is cancelled instead. But an answer that crosses the end of its connection is paid for and
never seen. So before either is cut, `finish` closes the connection in our direction alone: the
server sees the end that it would see anyhow, and what it wrote before can be read. A task's
connection is found for that in its pool (`finish_in`), and costs its call nothing before.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

from agentrm_openai.exchange import CURRENT

__all__ = ["AbortableBackend", "AbortableStream", "finish_in", "make_abortable"]


class _Stream:
    """A network stream that can be closed in our direction.

    Args:
        inner: The stream of httpcore or httpcore2.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self._closed = self._finished = False

    def get_extra_info(self, info: str) -> Any:
        """What the stream knows of itself."""
        if self._finished and info == "is_readable":
            return True  # its pool must not take it for a connection that can be used again
        return self._inner.get_extra_info(info)

    def finish(self) -> bool:
        """Close it in our direction: what comes is the last. Whether that was possible."""
        with self._lock:
            sock = None if self._closed or self._shared() else self._socket()
            if sock is not None:
                with suppress(Exception):  # gone already, or a loop's own kind of socket
                    # Not SSLSocket.shutdown: that takes the TLS state away under the reader.
                    socket.socket.shutdown(sock, socket.SHUT_WR)
                    self._finished = True
            return self._finished

    def _socket(self) -> socket.socket | None:
        sock = self._inner.get_extra_info("socket")
        sock = getattr(sock, "_sock", sock)  # asyncio's own wrapper has the real one
        return sock if isinstance(sock, socket.socket) else None

    def _shared(self) -> bool:
        tls = self._inner.get_extra_info("ssl_object")
        return tls is not None and tls.selected_alpn_protocol() == "h2"


class AbortableStream(_Stream):
    """One that a thread reads; it knows whose request it carries."""

    def _attach(self) -> None:
        exchange = CURRENT.get()
        if exchange is not None:
            exchange.attach(self)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read, as the exchange that is current in this thread."""
        self._attach()
        data: bytes = self._inner.read(max_bytes, timeout)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write, as the exchange that is current in this thread."""
        self._attach()
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        """Close, but never while somebody shuts the socket down."""
        with self._lock:
            self._closed = True
            self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> AbortableStream:
        """The same over TLS."""
        return AbortableStream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    @property
    def can_wake(self) -> bool:
        """Whether `wake` would make a read end: there is a socket, and it is this request's own."""
        return not self._shared() and self._socket() is not None

    def wake(self) -> None:
        """Make a read that blocks end at once; other requests on the connection are spared."""
        with self._lock:
            if self._closed or self._shared():
                return
            sock = self._socket()
            if sock is not None:
                try:
                    # Not SSLSocket.shutdown: that takes the TLS state away under the reader.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
                except OSError:
                    return  # it is gone already, and the reader with it


class _Finished(_Stream):
    """One that a task reads, whose connection may be closed in our direction."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def finish_in(transport: Any, extensions: Any) -> bool:
    """Close the connection that carries the request of these extensions in our direction.

    For tasks: their streams are not wrapped, but looked up in the pool when one is to be cut.

    Args:
        transport: It was sent by this one, of either library.
        extensions: The request's own, the very object.

    Returns:
        Whether that was possible.
    """
    for one in list(getattr(getattr(transport, "_pool", None), "_requests", ())):
        if one.request.extensions is extensions:
            holder = one.connection
            while holder is not None and not hasattr(holder, "_network_stream"):
                holder = getattr(holder, "_connection", None)  # of a proxy, or not connected yet
            stream = None if holder is None else _Finished(holder._network_stream)
            if stream is None or not stream.finish():
                return False
            holder._network_stream = stream
            return True
    return False


class AbortableBackend:
    """A network backend whose streams are abortable.

    Args:
        inner: The backend of httpcore or httpcore2.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def connect_tcp(self, *args: Any, **options: Any) -> AbortableStream:
        """Connect over TCP."""
        return AbortableStream(self._inner.connect_tcp(*args, **options))

    def connect_unix_socket(self, *args: Any, **options: Any) -> AbortableStream:
        """Connect over a Unix socket."""
        return AbortableStream(self._inner.connect_unix_socket(*args, **options))

    def sleep(self, seconds: float) -> None:
        """Wait between two attempts to connect."""
        self._inner.sleep(seconds)


def make_abortable(transport: Any) -> bool:
    """Let a thread that reads a connection which `transport` will open be woken.

    Args:
        transport: A sync one, of either library.

    Returns:
        False if it is no transport of httpx or httpx2 with a pool of its own (a mock, a WSGI
        app); then only read timeouts end a thread's wait.
    """
    # httpx has no public way to hand a network backend to the pool, httpcore has: the names between
    # the two are private, and a test holds that they are there.
    pool = getattr(transport, "_pool", None)
    backend = getattr(pool, "_network_backend", None)
    if backend is None:
        return False
    if not isinstance(backend, AbortableBackend):
        pool._network_backend = AbortableBackend(backend)  # type: ignore[union-attr]
    return True
