"""All doors of the library, each a function that makes one managed call where it is called."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph

from agentrm_langchain import (
    AgentRMCallbackHandler,
    AgentRMMiddleware,
    manage,
    wrap_chat_model,
)
from agentrm_langgraph import manage_graph, managed_node
from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, LaneGroup
from agentrm_plugins.testing.provider import SimulatedProvider
from tests.langchain.fakes import FakeChat

GROUPS = tuple(LaneGroup(name, 4) for name in ("model", "node", "tools"))


class Doors:
    """One way in per method: `slot(config, **own)` and so on, each of which makes one call.

    Args:
        rm: The core.
        url: Of the simulated provider.
        is_async: Whether the async twin of each way is taken.
    """

    names = (
        "slot",
        "model",
        "callback",
        "middleware",
        "tool_call",
        "graph",
        "task",
        "manage",
        "client",
    )
    take_config = ("model", "callback", "middleware", "tool_call", "graph", "task", "manage")

    def __init__(self, rm: AgentRM, url: str, *, is_async: bool) -> None:
        self.rm = rm
        self.url = url
        self.is_async = is_async

    def _invoke(self, runnable: Any, given: Any, config: Any) -> None:
        if self.is_async:
            asyncio.run(runnable.ainvoke(given, config))
        else:
            runnable.invoke(given, config)

    def slot(self, config: Any = None, **own: Any) -> None:
        """`AgentRM.slot`."""

        async def inside() -> None:
            async with self.rm.slot(**own):
                pass

        if self.is_async:
            asyncio.run(inside())
            return
        with self.rm.slot(**own):
            pass

    def model(self, config: Any = None, **own: Any) -> None:
        """`wrap_chat_model`."""
        self._invoke(wrap_chat_model(FakeChat(), self.rm, **own), "go", config)

    def callback(self, config: Any = None, **own: Any) -> None:
        """`AgentRMCallbackHandler`."""
        handler = AgentRMCallbackHandler(self.rm, **own)
        self._invoke(FakeChat(), "go", {**(config or {}), "callbacks": [handler]})

    def _agent(self, tools: list[Any], config: Any, own: Any) -> None:
        middleware = AgentRMMiddleware(self.rm, tools=bool(tools) and "tools", **own)
        agent = create_agent(_CallsOnce(), tools, middleware=[middleware])
        self._invoke(agent, {"messages": [("user", "go")]}, config)

    def middleware(self, config: Any = None, **own: Any) -> None:
        """`AgentRMMiddleware`, an agent's model call."""
        self._agent([], config, own)

    def tool_call(self, config: Any = None, **own: Any) -> None:
        """`AgentRMMiddleware`, a tool's call in a lane, which asks for a slot again."""

        @tool
        def look(text: str) -> str:
            """Look."""
            self.slot()
            return text

        self._agent([look], config, own)

    def manage(self, config: Any = None, **own: Any) -> None:
        """`manage`: an agent's model calls, its nodes, and a tool's call in a lane."""

        @tool
        def look(text: str) -> str:
            """Look."""
            self.slot()
            return text

        agent = manage(create_agent(_CallsOnce(), [look]), self.rm, **own)
        self._invoke(agent, {"messages": [("user", "go")]}, config)

    def graph(self, config: Any = None, **own: Any) -> None:
        """`manage_graph`, a node with a lane, which asks for a slot again."""
        builder = StateGraph(MessagesState).add_node("node", lambda _: self.slot() or {})
        graph = manage_graph(builder.add_edge(START, "node").compile(), self.rm, **own)
        self._invoke(graph, {"messages": []}, config)

    def task(self, config: Any = None, agent: str | None = None, **own: Any) -> None:
        """`managed_node`, one function in a graph that is not managed."""
        name = None if agent is None else lambda _: agent
        node = managed_node(lambda _: {}, self.rm, lane="node", agent=name, **own)
        builder = StateGraph(MessagesState).add_node("node", node)
        self._invoke(builder.add_edge(START, "node").compile(), {"messages": []}, config)

    def client(self, config: Any = None, **own: Any) -> None:
        """`manage_client`."""
        said = {"model": "gpt-4o", "messages": [{"role": "user", "content": "go"}]}

        async def inside() -> None:
            async with openai.AsyncOpenAI(base_url=self.url, api_key="test") as bare:
                await manage_client(bare, self.rm, **own).chat.completions.create(**said)

        if self.is_async:
            asyncio.run(inside())
            return
        with openai.OpenAI(base_url=self.url, api_key="test") as bare:
            manage_client(bare, self.rm, **own).chat.completions.create(**said)

    def ask(self, name: str, config: Any = None, **own: Any) -> set[tuple[Any, ...]]:
        """Make a call by this door, and say for whom it was: tenant, agent, parent, level."""
        before = {key: one.calls for key, one in self.rm.statistics().agents.items()}
        getattr(self, name)(config, **own)
        return {
            (one.tenant, key.rpartition("/")[2], one.parent, one.level)
            for key, one in self.rm.statistics().agents.items()
            if one.calls > before.get(key, 0)
        }


class _CallsOnce(FakeChat):
    """Asks for the first tool that it is given until it has the tool's answer."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=[{"function": {"name": tools[0].name}}])

    def _answer(self, kwargs: Any) -> Any:
        answer = super()._answer(kwargs)
        if len(self.calls) > 1:
            answer.tool_calls = []
        self.calls.append("answered")
        return answer


@pytest.fixture(scope="session")
def provider_url() -> Any:
    with SimulatedProvider() as provider:
        yield provider.base_url


@pytest.fixture(params=["sync", "async"])
def doors(request: pytest.FixtureRequest, provider_url: str) -> Any:
    """All doors of one core, in both colours."""
    # Hints choose a level, and nobody leaves it: an agent's first call may import for seconds.
    quanta = {"order": "mlfq_textbook", "time_quanta_s": (600.0,) * 4}
    with AgentRM(lanes=8, groups=GROUPS, **quanta) as rm:
        yield Doors(rm, provider_url, is_async=request.param == "async")
        seen = rm.statistics()
        assert (seen.running, seen.waiting, seen.lanes_in_use) == (0, 0, 0)
