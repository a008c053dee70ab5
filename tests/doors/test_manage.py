"""`manage`: one line puts every chat model inside something that exists under management."""

from __future__ import annotations

import dataclasses
import functools
import gc
import logging
import threading
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import (
    ConfigurableField,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    chain,
)
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph

from agentrm_langchain import AgentRMChatModel, manage, wrap_chat_model
from agentrm_plugins import AgentRM, AgentRMWarning, ConfigError
from tests.langchain.fakes import FakeChat

GLOBAL_MODEL: Any = FakeChat()
GLOBAL_CHAIN: Any = ChatPromptTemplate.from_template("{q}") | GLOBAL_MODEL
MODELS: Any = {"small": FakeChat(), "large": FakeChat()}
COUNTED = 0


def uses_globals(text: str) -> str:
    """A function of a user's module, with a model and a chain of that module."""
    return GLOBAL_MODEL.invoke(text).text + helper(text)


def helper(text: str) -> str:
    """Another function of that module."""
    return GLOBAL_CHAIN.invoke({"q": text}).text


def counts(text: str) -> str:
    """A function that writes a global, so that its globals cannot stand for something else."""
    global COUNTED
    COUNTED += 1
    return GLOBAL_MODEL.invoke(text).text


class Shared:
    """A class whose own attribute is a model."""

    llm: Any = FakeChat()


def chooses(text: str) -> str:
    """A function that takes its model from a collection of its module."""
    return MODELS["large"].invoke(text).text


def makes(text: str) -> str:
    """A function that makes its model while it runs, and asks that of a class."""
    return FakeChat().invoke(text).text + Shared.llm.invoke(text).text


@pytest.fixture
def rm() -> Any:
    with AgentRM(lanes=8) as core:
        yield core
        assert core.statistics().running == 0


def calls(rm: AgentRM, runnable: Any, given: Any = "go", config: Any = None) -> int:
    """How many managed calls one run makes; the bare one must make none."""
    before = rm.statistics().submitted
    managed = manage(runnable, rm)
    if not isinstance(runnable, BaseChatModel):
        assert type(managed) is type(runnable)
    runnable.invoke(given, config)
    assert rm.statistics().submitted == before, "the bare one was changed"
    managed.invoke(given, config)
    return rm.statistics().submitted - before


def sequence() -> Any:
    return ChatPromptTemplate.from_template("{q}") | FakeChat() | StrOutputParser()


def closure() -> Any:
    model = FakeChat()
    return RunnableLambda(lambda text: model.invoke(text))


def default() -> Any:
    def ask(text: str, *, model: BaseChatModel = FakeChat()) -> Any:  # noqa: B008
        return model.invoke(text)

    return RunnableLambda(ask)


def decorated() -> Any:
    models = {"a": FakeChat(), "b": [FakeChat()]}

    @chain
    def both(text: str) -> Any:
        return models["a"].invoke(text).text + models["b"][0].invoke(text).text

    return both


