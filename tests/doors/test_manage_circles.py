"""`manage` on what leads back to itself: each call on the way asks the managed model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda

from agentrm_langchain import manage
from agentrm_plugins import AgentRM

MODEL = FakeListChatModel(responses=["a"])


def chat() -> FakeListChatModel:
    return FakeListChatModel(responses=["a"])


def itself(n: Any) -> Any:
    """A function of the module that calls itself."""
    MODEL.invoke("go")
    return itself(n - 1) if n else "done"


def there(n: Any) -> Any:
    """One of two that call each other; the other one asks the model."""
    return back(n)


def back(n: Any) -> Any:
    """The other one."""
    MODEL.invoke("go")
    return there(n - 1) if n else "done"


def within() -> Any:
    model = chat()

    def inner(n: int) -> Any:
        model.invoke("go")
        return inner(n - 1) if n else "done"

    return inner


def in_a_table() -> Any:
    model, table = chat(), dict[str, Any]()

    def first(n: int) -> Any:
        return table["second"](n)

    def second(n: int) -> Any:
        model.invoke("go")
        return table["first"](n - 1) if n else "done"

    table.update(first=first, second=second)
    return table["first"]


def by_an_attribute() -> Any:
    def asks(n: int) -> Any:
        asks.model.invoke("go")  # type: ignore[attr-defined]
        return asks(n - 1) if n else "done"

    asks.model = chat()  # type: ignore[attr-defined]
    return asks


@functools.cache
def cached(n: Any) -> Any:
    """A cached function of the module that calls itself, and asks at each turn."""
    MODEL.invoke("go")
    return cached(n - 1) if n else "done"


def cached_within() -> Any:
    model = chat()

    @functools.lru_cache(maxsize=9)
    def inner(n: int) -> Any:
        (model if n else inner.model).invoke("go")  # type: ignore[attr-defined]
        return inner(n - 1) if n else "done"

    inner.model = model  # type: ignore[attr-defined]
    return inner


def anew(fn: Any) -> Any:
    """Nothing is remembered when it is called."""
    return lambda n: (fn.cache_clear(), fn(n))[1]


class Steps:
    """A static method and a property lead back to the object."""

    @staticmethod
    def go(n: int) -> Any:
        MODEL.invoke("go")
        return STEPS.once(n - 1) if n else "done"

    @property
    def once(self) -> Any:
        return STEPS.go


STEPS = Steps()


class Peer:
    """Two that know each other; one has the model."""

    def __init__(self, model: Any) -> None:
        self.model, self.asked = model, 0
        self.peer: Any = None

    def go(self, n: int) -> Any:
        self.asked += 1
        if self.model is not None:
            self.model.invoke("go")
        return self.peer.go(n - (self.model is not None)) if n >= 0 else "done"


def peers(first: Any, second: Any) -> Any:
    one, other = Peer(first), Peer(second)
    one.peer, other.peer = other, one
    return one.go


class Child:
    def __init__(self, parent: Any) -> None:
        self.parent = parent

    def ask(self) -> Any:
        return self.parent.chain.invoke("go")


class Parent:
    """Its child asks its chain; it holds its own method as well."""

    def __init__(self) -> None:
        self.child = Child(self)
        self.chain = RunnableLambda(str) | chat()
        self.called_back = self.go

    def go(self, n: int) -> Any:
        self.child.ask()
        return self.called_back(n - 1) if n else "done"


CIRCLES: dict[str, Callable[[], Any]] = {
    "a function of the module": lambda: itself,
    "two functions of the module": lambda: there,
    "a function within another": within,
    "functions of a table": in_a_table,
    "a function with attributes": by_an_attribute,
    "a cached function": lambda: anew(cached),
    "a cached function within another": lambda: anew(cached_within()),
    "static methods and properties": lambda: lambda n: STEPS.go(n),
    "peers, the first asks": lambda: peers(chat(), None),
    "peers, the second asks": lambda: peers(None, chat()),
    "a parent and its child": lambda: Parent().go,
    "its own method": lambda: Parent().called_back,
}


@pytest.fixture
def rm() -> Iterator[AgentRM]:
    with AgentRM(lanes=4) as core:
        yield core


@pytest.mark.parametrize("circle", CIRCLES)
def test_each_turn_of_a_circle_asks_the_managed_model(rm: AgentRM, circle: str) -> None:
    """Three turns are three calls, however often it is managed; the bare one makes none."""
    bare = RunnableLambda(CIRCLES[circle]())
    managed: Any = manage(bare, rm)
    for times in (1, 2):
        managed.invoke(2)
        assert rm.statistics().settled == times * 3
    bare.invoke(2)
    assert rm.statistics().settled == 2 * 3


def test_what_circles_share_stays_shared(rm: AgentRM) -> None:
    """Counters of objects in a circle are one, seen from both sides."""
    first = peers(chat(), None)
    manage(RunnableLambda(first), rm).invoke(0)
    assert (first.__self__.asked, first.__self__.peer.asked) == (1, 1)
