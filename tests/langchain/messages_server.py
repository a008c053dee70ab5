"""A small server of Anthropic's Messages API on loopback: limits, headers, errors, streams.

Input tokens are the words of the messages; words that begin with "cached" come from the cache and
do not count against the limit of input, as at Anthropic.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from agentrm_plugins.testing.provider.headers import limit_headers, rejection, retry_headers
from agentrm_plugins.testing.provider.limits import LimitSet, Quota

ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


class Say(NamedTuple):
    """What to answer instead of "well": an error, or a stream that breaks after so many words."""

    status: int = 200
    message: str = "no"
    kind: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    break_after: int | None = None


class MessagesServer:
    """Serve until the end of the `with` block; `log` has the statuses, `script` what comes next."""

    def __init__(self, words=4, **quota):
        self.words = words
        self.log: list[int] = []
        self.script: deque[Say] = deque()
        self.limits = LimitSet(Quota(**quota), time.monotonic())
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                outer.serve(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def serve(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        sent = json.dumps(body["messages"]).replace('"', " ").split()
        cached = sum(word.startswith("cached") for word in sent)
        fresh, now_s = len(sent) - cached, time.monotonic()
        with self.lock:
            say = self.script.popleft() if self.script else Say()
            verdict = self.limits.admit(
                now_s, input_tokens=fresh, output_tokens=body["max_tokens"], rejection_cost=1.0
            )
            if verdict.admitted:
                unused = self.words - body["max_tokens"]
                self.limits.settle(now_s, input_tokens=0, output_tokens=unused)
            headers = limit_headers(self.limits, "anthropic", now_s, time.time())
        if not verdict.admitted:
            headers += retry_headers(verdict.wait_s, "s")
            self.answer(handler, 429, headers, rejection(verdict, body["model"], "anthropic"))
        elif say.status != 200:
            error = {"type": say.kind or ERRORS[say.status], "message": say.message}
            headers += [(name.encode(), value.encode()) for name, value in say.headers]
            text = json.dumps({"type": "error", "error": error}).encode()
            self.answer(handler, say.status, headers, text)
        else:
            usage = {
                "input_tokens": fresh,
                "cache_read_input_tokens": cached,
                "cache_creation_input_tokens": 0,
                "output_tokens": self.words,
            }
            if body.get("stream"):
                self.stream(handler, headers, body["model"], usage, say.break_after)
            else:
                text = " ".join(["well"] * self.words)
                content = [{"type": "text", "text": text}]
                whole = {**_message(body["model"], usage), "content": content}
                whole["stop_reason"] = "end_turn"
                self.answer(handler, 200, headers, json.dumps(whole).encode())

    def answer(self, handler, status, headers, body, kind="application/json"):
        self.log.append(status)
        handler.send_response(status)
        for name, value in headers:
            handler.send_header(name.decode(), value.decode())
        handler.send_header("content-type", kind)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def stream(self, handler, headers, model, usage, break_after):
        begun = {**usage, "output_tokens": 1}
        block = {"type": "text", "text": ""}
        events = [
            {"type": "message_start", "message": _message(model, begun)},
            {"type": "content_block_start", "index": 0, "content_block": block},
        ]
        for number in range(self.words):
            if number == break_after:
                error = {"type": "overloaded_error", "message": "Overloaded"}
                events.append({"type": "error", "error": error})
                break
            delta = {"type": "text_delta", "text": "well " if number + 1 < self.words else "well"}
            events.append({"type": "content_block_delta", "index": 0, "delta": delta})
        else:
            stop = {"stop_reason": "end_turn", "stop_sequence": None}
            events += [
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", "delta": stop, "usage": {"output_tokens": self.words}},
                {"type": "message_stop"},
            ]
        lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
        self.answer(handler, 200, headers, "".join(lines).encode(), "text/event-stream")


def _message(model, usage):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
