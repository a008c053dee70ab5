"""Does a mark on a background branch pay? The time to the answer with the mark and without.

One node makes six calls in a row, which somebody waits for. Beside it, in the same step, another
makes two hundred at once, which nobody waits for. Calls take 20 ms on one of four lanes.
"""

from __future__ import annotations

import asyncio
import statistics
import time

from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from agentrm_langgraph import manage_graph
from agentrm_plugins import AgentRM

CALL_S, CALLS, AUDITS, LANES = 0.02, 6, 200, 4


class Note(TypedDict):
    note: str


async def _time_to_answer(metadata: dict[str, str] | None) -> float:
    with AgentRM(lanes=LANES) as rm:

        async def call():
            async with rm.slot():
                await asyncio.sleep(CALL_S)

        async def answer(_state):
            for _ in range(CALLS):
                await call()
            return {"note": "answered"}

        async def audit(_state):
            await asyncio.gather(*(call() for _ in range(AUDITS)))

        builder = StateGraph(Note).add_node("answer", answer)
        builder.add_node("audit", audit, metadata=metadata)
        builder.add_edge(START, "answer").add_edge(START, "audit")
        graph = manage_graph(builder, rm).compile()
        started = time.perf_counter()
        answered_s = 0.0
        async for update in graph.astream({"note": ""}, {"configurable": {"thread_id": "t"}}):
            if "answer" in update:
                answered_s = time.perf_counter() - started
        return answered_s


def measure(rounds: int) -> dict[str, float]:
    """Median seconds to the answer."""
    marks = {"no mark": None, "background": {"agentrm_priority": "background"}}
    return {
        name: statistics.median(asyncio.run(_time_to_answer(mark)) for _ in range(rounds))
        for name, mark in marks.items()
    }
