"""An endpoint for Prometheus, by the rules of the live page: this machine, its name, a token.

It stands on the standard library's server, so that it needs no framework. A scrape never waits for
a call, and no call for a scrape.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.telemetry.page.guard import Guard, checked_token
from agentrm_plugins.telemetry.prometheus.collector import AgentRMCollector

__all__ = ["PATH", "Exposition", "MetricsServer", "serve_metrics"]

PATH = "/metrics"
_MOST_PORT = 65_535
_CLIENT_S = 10.0  # for which a client may stay silent; guessed
_LOOK_S = 0.05  # between two looks at whether it was closed
_LOCAL = ("127.0.0.1", "::1", "localhost")


class Exposition:
    """The text that is scraped, of a registry of its own.

    Args:
        collector: What it tells.
    """

    def __init__(self, collector: AgentRMCollector) -> None:
        from prometheus_client import CollectorRegistry

        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(collector)

    def text(self, accept: str) -> tuple[bytes, str]:
        """The metrics and their media type, in the format that the client prefers."""
        from prometheus_client.exposition import choose_encoder

        encode, kind = choose_encoder(accept)
        return encode(self._registry), kind


class MetricsServer:
    """Serves ``/metrics`` until it is closed. `serve_metrics` makes one.

    Attributes:
        url: Where it is scraped.
        token: What Prometheus has to know; it is in no log and no `repr`.
        port: Where it listens.
    """

    def __init__(
        self, collector: AgentRMCollector, *, host: str, port: int, token: str | None, guard: Guard
    ) -> None:
        self.token = token
        self._process = os.getpid()
        self._collector = collector
        exposition = Exposition(collector)
        self._server = _server(host, port, exposition, guard)
        self.port = int(self._server.server_address[1])
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.port}{PATH}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_LOOK_S,), name="agentrm-metrics", daemon=True
        )
        self._thread.start()

    def __repr__(self) -> str:
        return f"<MetricsServer {self.url}>"

    def close(self) -> None:
        """Serve no more. A second time does nothing."""
        here = self._process == os.getpid()  # a fork's child has the socket, and no thread
        if here:
            self._server.shutdown()
        self._server.server_close()
        if here:
            self._thread.join()
        self._collector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def serve_metrics(
    cores: Any,
    *,
    host: str = "127.0.0.1",
    port: int = 9464,
    token: str | None = None,
    hosts: Iterable[str] | None = None,
    agents: int = 0,
) -> MetricsServer:
    """Serve a core's metrics for Prometheus, in a thread of its own.

    Args:
        cores: As for `AgentRMCollector`.
        host: The address to listen at; this machine only if left out.
        port: 9464 is what OpenTelemetry's exporters for Prometheus use; 0 is any that is free.
        token: What Prometheus has to send as ``Authorization: Bearer``, at least 16 characters;
            None makes a random one, which is the result's `token`.
        hosts: Host names under which other machines may ask, or ["*"]; None: this machine only.
        agents: As for `AgentRMCollector`.

    Raises:
        ConfigError: A token that is too short, or an address that cannot be listened at or that
            others reach though `hosts` does not say under which name.
        ModuleNotFoundError: prometheus-client is not installed (the extra `prometheus`).
    """
    if not isinstance(port, int) or not 0 <= port <= _MOST_PORT:
        raise ConfigError("port", port, f"give a number from 0 to {_MOST_PORT}")
    if host not in _LOCAL and hosts is None:
        way = "others can reach that; say under which name, such as hosts=['box.example']"
        raise ConfigError("host", host, way)
    given = checked_token(token)
    guard = Guard(given, hosts)
    collector = AgentRMCollector(cores, agents=agents)
    try:
        return MetricsServer(collector, host=host, port=port, token=given, guard=guard)
    except OSError as error:
        collector.close()
        if isinstance(error, socket.gaierror):
            way = f"{error.strerror}; give an address of this machine"
            raise ConfigError("host", host, way) from None
        way = "give another port, or 0 for one that is free"
        raise ConfigError("port", port, f"{error.strerror or error}; {way}") from None


def _server(host: str, port: int, exposition: Exposition, guard: Guard) -> ThreadingHTTPServer:
    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        def handle_error(self, *_: object) -> None:
            """A client that went away is nobody's concern."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _CLIENT_S
        server_version = "agentrm"
        sys_version = ""

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def log_message(self, *_: Any) -> None:
            """The token may stand in an address: nothing is logged."""

        def _answer(self, *, body: bool) -> None:
            status, text, kind = answer(
                self.command, self.path, dict(self.headers.items()), self.client_address[0],
                guard, exposition.text,
            )  # fmt: skip
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(text)))
            self.send_header("cache-control", "no-store")
            self.send_header("x-content-type-options", "nosniff")
            if status == HTTPStatus.UNAUTHORIZED:
                self.send_header("www-authenticate", "Bearer")
            self.end_headers()
            if body:
                self.wfile.write(text)

    return Server((host, port), Handler)


def answer(
    method: str,
    path: str,
    headers: Mapping[str, str],
    client: str,
    guard: Guard,
    text: Callable[[str], tuple[bytes, str]],
) -> tuple[int, bytes, str]:
    """Status, body and media type for one request: what the guard says, or the metrics."""
    parts = urlsplit(path)
    scope = {
        "method": method,
        "query_string": parts.query.encode("latin-1", "replace"),
        "headers": [
            (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
            for name, value in headers.items()
        ],
        "client": (client, 0),
    }
    plain = "text/plain; charset=utf-8"
    refused = guard.look(scope)
    if refused is not None and refused.status != HTTPStatus.SEE_OTHER:
        # That one says that the token stood in the address.
        return refused.status, refused.text.encode(), plain
    if parts.path.rstrip("/") != PATH:
        return 404, f"The metrics are at {PATH}.\n".encode(), plain
    accept = next((value for name, value in headers.items() if name.lower() == "accept"), "")
    body, kind = text(accept)
    return 200, body, kind
