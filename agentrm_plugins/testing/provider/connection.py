"""HTTP/1.1 on one connection: bytes to requests and answers to bytes, with h11.

Rules: one request at a time, keep-alive between them; a client that closes its side has gone, and
whatever is being served for it is cancelled at once.
"""

from __future__ import annotations

import asyncio
import struct
from functools import cache
from http import HTTPStatus
from socket import IPPROTO_TCP, SO_LINGER, SOL_SOCKET, TCP_NODELAY
from typing import TYPE_CHECKING, Any, cast

try:
    import h11
except ModuleNotFoundError as error:  # pragma: no cover  the development set has it
    msg = "the simulated provider needs h11: pip install 'agentrm-plugins[testing]'"
    raise ModuleNotFoundError(msg, name=error.name) from None

if TYPE_CHECKING:
    from agentrm_plugins.testing.provider.service import Service

__all__ = ["Connection"]

_MAX_BODY = 32 * 1024 * 1024
_MAX_HEAD = 64 * 1024  # as node.js and h11's own list of precedents: below 80 KiB


@cache
def _reason(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:  # 529 and the like are no official statuses
        return b""


class Connection(asyncio.Protocol):
    """One client's connection. All methods run on the server's loop."""

    __slots__ = (
        "_body",
        "_head",
        "_loop",
        "_parser",
        "_service",
        "_size",
        "_task",
        "_transport",
        "closed_by_server",
    )

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self._service = service
        self._loop = loop
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._head: h11.Request | None = None
        self._body: list[bytes] = []
        self._size = 0
        self.closed_by_server = False

    # -- asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport and register with the service."""
        self._transport = cast("asyncio.Transport", transport)
        transport.get_extra_info("socket").setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self._service.connected(self)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; it hands over when a request is complete."""
        self._parser.receive_data(data)
        if self._task is None:
            self._advance()

    def connection_lost(self, _error: Exception | None) -> None:
        """The client left (or we closed): stop serving it."""
        self._transport = None
        self._service.disconnected(self)
        if self._task is not None:
            self._task.cancel()

    # -- requests

    def _advance(self) -> None:
        """Read events until a request is complete or the bytes run out."""
        parser = self._parser
        try:
            while True:
                event = parser.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    return
                if isinstance(event, h11.Data):
                    self._size += len(event.data)
                    if self._size > _MAX_BODY:
                        self._refuse(413)
                        return
                    self._body.append(bytes(event.data))
                elif isinstance(event, h11.Request):
                    self._head, self._body, self._size = event, [], 0
                    if parser.they_are_waiting_for_100_continue:
                        self._send(h11.InformationalResponse(status_code=100, headers=[]))
                elif isinstance(event, h11.EndOfMessage):
                    self._dispatch()
                    return
                else:
                    self.cut()
                    return
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint)

    def _dispatch(self) -> None:
        head = self._head
        if head is None:
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        headers = dict(head.headers)
        target = head.target.decode("ascii", "replace")
        coroutine = self._service.serve(self, head.method, target, headers, body)
        self._task = self._loop.create_task(coroutine)
        self._task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        """The answer is out: read the next request, if the client keeps the connection."""
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._service.broken(error)
            self.cut()
            return
        parser = self._parser
        if self._transport is None:
            return
        if parser.our_state is h11.DONE and parser.their_state is h11.DONE:
            parser.start_next_cycle()
            self._advance()
        else:
            self.cut()

    def _refuse(self, status: int) -> None:
        if self._parser.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.respond(status, [(b"connection", b"close")], b"")
        self.cut()

    # -- answers

    def _send(self, *events: Any) -> None:
        if self._transport is not None:
            parts = [self._parser.send(event) or b"" for event in events]
            self._transport.write(b"".join(parts))

    def respond(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """A whole answer in one write."""
        length = (b"content-length", str(len(body)).encode())
        self._send(
            h11.Response(status_code=status, headers=[*headers, length], reason=_reason(status)),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )

    def begin(
        self, headers: list[tuple[bytes, bytes]], first: bytes, length: int | None = None
    ) -> None:
        """The head of a 200 and its first bytes: chunked, or of a stated length."""
        if length is None:
            how = (b"transfer-encoding", b"chunked")
        else:
            how = (b"content-length", str(length).encode())
        head = h11.Response(status_code=200, headers=[*headers, how], reason=b"OK")
        self._send(head, *([h11.Data(data=first)] if first else []))

    def more(self, data: bytes) -> None:
        """Some more of the body."""
        self._send(h11.Data(data=data))

    def end(self, data: bytes = b"") -> None:
        """The last of the body."""
        self._send(*([h11.Data(data=data)] if data else []), h11.EndOfMessage())

    def cut(self) -> None:
        """Close after what was written, complete or not."""
        self.closed_by_server = True
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Close with a TCP RST: a linger time of zero makes the kernel send one."""
        self.closed_by_server = True
        transport = self._transport
        if transport is not None:
            sock = transport.get_extra_info("socket")
            sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()

    def abort(self) -> None:
        """Drop the connection at once; for the end of the server."""
        self.closed_by_server = True
        if self._transport is not None:
            self._transport.abort()
