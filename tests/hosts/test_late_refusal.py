"""A refusal that comes after its call was given up is not charged: over real HTTP."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from agentrm_plugins import AgentRM, Call, LeaseConfig, RetryPolicy, Usage
from agentrm_plugins.integration import Attempt, core_of

ANSWER = {"text": "well", "input_tokens": 70, "output_tokens": 5}
CALL = Call("ada", endpoint="x/m", estimate=Usage(100, 10), hedge=False)


class Server:
    """Holds its first answer, an error, until it is told; then all is answered well."""

    def __init__(self, status):
        self.go, self.status, self.requests = threading.Event(), status, 0
        outer, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                with lock:
                    outer.requests += 1
                    first = outer.requests == 1
                if first:
                    outer.go.wait(30)
                body = json.dumps({"error": {"message": "no"}} if first else ANSWER).encode()
                self.send_response(outer.status if first else 200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.go.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    def ask(self):
        """As a client does that nobody can wake: its worker is left behind."""
        url = f"http://127.0.0.1:{self.http.server_port}/"
        return httpx.post(url, json={}, timeout=30, trust_env=False).raise_for_status().json()


def settle(lease, answer):
    lease.settle(Usage(answer["input_tokens"], answer["output_tokens"]))


@pytest.mark.parametrize("status", [429, 500])
def test_a_refusal_that_comes_after_the_limit_costs_nothing(status):
    """Its call's answer names the input once; the endpoint hears of one failure, not of two."""
    leases = LeaseConfig(response_timeout_s=1.0)
    with Server(status) as server, AgentRM(lanes=2, adaptive=False, leases=leases) as rm:
        core = core_of(rm)

        def make(lease):
            return Attempt(core.number, lease, settle).on_worker(server.ask)

        assert core.call(CALL, make, retry=RetryPolicy())["text"] == "well"
        seen = rm.statistics()
        assert (seen.reaped, seen.zombies, server.requests) == (1, 1, 2)
        before = seen.endpoints["x/m"]
        server.go.set()
        end_s = time.monotonic() + 30
        while rm.statistics().zombies and time.monotonic() < end_s:
            threading.Event().wait(0.02)
        seen = rm.statistics()
        after = seen.endpoints["x/m"]
        assert (seen.zombies, seen.input_tokens, seen.output_tokens) == (0, 70, 5)
        assert (after.failures, after.limit_hits) == (before.failures, before.limit_hits)
        assert after.breaker == before.breaker == "closed"
