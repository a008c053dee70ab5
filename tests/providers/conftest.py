"""A server on loopback that answers each path as it is told, and counts."""

from __future__ import annotations

import gc
import json
import sys
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Loopback:
    """Answers with what `answer` gives for a request: status, headers and body.

    Attributes:
        requests: The bodies that came, in their order.
    """

    def __init__(self):
        self.requests = []
        self.paths = []
        self.answer = lambda number, path, body: (200, {}, {})
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.headers.get("transfer-encoding") == "chunked":
                    while size := int(self.rfile.readline().strip() or b"0", 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                server.requests.append(body)
                server.paths.append(self.path)
                status, headers, content = server.answer(len(server.requests), self.path, body)
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {"content-type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except ConnectionError:  # a client went without a word
                    self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()

    def always(self, status, body, **headers):
        """Answer everything alike."""
        self.answer = lambda number, path, content: (status, headers, body)
        return self

    def once(self, status, body, then, **headers):
        """Answer the first request so, and all others with 200 and `then`."""

        def answer(number, path, content):
            return (status, headers, body) if number == 1 else (200, {}, then)

        self.answer = answer
        return self


@pytest.fixture
def loopback():
    server = Loopback()
    yield server
    server.close()
    with warnings.catch_warnings():  # clients that the packages drop without closing them
        warnings.simplefilter("ignore")
        for name in ("langchain_openai", "langchain_anthropic"):
            for module in [each for key, each in sys.modules.items() if key.startswith(name)]:
                for value in list(vars(module).values()):
                    if hasattr(value, "cache_clear"):
                        value.cache_clear()
        gc.collect()
