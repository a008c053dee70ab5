"""The five ways that are walked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypedDict

from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph

from agentrm_langchain import wrap_chat_model
from agentrm_langgraph import manage_graph
from agentrm_plugins import AgentRM, ContextLifecycle, LaneGroup
from agentrm_plugins.config import ContextConfig
from agentrm_plugins.testing.provider import SimulatedProvider, Status
from benchmarks.walks.count import Walk, counting

__all__ = ["WAYS"]

_IDLE_S = 2.5  # workers end after 2 s: the next one then starts under the count
_MESSAGES, _BUDGET = 25, 600


def _model(provider: SimulatedProvider) -> ChatOpenAI:
    return ChatOpenAI(base_url=provider.base_url, api_key="test-key", model="simulated")


def _ainvoke() -> Walk:
    async def twice() -> Walk:
        model = wrap_chat_model(_model(provider), rm)
        await model.ainvoke("hi")
        with counting() as walk:
            await model.ainvoke("hi")
        return walk

    with SimulatedProvider(seed=1) as provider, AgentRM(lanes=4) as rm:
        return asyncio.run(twice())


def _invoke(*, refused: bool) -> Walk:
    replies = ["one", Status(429), "two"] if refused else ["one", "two"]
    with SimulatedProvider(seed=1) as provider, AgentRM(lanes=4) as rm:
        provider.script(replies)
        model = wrap_chat_model(_model(provider), rm)
        model.invoke("hi")
        time.sleep(_IDLE_S)
        with counting() as walk:
            model.invoke("hi")
        return walk


def _compaction() -> Walk:
    messages = [
        kind(content=f"turn {number}: " + "the figures of the year are told here. " * 8)
        for number in range(_MESSAGES)
        for kind in (HumanMessage if number % 2 == 0 else AIMessage,)
    ]
    with SimulatedProvider(seed=1) as provider, AgentRM(lanes=4) as rm:
        config = ContextConfig(budget_tokens=_BUDGET)
        with ContextLifecycle(config) as context:
            model = wrap_chat_model(_model(provider), rm, context=context)
            with counting() as walk:
                model.invoke(messages, {"configurable": {"thread_id": "ada"}})
    return walk


class _State(TypedDict):
    n: int


def _graph(rm: AgentRM, node: Any) -> Any:
    builder = StateGraph(_State)
    builder.add_node("work", node)
    builder.add_edge(START, "work")
    builder.add_edge("work", END)
    return manage_graph(builder.compile(), rm, lane="node")


def _node(state: _State) -> _State:
    return {"n": state["n"] + 1}


async def _anode(state: _State) -> _State:
    return {"n": state["n"] + 1}


def _managed_node() -> Walk:
    with AgentRM(lanes=4, groups=(LaneGroup("node", 4),)) as rm:
        graph = _graph(rm, _node)
        graph.invoke({"n": 0}, {"configurable": {"thread_id": "ada"}})
        time.sleep(_IDLE_S)
        with counting() as walk:
            graph.invoke({"n": 0}, {"configurable": {"thread_id": "ada"}})
        return walk


def _managed_anode() -> Walk:
    async def twice() -> Walk:
        graph = _graph(rm, _anode)
        await graph.ainvoke({"n": 0}, {"configurable": {"thread_id": "ada"}})
        with counting() as walk:
            await graph.ainvoke({"n": 0}, {"configurable": {"thread_id": "ada"}})
        return walk

    with AgentRM(lanes=4, groups=(LaneGroup("node", 4),)) as rm:
        return asyncio.run(twice())


class Way(NamedTuple):
    """One of the ways: what it is, and a function that walks and counts it."""

    title: str
    walk: Callable[[], Walk]


WAYS = {
    "a": Way("a. wrapped `ainvoke`, uncontended", _ainvoke),
    "b": Way("b. wrapped `invoke`, uncontended", partial(_invoke, refused=False)),
    "c": Way("c. `invoke` with one 429 and a second attempt", partial(_invoke, refused=True)),
    "d": Way(f"d. {_MESSAGES} messages through a compaction", _compaction),
    "e": Way("e. managed node on a lane, sync", _managed_node),
    "f": Way("e. managed node on a lane, async", _managed_anode),
}
