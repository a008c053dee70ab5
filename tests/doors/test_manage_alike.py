"""An object whose methods ask a model of the module: what it writes and equals stays as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel

from agentrm_langchain import manage
from agentrm_plugins import AgentRM

MODEL = FakeListChatModel(responses=["a"])


class Counts:
    """It writes to its class."""

    count = 0
    kept: Any = None

    @classmethod
    def hit(cls) -> None:
        MODEL.invoke("go")
        cls.count += 1

    def go(self) -> None:
        self.hit()
        type(self).count += 1
        self.__class__.kept = "x"
        type(self).gone = 1  # type: ignore[attr-defined]
        del type(self).gone  # type: ignore[attr-defined]


class State(BaseModel):
    value: int = 0
    _seen: int = 0

    def go(self) -> None:
        MODEL.invoke("go")
        self.value += 1
        self._seen += 1


@dataclass
class Plain:
    name: str = "x"

    def go(self) -> None:
        MODEL.invoke("go")


@dataclass(frozen=True, order=True)
class Frozen:
    name: str = "x"

    def go(self) -> None:
        MODEL.invoke("go")


@pytest.fixture
def rm() -> Iterator[AgentRM]:
    with AgentRM(lanes=4) as core:
        yield core


def run(rm: AgentRM, use: Callable[[], Any]) -> Any:
    """What it gives under management; one managed call is made."""
    found = manage(RunnableLambda(lambda _: use()), rm).invoke(1)
    assert rm.statistics().settled == 1
    return found


def test_what_is_written_to_a_class_is_the_class_s(rm: AgentRM) -> None:
    """By a class method, by `type(self)` and by `self.__class__`; what is deleted is gone."""
    counts = Counts()
    run(rm, counts.go)
    assert (Counts.count, Counts.kept) == (2, "x")
    assert not hasattr(Counts, "gone")


def test_the_state_of_a_pydantic_object_stays_one(rm: AgentRM) -> None:
    """Its fields and its private attributes, seen from both sides."""
    state = State()
    run(rm, state.go)
    assert (state.value, state._seen, state.model_fields_set) == (1, 1, {"value"})


@pytest.mark.parametrize("kind", [Plain, Frozen, State])
def test_equals_stay_equal(rm: AgentRM, kind: Any) -> None:
    """From either side, and no more than that."""
    one, other = kind(), kind()
    far = kind(value=7) if kind is State else kind("far")

    def compares() -> Any:
        found = one == other, other == one, one != other, one == far
        one.go()
        return found

    assert run(rm, compares) == (True, True, False, False)


def test_order_and_hash_stay(rm: AgentRM) -> None:
    """It is found under an equal key, and sorted among others."""
    one, table, far = Frozen(), {Frozen(): "found"}, Frozen("a")

    def looks() -> Any:
        one.go()
        return table[one], far < one, one > far, sorted([one, far]) == [far, one]

    assert run(rm, looks) == ("found", True, True, True)


def test_an_object_is_found_in_what_knows_it(rm: AgentRM) -> None:
    """A table by objects and a list of them hold the very one."""
    counts = Counts()
    table, rows = {counts: "found"}, (counts,)

    def looks() -> Any:
        counts.hit()
        return table[counts], counts in rows

    assert run(rm, looks) == ("found", True)


class Walks(BaseModel):
    model: Any
    name: str = "x"

    def go(self) -> None:
        dict(self)["model"].invoke("go")
        assert [name for name, _ in self] == ["model", "name"]
        assert dict(self)["name"] == "x"


def test_a_walk_over_a_pydantic_object_gives_the_managed_model() -> None:
    """As its attributes do; what is written to it meanwhile is its own."""
    with AgentRM(lanes=1) as rm:
        held = Walks(model=FakeListChatModel(responses=["a"]))
        manage(RunnableLambda(lambda _: held.go()), rm).invoke("x")
        assert rm.statistics().agents
        assert type(dict(held)["model"]) is FakeListChatModel
