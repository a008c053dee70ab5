"""Does it pay to let a branch stand back? By the user's mark, by the depth hint, and by neither.

Two graphs on four lanes, calls of 20 ms. *A log beside the answer*: one node makes six calls in
a row and leads to the end; beside it another makes two hundred at once and leads nowhere. *A wide
branch and a long one*: six nodes in a row with a call each, beside one node with two hundred calls
at once; both meet before the end. Somebody waits for the answer; the run is over when all is done.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from agentrm_langgraph import manage_graph
from agentrm_plugins import AgentRM

CALL_S, CALLS, AUDITS, LANES = 0.02, 6, 200, 4
MARK = {"agentrm_priority": "background"}
WAYS: dict[str, tuple[dict[str, str] | None, str | None]] = {
    "neither": (None, None),
    "mark": (MARK, None),
    "depth": (None, "depth"),
}


class Note(TypedDict, total=False):
    note: str
    log: str


def _log(call: Any, metadata: Any) -> StateGraph:
    async def answer(_state):
        for _ in range(CALLS):
            await call()
        return {"note": "answered"}

    async def audit(_state):
        await asyncio.gather(*(call() for _ in range(AUDITS)))

    builder = StateGraph(Note).add_node("answer", answer)
    builder.add_node("audit", audit, metadata=metadata)
    return builder.add_edge(START, "answer").add_edge(START, "audit").add_edge("answer", END)


def _meeting(call: Any, metadata: Any) -> StateGraph:
    async def step(_state):
        await call()

    async def wide(_state):
        await asyncio.gather(*(call() for _ in range(AUDITS)))

    builder = StateGraph(Note).add_node("wide", wide, metadata=metadata)
    builder.add_node("answer", lambda _: {"note": "answered"})
    before = START
    for n in range(CALLS):
        builder.add_node(f"step{n}", step).add_edge(before, f"step{n}")
        before = f"step{n}"
    builder.add_edge(START, "wide").add_edge([before, "wide"], "answer")
    return builder.add_edge("answer", END)


GRAPHS = {"a log beside the answer": _log, "a wide branch and a long one": _meeting}


async def _times(make: Any, metadata: Any, hint: Any) -> tuple[float, float]:
    with AgentRM(lanes=LANES) as rm:

        async def call():
            async with rm.slot():
                await asyncio.sleep(CALL_S)

        graph = manage_graph(make(call, metadata).compile(), rm, hint=hint)
        started, answered_s = time.perf_counter(), 0.0
        async for update in graph.astream({"note": ""}, {"configurable": {"thread_id": "t"}}):
            if "answer" in update:
                answered_s = time.perf_counter() - started
        return answered_s, time.perf_counter() - started


def measure(rounds: int) -> list[dict[str, Any]]:
    """Median seconds to the answer and to the end of the run."""
    rows = []
    for name, make in GRAPHS.items():
        for way, (metadata, hint) in WAYS.items():
            found = [asyncio.run(_times(make, metadata, hint)) for _ in range(rounds)]
            answer_s, end_s = (statistics.median(column) for column in zip(*found, strict=True))
            rows.append({"graph": name, "hint": way, "answer_s": answer_s, "end_s": end_s})
    return rows
