from __future__ import annotations

import socket
import threading
from types import SimpleNamespace

import httpcore2
import pytest

from agentrm_openai.abortable import AbortableBackend, AbortableStream, finish_in


class Inner:
    """A stream whose socket and TLS state a test chooses."""

    def __init__(self, sock, protocol=None):
        self.sock = sock
        self.protocol = protocol

    def get_extra_info(self, info):
        if info == "socket":
            return self.sock
        return self if info == "ssl_object" and self.protocol else None

    def selected_alpn_protocol(self):
        return self.protocol

    def close(self):
        self.sock.close()


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_waking_ends_a_blocked_read(pair):
    """A thread that blocks in recv reads the end of the stream."""
    ours, _ = pair
    got = []
    thread = threading.Thread(target=lambda: got.append(ours.recv(1)))
    thread.start()
    AbortableStream(Inner(ours, "http/1.1")).wake()
    thread.join(5)
    assert got == [b""]


def test_a_shared_connection_is_spared(pair):
    """On HTTP/2 other requests use the same socket."""
    ours, theirs = pair
    AbortableStream(Inner(ours, "h2")).wake()
    theirs.send(b"x")
    assert ours.recv(1) == b"x"


def test_a_socket_that_is_gone_is_no_error(pair):
    """Closed by us, closed by somebody else, never connected, or not there at all."""
    ours, _ = pair
    stream = AbortableStream(Inner(ours))
    stream.close()
    stream.wake()
    AbortableStream(Inner(ours)).wake()
    AbortableStream(Inner(None)).wake()
    with socket.socket() as fresh:
        AbortableStream(Inner(fresh)).wake()


def test_unix_sockets_and_pauses_are_passed_on(tmp_path):
    """The backend does what the inner one does."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        backend = AbortableBackend(httpcore2.SyncBackend())
        backend.sleep(0)
        stream = backend.connect_unix_socket(path, timeout=1)
        stream.write(b"x")
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(1) == b"x"
        stream.close()


def carrying(stream, extensions):
    """A transport whose pool has one request, two layers above its stream, as behind a proxy."""
    connection = SimpleNamespace(_connection=SimpleNamespace(_network_stream=stream))
    request = SimpleNamespace(extensions=extensions)
    waiting = SimpleNamespace(request=SimpleNamespace(extensions={}), connection=None)
    one = SimpleNamespace(request=request, connection=connection)
    return SimpleNamespace(_pool=SimpleNamespace(_requests=[waiting, one])), connection._connection


def test_a_task_s_connection_is_found_in_its_pool_and_closed_in_our_direction(pair):
    """Its server reads the end, what it wrote can be read, and the pool uses it no more."""
    ours, theirs = pair
    extensions = {"timeout": {}}
    transport, connection = carrying(Inner(ours), extensions)
    assert not finish_in(transport, {"timeout": {}})  # nobody's request
    assert connection._network_stream.get_extra_info("is_readable") is None
    assert finish_in(transport, extensions)
    assert theirs.recv(1) == b""
    theirs.send(b"x")
    assert ours.recv(1) == b"x"
    assert connection._network_stream.get_extra_info("is_readable")
    connection._network_stream.close()  # as ever


def test_what_is_shared_or_has_no_pool_is_not_closed(pair):
    """HTTP/2, a request that waits for a connection, and a transport of the user's own."""
    ours, theirs = pair
    extensions = {"timeout": {}}
    assert not finish_in(carrying(Inner(ours, "h2"), extensions)[0], extensions)
    assert not finish_in(object(), extensions)
    transport, _ = carrying(Inner(ours), extensions)
    assert not finish_in(transport, transport._pool._requests[0].request.extensions)
    theirs.send(b"x")
    assert ours.recv(1) == b"x"
