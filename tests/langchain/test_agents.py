"""Inside create_agent, LangGraph nodes and cassettes: the real stack, managed."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, TypedDict

import httpx2
import pytest
import vcr
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages

from agentrm_langchain import AgentRMCallbackHandler, wrap_chat_model
from agentrm_plugins import CallReaped, LeaseConfig
from agentrm_plugins.testing.cassettes import vcr_config
from agentrm_plugins.testing.provider import Hang, SimulatedProvider, Stall, Status
from cassettes.record import ANSWER, FOLDER, SCENARIOS, aplay, play, settings
from tests.langchain.fakes import FakeChat


@tool
def look(text: str) -> str:
    """Look something up."""
    return f"found {text}"


@pytest.fixture
def provider():
    with SimulatedProvider(seed=7) as provider:
        yield provider


@pytest.fixture
def chat(provider):
    with httpx2.Client(timeout=20) as client:
        yield lambda **fields: ChatOpenAI(
            base_url=provider.base_url,
            api_key="test-key",
            model="simulated",
            max_retries=0,
            http_client=client,
            **fields,
        )


@pytest.mark.parametrize("way", ["wrapper", "callback", "both"])
def test_an_agents_calls_are_one_agents(way, core, provider, chat):
    """create_agent: each request is one call of the thread's agent; tools hold no lane."""
    rm = core()
    seen = []

    @tool
    def probe(text: str) -> str:
        """Look how many lanes are held while a tool runs."""
        seen.append(rm.statistics().lanes_in_use)
        return text

    model = chat() if way == "callback" else wrap_chat_model(chat(), rm)
    callbacks = [] if way == "wrapper" else [AgentRMCallbackHandler(rm)]
    agent = create_agent(model, [probe])
    config = {"callbacks": callbacks, "configurable": {"thread_id": "t-1"}}
    result = agent.invoke({"messages": [HumanMessage("go")]}, config)
    assert result["messages"][-1].text
    statistics = rm.statistics()
    assert statistics.settled == provider.statistics().requests == 2
    assert seen == [0]
    assert {name: agent.calls for name, agent in statistics.agents.items()} == {"t-1": 2}
    assert statistics.output_tokens == provider.statistics().output_tokens


class State(TypedDict):
    messages: Annotated[list[Any], add_messages]


@pytest.mark.parametrize("way", ["wrapper", "callback"])
async def test_a_graph_node_that_fails_frees_its_siblings_lane(way, core, empty):
    """A failing node cancels its sibling, whose model fires no event; the lane is back."""
    rm = core()
    bare = FakeChat(hang=True)
    model = bare if way == "callback" else wrap_chat_model(bare, rm)
    callbacks = [AgentRMCallbackHandler(rm)] if way == "callback" else []

    async def ask(state):
        return {"messages": [await model.ainvoke(state["messages"])]}

    async def fail(state):
        while not bare.calls:
            await asyncio.sleep(0)
        raise ValueError("the sibling failed")

    graph = StateGraph(State)
    graph.add_node("ask", ask)
    graph.add_node("fail", fail)
    graph.add_edge(START, "ask")
    graph.add_edge(START, "fail")
    graph.add_edge("ask", END)
    with pytest.raises(ValueError, match="the sibling failed"):
        await graph.compile().ainvoke({"messages": ["go"]}, {"callbacks": callbacks})
    await empty(rm)


@pytest.mark.parametrize("way", ["wrapper", "callback"])
async def test_a_node_timeout(way, core, empty):
    """A node's own timeout cancels the call below it."""
    rm = core()
    bare = FakeChat(hang=True)
    model = bare if way == "callback" else wrap_chat_model(bare, rm)
    callbacks = [AgentRMCallbackHandler(rm)] if way == "callback" else []

    async def ask(state):
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(State)
    graph.add_node("ask", ask, timeout=0.05)
    graph.add_edge(START, "ask")
    with pytest.raises(Exception, match=r"imeout|exceeded"):
        await graph.compile().ainvoke({"messages": ["go"]}, {"callbacks": callbacks})
    await empty(rm)


def test_a_hanging_request_is_given_up(core, provider, chat):
    """Sync, over HTTP: the socket hangs, the caller gets `CallReaped` after the silence allowed."""
    rm = core(leases=LeaseConfig(response_timeout_s=1.0, silence_timeout_s=1.0))
    provider.script([Hang(), Stall(after_tokens=4)])
    model = wrap_chat_model(chat(), rm, retry=None)
    with pytest.raises(CallReaped, match="response_timeout_s"):
        model.invoke("go")
    with pytest.raises(CallReaped, match="silence_timeout_s"):
        list(model.stream("go"))
    assert rm.statistics().lanes_in_use == 0
    provider.close()


def test_streamed_usage_is_asked_for_by_the_user(core, provider, chat):
    """With a base URL of their own OpenAI models ask only if they are told to, managed or not."""
    rm = core()
    for bare in (chat(), chat(stream_usage=False)):
        model = wrap_chat_model(bare, rm)
        assert not any(chunk.usage_metadata for chunk in bare.stream("go"))
        assert not any(chunk.usage_metadata for chunk in model.stream("go"))
    before = rm.statistics().output_tokens
    assert before > 0  # what came was counted
    model = wrap_chat_model(chat(stream_usage=True), rm)
    assert any(chunk.usage_metadata for chunk in model.stream("go"))
    assert rm.statistics().output_tokens - before == provider.log[-1].output_tokens


def test_provider_errors_keep_their_type_and_response(core, provider, chat):
    """A 429 that is not retried comes through as the SDK raised it, with its headers."""
    import openai

    rm = core()
    provider.script([Status(429, retry_after=2)])
    with pytest.raises(openai.RateLimitError) as error:
        wrap_chat_model(chat(), rm, retry=None).invoke("go")
    assert error.value.response.headers["retry-after"]
    assert rm.statistics().settled == 1


def replay(name):
    path = FOLDER / f"{name}.yaml"
    return vcr.VCR(**vcr_config()).use_cassette(str(path), record_mode="none")


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.block_network
async def test_a_users_own_cassette_replays_through_the_managed_model(name, core):
    """Sync and async, without network: the same answers, each model call one call of the core."""
    rm = core()
    base = {"base_url": "https://api.openai.com/v1", "api_key": "test-key"}
    with httpx2.Client() as client, replay(name) as cassette:
        bare = ChatOpenAI(**settings(**base, http_client=client))
        messages = play(wrap_chat_model(bare, rm), SCENARIOS[name])
    assert cassette.all_played
    calls = rm.statistics().settled
    async with httpx2.AsyncClient() as client:
        with replay(name) as cassette:
            bare = ChatOpenAI(**settings(**base, http_async_client=client))
            again = await aplay(wrap_chat_model(bare, rm), SCENARIOS[name])
    assert cassette.all_played
    expected = "It is sunny in Paris." if SCENARIOS[name].tools else ANSWER
    assert messages[-1].text == again[-1].text == expected
    assert rm.statistics().settled == 2 * calls
    assert calls == (2 if SCENARIOS[name].tools else 1)
