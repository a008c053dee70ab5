"""The calls over real HTTP, with the real SDK."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from benchmarks.liveness.outcome import Outcome
from benchmarks.liveness.server import Server
from benchmarks.liveness.ways import WAYS, Ask
from benchmarks.liveness.work import OUTPUT_TOKENS, Work

__all__ = ["over_http"]


def _prompt(number: int) -> str:
    return f"call {number}: " + "say something of the weather and of the way here. " * 16


async def over_http(work: Work, way: str, lanes: int, agents: int, think_s: float) -> Outcome:
    """Run the calls of agents in closed loops; who brings no lanes gets a semaphore of as many."""
    server = Server(work)
    with server.provider as provider:
        async with WAYS[way](provider.base_url, lanes) as (ask, rm):
            took, failed, wall_s = await _all(
                work, ask, lanes if rm is None else agents, agents, think_s
            )
            await asyncio.sleep(0.2)  # the server sees who has gone
            charged = None if rm is None else _charged(rm)
        billed, needed = server.billed(), server.needed()
    sent = tuple(server.sent[number] for number in range(work.calls))
    return Outcome(wall_s, failed, sent, tuple(took), billed, needed, charged)


async def _all(
    work: Work, ask: Ask, at_once: int, agents: int, think_s: float
) -> tuple[list[float], int, float]:
    numbers = iter(range(work.calls))
    took, failed = [0.0] * work.calls, 0
    room = asyncio.Semaphore(at_once)
    begun_s = time.monotonic()

    async def agent() -> None:
        nonlocal failed
        for number in numbers:
            asked_s = time.monotonic()
            try:
                async with room:
                    await ask(_prompt(number), work.output_tokens(number) + OUTPUT_TOKENS)
            except Exception:  # noqa: BLE001 - whatever it is, the call failed
                failed += 1
            took[number] = time.monotonic() - asked_s
            await asyncio.sleep(think_s)

    await asyncio.gather(*(agent() for _ in range(agents)))
    return took, failed, time.monotonic() - begun_s


def _charged(rm: Any) -> int:
    counts = rm.statistics()
    return int(counts.input_tokens + counts.output_tokens)
