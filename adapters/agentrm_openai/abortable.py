"""Connections of which a blocked reader can be woken from another thread.

A sync caller that waits for a hung provider blocks in ``recv``. Closing the socket from another
thread does not wake it (and its number may be given to somebody else meanwhile); shutting it down
does: the read ends as if the server had closed. The stream classes of httpcore and httpcore2 are
alike, so one wrapper serves both. It sits below the connection pool, because before the headers
have come nothing above it knows which socket a request went out on.
"""

from __future__ import annotations

import socket
import threading
from typing import Any

from agentrm_openai.exchange import CURRENT

__all__ = ["AbortableBackend", "AbortableStream", "make_abortable"]


class AbortableStream:
    """A network stream that knows whose request it carries.

    Args:
        inner: The stream of httpcore or httpcore2.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self._closed = False

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

    def get_extra_info(self, info: str) -> Any:
        """What the stream knows of itself."""
        return self._inner.get_extra_info(info)

    @property
    def can_wake(self) -> bool:
        """Whether `wake` would make a read end: there is a socket, and it is this request's own."""
        return not self._shared() and isinstance(
            self._inner.get_extra_info("socket"), socket.socket
        )

    def wake(self) -> None:
        """Make a read that blocks end at once; other requests on the connection are spared."""
        with self._lock:
            if self._closed or self._shared():
                return
            sock = self._inner.get_extra_info("socket")
            if isinstance(sock, socket.socket):
                try:
                    # Not SSLSocket.shutdown: that takes the TLS state away under the reader.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
                except OSError:
                    return  # it is gone already, and the reader with it

    def _shared(self) -> bool:
        tls = self._inner.get_extra_info("ssl_object")
        return tls is not None and tls.selected_alpn_protocol() == "h2"

    def _attach(self) -> None:
        exchange = CURRENT.get()
        if exchange is not None:
            exchange.attach(self)


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
    """Let the connections that `transport` will open be abortable.

    Returns:
        False if it is no transport of httpx or httpx2 with a pool of its own (a mock, a WSGI
        app); then only read timeouts end a wait.
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
