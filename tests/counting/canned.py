"""A loopback server that says what a test tells it: chat completions, whole or as a stream."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Canned:
    """Serve until the end of the block.

    Args:
        usage: Of a whole answer, or None for none.
        chunks: The usage of each chunk of a stream, each with a word of text; None for none.
        text: What a whole answer says.
        refusals: Status and JSON of the first answers.
    """

    def __init__(self, usage=None, chunks=(), text="well " * 20, refusals=()):
        self.refusals = list(refusals)
        self.usage, self.chunks, self.text = usage, list(chunks), text
        self.asked = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append(body)
                status, data, kind = 200, b"", "application/json"
                if outer.refusals:
                    status, error = outer.refusals.pop(0)
                    data = json.dumps(error).encode()
                else:
                    data, kind = outer.answer(body)
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def answer(self, body):
        head = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
        if not body.get("stream"):
            message = {"role": "assistant", "content": self.text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            whole = {**head, "object": "chat.completion", "choices": [choice]}
            if self.usage is not None:
                whole["usage"] = self.usage
            return json.dumps(whole).encode(), "application/json"
        head["object"] = "chat.completion.chunk"
        events = []
        for usage in self.chunks:
            delta = {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
            events.append(
                {**head, "choices": [delta], **({} if usage is None else {"usage": usage})}
            )
        last = {"index": 0, "delta": {}, "finish_reason": "stop"}
        events.append({**head, "choices": [last]})
        lines = [f"data: {json.dumps(event)}\n\n" for event in events]
        return "".join([*lines, "data: [DONE]\n\n"]).encode(), "text/event-stream"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
