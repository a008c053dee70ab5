"""Streams that pause in the middle, and readers that do: a small server of its own, and the SDK."""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from benchmarks.liveness.outcome import Outcome
from benchmarks.liveness.ways import WAYS, Way
from benchmarks.liveness.work import INPUT_TOKENS, Work

__all__ = ["streamed"]

_CHUNKS, _GAP_S = 20, 0.05
_NUMBER = re.compile(rb"call (\d+)")
_LENGTH = re.compile(rb"content-length: (\d+)")


class _Server:
    """Answers streams; it counts what was sent, and what it left hanging."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.sent = [0] * work.calls
        self.hung = [0] * work.calls

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self._one(reader, writer)
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head.lower())
        body = await reader.readexactly(int(length[1]) if length else 0)
        found = _NUMBER.search(body)
        number = int(found[1]) if found else 0
        attempt = self.sent[number]
        self.sent[number] += 1
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        if self.work.situation.stalls and self.work.is_hung(number, attempt, 0.0):
            self.hung[number] += 1
            _write(writer, {"choices": [{"index": 0, "delta": {"role": "assistant"}}]})
            await writer.drain()
            await reader.read()  # until whoever asked has gone
            raise ConnectionResetError
        await _answer(writer, self.work.pause_s(number) if self.work.situation.pauses else 0.0)


async def streamed(work: Work, way: str, *, lanes: int, agents: int, timeout_s: float) -> Outcome:
    """Read the streams of agents in closed loops; each tenth pauses, or its reader does."""
    own = _Server(work)
    server = await asyncio.start_server(own.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server, WAYS[way](url, lanes, timeout_s) as made:
        took, failed, wall_s = await _read_all(work, made, agents)
        hedges = {} if made.rm is None else asdict(made.rm.statistics().hedges)
    needed = work.calls * (INPUT_TOKENS + _CHUNKS)
    answered = sum(own.sent) - sum(own.hung)
    tokens = sum(own.sent) * INPUT_TOKENS + answered * _CHUNKS
    sent, hung = tuple(own.sent), tuple(own.hung)
    return Outcome(wall_s, failed, sent, hung, tuple(took), tokens, needed, hedges=hedges)


async def _answer(writer: asyncio.StreamWriter, pause_s: float) -> None:
    for index in range(_CHUNKS):
        await asyncio.sleep(_GAP_S)
        if index == _CHUNKS // 2:
            await asyncio.sleep(pause_s)
        _write(writer, {"choices": [{"index": 0, "delta": {"content": f"w{index} "}}]})
        await writer.drain()
    _write(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    await writer.drain()


def _write(writer: asyncio.StreamWriter, fields: dict[str, Any]) -> None:
    event = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m", **fields}
    data = b"data: " + json.dumps(event).encode() + b"\n\n"
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


async def _read_all(work: Work, way: Way, agents: int) -> tuple[list[float], int, float]:
    numbers = iter(range(work.calls))
    took, failed = [0.0] * work.calls, 0
    begun_s = time.monotonic()

    async def agent() -> None:
        nonlocal failed
        for number in numbers:
            asked_s = time.monotonic()
            try:
                text = await _read(way, number, work)
                failed += text.count("w") != _CHUNKS
            except Exception:  # noqa: BLE001 - whatever it is, the stream failed
                failed += 1
            took[number] = time.monotonic() - asked_s

    await asyncio.gather(*(agent() for _ in range(agents)))
    return took, failed, time.monotonic() - begun_s


async def _read(way: Way, number: int, work: Work) -> str:
    pause_s = work.pause_s(number) if work.situation.readers else 0.0
    text = ""
    async for piece in way.stream(f"call {number}"):
        text += piece
        if pause_s and text.count("w") == _CHUNKS // 2:
            await asyncio.sleep(pause_s)
            pause_s = 0.0
    return text
