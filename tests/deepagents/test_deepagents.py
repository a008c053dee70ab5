"""deepagents: the middleware and a wrapped model in `create_deep_agent`, subagents included.

deepagents needs versions that the locked environment cannot have (see requirements/deepagents.in);
`make test-deep` runs this file in an environment of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

deepagents = pytest.importorskip("deepagents")
from langchain_openai import ChatOpenAI  # noqa: E402
from langgraph.checkpoint.memory import InMemorySaver  # noqa: E402

from agentrm_langchain import (  # noqa: E402
    AgentRMCallbackHandler,
    AgentRMMiddleware,
    wrap_chat_model,
)
from agentrm_langgraph import manage_graph  # noqa: E402
from agentrm_plugins import AgentRM, LaneGroup  # noqa: E402
from agentrm_plugins.testing.provider import (  # noqa: E402
    ProviderConfig,
    Reply,
    SimulatedProvider,
    ToolCall,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
HELPER = {
    "name": "helper",
    "description": "Looks things up.",
    "system_prompt": "You look things up.",
}
GIVEN = {"messages": [("user", "find the number")]}


def thread(name: str) -> dict:
    return {"configurable": {"thread_id": name}}


@pytest.fixture
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider(ProviderConfig(seed=3, time_scale=0.001)) as running:
        yield running


@pytest.fixture
def rm() -> Iterator[AgentRM]:
    groups = (LaneGroup("model", 1), LaneGroup("tools", 1), LaneGroup("node", 1))
    with AgentRM(lanes=1, groups=groups) as core:
        yield core
        seen = core.statistics()
        assert (seen.running, seen.waiting, seen.lanes_in_use) == (0, 0, 0)
        assert seen.lanes_peak == 1


def chat(provider: SimulatedProvider) -> ChatOpenAI:
    return ChatOpenAI(model="m", base_url=provider.base_url, api_key="test-key", max_retries=0)


def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: 42"


def model_calls(events) -> int:
    kinds = Counter(e.group for e in events.drain() if e.__class__.__name__ == "Granted")
    return kinds["model"]


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
def test_the_middleware_manages_the_main_agent(rm, provider, sync) -> None:
    """Its model calls and tool calls take lanes, each once."""
    agent = deepagents.create_deep_agent(
        chat(provider), [look_up], middleware=[AgentRMMiddleware(rm)]
    )
    provider.script([ToolCall("look_up", {"word": "w"}), Reply("42")])
    with rm.events() as events:
        if sync:
            result = agent.invoke(GIVEN, thread("t"))
        else:
            result = asyncio.run(agent.ainvoke(GIVEN, thread("t")))
        assert model_calls(events) == 2
    assert [m.text for m in result["messages"]][-2:] == ["w: 42", "42"]
    assert provider.statistics().requests == 2
    assert "t" in rm.statistics().agents
    assert rm.statistics().groups["tools"].peak == 1


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
def test_a_wrapped_model_reaches_subagents_too(rm, provider, sync) -> None:
    """With the middleware, the callback and a managed graph: each call takes one lane, once."""
    model = wrap_chat_model(chat(provider), rm)
    agent = deepagents.create_deep_agent(
        model, [look_up], subagents=[HELPER], middleware=[AgentRMMiddleware(rm)]
    )
    graph = manage_graph(agent, rm)
    provider.script(
        [
            ToolCall("task", {"description": "look w up", "subagent_type": "helper"}),
            ToolCall("look_up", {"word": "w"}),
            Reply("w is 42"),
            Reply("it is 42"),
        ]
    )
    config = {**thread("t"), "callbacks": [AgentRMCallbackHandler(rm)]}
    with rm.events() as events:
        result = graph.invoke(GIVEN, config) if sync else asyncio.run(graph.ainvoke(GIVEN, config))
        assert model_calls(events) == 4
    assert result["messages"][-1].text == "it is 42"
    assert provider.statistics().requests == 4


def test_a_managed_deep_agent_says_the_same(rm, provider) -> None:
    """Messages and checkpoints of a conversation of two turns, managed and not."""
    found = []
    for manage in (False, True):
        model = wrap_chat_model(chat(provider), rm) if manage else chat(provider)
        agent = deepagents.create_deep_agent(model, [look_up], checkpointer=InMemorySaver())
        graph = manage_graph(agent, rm) if manage else agent
        provider.script([ToolCall("look_up", {"word": "w"}), Reply("42"), Reply("again 42")])
        for _ in range(2):
            graph.invoke(GIVEN, thread("t"))
        state = graph.get_state(thread("t"))
        history = [len(s.values.get("messages", ())) for s in graph.get_state_history(thread("t"))]
        found.append(([(m.type, m.text) for m in state.values["messages"]], history))
    assert found[0] == found[1]
