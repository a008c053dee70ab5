"""`manage` on objects that nobody can rebuild, or that raise when asked: it never fails."""

from __future__ import annotations

import enum
import functools
import weakref
from collections import UserDict, UserList, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel, field_validator

from agentrm_langchain import manage
from agentrm_plugins import AgentRM, ConfigError
from tests.doors.test_manage_kinds import chat


def refuse(*_: Any, **__: Any) -> Any:
    raise RuntimeError("not with me")


class ReadOnly(dict[str, Any]):
    __setitem__ = refuse


class NoItems(dict[str, Any]):
    items = keys = __iter__ = refuse


class NoClear(list[Any]):
    clear = refuse


class NoLength(list[Any]):
    __len__ = refuse


class NoSteps(list[Any]):
    __iter__ = refuse


class Pair(tuple[Any, ...]):
    __slots__ = ()

    def __new__(cls, one: Any, other: Any) -> Any:
        return super().__new__(cls, (one, other))


class Named(NamedTuple):
    model: Any


class NamedOnce(Named):
    _make = refuse


class OneWay(defaultdict[str, Any]):
    def __init__(self) -> None:
        super().__init__(chat)
        self["m"] = chat()


class Empty(UserDict[str, Any]):
    def __init__(self) -> None:
        self.model = chat()


@dataclass(frozen=True)
class Frozen:
    model: Any
    __reduce_ex__ = refuse


@dataclass(frozen=True)
class Locked:
    model: Any
    __eq__ = __hash__ = __bool__ = __init_subclass__ = refuse  # type: ignore[assignment]


class Checked(BaseModel):
    model: Any
    model_copy = refuse

    @field_validator("model")
    @classmethod
    def bare(cls, model: Any) -> Any:
        """Nothing else may be in it."""
        assert type(model) is FakeListChatModel
        return model


class Closed(type):
    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> Any:
        if bases:
            refuse()
        return super().__new__(cls, name, bases, body)


class Only(metaclass=Closed):
    def __init__(self) -> None:
        self.model = chat()


class Unclassed:
    __class__ = property(refuse)  # type: ignore[assignment]

    def __init__(self) -> None:
        self.model = chat()


class Silent:
    def __init__(self) -> None:
        object.__setattr__(self, "model", chat())

    __getattribute__ = __repr__ = refuse  # type: ignore[assignment]


class Tier(enum.StrEnum):
    model: Any

    def __new__(cls, name: str) -> Self:
        made = str.__new__(cls, name)
        made._value_, made.model = name, chat()
        return made

    FAST = "fast"


class Private:
    __slots__ = ("__model", "other")

    def __init__(self) -> None:
        self.__model, self.other = chat(), 1


class Number(float):
    pass


class Copied(RunnableLambda[Any, Any]):
    __copy__ = __reduce_ex__ = refuse


class Key:
    __repr__ = refuse


class Once:
    """Its hash can be asked once."""

    asked = 0

    def __hash__(self) -> int:
        Once.asked += 1
        return 1 if Once.asked == 1 else refuse()


class Marked(dict[str, Any]):
    def __init__(self) -> None:
        self.model = chat()


class Holder:
    def __init__(self) -> None:
        self.model = chat()


class Pool(list[Any]):
    model = FakeListChatModel(responses=["a"])

    def ask(self) -> Any:
        return MODEL.invoke("go")


MODEL = FakeListChatModel(responses=["a"])
KEPT: list[Any] = []


def kept(thing: Any) -> Any:
    KEPT.append(thing)
    return thing


def number() -> Any:
    made = Number(1)
    made.model = chat()  # type: ignore[attr-defined]
    return made


