"""The calls over real HTTP, with the real SDK."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from typing import Any

from benchmarks.liveness.outcome import Outcome
from benchmarks.liveness.server import Server
from benchmarks.liveness.ways import WAYS, Way
from benchmarks.liveness.work import OUTPUT_TOKENS, Work

__all__ = ["over_http"]


def _prompt(number: int) -> str:
    return f"call {number}: " + "say something of the weather and of the way here. " * 16


async def over_http(
    work: Work, way: str, *, lanes: int, agents: int, think_s: float, timeout_s: float
) -> Outcome:
    """Run the calls of agents in closed loops; who brings no lanes gets a semaphore of as many."""
    server = Server(work)
    with server.provider as provider:
        async with WAYS[way](provider.base_url, lanes, timeout_s) as made:
            at_once = lanes if made.rm is None else agents
            took, failed, wall_s = await _all(work, made, at_once, agents, think_s)
            await asyncio.to_thread(server.wait_till_idle)
            told = {} if made.rm is None else _told(made.rm, sum(server.sent.values()))
        billed, needed = server.billed(), server.needed()
    sent = tuple(server.sent[number] for number in range(work.calls))
    hung = tuple(server.hung[number] for number in range(work.calls))
    return Outcome(wall_s, failed, sent, hung, tuple(took), billed, needed, **told)


async def _all(
    work: Work, way: Way, at_once: int, agents: int, think_s: float
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
                    await way.ask(_prompt(number), work.output_tokens(number) + OUTPUT_TOKENS)
            except Exception:  # noqa: BLE001 - whatever it is, the call failed
                failed += 1
            took[number] = time.monotonic() - asked_s
            await asyncio.sleep(think_s)

    await asyncio.gather(*(agent() for _ in range(agents)))
    return took, failed, time.monotonic() - begun_s


def _told(rm: Any, arrived: int) -> dict[str, Any]:
    seen = rm.statistics()
    sent = sum(endpoint.sent for endpoint in seen.endpoints.values())
    charged = seen.input_tokens + seen.output_tokens
    return {"charged": charged, "unseen": sent - arrived, "hedges": asdict(seen.hedges)}
