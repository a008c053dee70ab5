"""What `agentrm doctor` takes for managed of what a program's source hands over elsewhere."""

from __future__ import annotations

import json
import sys

import pytest
from typer.testing import CliRunner

from agentrm_plugins.cli.app import app

ELSEWHERE = """
from langchain_core.language_models import FakeListChatModel
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
class HouseModel(FakeListChatModel):
    pass
house_model = HouseModel(responses=["x"])
theirs = ChatOpenAI(model="gpt-4o", api_key="x")
builder = StateGraph(dict)
builder.add_node("first", lambda state: state)
builder.add_edge(START, "first")
house_graph = builder.compile()
"""
MAIN = """
from house_of_models import house_graph, house_model, theirs
from langchain.chat_models import init_chat_model
from langchain_openai import ChatOpenAI
from langgraph.graph import StateGraph
from agentrm_langchain import manage
from agentrm_plugins import AgentRM
rm = AgentRM(lanes=1)
def main():
"""


@pytest.mark.parametrize(
    ("target", "main", "status", "words"),
    [
        ("house_model", "manage(ChatOpenAI(model='m'), rm)", "problem", "slips past"),
        ("house_model", "manage(init_chat_model('openai:m'), rm)", "problem", "slips past"),
        ("theirs", "manage(ChatOpenAI(model='m'), rm)", "note", "handed to manage in "),
        ("theirs", "manage(init_chat_model('openai:m'), rm)", "note", "handed to manage in "),
        ("theirs", "return init_chat_model('openai:m')", "problem", "slips past"),
        ("house_graph", "manage(StateGraph(dict).compile(), rm)", "note", "handed to manage in "),
        ("house_graph", "return StateGraph(dict).compile()", "note", "is not managed"),
    ],
)
def test_a_model_that_the_source_does_not_know_is_bare(
    tmp_path, tmp_path_factory, monkeypatch, target, main, status, words
):
    """Whatever else is handed over: of a class that is not named there, nothing is known.

    A class of a framework may come of `init_chat_model`; that of a graph is never named.
    """
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "house_of_models.py").write_text(ELSEWHERE, encoding="utf-8")
    monkeypatch.syspath_prepend(elsewhere)
    monkeypatch.delitem(sys.modules, "house_of_models", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "asks_the_house", raising=False)
    (tmp_path / "asks_the_house.py").write_text(f"{MAIN}    {main}\n", encoding="utf-8")
    ran = CliRunner().invoke(app, ["doctor", f"asks_the_house:{target}", "--json"])
    check = "graph" if target == "house_graph" else "model"
    [told] = [one for one in json.loads(ran.output)["findings"] if one["check"] == check]
    assert (told["status"], ran.exit_code) == (status, int(status == "problem")), told
    assert words in told["text"]