WAYS: dict[str, Any] = {
    "a model": (FakeChat, "go", 1),
    "a sequence": (sequence, {"q": "go"}, 1),
    "a binding": (lambda: FakeChat().bind(stop=["x"]).with_config(tags=["t"]), "go", 1),
    "a retry": (lambda: FakeChat().with_retry(), "go", 1),
    "fallbacks": (lambda: FakeChat(fail=True).with_fallbacks([FakeChat()]), "go", 2),
    "a parallel": (lambda: RunnableParallel(a=sequence(), b=sequence()), {"q": "go"}, 2),
    "an assignment": (lambda: RunnablePassthrough.assign(a=sequence()), {"q": "go"}, 1),
    "a branch": (lambda: RunnableBranch((lambda _: False, FakeChat()), FakeChat()), "go", 1),
    "a map": (lambda: FakeChat().map(), ["a", "b"], 2),
    "a closure": (closure, "go", 1),
    "a default": (default, "go", 1),
    "a partial": (
        lambda: RunnableLambda(functools.partial(lambda model, x: model.invoke(x), FakeChat())),
        "go",
        1,
    ),
    "a decorated chain": (decorated, "go", 2),
    "globals": (lambda: RunnableLambda(uses_globals), "go", 2),
    "alternatives": (
        lambda: FakeChat().configurable_alternatives(ConfigurableField("m"), other=FakeChat()),
        "go",
        1,
    ),
    "nested": (
        lambda: RunnableLambda(lambda x: x) | (sequence().with_fallbacks([closure()])).with_retry(),
        {"q": "go"},
        1,
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_models_inside_runnables_are_managed(rm: AgentRM, way: str) -> None:
    """The same kind of object comes back, each model in it is managed, and none was changed."""
    make, given, expected = WAYS[way]
    if way == "fallbacks":
        managed = manage(make(), rm, retry=None)
        assert managed.invoke(given).text
        assert rm.statistics().submitted == expected
        return
    found = calls(rm, make() if callable(make) else make, given)
    assert found == expected


def test_configurable_fields_act_on_the_managed_model(rm: AgentRM) -> None:
    """Of a model with configurable fields, and of one made later."""
    field = ConfigurableField("heat")
    bare = FakeChat().configurable_fields(temperature=field)
    managed: Any = manage(ChatPromptTemplate.from_template("{q}") | bare, rm)
    config: Any = {"configurable": {"heat": 0.7}}
    assert managed.invoke({"q": "go"}, config).text
    model, _ = managed.steps[1]._prepare(config)
    assert isinstance(model, AgentRMChatModel)
    assert model.inner.temperature == 0.7
    later = init_chat_model("openai:gpt-4o", configurable_fields="any", api_key="k")
    chain_of_it: Any = manage(ChatPromptTemplate.from_template("{q}") | later, rm)
    made = chain_of_it.last._model({"configurable": {"model": "gpt-4o-mini"}})
    assert isinstance(made, AgentRMChatModel)
    assert made.inner.model_name == "gpt-4o-mini"


class Caller(FakeChat):
    """Calls each tool once, then answers."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=[{"function": {"name": one.name}} for one in tools])

    def _answer(self, kwargs: Any) -> Any:
        answer = super()._answer(kwargs)
        if len(self.calls) > 1:
            answer.tool_calls = []
        self.calls.append("answered")
        return answer


def tool_that_holds_a_model() -> Any:
    inner = FakeChat()

    @tool
    def summarise(text: str) -> str:
        """Summarise."""
        return inner.invoke(text).text

    return summarise


def test_a_tool_and_an_agent_with_tools_that_hold_models(rm: AgentRM) -> None:
    """The agent's own model, its tools' models and its middleware's."""
    bare = tool_that_holds_a_model()
    managed = manage(bare, rm)
    assert (managed.name, managed.description) == (bare.name, bare.description)
    assert managed.args_schema is bare.args_schema
    managed.invoke({"text": "x"})
    assert rm.statistics().submitted == 1
    seen: list[str] = []
    middleware: Any = SummarizationMiddleware(FakeChat(), trigger=("messages", 1))
    agent = create_agent(Caller(), [bare], middleware=[middleware], checkpointer=InMemorySaver())
    graph = manage(agent, rm, tell=seen.append)
    assert type(graph).__name__ == type(agent).__name__
    config: Any = {"configurable": {"thread_id": "ada"}}
    graph.invoke({"messages": [("user", f"go {n}") for n in range(40)]}, config)
    assert rm.statistics().agent("ada").calls >= 4  # twice the agent's, its tool's, a summary
    assert sum(line.startswith("managed now: FakeChat") for line in seen) == 2
    assert not [line for line in seen if line.startswith("not managed")]


async def test_graphs_compiled_or_not_and_functional(rm: AgentRM) -> None:
    """Nodes' functions, nodes that are chains, subgraphs and tasks; sync and async."""
    one, two, three = FakeChat(), FakeChat(), FakeChat()

    def ask(state: Any) -> Any:
        return {"messages": [one.invoke(state["messages"])]}

    inner = StateGraph(MessagesState).add_node("in", lambda _: {"messages": [two.invoke("x")]})
    builder = StateGraph(MessagesState).add_node("ask", ask)
    builder.add_node("inner", inner.add_edge(START, "in").compile())
    builder.add_edge(START, "ask").add_edge("ask", "inner")

    @task
    def asking(text: str) -> str:
        return str(three.invoke(text).text)

    @entrypoint()
    def flow(text: str) -> str:
        return asking(text).result()

    state: Any = {"messages": [("user", "go")]}
    compiled = manage(builder.compile(), rm)
    compiled.invoke(state)
    await compiled.ainvoke(state)
    manage(builder, rm).compile().invoke(state)
    assert rm.statistics().submitted == 6
    manage(flow, rm).invoke("go")
    assert rm.statistics().submitted == 7
    builder.compile().invoke(state)
    flow.invoke("go")
    assert rm.statistics().submitted == 7


class Service:
    """A user's own object that holds a model, and state beside it."""

    def __init__(self) -> None:
        self.llm: Any = FakeChat()
        self.chains = {"short": self.llm | StrOutputParser()}
        self.asked = 0
        self.lock = threading.Lock()

    def __init_subclass__(cls) -> None:
        raise AssertionError("nobody asked for a subclass")

    def __call__(self, state: MessagesState) -> Any:
        self.ask("once")
        return {"messages": [self.llm.invoke(state["messages"])]}

    def ask(self, text: str) -> Any:
        with self.lock:
            self.asked += 1
        return self.chains["short"].invoke(text)


@dataclasses.dataclass(frozen=True)
class Team:
    """An object of objects, frozen."""

    first: Service

    async def __call__(self, state: MessagesState) -> Any:
        return {"messages": [await self.first.llm.ainvoke(state["messages"])]}


class Slots:
    """What is in a slot cannot be shared with a stand-in."""

    __slots__ = ("llm",)


class Slotted(Slots):
    """The same, below a class with a `__dict__`."""

    def __init__(self) -> None:
        self.llm = FakeChat()

    def ask(self, text: str) -> Any:
        return self.llm.invoke(text)


class Circle:
    """An object that holds a graph of its own methods, and closes something when it goes."""

    def __init__(self) -> None:
        self.llm: Any = FakeChat()
        builder = StateGraph(MessagesState).add_node("a", self.node).add_edge(START, "a")
        self.graph = builder.compile()
        self.open = True

    def node(self, state: MessagesState) -> Any:
        return {"messages": [self.llm.invoke(state["messages"])]}

    def run(self, text: str) -> Any:
        assert self.open
        return self.graph.invoke({"messages": [("user", text)]})["messages"][-1].text

    def __del__(self) -> None:
        self.open = False


def test_an_object_that_holds_a_graph_of_its_own_methods(rm: AgentRM) -> None:
    """Its model is managed on each way, and its end is its own: a stand-in's ends nothing."""
    circle, model = Circle(), FakeChat()
    managed: Any = manage(RunnableLambda(circle.run), rm)
    assert calls_of(rm, managed) == 1
    looked_at = Circle()
    looked_at.llm = None
    manage(RunnableLambda(lambda text: (looked_at.open, model.invoke(text))), rm)
    del managed
    gc.collect()
    assert circle.open
    assert looked_at.open


class Attributes(dict[str, Any]):
    """A mapping whose keys are its attributes, as many have written one."""

    __getattr__ = dict.__getitem__


SETTINGS = Attributes(model=FakeChat(), size=3)


def asks_settings(text: str) -> Any:
    """A function that takes its model from such a mapping."""
    return SETTINGS.model.invoke(text)


def test_a_mapping_whose_attributes_raise_key_errors(rm: AgentRM) -> None:
    """It is asked for nothing that it need not have."""
    manage(RunnableLambda(asks_settings) | FakeChat(), rm)


async def test_objects_of_the_users_that_hold_models(rm: AgentRM) -> None:
    """As a node, as the owner of a method, within another: managed, and their state is one."""
    service, team = Service(), Team(Service())
    builder = StateGraph(MessagesState).add_node("a", service).add_node("b", team)
    builder.add_edge(START, "a").add_edge("a", "b")
    state: Any = {"messages": [("user", "go")]}
    graph: Any = manage(builder.compile(), rm)
    await graph.ainvoke(state)
    assert (rm.statistics().submitted, service.asked) == (3, 1)
    plain = service.llm
    chain: Any = manage(RunnableLambda(service.ask) | RunnableLambda(len), rm)
    before = rm.statistics().submitted
    chain.invoke("go")
    assert (rm.statistics().submitted - before, service.asked) == (1, 2)
    assert service.llm is plain
    service.ask("unmanaged, as it was")
    assert (rm.statistics().submitted - before, service.asked) == (1, 3)
    service.chains = {"short": StrOutputParser()}
    chain.invoke("go")
    assert rm.statistics().submitted - before == 1  # what the object holds now counts


def test_what_cannot_be_reached_is_told(rm: AgentRM, caplog: Any) -> None:
    """Models in objects whose class forbids a stand-in, or beside a global that is written."""
    caplog.set_level(logging.INFO, logger="agentrm.langchain")
    service = Slotted()
    with pytest.warns(AgentRMWarning, match="not managed: FakeChat at"):
        manage(RunnableLambda(service.ask) | RunnableLambda(counts) | FakeChat(), rm)
    told = [(one.levelname, one.getMessage()) for one in caplog.records]
    assert [level for level, _ in told].count("WARNING") == 2
    assert any("FakeChat at" in text and ".llm" in text for _, text in told)
    assert any("GLOBAL_MODEL" in text for level, text in told if level == "WARNING")
    assert any(text.startswith("managed now: FakeChat at") for _, text in told)


def test_models_of_a_collection_of_the_module_are_managed(rm: AgentRM) -> None:
    """A table of models by name is a usual thing."""
    managed: Any = manage(RunnableLambda(chooses), rm)
    assert calls_of(rm, managed) == 1
    assert type(MODELS["large"]) is FakeChat


def test_models_that_come_to_be_while_it_runs_are_told(rm: AgentRM) -> None:
    """Nothing can stand in for what is made later, or for a class's own attribute."""
    told: list[str] = []
    manage(RunnableLambda(makes) | FakeChat(), rm, tell=told.append)
    missed = [line for line in told if line.startswith("not managed: FakeChat at ")]
    assert len(missed) == 2
    assert any("makes.FakeChat()" in line for line in missed)
    assert any("makes.Shared.llm" in line for line in missed)


def test_shared_state_stays_shared(rm: AgentRM) -> None:
    """Functions that are copied go on to share what they shared with others."""
    model, count, seen = FakeChat(), 0, []

    def ask(text: str) -> Any:
        nonlocal count
        count += 1
        seen.append(text)
        return model.invoke(text)

    managed = manage(RunnableLambda(ask), rm)
    managed.invoke("a")
    managed.invoke("b")
    assert (count, seen, rm.statistics().submitted) == (2, ["a", "b"], 2)


def test_mistakes(rm: AgentRM) -> None:
    """Nothing to manage, another core's model, managed twice."""
    with pytest.raises(ConfigError, match="no chat model in it that could be reached"):
        manage(RunnableLambda(lambda x: x), rm)
    once = manage(sequence(), rm)
    twice = manage(once, rm)
    assert twice is once
    with AgentRM() as other, pytest.raises(ConfigError, match="another core"):
        manage(once, other)
    mixed: Any = wrap_chat_model(FakeChat(), rm) | RunnableLambda(lambda x: x.text) | FakeChat()
    assert calls_of(rm, manage(mixed, rm)) == 2


def calls_of(rm: AgentRM, runnable: Any) -> int:
    before = rm.statistics().submitted
    runnable.invoke("go")
    return rm.statistics().submitted - before
