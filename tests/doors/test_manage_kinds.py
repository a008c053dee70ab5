"""`manage` on objects of many kinds: each model in them is managed, or it is said which is not."""

from __future__ import annotations

import asyncio
import functools
from collections import ChainMap, UserDict, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Any, ClassVar, NamedTuple

import pytest
from langchain_core.documents import Document
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import (
    ConfigurableField,
    Runnable,
    RunnableBranch,
    RunnableLambda,
    RunnablePassthrough,
    RunnableSerializable,
    chain,
)
from langchain_core.runnables.base import RunnableGenerator
from langchain_core.runnables.router import RouterRunnable
from langchain_core.tools import BaseTool, tool
from pydantic import BaseModel, ConfigDict

from agentrm_langchain import manage
from agentrm_plugins import AgentRM

PROMPT = ChatPromptTemplate.from_template("{q}")


def chat() -> FakeListChatModel:
    return FakeListChatModel(responses=["a"])


@dataclass
class Holder:
    model: Any

    def ask(self, text: str) -> Any:
        return self.model.invoke(text)

    @property
    def behind(self) -> Any:
        return self.model

    def ask_behind(self, text: str) -> Any:
        return self.behind.invoke(text)


@dataclass(frozen=True)
class Frozen:
    model: Any

    def ask(self, text: str) -> Any:
        return self.model.invoke(text)


@dataclass(frozen=True, slots=True)
class FrozenSlots:
    model: Any

    def ask(self, text: str) -> Any:
        return self.model.invoke(text)


class Based(Holder):
    """Its model is its class's, or a base's."""

    shared = FakeListChatModel(responses=["a"])

    def ask_shared(self, text: str) -> Any:
        return self.shared.invoke(text)


class Heir(Based):
    """Has its model from its base."""


class Chooser:
    models: ClassVar[dict[str, Any]] = {"a": FakeListChatModel(responses=["a"])}

    def ask(self, text: str) -> Any:
        return self.models["a"].invoke(text)


class Pair(NamedTuple):
    model: Any
    name: str = ""

    def ask(self, text: str) -> Any:
        return self.model.invoke(text)


class SlottedRunnable(Runnable[Any, Any]):
    __slots__ = ("model",)

    def __init__(self, model: Any) -> None:
        self.model = model

    def invoke(self, input: Any, config: Any = None, **_: Any) -> Any:  # noqa: A002
        return self.model.invoke(input, config)


class Declared(RunnableSerializable[Any, Any]):
    model: Any = None

    def invoke(self, input: Any, config: Any = None, **_: Any) -> Any:  # noqa: A002
        return self.model.invoke(input, config)


class Retriever(BaseRetriever):
    model: Any = None

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return [Document(self.model.invoke(query).content)]


class ModelTool(BaseTool):
    name: str = "asks"
    description: str = "Asks a model."
    model: Any = None

    def _run(self, q: str) -> str:
        return str(self.model.invoke(q).content)


GLOBAL = FakeListChatModel(responses=["a"])


class Helping:
    """Its methods help each other; the last one takes the model from the module."""

    def ask(self, text: str) -> Any:
        return self.helped(text)

    def helped(self, text: str) -> Any:
        return GLOBAL.invoke(text)

    @property
    def model(self) -> Any:
        return GLOBAL

    def ask_property(self, text: str) -> Any:
        return self.model.invoke(text)

    @staticmethod
    def of_nobody(text: str) -> Any:
        return GLOBAL.invoke(text)

    def ask_static(self, text: str) -> Any:
        return self.of_nobody(text)

    @functools.singledispatchmethod
    def by_kind(self, text: Any) -> Any:
        return GLOBAL.invoke(text)

    def ask_by_kind(self, text: str) -> Any:
        return self.by_kind(text)

    bound = functools.partialmethod(helped)


class OfItsClass:
    models: ClassVar[dict[str, Any]] = {"a": FakeListChatModel(responses=["a"])}
    model = FakeListChatModel(responses=["a"])

    def ask_type(self, text: str) -> Any:
        return type(self).model.invoke(text)

    @classmethod
    def of_class(cls, text: str) -> Any:
        return cls.models["a"].invoke(text)

    def ask_class(self, text: str) -> Any:
        return self.of_class(text)


@dataclass(frozen=True)
class FrozenHelping:
    size: int = 1

    def ask(self, text: str) -> Any:
        return self.helped(text)

    def helped(self, text: str) -> Any:
        return GLOBAL.invoke(text)


