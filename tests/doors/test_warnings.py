"""What would go wrong in silence is said once: models that slip past, retries of the SDK."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any, TypedDict

import openai
import pytest
from langchain.agents import create_agent
from langchain_core.language_models import FakeListChatModel, FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph

from agentrm_langchain import (
    AgentRMCallbackHandler,
    AgentRMMiddleware,
    manage,
    wrap_chat_model,
)
from agentrm_langgraph import manage_graph
from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, AgentRMWarning, LaneGroup

NODES = (LaneGroup("model", 2), LaneGroup("node", 2))


class State(TypedDict):
    text: str


def bare(responses=("hi",)):
    return FakeListChatModel(responses=list(responses))


def graph_of(model):
    """A graph whose node makes or uses a model that nobody can find from outside."""
    hidden = {"model": model}

    def ask(state: State) -> Any:
        return {"text": hidden["model"].invoke(state["text"]).content}

    async def ask_async(state: State) -> Any:
        return {"text": (await hidden["model"].ainvoke(state["text"])).content}

    from langgraph._internal._runnable import RunnableCallable

    builder = StateGraph(State)
    builder.add_node("ask", RunnableCallable(ask, ask_async, name="ask"))
    builder.add_edge(START, "ask")
    return builder.compile()


def caught(run):
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        run()
    return [str(one.message) for one in met if issubclass(one.category, AgentRMWarning)]


def run_graph(graph, way, config=None):
    def run():
        if way == "invoke":
            graph.invoke({"text": "go"}, config)
        elif way == "ainvoke":
            asyncio.run(graph.ainvoke({"text": "go"}, config))
        else:
            list(graph.stream({"text": "go"}, config))

    return run


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream"])
@pytest.mark.parametrize("groups", [(), NODES], ids=["without lanes", "lanes for nodes"])
def test_a_bare_model_in_a_managed_node_is_told_once(way, groups):
    """With the node's name, the way out and how to silence it; a second run says nothing more."""
    with AgentRM(lanes=2, groups=groups) as rm:
        graph = manage_graph(graph_of(bare()), rm)
        [text] = caught(run_graph(graph, way))
        assert "FakeListChatModel" in text
        assert "'ask'" in text
        assert "manage(graph, rm)" in text
        assert "warnings.filterwarnings" in text
        assert caught(run_graph(graph, way)) == []
    with AgentRM(lanes=2, groups=groups) as other:  # each core says it for itself
        assert len(caught(run_graph(manage_graph(graph_of(bare()), other), way))) == 1


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream"])
@pytest.mark.parametrize("groups", [(), NODES], ids=["without lanes", "lanes for nodes"])
@pytest.mark.parametrize("managed", ["wrapped", "callback"])
def test_managed_models_are_no_reason_to_warn(way, groups, managed):
    """Neither a wrapped model nor one that our callback manages."""
    with AgentRM(lanes=2, groups=groups) as rm:
        config = None
        model: Any = bare()
        if managed == "wrapped":
            model = wrap_chat_model(model, rm)
        else:
            config = {"callbacks": [AgentRMCallbackHandler(rm)]}
        graph = manage_graph(graph_of(model), rm)
        assert caught(run_graph(graph, way, config)) == []
        assert rm.statistics().settled >= 1


def test_a_model_beside_the_graph_is_the_users_own_affair():
    """Outside of managed nodes nobody watches."""
    with AgentRM(lanes=2) as rm:
        graph = manage_graph(graph_of(wrap_chat_model(bare(), rm)), rm)
        assert caught(lambda: (graph.invoke({"text": "go"}), bare().invoke("go"))) == []


def test_where_warnings_are_errors_no_call_fails():
    """Who only looks on does not end what it looks at."""
    with AgentRM(lanes=2) as rm, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert manage_graph(graph_of(bare()), rm).invoke({"text": "go"})["text"] == "hi"


def test_a_silenced_warning_stays_silent():
    """By its category."""
    with AgentRM(lanes=2) as rm, warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", category=AgentRMWarning)
        manage_graph(graph_of(bare()), rm).invoke({"text": "go"})
    assert not [one for one in met if issubclass(one.category, AgentRMWarning)]


