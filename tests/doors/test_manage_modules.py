"""`manage` on functions that take their models from another module of the user's."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, StateGraph

from agentrm_langchain import manage
from agentrm_plugins import AgentRM

FILES = {
    "own_shop/__init__.py": "from own_shop import models, nodes\nname = 'shop'\n",
    "own_shop/models.py": (
        "from langchain_core.language_models import FakeListChatModel\n"
        "import own_shop\n"
        "chat = FakeListChatModel(responses=['a'])\n"
        "asked = 0\n"
        "def fresh():\n    return FakeListChatModel(responses=['b'])\n"
    ),
    "own_shop/nodes.py": (
        "import own_shop\nfrom own_shop import models\n"
        "def plain(state):\n    return {'text': models.chat.invoke('x').text}\n"
        "def far(state):\n    return {'text': own_shop.models.chat.invoke('x').text}\n"
        "def helped(state):\n    return {'text': own_shop.nodes.ask('x')}\n"
        "def ask(q):\n    return models.chat.invoke(q).text\n"
        "def counts(q):\n    models.asked += 1\n    return models.chat.invoke(q).text\n"
        "def about(q):\n    models.chat.invoke(q)\n"
        "    return models.__file__, models.__name__, own_shop.name\n"
        "def swaps(q):\n    models.chat = models.fresh()\n    return models.chat.invoke(q).text\n"
    ),
}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A package of the user's, imported anew."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("own_shop")
    for name in [name for name in sys.modules if name.partition(".")[0] == "own_shop"]:
        del sys.modules[name]


class State(TypedDict):
    text: str


@pytest.mark.parametrize("node", ["plain", "far", "helped"])
def test_a_model_behind_a_module_is_managed(shop: Any, node: str) -> None:
    """`models.chat`, `shop.models.chat`, and a function that is found in that way."""
    builder = StateGraph(State).add_node("ask", getattr(shop.nodes, node)).add_edge(START, "ask")
    told: list[str] = []
    with AgentRM(lanes=1) as rm:
        managed = manage(builder.compile(), rm, tell=told.append)
        assert managed.invoke({"text": ""}) == {"text": "a"}
        assert rm.statistics().settled == 1
        builder.compile().invoke({"text": ""})
        assert rm.statistics().settled == 1, "the user's own modules stay as they were"
    assert "models.chat" in told[0]


def test_all_else_of_the_module_is_live(shop: Any) -> None:
    """What the function reads and writes there is the module's own."""
    with AgentRM(lanes=1) as rm:
        counts = manage(RunnableLambda(shop.nodes.counts), rm)
        assert counts.invoke("x") == "a"
        shop.models.asked = 10
        counts.invoke("x")
        assert shop.models.asked == 11
        told = manage(RunnableLambda(shop.nodes.about), rm).invoke("x")
        assert told == (shop.models.__file__, "own_shop.models", "shop")
        assert rm.statistics().settled == 3


def test_a_model_that_is_put_there_later_is_used(shop: Any) -> None:
    """As without management; it is then the new one, and unmanaged."""
    with AgentRM(lanes=1) as rm:
        swaps = manage(RunnableLambda(shop.nodes.swaps), rm)
        assert swaps.invoke("x") == "b"
        assert rm.statistics().settled == 0


MANY = 12


@pytest.fixture
def circle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A dozen modules of the user's that all know each other; the last one has the model."""
    package = tmp_path / "own_circle"
    package.mkdir()
    others = [f"part{number}" for number in range(MANY)]
    (package / "__init__.py").write_text("")
    for number, name in enumerate(others):
        text = "".join(f"import own_circle.{one} as {one}\n" for one in others if one != name)
        if number == MANY - 1:
            text += "from langchain_core.language_models import FakeListChatModel\n"
            text += "chat = FakeListChatModel(responses=['a'])\n"
        (package / f"{name}.py").write_text(text)
    way = ".".join(others[1:])
    (package / "nodes.py").write_text(
        "import own_circle.part0 as part0\n"
        f"def ask(q):\n    return part0.{way}.chat.invoke(q).text\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("own_circle.nodes")
    for name in [name for name in sys.modules if name.partition(".")[0] == "own_circle"]:
        del sys.modules[name]


@pytest.mark.timeout(20)  # by all ways through them it would take years
def test_modules_that_all_know_each_other_are_looked_at_once(circle: Any) -> None:
    """The model at the end of a long way is managed, whatever circles are on it."""
    with AgentRM(lanes=1) as rm:
        assert manage(RunnableLambda(circle.ask), rm).invoke("x") == "a"
        assert rm.statistics().settled == 1