class HelpingRunnable(Runnable[Any, Any]):
    def invoke(self, input: Any, config: Any = None, **_: Any) -> Any:  # noqa: A002
        return self.helped(input)

    def helped(self, text: Any) -> Any:
        return GLOBAL.invoke(text)


class HelpingTool(BaseTool):
    name: str = "asks"
    description: str = "Asks a model."

    def _run(self, q: str) -> str:
        return self.helped(q)

    def helped(self, q: str) -> str:
        return str(GLOBAL.invoke(q).content)


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Models(list[Any]):
    pass


def by_kind() -> Any:
    model = chat()

    @functools.singledispatch
    def asks(text: Any) -> Any:
        return model.invoke(text)

    return RunnableLambda(lambda text: asks(text))


def in_closure(make: Callable[[Any], Any], get: Callable[[Any], Any]) -> Any:
    held = make(chat())
    return RunnableLambda(lambda text: get(held).invoke(text))


def generating() -> Any:
    model = chat()

    def pieces(parts: Iterator[Any]) -> Iterator[Any]:
        for part in parts:
            yield model.invoke(part)

    return RunnableGenerator(pieces)


def decorated() -> Any:
    model = chat()

    def around(function: Any) -> Any:
        @functools.wraps(function)
        def inner(text: str) -> Any:
            return function(text)

        return inner

    return RunnableLambda(around(lambda text: model.invoke(text)))


def asked_as_a_chain() -> Any:
    model = chat()

    @chain
    def asks(_: Any) -> Any:
        return PROMPT | model

    return asks


def asked_as_a_tool() -> Any:
    model = chat()

    @tool
    def asks(q: str) -> str:
        """Asks a model."""
        return str(model.invoke(q).content)

    return asks


def cached_with_a_model() -> Any:
    model = chat()

    @functools.lru_cache
    def one() -> Any:
        return model

    return RunnableLambda(lambda text: one().invoke(text))


def in_both_worlds() -> Any:
    model = chat()

    async def asks(text: str) -> Any:
        return await model.ainvoke(text)

    return RunnableLambda(model.invoke, afunc=asks)


Q = {"q": "go"}
KINDS: dict[str, tuple[Callable[[], Any], Any]] = {
    "router": (lambda: RouterRunnable({"a": PROMPT | chat()}), {"key": "a", "input": Q}),
    "branch": (lambda: RunnableBranch((bool, chat()), RunnableLambda(str)), "go"),
    "each": (lambda: chat().map(), ["go"]),
    "generator": (generating, "go"),
    "assigned": (lambda: RunnablePassthrough.assign(x=PROMPT | chat()).pick("x"), Q),
    "listeners": (lambda: (PROMPT | chat()).with_listeners(on_start=lambda _: None), Q),
    "types": (lambda: (PROMPT | chat()).with_types(input_type=dict), Q),
    "chain": (asked_as_a_chain, "go"),
    "tool": (asked_as_a_tool, "go"),
    "a tool's field": (lambda: ModelTool(model=chat()), "go"),
    "a chain as a tool": (
        lambda: (PROMPT | chat() | StrOutputParser()).as_tool(name="t", description="d"),
        Q,
    ),
    "retriever": (lambda: Retriever(model=chat()) | RunnableLambda(len), "go"),
    "a runnable's slot": (lambda: SlottedRunnable(chat()), "go"),
    "a runnable's field": (lambda: Declared(model=chat()), "go"),
    "partial": (lambda: RunnableLambda(functools.partial(Holder.ask, Holder(chat()))), "go"),
    "dataclass": (lambda: RunnableLambda(Holder(chat()).ask), "go"),
    "property": (lambda: RunnableLambda(Holder(chat()).ask_behind), "go"),
    "a class's model": (lambda: RunnableLambda(Based(None).ask_shared), "go"),
    "a base's model": (lambda: RunnableLambda(Heir(None).ask_shared), "go"),
    "a class's models": (lambda: RunnableLambda(Chooser().ask), "go"),
    "frozen": (lambda: RunnableLambda(Frozen(chat()).ask), "go"),
    "frozen slots": (lambda: RunnableLambda(FrozenSlots(chat()).ask), "go"),
    "named tuple": (lambda: RunnableLambda(Pair(chat()).ask), "go"),
    "namespace": (lambda: in_closure(lambda m: SimpleNamespace(m=m), lambda x: x.m), "go"),
    "deque": (lambda: in_closure(lambda m: deque([m], 3), lambda x: x[0]), "go"),
    "read-only mapping": (
        lambda: in_closure(lambda m: MappingProxyType({"m": m}), lambda x: x["m"]),
        "go",
    ),
    "default mapping": (
        lambda: in_closure(lambda m: defaultdict(list, {"m": m}), lambda x: x["m"]),
        "go",
    ),
    "a model's method": (lambda: RunnableLambda(chat().invoke), "go"),
    "decorated": (decorated, "go"),
    "a helping method": (lambda: RunnableLambda(Helping().ask), "go"),
    "a helping property": (lambda: RunnableLambda(Helping().ask_property), "go"),
    "a helping static method": (lambda: RunnableLambda(Helping().ask_static), "go"),
    "a method by kind": (lambda: RunnableLambda(Helping().ask_by_kind), "go"),
    "a partial method": (lambda: RunnableLambda(Helping().bound), "go"),
    "a frozen one's method": (lambda: RunnableLambda(FrozenHelping().ask), "go"),
    "a runnable's method": (HelpingRunnable, "go"),
    "a tool's method": (HelpingTool, "go"),
    "a model of its type": (lambda: RunnableLambda(OfItsClass().ask_type), "go"),
    "a class method": (lambda: RunnableLambda(OfItsClass().ask_class), "go"),
    "by kind": (by_kind, "go"),
    "an extra field": (lambda: in_closure(lambda m: Open(m=m), lambda x: x.m), "go"),
    "a list of one's own": (lambda: in_closure(lambda m: Models([m]), lambda x: x[0]), "go"),
    "a user's mapping": (lambda: in_closure(lambda m: UserDict(m=m), lambda x: x["m"]), "go"),
    "mappings": (lambda: in_closure(lambda m: ChainMap({"m": m}), lambda x: x["m"]), "go"),
    "a mapping's get": (
        lambda: in_closure(lambda m: {"m": m}.get, lambda get: get("m")),
        "go",
    ),
    "cached": (cached_with_a_model, "go"),
}


