"""``AgentRM(monitor=True)``: a Unix socket through which its owner looks at a running core.

The protocol stands in docs/monitor.md. One thread serves all clients. It never holds the core up:
events come from a bounded stream, and a client that does not read loses them.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import socket
import struct
import sys
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentrm_plugins.errors import AgentRMError
from agentrm_plugins.telemetry.answers import answer, hello
from agentrm_plugins.telemetry.lines import Encoder
from agentrm_plugins.telemetry.socket_folder import runtime_folder, socket_path, sweep
from agentrm_plugins.types.plain import parsed

if TYPE_CHECKING:
    from agentrm_plugins.hosts.stream import EventStream

__all__ = ["MonitorServer"]

_LOG = logging.getLogger("agentrm.telemetry")
_TICK_S = 0.1
_LONGEST = 1_000_000  # bytes of a request
_MOST_OUT = 4_000_000  # bytes that wait for a client that does not read
_MOST_CLIENTS = 32
_EVENTS = 20_000


class _Client:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.inbox = b""
        self.outbox = bytearray()
        self.stream: EventStream | None = None
        self.kinds: tuple[type, ...] | None = None
        self.told_dropped = 0
        self.encoder = Encoder()

    def send(self, plain: dict[str, Any]) -> None:
        self.outbox += json.dumps(plain, separators=(",", ":"), default=str).encode() + b"\n"

    def flush(self) -> None:
        """Send what the client takes.

        Raises:
            OSError: It is gone.
        """
        with suppress(BlockingIOError):
            while self.outbox:
                sent = self.socket.send(self.outbox[:65536])
                del self.outbox[:sent]

    def events(self, offset_s: float) -> None:
        """Put what has happened into the outbox, as far as there is room."""
        stream = self.stream
        if stream is None or len(self.outbox) > _MOST_OUT:
            return
        if stream.dropped > self.told_dropped:
            self.send({"kind": "gap", "dropped": stream.dropped - self.told_dropped})
            self.told_dropped = stream.dropped
        kinds = self.kinds
        events = [e for e in stream.take(2000) if kinds is None or e.__class__ in kinds]
        for line in self.encoder.lines(events, offset_s):
            self.outbox += line.encode() + b"\n"

    def close(self) -> None:
        if self.stream is not None:
            self.stream.close()
        self.socket.close()


class MonitorServer:
    """Serves one core until it is closed.

    Args:
        rm: The core. It is not kept alive.

    Attributes:
        path: The socket.

    Raises:
        ConfigError: There is no folder for it that is the user's own.
    """

    def __init__(self, rm: Any) -> None:
        self._rm = weakref.ref(rm)
        self._number = rm._core.number  # noqa: SLF001 - of one house
        self._host = rm._host  # noqa: SLF001
        self._pid = 0
        sweep(runtime_folder())
        self._begin()
        rm._host.on_fork(self._begin_anew)  # noqa: SLF001

    def _begin(self) -> None:
        self._pid = os.getpid()
        self.path = socket_path(self._number)
        self._over = False
        self._clients: dict[int, _Client] = {}
        with suppress(FileNotFoundError):
            self.path.unlink()  # of a process that had our number before us
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._listener.bind(str(self.path))
        finally:
            os.umask(before)
        self._listener.listen(_MOST_CLIENTS)
        self._listener.setblocking(False)
        self._waker, self._wakes = socket.socketpair()
        self._waker.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wakes, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="agentrm-monitor", daemon=True)
        self._thread.start()

    def _begin_anew(self) -> None:
        """In the child of a fork: the parent's socket is the parent's."""
        for client in self._clients.values():
            client.socket.close()
        for one in (self._listener, self._waker, self._wakes):
            one.close()
        self._selector.close()
        if not self._over:
            with suppress(OSError, RuntimeError, AgentRMError):
                self._begin()

    # -- the thread -----------------------------------------------------------------------------

    def _serve(self) -> None:
        while not self._over and self._rm() is not None:
            wanted = any(client.stream or client.outbox for client in self._clients.values())
            for key, _ in self._selector.select(_TICK_S if wanted else 1.0):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._wakes:
                    self._wakes.recv(100)
                else:
                    self._read(key.fd)
            self._send()
        self._send()
        self._end()

    def _accept(self) -> None:
        with suppress(OSError):
            connection, _ = self._listener.accept()
            if not _is_owner(connection) or len(self._clients) >= _MOST_CLIENTS:
                connection.close()
                return
            connection.setblocking(False)
            client = self._clients[connection.fileno()] = _Client(connection)
            self._selector.register(connection, selectors.EVENT_READ)
            rm = self._rm()
            if rm is not None:
                client.send(hello(rm, self._number))

    def _read(self, number: int) -> None:
        client = self._clients.get(number)
        if client is None:
            return
        try:
            data = client.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        client.inbox += data
        if not data or len(client.inbox) > _LONGEST:
            self._drop(number)
            return
        *lines, client.inbox = client.inbox.split(b"\n")
        for line in lines:
            if line.strip():
                client.send(self._answered(client, line))

    def _answered(self, client: _Client, line: bytes) -> dict[str, Any]:
        number: Any = None
        try:
            request = parsed(line)
            if not isinstance(request, dict):
                raise TypeError("a request is a JSON object with a field do")  # noqa: TRY301
            number = request.get("id")
            rm = self._rm()
            if rm is None:
                raise RuntimeError("the core is gone")  # noqa: TRY301
            if request.get("do") in {"events", "quiet"}:
                self._subscribe(client, request)
                return {"id": number, "ok": True, "result": {}}
            return {"id": number, "ok": True, "result": answer(rm, request)}
        except Exception as error:  # noqa: BLE001 - whatever a client sends, it is told
            return {"id": number, "ok": False, "error": str(error) or type(error).__name__}

    def _subscribe(self, client: _Client, request: dict[str, Any]) -> None:
        from agentrm_plugins.types.kinds import KINDS

        kinds = request.get("kinds")
        chosen = None
        if kinds is not None:
            unknown = [kind for kind in kinds if kind not in KINDS]
            if unknown:
                raise ValueError(f"kinds={unknown[0]!r}: use some of {', '.join(KINDS)}")
            chosen = tuple(KINDS[kind] for kind in kinds)
        if client.stream is not None:
            client.stream.close()
            client.stream = None
        if request["do"] == "events":
            client.kinds, client.told_dropped = chosen, 0
            client.stream = self._host.streams.subscribe(_EVENTS)

    def _send(self) -> None:
        offset_s = self._host.streams.wall_offset_s() if self._clients else 0.0
        for number, client in list(self._clients.items()):
            try:
                client.flush()
                client.events(offset_s)
                client.flush()
            except OSError:
                self._drop(number)

    def _drop(self, number: int) -> None:
        client = self._clients.pop(number, None)
        if client is not None:
            with suppress(KeyError, ValueError):
                self._selector.unregister(client.socket)
            client.close()

    def _end(self) -> None:
        for number in list(self._clients):
            self._drop(number)
        self._selector.close()
        for one in (self._listener, self._waker, self._wakes):
            one.close()
        if os.getpid() == self._pid:
            with suppress(OSError):
                Path(self.path).unlink()

    def close(self) -> None:
        """End it; nobody can connect any more."""
        if not self._over:
            self._over = True
            with suppress(OSError):
                self._waker.send(b"x")
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5.0)


def _is_owner(connection: socket.socket) -> bool:
    """Whether the other side runs as the same user. The folder's mode says so already."""
    if sys.platform == "linux":
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _, uid, _ = struct.unpack("3i", data)
        return bool(uid == os.getuid())
    return True
