"""A way to a server that can be cut: a proxy on loopback, in a thread for each direction."""

from __future__ import annotations

import contextlib
import socket
import threading


class Proxy:
    """Listens on `port` and passes everything to the server's port."""

    def __init__(self, to_port):
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open = True
        self._pairs = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if not self._open:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._to_port))
                self._pairs += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            end.close()

    def cut(self):
        """Break what is there, and refuse what comes."""
        with self._lock:
            self._open = False
            for end in self._pairs:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            self._pairs.clear()

    def mend(self):
        with self._lock:
            self._open = True

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.cut()
        self._listener.close()
        self._thread.join(5)
