"""`manage` tells the truth: whatever asks a model is managed, or is told as not managed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda, RunnableParallel
from pydantic import BaseModel, ConfigDict, PrivateAttr

from agentrm_langchain import manage
from agentrm_plugins import AgentRM

FILES = {
    "own_kiosk/__init__.py": "",
    "own_kiosk/store.py": (
        "from langchain_core.language_models import FakeListChatModel\n"
        "chat = FakeListChatModel(responses=['a'])\n"
        "class Desk:\n    chat = FakeListChatModel(responses=['a'])\n"
        "    @classmethod\n    def ask(cls, q):\n        return cls.chat.invoke(q)\n"
    ),
    "own_kiosk/asks.py": (
        "import importlib, sys\n"
        "from own_kiosk import store\n"
        "def relative(q):\n    from .store import chat\n    return chat.invoke(q)\n"
        "def sibling(q):\n    from . import store as s\n    return s.chat.invoke(q)\n"
        "def absolute(q):\n    from own_kiosk.store import chat\n    return chat.invoke(q)\n"
        "def whole(q):\n    import own_kiosk.store\n    return own_kiosk.store.chat.invoke(q)\n"
        "def renamed(q):\n    import own_kiosk.store as s\n    return s.chat.invoke(q)\n"
        "def by_text(q):\n"
        "    return importlib.import_module('own_kiosk.store').chat.invoke(q)\n"
        "def loaded(q):\n    return sys.modules['own_kiosk.store'].chat.invoke(q)\n"
        "def class_method(q):\n    return store.Desk.ask(q)\n"
        "def class_attribute(q):\n    return store.Desk.chat.invoke(q)\n"
        "def class_within(q):\n    from own_kiosk.store import Desk\n    return Desk.ask(q)\n"
    ),
}
ASKS = [line[4:].partition("(")[0] for line in FILES["own_kiosk/asks.py"].split("\n")
        if line.startswith("def ")]  # fmt: skip
CHAT = FakeListChatModel(responses=["a"])


class Meta(type):
    chat = FakeListChatModel(responses=["a"])


class OfMeta(metaclass=Meta):
    @classmethod
    def ask(cls, q: str) -> Any:
        return cls.chat.invoke(q)


class Gives:
    def __get__(self, owner: object, kind: type | None = None) -> Any:
        return CHAT


class Described:
    chat = Gives()

    def ask(self, q: str) -> Any:
        return self.chat.invoke(q)


class Base:
    @property
    def chat(self) -> Any:
        return CHAT


class Above(Base):
    @property
    def chat(self) -> Any:
        return super().chat

    def ask(self, q: str) -> Any:
        return self.chat.invoke(q)


class Getting:
    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return CHAT

    def __getitem__(self, name: str) -> Any:
        return CHAT

    def __or__(self, q: str) -> Any:
        return CHAT.invoke(q)


GETTING = Getting()
OWN: dict[str, Callable[[str], Any]] = {
    "a metaclass's": OfMeta.ask,
    "a descriptor's": Described().ask,
    "a base's property": Above().ask,
    "any attribute": lambda q: GETTING.anything.invoke(q),
    "an item": lambda q: GETTING["a"].invoke(q),
    "an operator": lambda q: GETTING | q,
    "globals()": lambda q: globals()["CHAT"].invoke(q),
    "eval": lambda q: eval("CHAT.invoke(q)", globals(), {"q": q}),
}


@pytest.fixture
def rm() -> Iterator[AgentRM]:
    with AgentRM(lanes=4) as manager:
        yield manager


@pytest.fixture
def kiosk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A package of the user's, imported anew."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("own_kiosk.store")
    yield importlib.import_module("own_kiosk.asks")
    for name in [name for name in sys.modules if name.partition(".")[0] == "own_kiosk"]:
        del sys.modules[name]


def told_or_managed(function: Callable[[str], Any], rm: AgentRM) -> None:
    lines: list[str] = []
    both = RunnableParallel(
        known=FakeListChatModel(responses=["a"]), other=RunnableLambda(function)
    )
    manage(both, rm, tell=lines.append).invoke("go")
    assert rm.statistics().settled == 2 or any(line.startswith("not managed") for line in lines)


@pytest.mark.parametrize("name", ASKS)
def test_what_a_function_imports_while_it_runs_is_told(kiosk: Any, rm: AgentRM, name: str) -> None:
    """Relative, renamed, by a text, and a class of the module's."""
    told_or_managed(getattr(kiosk, name), rm)


@pytest.mark.parametrize("name", OWN)
def test_what_is_reached_in_other_ways_is_told(rm: AgentRM, name: str) -> None:
    """All of these asked a bare model in silence."""
    told_or_managed(OWN[name], rm)


class Agent(BaseModel):
    """An object of pydantic with a state of its own."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="allow")
    chat: Any
    asked: int = 0
    _hidden: Any = PrivateAttr(default_factory=lambda: FakeListChatModel(responses=["b"]))

    def ask(self, q: str) -> str:
        self.asked += 1
        return self.chat.invoke(q).text + self._hidden.invoke(q).text + self.more.invoke(q).text


def test_a_pydantic_object_keeps_one_state(rm: AgentRM) -> None:
    """What stands for it has other models, and all that is written is the original's too."""
    chats = [FakeListChatModel(responses=[text]) for text in "ac"]
    agent = Agent(chat=chats[0], more=chats[1])
    managed = manage(RunnableLambda(agent.ask), rm)
    assert managed.invoke("go") == "abc"
    assert (rm.statistics().settled, agent.asked) == (3, 1)
    agent.asked = 5
    managed.invoke("go")
    assert agent.asked == 6
    assert agent.chat is chats[0]
    agent.chat = FakeListChatModel(responses=["z"])
    assert managed.invoke("go") == "zbc"


def test_what_stands_for_a_pydantic_object_is_like_it(rm: AgentRM) -> None:
    """It is of its class, equal to it, and can be copied."""
    agent = Agent(chat=CHAT, more=CHAT)
    held = manage({"agent": agent}, rm)["agent"]
    assert isinstance(held, Agent)
    assert held == agent
    assert held.chat is not CHAT
    assert held.model_copy(update={"asked": 3}).asked == 3
    assert held.asked == agent.asked == 0
