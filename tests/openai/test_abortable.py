from __future__ import annotations

import socket
import threading

import httpcore2
import pytest

from agentrm_openai.abortable import AbortableBackend, AbortableStream


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
