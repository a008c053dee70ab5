"""Two cores around one thing: the second is refused while the first is open, and told why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.embeddings import FakeEmbeddings
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph

from agentrm_langchain import (
    AgentRMCallbackHandler,
    AgentRMMiddleware,
    ManagedEmbeddings,
    manage,
    wrap_chat_model,
)
from agentrm_langgraph import manage_graph
from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, ConfigError, LaneGroup


def chat() -> Any:
    return FakeListChatModel(responses=["a"])


def client() -> openai.OpenAI:
    return openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9")


def builder() -> Any:
    model = chat()

    def node(_: Any) -> Any:
        return {"messages": [model.invoke("go")]}

    return StateGraph(MessagesState).add_node("a", node).add_edge(START, "a")


def graph(rm: AgentRM) -> Any:
    return manage_graph(builder().compile(), rm)


def around(rm: AgentRM) -> Any:
    return StateGraph(MessagesState).add_node("in", graph(rm)).add_edge(START, "in").compile()


def configurable() -> Any:
    return init_chat_model("openai:m", api_key="k", configurable_fields=("model",))


def on_a_managed_client(rm: AgentRM) -> Any:
    managed = manage_client(client(), rm)
    return ChatOpenAI(model="m", api_key="k", client=managed.chat.completions)


def with_a_callback(rm: AgentRM) -> Any:
    return FakeListChatModel(responses=["a"], callbacks=[AgentRMCallbackHandler(rm)])


TWICE: dict[str, tuple[Callable[[AgentRM], Any], Callable[[Any, AgentRM], Any]]] = {
    "a model": (lambda rm: wrap_chat_model(chat(), rm), wrap_chat_model),
    "a model, managed": (lambda rm: wrap_chat_model(chat(), rm), manage),
    "a chain": (lambda rm: manage(RunnableLambda(str) | chat(), rm), manage),
    "a chain's function": (
        lambda rm: RunnableLambda(wrap_chat_model(chat(), rm).invoke),
        manage,
    ),
    "a configurable model": (lambda rm: wrap_chat_model(configurable(), rm), wrap_chat_model),
    "a model with a callback": (with_a_callback, wrap_chat_model),
    "a model on a client": (on_a_managed_client, wrap_chat_model),
    "a client": (lambda rm: manage_client(client(), rm), manage_client),
    "a copy of a client": (
        lambda rm: manage_client(client(), rm).with_options(timeout=3),
        manage_client,
    ),
    "embeddings": (lambda rm: ManagedEmbeddings(FakeEmbeddings(size=1), rm), ManagedEmbeddings),
    "a graph": (graph, manage_graph),
    "a builder": (lambda rm: manage_graph(builder(), rm), manage_graph),
    "a graph, managed": (lambda rm: manage(builder().compile(), rm), manage),
    "a subgraph": (around, manage_graph),
}


GROUPS = [LaneGroup("model", 2), LaneGroup("node", 2)]


SILENT = {"a configurable model", "a model with a callback"}
"""Nobody answers there; and a callback of a closed core refuses, as it does on the bare model."""


@pytest.fixture
def first() -> Iterator[AgentRM]:
    with AgentRM(lanes=4, groups=GROUPS) as core:
        yield core


@pytest.fixture
def second() -> Iterator[AgentRM]:
    with AgentRM(lanes=4, groups=GROUPS) as core:
        yield core


@pytest.mark.filterwarnings("ignore:.*goes on to retry")
@pytest.mark.parametrize("what", TWICE)
def test_a_second_core_is_refused_while_the_first_is_open(
    first: AgentRM, second: AgentRM, what: str
) -> None:
    """The same core may, another may not; once the first is closed it may, and alone manages."""
    make, again = TWICE[what]
    managed = make(first)
    again(managed, first)
    with pytest.raises(ConfigError, match="managed by another core already"):
        again(managed, second)
    first.close()
    anew = again(managed, second)
    if hasattr(anew, "compile"):
        anew = anew.compile()
    if isinstance(anew, ManagedEmbeddings):
        anew.embed_query("a")
    elif isinstance(managed, ChatOpenAI | openai.OpenAI) or what in SILENT:
        return
    else:
        anew.invoke({"messages": ["go"]} if hasattr(anew, "nodes") else "go")
    assert second.statistics().settled >= 1


def test_a_middleware_takes_over_a_model_of_a_closed_core(first: AgentRM, second: AgentRM) -> None:
    """While that is open, it says so."""
    model = wrap_chat_model(chat(), first)
    agent: Any = create_agent(model, middleware=[AgentRMMiddleware(second)])
    given = {"messages": [("user", "go")]}
    with pytest.raises(ConfigError, match="another core than this middleware's"):
        agent.invoke(given)
    first.close()
    agent.invoke(given)
    assert second.statistics().settled == 1
