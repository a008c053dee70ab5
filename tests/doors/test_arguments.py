"""What every door takes by name: all of it is told by the signature, and a typo by an error."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import fields as fields_of
from typing import Any, get_args

import openai
import pytest
from langchain.chat_models import init_chat_model
from langchain_core.embeddings import DeterministicFakeEmbedding as FakeEmbeddings
from langchain_core.language_models import FakeListChatModel
from langgraph.graph import MessagesState, StateGraph

import agentrm_langchain
import agentrm_langgraph
import agentrm_plugins
from agentrm_langchain import (
    AgentRMCallbackHandler,
    AgentRMChatModel,
    AgentRMMiddleware,
    manage,
    wrap_chat_model,
)
from agentrm_langchain.embeddings import ManagedEmbeddings
from agentrm_langgraph import manage_graph, managed_node
from agentrm_openai import manage_client
from agentrm_plugins import (
    AgentRM,
    BudgetConfig,
    Config,
    ConfigError,
    ContextConfig,
    ContextLifecycle,
    EndpointConfig,
    LaneGroup,
    SchedulerConfig,
    events,
)
from agentrm_plugins.config import Order, OrderName
from agentrm_plugins.integration import Priority, PriorityName

DOORS: dict[str, Any] = {
    "AgentRM": lambda _rm, **typo: AgentRM(**typo),
    "slot": lambda rm, **typo: rm.slot(**typo),
    "identity": lambda rm, **typo: rm.identity(**typo),
    "wrap_chat_model": lambda rm, **typo: wrap_chat_model(_model(), rm, **typo),
    "AgentRMChatModel": lambda rm, **typo: AgentRMChatModel(_model(), rm, **typo),
    "callback": lambda rm, **typo: AgentRMCallbackHandler(rm, **typo),
    "middleware": lambda rm, **typo: AgentRMMiddleware(rm, **typo),
    "manage_graph": lambda rm, **typo: manage_graph(StateGraph(MessagesState), rm, **typo),
    "managed_node": lambda rm, **typo: managed_node(_model, rm, **typo),
    "manage_client": lambda rm, **typo: manage_client(openai.OpenAI(api_key="k"), rm, **typo),
}
TYPOS = {
    "AgentRM": ("lane", "lanes"),
    "manage_graph": ("lanes", "lane"),
    "managed_node": ("lanes", "lane"),
}


def _model() -> FakeListChatModel:
    return FakeListChatModel(responses=["hello"])


@pytest.mark.parametrize("door", DOORS)
def test_a_typo_is_told_with_what_was_meant(door: str) -> None:
    """An argument that is not there is named with the one that is, and its value is not shown."""
    typo, meant = TYPOS.get(door, ("agnet", "agent"))
    with AgentRM(lanes=1) as rm:
        with pytest.raises(
            ConfigError, match=rf"{typo} \(a str\): .*did you mean '{meant}'"
        ) as caught:
            DOORS[door](rm, **{typo: "sk-secret"})
        assert "secret" not in str(caught.value)
        with pytest.raises(ConfigError, match="no such argument"):
            DOORS[door](rm, zzzzzz=1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: EndpointConfig(tmp=60), "tmp.*did you mean 'tpm'"),
        (lambda: ContextConfig(budget=500), "budget.*did you mean 'budget_tokens'"),
        (lambda: BudgetConfig(limt=5), "limt.*did you mean 'limit'"),
        (lambda: LaneGroup("model", 2, size=3), "size.*no such argument"),
        (lambda: AgentRM(max_concurrency=4), "did you mean 'lanes'"),
        (lambda: AgentRM(4), r"config=4: .*AgentRM\(lanes=4\)"),
        (lambda: AgentRM("agentrm.toml"), r"AgentRM\.from_config\(path\)"),
        (lambda: AgentRM({"lanes": 4}), r"AgentRM\(\*\*config\)"),
        (lambda: AgentRM().update(4), r"update\(lanes=4\)"),
        (lambda: AgentRM(rpm=60), r"endpoints=\{.*EndpointConfig\(rpm=\.\.\.\)"),
        (
            lambda: AgentRM(budgets=BudgetConfig(5, agent="*")),
            r"budgets.*a list of BudgetConfig\(\.\.\.\)",
        ),
        (lambda: AgentRM(groups=LaneGroup("model", 2)), r"groups.*a list of LaneGroup"),
        (lambda: AgentRM(shares=3), r"shares \(an int\): .*a list of ShareConfig"),
        (lambda: AgentRM(endpoints={"x": {"rpm": 1}}), r"give an EndpointConfig\(\.\.\.\)"),
        (lambda: ContextLifecycle(500), r"config=500: give a ContextConfig\(\.\.\.\)"),
        (lambda: AgentRMMiddleware(AgentRM(), user="ada"), "did you mean 'tenant'"),
    ],
)
def test_what_newcomers_write_is_told_with_the_way_out(make: Any, words: str) -> None:
    """Names of other libraries, one object for a list, a number for a configuration."""
    with pytest.raises(ConfigError, match=words):
        make()


def test_a_value_that_is_not_shown_is_not_told_as_one() -> None:
    """What it is stands in words, not where a value stands, and crosses a process border so."""
    with pytest.raises(ConfigError) as caught:
        AgentRM(lane=4)
    error = caught.value
    assert str(error) == "lane (an int): there is no such argument; did you mean 'lanes'?"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    for value, words in ((None, "None"), (AgentRM, "the class AgentRM"), ("sk-x", "a str")):
        told = ConfigError.of_kind("key", value, "leave it out")
        assert str(told) == f"key ({words}): leave it out"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (AgentRM, r"the model comes first: wrap_chat_model\(model, rm\)"),
        (lambda: "openai:gpt-4o", "init_chat_model"),
        (lambda: _model() | str, r"manage\(runnable, rm\)"),
        (lambda: openai.OpenAI(api_key="k"), r"manage_client\(client, rm\)"),
        (lambda: _model().bind(stop=["x"]), "wrap the model first, then call bind_tools"),
    ],
)
def test_what_is_no_model_is_told_where_it_belongs(model: Any, words: str) -> None:
    """Arguments in the wrong order, a name, a chain, a client."""
    with AgentRM(lanes=1) as rm, pytest.raises(ConfigError, match=words):
        wrap_chat_model(model(), rm)


async def _begun() -> None:
    """A coroutine function that somebody calls too early."""


def _empty() -> StateGraph[Any]:
    builder = StateGraph(MessagesState)
    builder.add_node("a", lambda _: {})
    return builder.add_edge("__start__", "a")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: "openai:gpt-4o", r"runnable \(a str\): .*init_chat_model\(name\)"),
        (lambda: None, r"runnable \(None\): .*return it\?"),
        (
            lambda: FakeListChatModel,
            r"\(the class FakeListChatModel\): .*FakeListChatModel\(\.\.\.\)",
        ),
        (lambda: AgentRMMiddleware, r"this is a class"),
        (lambda: _begun, r"runnable \(a function\): .*wrap_chat_model\(model, rm\)"),
        (lambda: lambda: 1, r"runnable \(a function\): .*wrap_chat_model\(model, rm\)"),
        (lambda: (n for n in ()), r"has begun already; give the function itself"),
        (lambda: AgentRM(), r"comes first: manage\(runnable, rm\)"),
        (lambda: openai.OpenAI(api_key="k"), r"manage_client\(client, rm\)"),
        (lambda: openai.OpenAI(api_key="k").chat.completions, r"manage_client\(client, rm\)"),
        (_empty, r"\(a StateGraph\): .*manage_graph\(graph, rm\)"),
        (lambda: _empty().compile(), r"\(a CompiledStateGraph\): .*manage_graph\(graph, rm\)"),
    ],
)
def test_what_holds_no_model_is_told_what_to_give(make: Any, words: str) -> None:
    """A name, a class, a client, a graph without a model: each is told its own way out."""
    with AgentRM(lanes=1) as rm, pytest.raises(ConfigError, match=words):
        manage(make(), rm)


def test_a_coroutine_given_to_manage_is_told_to_be_the_function() -> None:
    """It is left as it was: whoever made it may still await it."""
    coroutine = _begun()
    with AgentRM(lanes=1) as rm, pytest.raises(ConfigError, match="without the \\(\\)"):
        manage(coroutine, rm)
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
    coroutine.close()


def test_the_facade_names_every_setting() -> None:
    """`AgentRM` takes each field of `Config` and `SchedulerConfig` by its name."""
    names = {field.name for kind in (Config, SchedulerConfig) for field in fields_of(kind)}
    beside = {"config", "clock", "record", "monitor", "coordination", "namespace"}
    assert inspect.signature(AgentRM).parameters.keys() - beside == names
    with AgentRM(endpoint_wait_timeout_s=None) as rm:
        assert rm.config.endpoint_wait_timeout_s is None
    with AgentRM() as rm:
        assert rm.config == Config()
    with pytest.raises(ConfigError, match="either a Config or single fields"):
        AgentRM(Config(), lanes=2)


def test_what_a_running_core_takes_is_told_as_at_its_beginning() -> None:
    """`update` takes each setting under the same name and type as `AgentRM`, but what is fixed."""
    begun = inspect.signature(AgentRM).parameters
    running = dict(inspect.signature(AgentRM.update).parameters)
    for beside in ("self", "priorities"):
        del running[beside]
    assert running == {name: begun[name] for name in running}
    fixed = {field.name for field in fields_of(Config)} - running.keys()
    assert fixed == {"scheduler", "providers"}


def test_every_kind_of_event_is_at_the_users_door() -> None:
    """Each class of the union `Effect` has a word, and is a name of `agentrm_plugins.events`."""
    kinds = get_args(events.Effect)
    assert list(events.KINDS.values()) == list(kinds)
    beside = {"Effect", "EventStream", "KINDS", "kind_of"}
    assert set(events.__all__) - beside == {kind.__name__ for kind in kinds}


def test_the_words_that_are_typed_are_those_that_are_taken() -> None:
    """A type checker knows each word of an enumeration, and no other."""
    assert set(get_args(OrderName)) == {str(order) for order in Order}
    assert set(get_args(PriorityName)) == {str(priority) for priority in Priority}


@pytest.mark.parametrize("door", [wrap_chat_model, AgentRMMiddleware, manage])
def test_doors_to_a_managed_model_name_all_its_options(door: Any) -> None:
    """What the managed model takes, each door that makes one takes as well."""
    fields = AgentRMChatModel.model_fields
    own = {name for name in AgentRMChatModel.__annotations__ if name in fields} - {"rm"}
    parameters = inspect.signature(door).parameters
    assert own <= parameters.keys()
    assert not [kind for kind in parameters.values() if kind.kind is kind.VAR_KEYWORD]
    for name in own:
        assert parameters[name].default == AgentRMChatModel.model_fields[name].default


def test_a_model_that_is_wrapped_again_keeps_what_is_not_said_anew() -> None:
    """Only what differs from the default is a change."""
    with AgentRM(lanes=1) as rm:
        once = wrap_chat_model(_model(), rm, agent="a", wait_timeout_s=3.0, retry=None)
        twice = wrap_chat_model(once, rm, agent="b")
        assert (twice.agent, twice.wait_timeout_s, twice.retry) == ("b", 3.0, None)


@pytest.mark.parametrize("module", [agentrm_plugins, agentrm_langchain, agentrm_langgraph])
def test_what_is_imported_late_is_offered_and_found(module: Any) -> None:
    """Names that are loaded when they are asked for are there, and others are ordinary errors."""
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = module.Nothing
    assert set(agentrm_plugins.__all__) <= set(dir(agentrm_plugins))


BAD: list[tuple[str, Any]] = [
    ("agent", ""), ("tenant", 7), ("priority", "urgent"), ("group", "x"), ("lane", "x"),
    ("wait_timeout_s", -1), ("first_token_timeout_s", 0), ("silence_timeout_s", 0),
    ("total_timeout_s", "soon"), ("hedge", "no"), ("adaptive", "no"), ("retry", 3),
    ("on_stall", "again"), ("abandon_hung", "no"), ("abandon", 1), ("keep_sdk_retries", 1),
    ("keep_sdk_retries", 0), ("recall", "x"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), BAD, ids=[field for field, _ in BAD])
def test_a_bad_value_is_refused_by_each_door_in_the_same_words(field: str, value: Any) -> None:
    """Whoever takes an argument looks at it when it is given, and not at the first call."""
    doors = {
        **DOORS,
        "manage": lambda rm, **given: manage(_model() | str, rm, **given),
        "configurable": lambda rm, **given: wrap_chat_model(_configurable(), rm, **given),
        "embeddings": lambda rm, **given: ManagedEmbeddings(FakeEmbeddings(size=2), rm, **given),
    }
    for name in ("AgentRM", "slot", "identity"):  # no plugins
        del doors[name]
    told = {}
    with AgentRM(lanes=1) as rm:
        for name, door in doors.items():
            try:
                door(rm, **{field: value})
            except ConfigError as error:
                if error.remedy.startswith("there is no such argument"):
                    continue
                told[name] = error.field, error.remedy
            else:
                told[name] = "nothing", ""
    assert told
    assert len(set(told.values())) == 1, told
    assert {name for name, _ in told.values()} == {field}


@pytest.mark.parametrize("rm", [None, "core"])
def test_what_is_no_core_is_refused_by_each_door(rm: Any) -> None:
    """The core is looked at first of all."""
    for name in ("wrap_chat_model", "AgentRMChatModel", "callback", "middleware", "manage_graph",
                 "managed_node", "manage_client"):  # fmt: skip
        with pytest.raises(ConfigError, match=r"AgentRM\(lanes=8\)"):
            DOORS[name](rm)


def _configurable() -> Any:
    return init_chat_model("openai:gpt-4o", configurable_fields=("temperature",))
