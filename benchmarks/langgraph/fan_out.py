"""Three hundred branches over one rate limit, and a person who asks something in the middle.

The same graph runs plain with `max_concurrency`, plain with a semaphore around the model, and
managed; against the same simulated provider, which answers 429 above its rate. In all three a
branch that fails is tried again by the graph's own retry policy.
"""

from __future__ import annotations

import asyncio
import operator
import statistics
import time
from collections import Counter
from contextlib import nullcontext
from typing import Annotated, Any

from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from langgraph.types import RetryPolicy, Send
from typing_extensions import TypedDict

from agentrm_langchain import wrap_chat_model
from agentrm_langgraph import manage_graph
from agentrm_plugins import AgentRM
from agentrm_plugins.testing.provider import Distribution, ProviderConfig, SimulatedProvider

LANES = 8
BURST_S = 2.0  # seconds of the rate that the provider lets through at once
VARIANTS = ("plain, max_concurrency=8", "plain, semaphore of 8", "managed, 8 lanes")
POLICY = RetryPolicy(max_attempts=50, max_interval=8.0)


class Work(TypedDict, total=False):
    part: int
    parts: Annotated[list[str], operator.add]


def graphs(model: Any, branches: int, gate: Any) -> tuple[StateGraph, StateGraph]:
    """The fan-out, and a conversation of three calls, one after the other."""

    async def branch(state: Work):
        async with gate():
            return {"parts": [(await model.ainvoke(f"part {state['part']}")).text]}

    async def turn(_state: Work):
        async with gate():
            return {"parts": [(await model.ainvoke("and then?")).text]}

    jobs = [Send("branch", {"part": part}) for part in range(branches)]
    wide = StateGraph(Work).add_node("branch", branch, retry_policy=POLICY)
    wide.add_conditional_edges(START, lambda _: jobs, ["branch"])
    talk = StateGraph(Work)
    for n in range(3):
        talk.add_node(f"turn{n}", turn, retry_policy=POLICY)
    talk.add_edge(START, "turn0").add_edge("turn0", "turn1").add_edge("turn1", "turn2")
    return wide, talk


async def _timed(graph: Any, thread: str, **config: Any) -> tuple[float, int]:
    """Seconds of a run, and how many answers it brought."""
    started = time.perf_counter()
    end = await graph.ainvoke({"parts": []}, {"configurable": {"thread_id": thread}, **config})
    return time.perf_counter() - started, len(end["parts"])


async def variant(
    name: str, branches: int, latency_s: float, rpm: float | None, told: bool
) -> dict[str, Any]:
    """One variant: everything at once, and the person asking five times while it runs."""
    settings = ProviderConfig(
        seed=11,
        time_to_first_token_s=Distribution.uniform(0.5 * latency_s, 1.5 * latency_s),
        token_time_s=0.0,
        rpm=rpm,
        burst=BURST_S / 60.0,
        retry_after="ms",
        header_style="openai" if told else "none",
    )
    with SimulatedProvider(settings) as provider, AgentRM(lanes=LANES) as rm:
        model: Any = ChatOpenAI(
            model="m", base_url=provider.base_url, api_key="test-key", max_tokens=8, max_retries=0
        )
        semaphore = asyncio.Semaphore(LANES)
        gate = (lambda: semaphore) if "semaphore" in name else nullcontext
        if "managed" in name:
            model = wrap_chat_model(model, rm)
        wide, talk = (graph.compile() for graph in graphs(model, branches, gate))
        if "managed" in name:
            wide, talk = manage_graph(wide, rm), manage_graph(talk, rm)
        idle = [(await _timed(talk, f"idle {n}"))[0] for n in range(5)]
        config = {"max_concurrency": LANES} if "max_concurrency" in name else {}
        fan_out = asyncio.create_task(_timed(wide, "books", **config))
        busy: list[float] = []
        while provider.statistics().requests < 40:  # noqa: ASYNC110 - it has its own thread
            await asyncio.sleep(0.01)
        while not fan_out.done() and len(busy) < 5:
            busy.append((await _timed(talk, f"person {len(busy)}"))[0])
        total_s, finished = await fan_out
        seen = provider.statistics()
        statuses = Counter(record.status for record in provider.log)
        return {
            "variant": name,
            "total_s": total_s,
            "finished": finished,
            "idle_s": statistics.median(idle),
            "asked": len(busy),
            "busy_s": statistics.median(busy),
            "ratio": statistics.median(busy) / statistics.median(idle),
            "peak": seen.peak_concurrency,
            "answered_429": statuses[429],
        }


def measure(
    branches: int, latency_s: float, rpm: float | None, *, told: bool = True
) -> list[dict[str, Any]]:
    """All variants, one after the other; `told`: whether the provider's headers name its limit."""
    return [asyncio.run(variant(name, branches, latency_s, rpm, told)) for name in VARIANTS]
