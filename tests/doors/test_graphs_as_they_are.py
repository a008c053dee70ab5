"""A managed graph is the graph that it was: arguments, names, subgraphs, memory, agents' nodes."""

from __future__ import annotations

import gc
from functools import partial
from typing import Annotated, Any

import pytest
from langchain.agents import create_agent
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, StreamWriter, interrupt

from agentrm_langchain import AgentRMMiddleware
from agentrm_langgraph import manage_graph, managed_node
from agentrm_plugins import AgentRM, LaneGroup
from tests.langchain.fakes import FakeChat

GROUPS = (LaneGroup("model", 2), LaneGroup("node", 2))
THREAD: Any = {"configurable": {"thread_id": "t"}}


@pytest.fixture
def rm() -> Any:
    with AgentRM(lanes=4, groups=GROUPS) as core:
        yield core
        assert core.statistics().running == 0


@pytest.mark.filterwarnings("ignore:The 'config' parameter should be typed:UserWarning")
def test_arguments_of_a_task_that_are_called_like_ours_stay_its_own(rm: AgentRM) -> None:
    """`config`, `writer` and `runtime` are replaced only where LangGraph has put its own there."""

    @task
    def own(config: str, writer: Annotated[int, "lines"], runtime: dict[str, int]) -> list[Any]:
        return [config, writer, runtime]

    @task
    def passed(config: dict[str, Any], runtime: Any = None, writer: Any = "w") -> list[Any]:
        return [config, runtime, writer]

    @task
    def injected(text: str, config: RunnableConfig, writer: StreamWriter) -> str:
        writer(f"said {text}")
        return config["configurable"]["thread_id"]

    @entrypoint()
    def flow(_: Any) -> list[Any]:
        mine = {"configurable": {"thread_id": "mine"}}
        return [
            own(config="a.toml", writer=3, runtime={"n": 1}).result(),
            passed(config=mine, runtime="r").result(),
            injected("hello").result(),
        ]

    for graph in (flow, manage_graph(flow, rm)):
        said = list(graph.stream("go", THREAD, stream_mode=["custom", "values"]))
        assert ("custom", "said hello") in said
        assert said[-1][1] == [
            ["a.toml", 3, {"n": 1}],
            [{"configurable": {"thread_id": "mine"}}, "r", "w"],
            "t",
        ]


class Pay:
    """A callable object, which has no name of its own."""

    def __init__(self, paid: list[str]) -> None:
        self.paid = paid

    def __call__(self, what: str) -> str:
        self.paid.append(what)
        return what


@pytest.mark.parametrize("kind", ["partial", "object"])
@pytest.mark.parametrize("way", ["graph", "node"])
def test_a_thread_interrupted_before_it_was_managed_goes_on(
    rm: AgentRM, kind: str, way: str
) -> None:
    """Tasks without a name of their own are called as LangGraph calls them: none runs twice."""
    paid: list[str] = []

    def pay(into: list[str], what: str) -> str:
        into.append(what)
        return what

    bare: Any = partial(pay, paid) if kind == "partial" else Pay(paid)
    saver = InMemorySaver()

    def flow_with(function: Any) -> Any:
        paying = task(function)

        @entrypoint(checkpointer=saver)
        def flow(_: Any) -> Any:
            return [paying("rent").result(), interrupt("sure?")]

        return flow

    flow_with(bare).invoke("x", THREAD)
    if way == "graph":
        managed = manage_graph(flow_with(bare), rm)
    else:
        managed = flow_with(managed_node(bare, rm, lane="node"))
    assert managed.invoke(Command(resume="yes"), THREAD) == ["rent", "yes"]
    assert paid == ["rent"]


@pytest.mark.parametrize("checkpointer", [None, False, True])
def test_a_subgraph_is_as_stateful_as_it_was(rm: AgentRM, checkpointer: Any) -> None:
    """One compiled with `checkpointer=False` keeps no state, and is not listed as if it did."""
    inner = StateGraph(MessagesState).add_node("n", lambda _: {}).add_edge(START, "n")
    builder = StateGraph(MessagesState).add_node("inner", inner.compile(checkpointer=checkpointer))
    graph = builder.add_edge(START, "inner").compile(checkpointer=InMemorySaver())
    managed = manage_graph(graph, rm)
    for ask in (lambda g: [name for name, _ in g.get_subgraphs()], _states):
        assert ask(managed) == ask(graph)


def _states(graph: Any) -> Any:
    graph.invoke({"messages": []}, THREAD)
    return [task.state for task in graph.get_state(THREAD, subgraphs=True).tasks]


@pytest.mark.parametrize("abandon", [True, False])
def test_a_run_leaves_no_garbage_in_circles(rm: AgentRM, abandon: bool) -> None:
    """What a run with node lanes needed is freed when it is over, without the collector."""
    builder = StateGraph(MessagesState).add_node("n", lambda _: {}).add_edge(START, "n")
    graph = manage_graph(builder.compile(), rm, abandon=abandon)
    graph.invoke({"messages": []}, THREAD)
    gc.collect()
    gc.disable()
    try:
        graph.invoke({"messages": []}, THREAD)
        assert gc.collect() == 0
    finally:
        gc.enable()


@tool
def look(text: str) -> str:
    """Look."""
    return text


def test_the_middleware_adds_no_node_for_tools() -> None:
    """An agent without tools has none, and what LangChain says of unknown tools it says still."""
    with AgentRM(lanes=2) as rm:
        for middleware in ([], [AgentRMMiddleware(rm)], [AgentRMMiddleware(rm, tools=False)]):
            agent = create_agent(FakeChat(), [], middleware=middleware)
            assert "tools" not in agent.nodes
            assert "tools" in create_agent(FakeChat(), [look], middleware=middleware).nodes
    groups = (LaneGroup("model", 1), LaneGroup("tools", 1))
    with AgentRM(lanes=2, groups=groups) as rm:
        middleware = [AgentRMMiddleware(rm)]
        assert isinstance(middleware[0], AgentRMMiddleware)
        assert middleware[0].name == "AgentRMMiddleware"
        assert type(middleware[0]).__qualname__ == "AgentRMMiddleware"
