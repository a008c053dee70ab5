"""Runs that end badly hold nothing: an interrupted program, a closed loop, a stream left lying."""

from __future__ import annotations

import asyncio
import gc
import operator
from typing import Annotated

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import Send, StreamWriter
from typing_extensions import TypedDict

from agentrm_langgraph import manage_graph
from agentrm_plugins import AgentRM

pytestmark = pytest.mark.lowest


class Log(TypedDict):
    log: Annotated[list[str], operator.add]


EMPTY = {"log": []}


def fan_out(rm: AgentRM, branch):
    builder = StateGraph(Log).add_node("branch", branch)
    builder.add_conditional_edges(START, lambda _: [Send("branch", EMPTY)] * 9)
    return manage_graph(builder.compile(), rm)


@pytest.mark.parametrize("abandon", [True, False])
def test_ctrl_c_in_a_node(lanes: AgentRM, abandon: bool) -> None:
    """It ends the run as it does without us, and every lane is free."""

    def node(_state):
        raise KeyboardInterrupt

    builder = StateGraph(Log).add_node("node", node).add_edge(START, "node")
    graph = manage_graph(builder.compile(), lanes, abandon=abandon)
    with pytest.raises(KeyboardInterrupt):
        graph.invoke(EMPTY)
    assert lanes.statistics().lanes_in_use == 0


def test_an_event_loop_that_is_closed_in_the_middle(lanes: AgentRM) -> None:
    """Whoever ran and waited in it is gone, and what they held is free."""

    async def branch(_state):
        await asyncio.Event().wait()

    async def start() -> asyncio.Task:
        run = asyncio.create_task(fan_out(lanes, branch).ainvoke(EMPTY))
        while lanes.statistics().groups["node"].waiting < 7:
            await asyncio.sleep(0)
        return run

    def once() -> None:
        with asyncio.Runner() as runner:
            runner.run(start())

    once()
    gc.collect()
    seen = lanes.statistics()
    assert (seen.running, seen.waiting, seen.lanes_in_use) == (0, 0, 0)


async def test_a_stream_that_nobody_closes(lanes: AgentRM) -> None:
    """The event loop ends the generator when it is collected."""

    async def branch(_state, writer: StreamWriter):
        writer("here")
        await asyncio.Event().wait()

    stream = fan_out(lanes, branch).astream(EMPTY, stream_mode="custom")
    assert await anext(stream) == "here"
    del stream
    gc.collect()
    for _ in range(200):
        await asyncio.sleep(0)
    seen = lanes.statistics()
    assert (seen.running, seen.waiting) == (0, 0)


def test_a_sync_stream_that_is_left_half_way(lanes: AgentRM) -> None:
    """Closing it ends the run and withdraws whoever waited."""
    builder = StateGraph(Log).add_node("a", lambda _: {"log": ["a"]})
    builder.add_node("b", lambda _: {"log": ["b"]}).add_edge(START, "a").add_edge("a", "b")
    stream = manage_graph(builder.compile(), lanes).stream(EMPTY)
    assert next(stream) == {"a": {"log": ["a"]}}
    stream.close()
    assert lanes.statistics().settled == 1
