"""Sync calls in a thread that runs an event loop: a notebook's cell, a handler that forgot `await`.

Work of this process stays on that thread, as without us. An error only where that loop's own tasks
hold the lanes.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import FakeListChatModel
from langgraph.graph import StateGraph
from pydantic import Field

from agentrm_langchain import AgentRMMiddleware, wrap_chat_model
from agentrm_langgraph import manage_graph
from agentrm_plugins import AgentRM
from agentrm_plugins.errors import WouldDeadlock


class Seeing(FakeListChatModel):
    """Remembers on which threads it was asked, and whether a loop ran there."""

    seen: list[tuple[int, bool]] = Field(default_factory=list)

    def _call(self, *args, **kwargs):
        self._see()
        return super()._call(*args, **kwargs)

    def _stream(self, *args, **kwargs):
        self._see()
        yield from super()._stream(*args, **kwargs)

    def _see(self):
        self.seen.append((threading.get_ident(), asyncio._get_running_loop() is not None))


@pytest.fixture
def rm():
    with AgentRM(lanes=1) as made:
        yield made
        statistics = made.statistics()
        assert (statistics.running, statistics.waiting) == (0, 0)


def here():
    return threading.get_ident(), True


@pytest.mark.parametrize("way", ["invoke", "stream", "batch"])
async def test_a_model_of_this_process_stays_on_the_thread(rm, way):
    """Its answer comes; nothing waited for another thread. Batches have threads of their own."""
    model = Seeing(responses=["a"])
    wrapped = wrap_chat_model(model, rm)
    asked = {
        "invoke": lambda: wrapped.invoke("hi").text,
        "stream": lambda: "".join(chunk.text for chunk in wrapped.stream("hi")),
        "batch": lambda: wrapped.batch(["hi"])[0].text,
    }
    assert asked[way]() == "a"
    assert model.seen == [here()]


async def test_an_agent_and_its_nodes_stay_there_too(rm):
    """With a lane for nodes and the middleware as well."""
    model = Seeing(responses=["a"])
    agent = create_agent(model, middleware=[AgentRMMiddleware(rm)])
    managed = manage_graph(agent, rm, lane="model")
    assert managed.invoke({"messages": [("user", "hi")]})["messages"][-1].text == "a"
    assert model.seen == [here()]


async def test_a_node_finds_the_running_loop(rm):
    """As it does unmanaged: it may leave a task to that loop."""
    done = asyncio.Event()

    class State(TypedDict):
        value: int

    async def later():
        done.set()

    def node(state):
        asyncio.get_running_loop().create_task(later())
        return {"value": state["value"] + 1}

    graph = StateGraph(State).add_node(node).add_edge("__start__", "node").compile()
    assert manage_graph(graph, rm, lane="model").invoke({"value": 1}) == {"value": 2}
    await asyncio.wait_for(done.wait(), 20)


async def test_it_is_an_error_only_where_the_loop_itself_holds_the_lanes(rm):
    """It says what to do; another thread's lane is waited for."""
    wrapped = wrap_chat_model(Seeing(responses=["a"]), rm)
    entered, free = asyncio.Event(), asyncio.Event()

    async def hold():
        async with rm.slot(agent="other"):
            entered.set()
            await free.wait()

    holding = asyncio.create_task(hold())
    await entered.wait()
    with pytest.raises(WouldDeadlock, match="await the async method"):
        wrapped.invoke("hi")
    free.set()
    await holding
    assert wrapped.invoke("hi").text == "a"


def test_without_a_loop_a_hung_model_can_still_be_left_behind(rm):
    """In plain sync code it runs on a worker, as before."""
    model = Seeing(responses=["a"])
    assert wrap_chat_model(model, rm).invoke("hi").text == "a"
    [(thread, looped)] = model.seen
    assert thread != threading.get_ident()
    assert not looped
