"""Streams that pause in the middle, and readers that do: a small server of its own, and the SDK."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

from openai import AsyncOpenAI

from agentrm_openai import manage_client
from agentrm_plugins import AgentRM
from benchmarks.liveness.outcome import Outcome
from benchmarks.liveness.ways import TIMEOUT_S
from benchmarks.liveness.work import INPUT_TOKENS, Work

__all__ = ["streamed"]

_CHUNKS, _GAP_S, _EVERY = 20, 0.05, 10
_NUMBER = re.compile(rb"call (\d+)")


async def streamed(work: Work, way: str, *, lanes: int, agents: int) -> Outcome:
    """Read the streams of agents in closed loops; each tenth pauses, or its reader does."""
    sent = [0] * work.calls
    pause_s = work.situation.pause_s

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(re.search(rb"content-length: (\d+)", head.lower()).group(1))  # type: ignore[union-attr]
                body = await reader.readexactly(size)
                number = int(_NUMBER.search(body).group(1))  # type: ignore[union-attr]
                sent[number] += 1
                await _answer(writer, number, pause_s)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server, AsyncOpenAI(base_url=url, api_key="test-key", timeout=TIMEOUT_S) as client:
        with AgentRM(lanes=lanes) as rm:
            ai = manage_client(client, rm) if way == "ours" else client
            took, failed, wall_s = await _read_all(work, ai, agents)
    needed = work.calls * (INPUT_TOKENS + _CHUNKS)
    tokens = sum(sent) * (INPUT_TOKENS + _CHUNKS)
    return Outcome(wall_s, failed, tuple(sent), tuple(took), tokens, needed)


async def _answer(writer: asyncio.StreamWriter, number: int, pause_s: float) -> None:
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    for index in range(_CHUNKS):
        await asyncio.sleep(_GAP_S)
        if index == _CHUNKS // 2 and number % _EVERY == _EVERY - 1:
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


async def _read_all(work: Work, ai: Any, agents: int) -> tuple[list[float], int, float]:
    numbers = iter(range(work.calls))
    took, failed = [0.0] * work.calls, 0
    begun_s = time.monotonic()

    async def agent() -> None:
        nonlocal failed
        for number in numbers:
            asked_s = time.monotonic()
            try:
                text = await _read(ai, number, work.situation.reader_s)
                failed += text.count("w") != _CHUNKS
            except Exception:  # noqa: BLE001 - whatever it is, the stream failed
                failed += 1
            took[number] = time.monotonic() - asked_s

    await asyncio.gather(*(agent() for _ in range(agents)))
    return took, failed, time.monotonic() - begun_s


async def _read(ai: Any, number: int, pause_s: float) -> str:
    prompt = [{"role": "user", "content": f"call {number}"}]
    stream = await ai.chat.completions.create(model="m", messages=prompt, stream=True)
    text = ""
    async for chunk in stream:
        text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        if pause_s and number % _EVERY == _EVERY - 1 and text.count("w") == _CHUNKS // 2:
            await asyncio.sleep(pause_s)
            pause_s = 0.0
    return text