class Calling(FakeMessagesListChatModel):
    """An agent's model that calls each tool once."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self


def agent_with(rm, helper, **fields):
    """An agent whose tool asks another model."""

    @tool
    def ask_expert(question: str) -> str:
        """Ask an expert."""
        return helper.invoke(question).text

    call = {"name": "ask_expert", "args": {"question": "why"}, "id": "1"}
    answers = [AIMessage("", tool_calls=[call]), AIMessage("done")] * 2
    model = Calling(responses=answers)
    return create_agent(model, [ask_expert], middleware=[AgentRMMiddleware(rm)], **fields)


def ask(agent, config=None):
    return lambda: agent.invoke({"messages": [("user", "go")]}, config)


def test_a_tools_own_model_slips_past_the_middleware_and_that_is_told_once():
    """It manages the agent's model alone; the text names the tool and both ways out."""
    with AgentRM(lanes=2) as rm:
        agent = agent_with(rm, bare())
        [text] = caught(ask(agent))
        for words in ("'ask_expert'", "FakeListChatModel", "manage(agent, rm)", "wrap_chat_model"):
            assert words in text
        assert caught(ask(agent)) == []
        assert rm.statistics().settled == 4, "the tool's calls were not managed"


@pytest.mark.parametrize("way", ["wrapped", "whole", "callback"])
def test_a_tools_managed_model_is_no_reason_to_warn(way):
    """Wrapped where it is made, managed with the whole agent, or under our callback."""
    with AgentRM(lanes=2) as rm:
        helper: Any = wrap_chat_model(bare(), rm) if way == "wrapped" else bare()
        agent = agent_with(rm, helper)
        if way == "whole":
            agent = manage(agent, rm)
        config = {"callbacks": [AgentRMCallbackHandler(rm)]} if way == "callback" else None
        assert caught(ask(agent, config)) == []
        assert rm.statistics().settled == 3


def chat(**fields):
    return ChatOpenAI(
        model="gpt-4o", api_key="not-a-key", base_url="http://127.0.0.1:9/v1", **fields
    )


def test_the_sdks_own_retries_are_told_once():
    """Where they are kept on purpose, for models, graphs and clients; the key is nowhere."""
    with AgentRM(lanes=2) as rm:
        [text] = caught(lambda: wrap_chat_model(chat(max_retries=6), rm, keep_sdk_retries=True))
        assert "ChatOpenAI" in text
        assert "max_retries=6" in text
        assert caught(lambda: manage(chat(), rm, keep_sdk_retries=True)) == []
    with AgentRM(lanes=2) as rm, openai.OpenAI(api_key="not-a-key") as client:
        [text] = caught(lambda: manage_client(client, rm, keep_sdk_retries=True))
        assert "max_retries=2" in text
        assert "not-a-key" not in text


def test_retries_that_are_off_are_no_reason_to_warn():
    """Management turns them off, or the user has."""
    with AgentRM(lanes=2) as rm, openai.OpenAI(api_key="k", max_retries=0) as client:
        assert caught(lambda: wrap_chat_model(chat(), rm)) == []
        assert caught(lambda: wrap_chat_model(chat(max_retries=0), rm, keep_sdk_retries=True)) == []
        assert caught(lambda: manage_client(client, rm, keep_sdk_retries=True)) == []


def test_a_callback_cannot_turn_retries_off_and_says_so():
    """It sees the model, not its client."""
    with AgentRM(lanes=2) as rm:
        model = chat(max_retries=1, timeout=5)
        handler = AgentRMCallbackHandler(rm)

        def ask():
            with pytest.raises(openai.APIConnectionError):
                model.invoke("hi", {"callbacks": [handler]})

        [text] = caught(ask)
        assert "ChatOpenAI" in text
        assert caught(ask) == []


def test_a_model_of_unknown_kind_keeps_its_retries_and_that_is_told():
    """No switch is known for it, and it says that it retries."""

    class Unheard(FakeListChatModel):
        max_retries: int = 3

    with AgentRM(lanes=2) as rm:
        [text] = caught(lambda: wrap_chat_model(Unheard(responses=["hi"]), rm))
        assert "Unheard" in text