@pytest.fixture
def rm() -> Iterator[AgentRM]:
    with AgentRM(lanes=4) as manager:
        yield manager


@pytest.mark.filterwarnings("ignore")  # that a way of LangChain's is a beta one
@pytest.mark.parametrize("kind", KINDS)
def test_the_model_in_it_is_managed(rm: AgentRM, kind: str) -> None:
    """The same kind of object comes back, its call goes through the core, the given one's not."""
    make, given = KINDS[kind]
    bare = make()
    managed = manage(bare, rm)
    assert isinstance(managed, type(bare))
    if kind == "generator":
        list(managed.stream(given))
    else:
        managed.invoke(given)
    assert rm.statistics().settled == 1
    list(bare.stream(given)) if kind == "generator" else bare.invoke(given)
    assert rm.statistics().settled == 1


elsewhere = FakeListChatModel(responses=["a"])


def test_an_attribute_is_not_the_global_of_its_name(rm: AgentRM) -> None:
    """A model of the module that is managed by another core, or by none, is not looked at."""
    held = SimpleNamespace(elsewhere=chat())
    told: list[str] = []
    manage(RunnableLambda(lambda text: held.elsewhere.invoke(text)), rm, tell=told.append)
    assert len(told) == 1
    with AgentRM(lanes=1) as other:
        globals()["elsewhere"] = manage(elsewhere, other)
        try:
            manage(RunnableLambda(lambda text: held.elsewhere.invoke(text)), rm).invoke("go")
        finally:
            globals()["elsewhere"] = chat()
    assert rm.statistics().settled == 1


def test_a_function_for_each_world(rm: AgentRM) -> None:
    """Sync and async functions of one lambda hold the model in their own ways."""
    managed: Any = manage(in_both_worlds(), rm)
    managed.invoke("go")
    asyncio.run(managed.ainvoke("go"))
    assert rm.statistics().settled == 2


def test_alternatives_by_configuration(rm: AgentRM) -> None:
    """Those that are there are managed, one that is made later is told."""
    told: list[str] = []
    bare = chat().configurable_alternatives(
        ConfigurableField(id="which"), default_key="a", b=chat(), c=lambda: FakeListChatModel()
    )
    managed: Any = manage(bare, rm, tell=told.append)
    managed.invoke("go")
    managed.with_config(configurable={"which": "b"}).invoke("go")
    assert rm.statistics().settled == 2
    assert [line for line in told if line.startswith("not managed") and "'c'" in line]
