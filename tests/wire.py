"""A server that writes what a test says, piece by piece: what no simulated provider does."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from contextlib import contextmanager

HEAD = "HTTP/1.1 200 OK\r\ncontent-type: {}\r\ntransfer-encoding: chunked\r\n\r\n"
STREAM, JSON = "text/event-stream", "application/json"
DONE = "data: [DONE]\n\n"


def said(text: str, finish: str | None = None) -> str:
    """One event of a stream of chat completions."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return f"data: {json.dumps(_fields('chat.completion.chunk', [choice]))}\n\n"


def whole(text: str) -> str:
    """A chat completion."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    return json.dumps({**_fields("chat.completion", [choice]), "usage": usage})


def _fields(kind: str, choices: list[dict]) -> dict:
    return {"id": "1", "object": kind, "created": 0, "model": "m", "choices": choices}


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


@contextmanager
def wire(*answers, kind=STREAM):
    """Serve the answers in turn, the last one for ever; gives the base URL and what was asked.

    An answer is a list of pieces (one HTTP chunk each) and pauses (seconds); one that ends with
    None is left open: the server falls silent.
    """
    asked: list[bytes] = []
    over = threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            try:
                while not over.is_set() and (request := _request(self.rfile)) is not None:
                    asked.append(request)
                    self._answer(answers[min(len(asked), len(answers)) - 1])
            except OSError:
                return

        def _answer(self, pieces):
            self.wfile.write(HEAD.format(kind).encode())
            for piece in pieces:
                if piece is None:
                    over.wait(60.0)
                    return
                if isinstance(piece, float):
                    time.sleep(piece)
                    continue
                data = piece.encode()
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1", asked
        finally:
            over.set()
            server.shutdown()
            thread.join()


def _request(file) -> bytes | None:
    size = 0
    while (line := file.readline()).strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
    return file.read(size) if size else None
