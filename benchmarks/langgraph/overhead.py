"""What a managed node and a managed model call cost, as a share of what LangGraph takes anyway.

Each figure is the median of rounds in which the managed and the unmanaged graph take turns, so that
a slow moment of the machine hits both. Times are of the processor: nothing here waits, and other
programs on the machine do not count.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Callable

from langchain_core.language_models import FakeListChatModel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from agentrm_langchain import wrap_chat_model
from agentrm_langgraph import manage_graph
from agentrm_plugins import AgentRM, LaneGroup

STEPS = 20


class Count(TypedDict):
    n: int


def chain(step, **options):
    """A graph of twenty nodes in a row."""
    builder = StateGraph(Count)
    before = START
    for n in range(STEPS):
        builder.add_node(f"n{n}", step).add_edge(before, f"n{n}")
        before = f"n{n}"
    return builder.compile(**options)


def _sync(state):
    return {"n": state["n"] + 1}


async def _async(state):
    return {"n": state["n"] + 1}


def _calling(model):
    async def call(state):
        await model.ainvoke("hi")
        return {"n": state["n"] + 1}

    return call


def per_step_us(run: Callable[[], None]) -> float:
    started = time.process_time()
    run()
    return (time.process_time() - started) / STEPS * 1e6


def pair(plain, managed, *, asynchronous: bool, rounds: int) -> dict[str, float]:
    """Microseconds per step of both, and the difference as a share of the unmanaged one's."""
    config = {"recursion_limit": 100, "configurable": {"thread_id": "t"}}
    loop = asyncio.new_event_loop()

    def once(graph) -> float:
        if asynchronous:
            return per_step_us(lambda: loop.run_until_complete(graph.ainvoke({"n": 0}, config)))
        return per_step_us(lambda: graph.invoke({"n": 0}, config))

    taken: dict[str, list[float]] = {"plain": [], "managed": []}
    gc.collect()
    gc.disable()
    try:
        for n in range(rounds + 5):
            for name, graph in (("plain", plain), ("managed", managed)):
                found = once(graph)
                if n >= 5:
                    taken[name].append(found)
    finally:
        gc.enable()
        loop.close()
    ours, theirs = statistics.median(taken["managed"]), statistics.median(taken["plain"])
    added = statistics.median(m - p for m, p in zip(taken["managed"], taken["plain"], strict=True))
    return {"plain_us": theirs, "managed_us": ours, "added_us": added, "share": added / theirs}


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """All rows."""
    found = {}
    both = (LaneGroup("model", 8), LaneGroup("node", 8))
    cores = {"identity only": {"lanes": 8}, "with a lane": {"lanes": 16, "groups": both}}
    for label, settings in cores.items():
        with AgentRM(**settings) as rm:
            for kind, step in (("sync", _sync), ("async", _async)):
                for saver in (False, True):
                    plain = chain(step, checkpointer=InMemorySaver() if saver else None)
                    again = chain(step, checkpointer=InMemorySaver() if saver else None)
                    row = f"{kind} node, {label}" + (", saver" if saver else "")
                    managed = manage_graph(again, rm)
                    way = kind == "async"
                    found[row] = pair(plain, managed, asynchronous=way, rounds=rounds)
            inline = manage_graph(chain(_sync), rm, abandon=False)
            if label == "with a lane":
                row = "sync node, with a lane, abandon=False"
                found[row] = pair(chain(_sync), inline, asynchronous=False, rounds=rounds)
    with AgentRM(lanes=8) as rm:
        bare = FakeListChatModel(responses=["ok"])
        plain, again = chain(_calling(bare)), chain(_calling(wrap_chat_model(bare, rm)))
        managed = manage_graph(again, rm)
        row = "async node with a model call, both managed"
        found[row] = pair(plain, managed, asynchronous=True, rounds=rounds)
    return found
