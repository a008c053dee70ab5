"""`manage` on what nothing can stand in for: it is named, beside what is managed."""

from __future__ import annotations

import functools
import itertools
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda

from agentrm_langchain import manage
from agentrm_plugins import AgentRM, ConfigError
from tests.doors.test_manage_kinds import GLOBAL, chat, in_closure


@dataclass(slots=True)
class Slots:
    model: Any

    def ask(self, text: str) -> Any:
        return self.model.invoke(text)


class Shared:
    model = FakeListChatModel(responses=["a"])

    @classmethod
    def ask(cls, text: str) -> Any:
        return cls.model.invoke(text)

    @staticmethod
    def ask_plainly(text: str) -> Any:
        return Shared.model.invoke(text)


class Base:
    def helped(self, text: str) -> Any:
        return GLOBAL.invoke(text)


class Above(Base):
    def helped(self, text: str) -> Any:
        return super().helped(text)


@pytest.fixture
def rm() -> Iterator[AgentRM]:
    with AgentRM(lanes=4) as manager:
        yield manager


def cached_makes() -> Any:
    return _made().invoke("go")


@functools.lru_cache
def _made() -> Any:
    return FakeListChatModel(responses=["a"])


class Kind(Enum):
    A = FakeListChatModel(responses=["a"])


class Far:
    """As of a library: its model is two steps away."""

    def __init__(self) -> None:
        self.config = SimpleNamespace(models=[chat()])

    def ask(self, text: str) -> Any:
        return self.config.models[0].invoke(text)


Far.__module__ = "langchain_far"
KEPT: list[Any] = []


def by_weak_reference() -> Any:
    KEPT.append(chat())
    held = weakref.ref(KEPT[-1])
    return RunnableLambda(lambda text: held().invoke(text))


def in_a_variable() -> Any:
    held: ContextVar[Any] = ContextVar("held")
    held.set(chat())
    return RunnableLambda(lambda text: held.get().invoke(text))


def imports(text: str) -> Any:
    from langchain_core.language_models.fake_chat_models import FakeListChatModel as Model

    return Model(responses=["a"]).invoke(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RunnableLambda(lambda text: Kind.A.value.invoke(text)),
        lambda: RunnableLambda(Far().ask),
        by_weak_reference,
        in_a_variable,
        lambda: in_closure(lambda m: itertools.cycle([m]), next),
        lambda: in_closure(lambda m: (m for _ in "aaaa"), next),
        lambda: RunnableLambda(Above().helped),
        lambda: RunnableLambda(imports),
        lambda: RunnableLambda(Slots(chat()).ask),
        lambda: RunnableLambda(Shared.ask),
        lambda: RunnableLambda(Shared.ask_plainly),
        lambda: RunnableLambda(lambda _: cached_makes()),
    ],
    ids=[
        *("enum", "a library's", "weak", "variable", "cycle", "generator", "super", "imported"),
        *("slots", "a class's own", "a static method's", "made when it is asked for"),
    ],
)
def test_what_is_out_of_reach_is_named(rm: AgentRM, make: Callable[[], Any]) -> None:
    """Beside a model that is managed it is told; where there is none, the error names it."""
    with pytest.raises(ConfigError, match="out of reach: FakeListChatModel at"):
        manage(make(), rm)
    told: list[str] = []
    manage(make() | chat(), rm, tell=told.append)
    assert [line for line in told if line.startswith("not managed: FakeListChatModel at")]
