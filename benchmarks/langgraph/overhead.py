"""What a managed node and a managed model call cost, as a share of what LangGraph takes anyway.

Each figure is the median of rounds in which the managed and the unmanaged graph take turns, so that
a slow moment of the machine hits both. Times are of the processor: nothing here waits, and other
programs on the machine do not count. Where a simulated provider runs in the same process, only the
thread that calls it is timed.

A node that does nothing is the hardest case: all that is left of its step is LangGraph's own. The
rows of two milliseconds show a node that does a little.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time

from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from agentrm_langchain import wrap_chat_model
from agentrm_langgraph import manage_graph
from agentrm_plugins import AgentRM, LaneGroup
from agentrm_plugins.testing.provider import ProviderConfig, SimulatedProvider

STEPS = 20
WORK_S = 0.002
BOTH = (LaneGroup("model", 8), LaneGroup("node", 8))


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


def _work() -> None:
    until_s = time.perf_counter() + WORK_S
    while time.perf_counter() < until_s:
        pass


def _sync_working(state):
    _work()
    return {"n": state["n"] + 1}


async def _async_working(state):
    _work()
    return {"n": state["n"] + 1}


class Instant(BaseChatModel):
    """A model that answers at once, in async code of its own."""

    @property
    def _llm_type(self) -> str:
        return "instant"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=AIMessage("ok"))])

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        return self._generate(messages)


def _calling(model):
    async def call(state):
        await model.ainvoke("hi")
        return {"n": state["n"] + 1}

    return call


def pair(plain, managed, *, asynchronous: bool, rounds: int, clock=time.process_time):
    """Microseconds per step of both, and the difference as a share of the unmanaged one's."""
    config = {"recursion_limit": 100, "configurable": {"thread_id": "t"}}
    loop = asyncio.new_event_loop()

    def once(graph) -> float:
        started = clock()
        if asynchronous:
            loop.run_until_complete(graph.ainvoke({"n": 0}, config))
        else:
            graph.invoke({"n": 0}, config)
        return (clock() - started) / STEPS * 1e6

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


def _rows(rm: AgentRM, label: str, kinds, rounds: int) -> dict[str, dict[str, float]]:
    found = {}
    for kind, step in kinds:
        ways = ({}, {"abandon": False}) if kind == "sync" and "lane" in label else ({},)
        for options in ways:
            for saver in (False, True):
                graphs = [chain(step, checkpointer=InMemorySaver() if saver else None)]
                graphs.append(chain(step, checkpointer=InMemorySaver() if saver else None))
                row = f"{kind} node, {label}" + (", abandon=False" if options else "")
                managed = manage_graph(graphs[1], rm, **options)
                way = kind == "async"
                found[row + (", saver" if saver else "")] = pair(
                    graphs[0], managed, asynchronous=way, rounds=rounds
                )
    return found


def measure_nodes(rounds: int) -> dict[str, dict[str, float]]:
    """Per node step."""
    found = {}
    nothing = (("sync", _sync), ("async", _async))
    working = (("sync", _sync_working), ("async", _async_working))
    with AgentRM(lanes=8) as rm:
        found |= _rows(rm, "identity only", nothing, rounds)
    with AgentRM(lanes=16, groups=BOTH) as rm:
        found |= _rows(rm, "with a lane", nothing, rounds)
        found |= _rows(rm, "2 ms, with a lane", working, max(rounds // 4, 3))
    return found


def measure_models(rounds: int) -> dict[str, dict[str, float]]:
    """Per step of an async node that calls a model; graph and model managed."""
    found = {}
    models = {
        "a model that answers at once": Instant(),
        "the same, sync only: a thread for each call": FakeListChatModel(responses=["ok"]),
    }
    with AgentRM(lanes=8) as rm:
        for row, bare in models.items():
            plain, again = chain(_calling(bare)), chain(_calling(wrap_chat_model(bare, rm)))
            found[row] = pair(plain, manage_graph(again, rm), asynchronous=True, rounds=rounds)
    settings = ProviderConfig(seed=5, time_scale=0.001)
    with SimulatedProvider(settings) as provider, AgentRM(lanes=8) as rm:
        bare = ChatOpenAI(
            model="m", base_url=provider.base_url, api_key="test-key", max_tokens=8, max_retries=0
        )
        plain, again = chain(_calling(bare)), chain(_calling(wrap_chat_model(bare, rm)))
        found["ChatOpenAI, over loopback"] = pair(
            plain,
            manage_graph(again, rm),
            asynchronous=True,
            rounds=max(rounds // 4, 3),
            clock=time.thread_time,
        )
    return found
