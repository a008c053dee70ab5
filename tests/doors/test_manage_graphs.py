"""`manage` on graphs: a model is reached wherever LangGraph calls users' code, or it is told."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, TypedDict

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.cache.memory import InMemoryCache
from langgraph.channels import BinaryOperatorAggregate, EphemeralValue
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.pregel import NodeBuilder, Pregel
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import CachePolicy, Command, RetryPolicy, Send
from pydantic import AfterValidator, BaseModel, Field, create_model

from agentrm_langchain import manage
from agentrm_langchain.survey import surveyed
from agentrm_langgraph import manage_graph
from agentrm_plugins import AgentRM, ConfigError


class State(TypedDict, total=False):
    x: str


def chat() -> FakeListChatModel:
    """It answers with the name of the node that routers go to."""
    return FakeListChatModel(responses=["b"])


SHARED = chat()


def builder() -> Any:
    return StateGraph(State)


def plain(_: Any) -> Any:
    return {"x": "done"}


def routed(router: Any, path_map: Any = None) -> Any:
    built = builder().add_node("a", plain).add_node("b", plain).add_edge(START, "a")
    return built.add_conditional_edges("a", router, path_map)


def one(node: Any, **options: Any) -> Any:
    return builder().add_node("a", node, **options).add_edge(START, "a")


def by_closure() -> Any:
    model = chat()
    return routed(lambda _: model.invoke("go").content)


async def _asks(_: State, *, model: Any) -> Any:
    return (await model.ainvoke("go")).content


def by_an_async_one() -> Any:
    return routed(functools.partial(_asks, model=chat()))


def by_a_chain() -> Any:
    return routed(RunnableLambda(lambda _: "go") | chat() | StrOutputParser(), {"b": "b"})


class Router:
    def __init__(self) -> None:
        self.model = chat()

    def go(self, _: State) -> Literal["b"]:
        return str(self.model.invoke("go").content)  # type: ignore[return-value]

    def __call__(self, _: State) -> str:
        return str(self.model.invoke("go").content)


def by_a_default() -> Any:
    def router(_: State, *, model: Any = chat()) -> str:  # noqa: B008
        return str(model.invoke("go").content)

    return routed(router)


def at_the_entry() -> Any:
    model = chat()
    return (
        builder()
        .add_node("b", plain)
        .add_conditional_edges(
            START, lambda _: [Send(str(model.invoke("go").content), {"x": "1"})], ["b"]
        )
    )


def by_a_command() -> Any:
    model = chat()

    def node(_: State) -> Command[Literal["b"]]:
        return Command(goto=model.invoke("go").content)  # type: ignore[arg-type]

    return one(node).add_node("b", plain)


def in_a_reducer() -> Any:
    model = chat()

    def reducer(_: Any, __: Any) -> str:
        return str(model.invoke("go").content)

    summed: Any = TypedDict("summed", {"x": Annotated[str, reducer], "y": str})
    built = StateGraph(summed).add_node("a", plain).add_edge(START, "a")
    return built.add_node("b", lambda _: {"y": "1"}).add_edge("a", "b")


def in_a_retry() -> Any:
    model, tries = chat(), []

    def node(_: State) -> Any:
        tries.append(1)
        if len(tries) % 2:
            raise ValueError
        return {"x": "1"}

    policy = RetryPolicy(initial_interval=0.001, retry_on=lambda _: bool(model.invoke("go")))
    return one(node, retry_policy=policy)


def in_a_cache_key() -> Any:
    model = chat()
    return one(plain, cache_policy=CachePolicy(key_func=lambda *_, **__: model.invoke("go").text))


def in_an_error_handler() -> Any:
    model = chat()

    def node(_: State) -> Any:
        raise ValueError

    return one(node, error_handler=lambda _: {"x": model.invoke("go").content})


def in_a_subgraph() -> Any:
    return one(by_closure().compile())


def in_a_called_graph() -> Any:
    inner = by_closure().compile()
    return one(lambda state: {"x": inner.invoke(state)["x"]})


BUILT: dict[str, Callable[[], Any]] = {
    "a router": by_closure,
    "an async router": by_an_async_one,
    "a router that is a chain": by_a_chain,
    "a router that is a method": lambda: routed(Router().go),
    "a router that is an object": lambda: routed(Router()),
    "a router's default": by_a_default,
    "an entry that sends": at_the_entry,
    "a command": by_a_command,
    "a reducer": in_a_reducer,
    "a retry's condition": in_a_retry,
    "a cache's key": in_a_cache_key,
    "an error's handler": in_an_error_handler,
    "a subgraph's router": in_a_subgraph,
    "a router of a graph that is called": in_a_called_graph,
}


@pytest.fixture
def rm() -> Iterator[AgentRM]:
    with AgentRM(lanes=4) as core:
        yield core


def run(graph: Any, given: Any) -> None:
    """Async routers need an async run."""
    try:
        graph.invoke(given)
    except TypeError:
        asyncio.run(graph.ainvoke(given))


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "not compiled"])
@pytest.mark.parametrize("where", BUILT)
def test_a_model_that_no_node_holds_is_managed(rm: AgentRM, where: str, compiled: bool) -> None:
    """The one model of the graph is called once by way of the core; nothing is told as missed."""
    built, told = BUILT[where](), list[str]()
    cache = {"cache": InMemoryCache()} if where == "a cache's key" else {}
    bare = built.compile(**cache) if compiled else built
    managed: Any = manage(bare, rm, tell=told.append)
    graph = managed if compiled else managed.compile(**cache)
    run(graph, {"x": "go"})
    asked = 2 if where == "a reducer" else 1  # for the input, too
    assert rm.statistics().settled == asked
    assert [line for line in told if line.startswith("not managed")] == []
    run(bare if compiled else bare.compile(**cache), {"x": "go"})
    assert rm.statistics().settled == asked, "what was given was changed"


def test_the_survey_sees_a_router_too() -> None:
    """`agentrm doctor` looks with the same eyes."""
    for bare in (by_closure(), by_closure().compile()):
        assert [one.kind for one in surveyed(bare, "graph").found] == ["graph", "model"]


def test_the_parts_of_a_pregel_graph(rm: AgentRM) -> None:
    """What maps a node's output, and a channel's operator."""
    model = chat()

    def ask(*_: Any) -> Any:
        return model.invoke("go").content

    channels: Any = {
        "a": EphemeralValue(str),
        "b": EphemeralValue(str),
        "c": BinaryOperatorAggregate(str, ask),
    }
    node = NodeBuilder().subscribe_only("a").do(lambda x: x).write_to("c", b=ask)
    graph: Any = Pregel(
        nodes={"n": node}, channels=channels, input_channels=["a"], output_channels=["b", "c"]
    )
    manage(graph, rm).invoke({"a": "go"})
    assert rm.statistics().settled == 2


def test_a_model_in_the_graphs_own_config(rm: AgentRM) -> None:
    """It is handed to a node by `with_config(configurable=...)`."""

    def node(_: State, config: RunnableConfig) -> Any:
        return {"x": config["configurable"]["model"].invoke("go").content}

    bare: Any = one(node).compile().with_config(configurable={"model": chat()})
    manage(bare, rm).invoke({"x": "go"})
    assert rm.statistics().settled == 1


def test_a_graph_whose_nodes_are_managed_already(rm: AgentRM) -> None:
    """`manage_graph` managed its nodes alone: its models are managed now; twice is once."""
    managed: Any = manage(manage_graph(by_closure().compile(), rm), rm)
    managed.invoke({"x": "go"})
    assert rm.statistics().settled == 1
    assert manage(managed, rm) is managed


def test_a_graph_that_calls_itself(rm: AgentRM) -> None:
    """The graph that it calls is the managed one, all the way down; tasks that call tasks too."""
    model, depth, box = chat(), [2], {}

    def node(_: State) -> Any:
        model.invoke("go")
        depth[0] -= 1
        return box["graph"].invoke({"x": "go"}) if depth[0] >= 0 else {"x": "done"}

    bare = one(node).compile()
    box["graph"] = bare
    manage(bare, rm).invoke({"x": "go"})
    assert rm.statistics().settled == 3

    @task(retry_policy=RetryPolicy(initial_interval=0.001, retry_on=lambda _: bool(ask())))
    def deeper(n: int) -> int:
        ask()
        return n and deeper(n - 1).result()

    def ask() -> Any:
        return model.invoke("go")

    @entrypoint()
    def flow(n: int) -> int:
        return deeper(n).result()

    manage(flow, rm).invoke(2)
    assert rm.statistics().settled == 6


def store_embeds() -> Any:
    model = chat()

    def embed(texts: Any) -> Any:
        return [[float(len(model.invoke(text).text))] for text in texts]

    def node(_: State, *, store: BaseStore) -> Any:
        store.put(("a",), "k", {"text": "x"})
        return {"x": "1"}

    return one(node).compile(store=InMemoryStore(index={"dims": 1, "embed": embed}))


@dataclasses.dataclass
class Context:
    model: Any = dataclasses.field(default_factory=lambda: SHARED)


def context_makes() -> Any:
    def node(_: State, runtime: Runtime[Context]) -> Any:
        return {"x": runtime.context.model.invoke("go").content}

    built = StateGraph(State, context_schema=Context).add_node("a", node)
    return built.add_edge(START, "a").compile()


def state_asks() -> Any:
    model = chat()

    class Asking(BaseModel):
        x: str = ""
        y: str = Field(default_factory=lambda: model.invoke("go").text)

    return StateGraph(Asking).add_node("a", lambda s: {"x": s.y}).add_edge(START, "a").compile()


def state_checks() -> Any:
    model = chat()

    def check(_: str) -> str:
        return str(model.invoke("go").text)

    checked: Any = create_model("checked", x=(Annotated[str, AfterValidator(check)], ""))
    return StateGraph(checked).add_node("a", lambda s: {"x": s.x}).add_edge(START, "a").compile()


@pytest.mark.parametrize(
    "make", [store_embeds, context_makes, state_asks, state_checks], ids=lambda make: make.__name__
)
def test_what_nothing_can_stand_in_for_is_told(rm: AgentRM, make: Callable[[], Any]) -> None:
    """A store's own function, and what the classes of the state and the context ask or make."""
    with pytest.raises(ConfigError, match="out of reach: FakeListChatModel at CompiledStateGraph"):
        manage(make(), rm)