TOLD: dict[str, Callable[[], Any]] = {
    "a read-only dict": lambda: ReadOnly(m=chat()),
    "a dict without items": lambda: NoItems(m=chat()),
    "a proxy of one": lambda: MappingProxyType(NoItems(m=chat())),
    "a list that cannot be cleared": lambda: NoClear([chat()]),
    "a list without a length": lambda: NoLength([chat()]),
    "a list that cannot be walked": lambda: NoSteps([chat()]),
    "a tuple with other arguments": lambda: Pair(chat(), 1),
    "a named tuple that is made once": lambda: NamedOnce(chat()),
    "a default dict with other arguments": OneWay,
    "a frozen object that is not copied": lambda: Frozen(chat()),
    "a pydantic model that is not copied": lambda: Checked(model=chat()),
    "a class of a closed family": Only,
    "an object that hides its class": Unclassed,
    "an object that says nothing": Silent,
    "a text with attributes": lambda: Tier.FAST,
    "a number with attributes": number,
    "private slots": Private,
    "a runnable that is not copied": lambda: Copied(lambda _: MODEL.invoke("go")),
    "a key that is hashed once": lambda: {Once(): chat()},
    "a weak proxy": lambda: weakref.proxy(kept(Holder())),
    "a weak proxy of a dict": lambda: weakref.proxy(kept(Marked())),
    "a weak proxy of a model": lambda: weakref.proxy(kept(chat())),
    "a cached partial": lambda: functools.lru_cache(functools.partial(lambda m: m, chat())),
    "a factory that is a class": lambda: defaultdict(FakeListChatModel),
    "a partial of a class": lambda: functools.partial(FakeListChatModel, responses=["a"]),
    "what a list's class has": lambda: Pool([1]),
}


@pytest.fixture
def rm() -> Iterator[AgentRM]:
    with AgentRM(lanes=4) as core:
        yield core


def holding(thing: Any, use: Callable[[Any], Any] = id) -> Any:
    """A runnable that asks a model of its own and has this thing as well."""
    own = chat()
    return RunnableLambda(lambda _: (own.invoke("go"), use(thing)))


@pytest.mark.parametrize("name", TOLD)
def test_what_cannot_be_rebuilt_is_left_and_told(rm: AgentRM, name: str) -> None:
    """The model beside it is managed, the object is the very one that it was, and it is told."""
    Once.asked = 0
    thing, told = TOLD[name](), list[str]()
    managed = manage(holding(thing), rm, tell=told.append)
    assert managed.invoke(1)[1] == id(thing)
    assert rm.statistics().settled == 1
    assert [line for line in told if line.startswith("not managed: ") and ".thing" in line]


@pytest.mark.parametrize("make", [Unclassed, Silent, Key, lambda: NoLength([])])
def test_what_is_touchy_itself_is_refused_in_our_words(rm: AgentRM, make: Any) -> None:
    """Given alone it is a `ConfigError`, no error of the object's own."""
    with pytest.raises(ConfigError, match="there is no chat model in it"):
        manage(make(), rm, tell=lambda _: None)


def test_a_dead_weak_proxy_harms_nobody(rm: AgentRM) -> None:
    """Neither within a function, where it is a closure's, nor alone."""
    dead = weakref.proxy(Holder())
    assert manage(holding(dead), rm).invoke(1)
    assert rm.statistics().settled == 1
    with pytest.raises(ConfigError, match="there is no chat model in it"):
        manage(dead, rm)


class Table(dict[str, Any]):
    def __init__(self) -> None:
        self.model, self["me"] = chat(), self


class Rows(UserList[Any]):
    def __init__(self) -> None:
        super().__init__()
        self.model = chat()


def from_itself() -> Any:
    table: defaultdict[str, Any] = defaultdict(lambda: (model, table))
    model = chat()
    return table


FOLLOWED: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "a default dict's factory": (lambda: defaultdict(chat_of(chat())), lambda d: d["b"]),
    "one beside items": (lambda: defaultdict(chat_of(chat()), a=1), lambda d: d["b"]),
    "one that leads back": (from_itself, lambda d: d["a"][1]["b"][0]),
    "a dict's attribute": (Table, lambda d: d["me"]["me"].model),
    "a list's attribute": (Rows, lambda rows: rows.model),
    "a key without a text": (lambda: {Key(): chat()}, lambda d: next(iter(d.values()))),
    "an object that equals nothing": (lambda: Locked(chat()), lambda one: one.model),
}


def chat_of(model: Any) -> Callable[[], Any]:
    return lambda: model


@pytest.mark.parametrize("name", FOLLOWED)
def test_what_a_collection_holds_beside_its_items_is_followed(rm: AgentRM, name: str) -> None:
    """What makes its values and what its attributes are: managed, and the bare one stays bare."""
    make, model_of = FOLLOWED[name]
    thing = make()
    managed = manage(holding(thing, lambda one: model_of(one).invoke("go")), rm)
    managed.invoke(1)
    assert rm.statistics().settled == 2
    assert type(model_of(thing)) is FakeListChatModel
