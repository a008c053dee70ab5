"""Everything at once: a callback on the chain, a wrapped model, a managed node, a managed graph."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from agentrm_langchain import AgentRMCallbackHandler, wrap_chat_model
from agentrm_langgraph import manage_graph, managed_node
from agentrm_plugins import AgentRM, LaneGroup
from agentrm_plugins.config.endpoints import EndpointConfig
from agentrm_plugins.testing.provider import (
    ProviderConfig,
    Reply,
    SimulatedProvider,
    ToolCall,
)

openai = pytest.importorskip("langchain_openai")
pytestmark = pytest.mark.lowest


@pytest.fixture
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider(ProviderConfig(seed=3, time_scale=0.001)) as running:
        yield running


@pytest.fixture(params=[False, True], ids=["model lanes", "one lane, node lanes too"])
def rm(request: pytest.FixtureRequest) -> Iterator[AgentRM]:
    groups = (LaneGroup("model", 1), LaneGroup("node", 1)) if request.param else ()
    with AgentRM(lanes=1 if request.param else 2, groups=groups) as core:
        yield core
        seen = core.statistics()
        assert (seen.running, seen.waiting, seen.lanes_in_use) == (0, 0, 0)


def conversation(rm: AgentRM, provider: SimulatedProvider, *, sync: bool):
    bare = openai.ChatOpenAI(model="m", base_url=provider.base_url, api_key="test-key")
    model = wrap_chat_model(bare, rm)

    async def answer(state: MessagesState):
        return {"messages": [await model.ainvoke(state["messages"])]}

    def answer_sync(state: MessagesState):
        return {"messages": [model.invoke(state["messages"])]}

    lane = "node" if len(rm.config.groups) > 1 else None
    node = managed_node(answer_sync if sync else answer, rm, lane=lane)
    builder = StateGraph(MessagesState).add_node("answer", node).add_edge(START, "answer")
    return manage_graph(manage_graph(builder, rm).compile(checkpointer=InMemorySaver()), rm)


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
def test_one_lane_one_settle_and_one_charge_for_each_call(
    rm: AgentRM, provider: SimulatedProvider, sync: bool
) -> None:
    """All of them together take one model lane per call, settle it once and charge it once."""
    graph = conversation(rm, provider, sync=sync)
    given = {"messages": [("user", "hello")]}
    handler = AgentRMCallbackHandler(rm)
    configs = [
        {"configurable": {"thread_id": f"t{n % 3}"}, "callbacks": [handler]} for n in range(9)
    ]
    with rm.events() as events:
        if sync:
            replies = [graph.invoke(given, config) for config in configs]
        else:

            async def everybody():
                return await asyncio.gather(*(graph.ainvoke(given, c) for c in configs[:3]))

            replies = asyncio.run(everybody())
        kinds = Counter(event.__class__.__name__ for event in events.drain())
    calls = 9 if sync else 3
    seen = rm.statistics()
    expected = calls * len(rm.config.groups)
    assert (kinds["Granted"], kinds["Settled"]) == (expected, expected)
    usages = [reply["messages"][-1].usage_metadata for reply in replies]
    assert seen.input_tokens == sum(usage["input_tokens"] for usage in usages)
    assert seen.output_tokens == sum(usage["output_tokens"] for usage in usages)
    assert provider.statistics().requests == calls
    assert provider.statistics().peak_concurrency <= rm.config.lanes
    assert set(seen.agents) == {"t0", "t1", "t2"}


def test_an_agent_of_langchain_behaves_the_same_and_runs_on_lanes(
    provider: SimulatedProvider,
) -> None:
    """`create_agent` is a graph like any other: model and tools take the lanes made for them."""
    agents = pytest.importorskip("langchain.agents")

    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    groups = (LaneGroup("model", 1), LaneGroup("tools", 1))
    with AgentRM(lanes=1, groups=groups) as rm:
        bare = openai.ChatOpenAI(model="m", base_url=provider.base_url, api_key="test-key")
        found = []
        for model, manage in (
            (bare, lambda graph: graph),
            (wrap_chat_model(bare, rm), lambda graph: manage_graph(graph, rm)),
        ):
            provider.script([ToolCall("add", {"a": 2, "b": 3}), Reply("five")])
            graph = manage(agents.create_agent(model, [add]))
            result = graph.invoke({"messages": [("user", "2+3?")]})
            found.append([(m.type, m.text) for m in result["messages"]])
        assert found[0] == found[1]
        assert found[0][-2:] == [("tool", "5"), ("ai", "five")]
        peaks = {name: seen.peak for name, seen in rm.statistics().groups.items()}
        assert peaks == {"model": 1, "tools": 1}
        assert rm.statistics().granted == 3


def five_ways(rm: AgentRM, provider: SimulatedProvider, *, sync: bool):
    """An agent around a managed SDK client, wrapped, with the middleware; and its tool's name.

    The tool asks the SDK's client once more, by itself: that is a call of its own, inside the
    tool's.
    """
    agents = pytest.importorskip("langchain.agents")
    sdk = pytest.importorskip("openai")
    from agentrm_langchain import AgentRMMiddleware
    from agentrm_openai import manage_client

    known = {"base_url": provider.base_url, "api_key": "test-key"}
    client = manage_client(sdk.OpenAI(**known), rm)
    parallel = manage_client(sdk.AsyncOpenAI(**known), rm)
    bare = openai.ChatOpenAI(
        model="m",
        **known,
        root_client=client,
        client=client.chat.completions,
        root_async_client=parallel,
        async_client=parallel.chat.completions,
    )
    asked = {"model": "m", "messages": [{"role": "user", "content": "how much?"}]}

    def look_up(word: str) -> str:
        """Look a word up."""
        return client.chat.completions.create(**asked).choices[0].message.content

    async def look_up_async(word: str) -> str:
        """Look a word up."""
        reply = await parallel.chat.completions.create(**asked)
        return reply.choices[0].message.content

    tool = look_up if sync else look_up_async
    model = wrap_chat_model(bare, rm)
    agent = agents.create_agent(model, [tool], middleware=[AgentRMMiddleware(rm)])
    return agent, tool.__name__, client, parallel


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
@pytest.mark.parametrize("order", ["callback in the config", "callback on the graph"])
def test_all_five_ways_at_once_are_one_lane_one_reservation_one_settle(
    provider: SimulatedProvider, sync: bool, order: str
) -> None:
    """Callback, wrapped model, managed graph, middleware, and the managed SDK client within."""
    groups = (LaneGroup("model", 1), LaneGroup("node", 1), LaneGroup("tools", 1))
    endpoints = {"*/m": EndpointConfig(rpm=6_000, tpm=600_000)}
    with AgentRM(lanes=1, groups=groups, endpoints=endpoints) as rm:
        agent, tool, client, parallel = five_ways(rm, provider, sync=sync)
        handler = {"callbacks": [AgentRMCallbackHandler(rm)]}
        graph, config = manage_graph(agent, rm), {"configurable": {"thread_id": "t"}}
        if order == "callback in the config":
            config |= handler
        else:
            graph = graph.with_config(handler)
        provider.script([ToolCall(tool, {"word": "w"}), Reply("ten"), Reply("done")])
        given = {"messages": [("user", "go")]}

        async def converse():
            async with parallel:
                return await graph.ainvoke(given, config)

        with rm.events() as events, client:
            reply = graph.invoke(given, config) if sync else asyncio.run(converse())
            seen_events = events.drain()
        assert [m.text for m in reply["messages"]][-2:] == ["ten", "done"]
        kinds = Counter(event.__class__.__name__ for event in seen_events)
        granted = Counter(e.group for e in seen_events if e.__class__.__name__ == "Granted")
        assert (granted["model"], granted["tools"]) == (3, 1)
        assert kinds["Granted"] == kinds["Settled"] == kinds["Submitted"]
        assert provider.statistics().requests == 3
        seen = rm.statistics()
        (endpoint,) = seen.endpoints.values()
        assert (endpoint.sent, endpoint.in_flight, endpoint.requeues) == (3, 0, 0)
        assert (seen.running, seen.waiting, seen.lanes_in_use) == (0, 0, 0)
        usages = [m.usage_metadata for m in reply["messages"] if m.type == "ai"]
        inner = seen.input_tokens - sum(usage["input_tokens"] for usage in usages)
        assert 0 < inner < 50  # the tool's own call, once
