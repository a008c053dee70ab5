"""`agentrm init` in projects of several files: imports are followed, what is left out is named."""

from __future__ import annotations

import ast
import json
import os
import textwrap
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from typer.testing import CliRunner

from agentrm_plugins.cli.app import app
from agentrm_plugins.cli.project.findings import look_at

LLM = "from langchain_openai import ChatOpenAI\nllm = ChatOpenAI(model='m')\n"


def init(folder, *more):
    result = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}).invoke(
        app, ["init", str(folder), *more]
    )
    assert result.exit_code == 0, result.output
    return result.output


def data(folder):
    return json.loads(init(folder, "--json"))


def states(folder):
    """Each finding's place, and whether something is to be done, and why not."""
    return {
        f"{one['path']}:{one['line']}": "managed"
        if one["managed"]
        else "inside"
        if one["inside"]
        else one["kind"]
        for one in data(folder)["found"]
    }


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


def notebook(*cells):
    made = [
        {"cell_type": "code", "source": textwrap.dedent(cell).splitlines(keepends=True)}
        for cell in cells
    ]
    return json.dumps({"cells": [{"cell_type": "markdown", "source": ["# Hi"]}, *made]})


AGENT = "from langchain.agents import create_agent\nagent = create_agent(llm, [])\n"


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param({"llm.py": LLM, "main.py": "from llm import llm\n" + AGENT}, id="scripts"),
        pytest.param(
            {
                "src/app/__init__.py": "",
                "src/app/llm.py": LLM,
                "src/app/main.py": "from app.llm import llm\n" + AGENT,
            },
            id="src",
        ),
        pytest.param(
            {
                "app/__init__.py": "from .models import *\n",
                "app/models/__init__.py": "from .chat import llm\n",
                "app/models/chat.py": LLM,
                "app/web/__init__.py": "",
                "app/web/main.py": "from .. import llm\n" + AGENT,
            },
            id="reexported",
        ),
        pytest.param(
            {
                "app/models.py": LLM,
                "app/main.py": (
                    "from app import models\nfrom langchain.agents import create_agent\n"
                    "agent = create_agent(models.llm, [])\n"
                ),
            },
            id="namespace",
        ),
        pytest.param(
            {
                "app/models.py": LLM,
                "main.py": (
                    "import app.models\nfrom langchain.agents import create_agent\n"
                    "agent = create_agent(app.models.llm, [])\n"
                ),
            },
            id="dotted",
        ),
        pytest.param(
            {
                "manage.py": "import django\n",
                "site_of_ours/__init__.py": "",
                "site_of_ours/settings.py": "DEBUG = True\n",
                "chat/__init__.py": "",
                "chat/services/__init__.py": "",
                "chat/services/llm.py": LLM,
                "chat/views.py": "from chat.services.llm import llm\n" + AGENT,
            },
            id="django",
        ),
        pytest.param(
            {
                "packages/core/src/core/__init__.py": "",
                "packages/core/src/core/llm.py": LLM,
                "packages/api/src/api/__init__.py": "",
                "packages/api/src/api/main.py": "from core.llm import llm\n" + AGENT,
            },
            id="monorepo",
        ),
        pytest.param(
            {
                "lib/llm.py": LLM,
                "lib/talk.ipynb": notebook("%pip install x\nfrom llm import llm\n", AGENT),
            },
            id="notebook",
        ),
    ],
)
def test_a_model_is_followed_into_the_file_that_uses_it(tmp_path, layout):
    """In each usual layout the model goes with the agent, and only that has a line."""
    write(tmp_path, layout)
    found = data(tmp_path)["found"]
    assert sorted((one["kind"], one["inside"]) for one in found) == [
        ("agent", False),
        ("model", True),
    ]
    text = init(tmp_path)
    assert "agent = manage(agent, rm)" in text
    assert "wrap_chat_model" not in text


def test_what_another_file_manages_is_managed(tmp_path):
    """By a name, by a function that makes it, by an instance; with all that it is made of."""
    write(
        tmp_path,
        {
            "llm.py": LLM + "def make():\n    chat = ChatOpenAI(model='n')\n    return chat\n",
            "own.py": (
                "from langchain_openai import ChatOpenAI\nclass Helper:\n    def __init__(self):\n"
                "        self.llm = ChatOpenAI(model='o')\n"
            ),
            "graph.py": (
                "from langgraph.graph import StateGraph\nfrom llm import llm\n"
                "def build():\n    b = StateGraph(dict)\n"
                "    b.add_node('a', lambda state: llm.invoke('x'))\n    return b.compile()\n"
            ),
            "main.py": (
                "from agentrm_langchain import manage, wrap_chat_model\n"
                "from graph import build\nfrom llm import make\nfrom own import Helper\n"
                "graph = manage(build(), rm)\nmodel = wrap_chat_model(make(), rm)\n"
                "helper = manage(Helper(), rm)\n"
            ),
        },
    )
    assert set(states(tmp_path).values()) == {"managed"}
    assert "All of it is managed already." in init(tmp_path)


def test_a_class_of_the_project_is_what_it_derives_from(tmp_path):
    """Also where the file that makes one names no framework at all."""
    write(
        tmp_path,
        {
            "base.py": "from langchain_openai import ChatOpenAI\nclass Base(ChatOpenAI): pass\n",
            "ours.py": "from base import Base\nclass Ours(Base):\n    pass\n",
            "use.py": "from ours import Ours\nchat = Ours()\n",
        },
    )
    text = init(tmp_path)
    assert "use.py:2  model: Ours" in text
    assert "chat = wrap_chat_model(chat, rm)" in text


def test_nodes_of_other_files_bring_their_models(tmp_path):
    """Through the functions that they call; what is made while they run is named by itself."""
    write(
        tmp_path,
        {
            "app/__init__.py": "",
            "app/llm.py": LLM + "def fresh():\n    return ChatOpenAI(model='fresh')\n",
            "app/help.py": "from app.llm import llm\ndef ask(q):\n    return llm.invoke(q)\n",
            "app/nodes.py": (
                "from app.help import ask\nfrom app import llm\n"
                "def one(state):\n    return ask('x')\n"
                "def two(state):\n    return llm.fresh().invoke('x')\n"
            ),
            "app/graph.py": (
                "from langgraph.graph import StateGraph\nfrom app import nodes\n"
                "builder = StateGraph(dict)\nbuilder.add_node('one', nodes.one)\n"
                "builder.add_node('two', nodes.two)\ngraph = builder.compile()\n"
            ),
        },
    )
    assert states(tmp_path) == {
        "app/graph.py:6": "graph",
        "app/llm.py:2": "inside",
        "app/llm.py:4": "model",
    }


def test_the_same_name_in_two_functions_is_two_things(tmp_path):
    """An argument, a local or another class's attribute hides nothing and claims nothing."""
    write(
        tmp_path,
        {
            "a.py": (
                "from langchain.agents import create_agent\n"
                "from langchain_openai import ChatOpenAI\n"
                "def one():\n    llm = ChatOpenAI(model='a')\n    return llm.invoke('x')\n"
                "def two(llm):\n    return create_agent(llm, [])\n"
                "class A:\n    def __init__(self):\n        self.llm = ChatOpenAI(model='b')\n"
                "class B:\n    def __init__(self):\n        self.llm = ChatOpenAI(model='c')\n"
                "        self.agent = create_agent(self.llm, [])\n"
            )
        },
    )
    assert states(tmp_path) == {
        "a.py:4": "model",
        "a.py:7": "agent",
        "a.py:10": "model",
        "a.py:13": "inside",
        "a.py:14": "agent",
    }


def test_agents_and_graphs_inside_a_graph_have_no_line_of_their_own(tmp_path):
    """They are nodes of it: managing the whole manages them."""
    write(
        tmp_path,
        {
            "sub.py": (
                "from langgraph.graph import StateGraph\n"
                "sub = StateGraph(dict).add_node('x', print).compile()\n"
            ),
            "helper.py": "from llm import llm\n" + AGENT,
            "llm.py": LLM,
            "whole.py": (
                "from langgraph.graph import StateGraph\nfrom helper import agent\n"
                "from sub import sub\nb = StateGraph(dict)\nb.add_node('sub', sub)\n"
                "b.add_node('agent', agent)\nwhole = b.compile(checkpointer=None)\n"
            ),
        },
    )
    assert states(tmp_path) == {
        "helper.py:3": "inside",
        "llm.py:2": "inside",
        "sub.py:2": "inside",
        "whole.py:7": "graph",
    }


def test_embeddings_are_named_and_no_chain_manages_them(tmp_path):
    """`manage` reaches chat models; embeddings are wrapped by themselves."""
    text = init(
        write(
            tmp_path,
            {
                "a.py": (
                    "from langchain_openai import OpenAIEmbeddings\n"
                    "from agentrm_langchain import ManagedEmbeddings\n"
                    "vectors = OpenAIEmbeddings()\n"
                    "other = ManagedEmbeddings(OpenAIEmbeddings(), rm)\n"
                )
            },
        )
    )
    assert "vectors = ManagedEmbeddings(vectors, rm)" in text
    assert "a.py:4  embeddings: OpenAIEmbeddings (managed already)" in text


def test_several_files_share_one_core(tmp_path):
    """The lines say in which file it is made and how the others import it; they compile."""
    write(
        tmp_path,
        {
            "src/shop/__init__.py": "",
            "src/shop/chat/__init__.py": "",
            "src/shop/chat/llm.py": LLM,
            "src/shop/batch/__init__.py": "",
            "src/shop/batch/job.py": "import openai\nclient = openai.OpenAI()\n",
            "src/shop/resources.py": "taken = True\n",
        },
    )
    text = init(tmp_path)
    assert "in a module of its own, say src/shop/model_resources.py:" in text
    assert text.count("rm = AgentRM(lanes=4)") == 1
    assert text.count("    from shop.model_resources import rm") == 2
    ast.parse("\n".join(line[4:] for line in text.splitlines() if line.startswith("    ")))


def test_a_notebook_is_read_cell_by_cell(tmp_path):
    """Magics and shell lines are no fault; a broken cell is named and hides no other."""
    cells = (
        "!pip install langchain\n%load_ext autoreload\nfrom langchain_openai import ChatOpenAI",
        "%%bash\necho from openai import OpenAI",
        "def (:",
        "%%time\nllm = ChatOpenAI()\nllm?\nawait llm.ainvoke('x')",
    )
    write(tmp_path, {"talk.ipynb": notebook(*cells), "bad.ipynb": "[]", "worse.ipynb": "{"})
    text = init(tmp_path)
    assert "talk.ipynb cell 5:2  model: ChatOpenAI" in text
    assert "llm = wrap_chat_model(llm, rm)" in text
    for words in ("talk.ipynb (cell 4: ", "bad.ipynb (no notebook)", "worse.ipynb (no notebook)"):
        assert words in text


def test_what_is_left_out_is_named_with_the_reason(tmp_path):
    """Large files, links and environments in the text; all of them in the JSON."""
    write(
        tmp_path,
        {
            "fine.py": LLM,
            "large.py": "x = 1\n" * 200_000,
            "venv/pyvenv.cfg": "",
            "venv/x.py": LLM,
            "node_modules/x.py": LLM,
            ".git/hooks/x.py": LLM,
            "__pycache__/x.py": LLM,
        },
    )
    (tmp_path / "lost.py").symlink_to(tmp_path / "nowhere.py")
    (tmp_path / "linked").symlink_to(tmp_path / "venv")
    text = init(tmp_path)
    for words in (
        "large.py (1.2 MB, over 1 MB: taken as generated)",
        "lost.py (a link to nothing)",
        "venv (an environment)",
        "node_modules (packages of npm)",
        "and 1 hidden",
    ):
        assert words in text
    told = data(tmp_path)
    assert told["files"] == 1
    assert [one["path"] for one in told["found"]] == ["fine.py"]
    assert {one["path"]: one["rule"] for one in told["skipped"]} == {
        ".git": True,
        "large.py": False,
        "lost.py": False,
        "linked": True,
        "node_modules": True,
        "venv": True,
    }
    assert told["extras"] == "langchain"
    assert told["lines"] == text.splitlines()


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="no such rights here")
def test_a_folder_that_may_not_be_entered_is_named():
    """Such as the data of a server that runs as another user."""
    was = os.geteuid()
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        write(folder, {"a.py": LLM, "closed/c.py": LLM, "listed/b.py": LLM})
        (folder / "closed").chmod(0o000)
        (folder / "listed").chmod(0o444)
        try:
            os.seteuid(was or 65534)
            text = init(folder)
        finally:
            os.seteuid(was)
            (folder / "closed").chmod(0o755)
            (folder / "listed").chmod(0o755)
    assert "closed (may not be entered)" in text
    assert "listed/b.py (may not be read)" in text


def test_files_that_take_all_of_each_other_are_read_at_once(tmp_path):
    """A name that none of them has is sought once in each, not along every way between them."""
    files = {f"pkg/m{n}.py": f"from pkg import *\nprint({n})\n" for n in range(12)}
    files["pkg/__init__.py"] = "".join(f"from .m{n} import *\n" for n in range(12))
    files["pkg/m11.py"] += "from langchain_openai import ChatOpenAI\n"
    files["pkg/m0.py"] += "llm = ChatOpenAI()\n"
    found = look_at(write(tmp_path, files)).found
    assert [(one.path.name, one.name) for one in found] == [("m0.py", "ChatOpenAI")]


@pytest.mark.parametrize(
    "files",
    [
        {"a.py": "from b import llm\nllm()\n", "b.py": "from a import llm\nllm()\n"},
        {"a.py": "from a import *\nfrom b import *\nllm()\n", "b.py": "from a import *\n"},
        {"a.py": "from ....x import llm\nllm()\n"},
        {"a.py": "x = y\ny = x\nclass A(B): pass\nclass B(A): pass\nA()\nx()\n"},
        {"a.py": "import a\na.a.a.a()\n"},
    ],
)
def test_circles_come_to_an_end(tmp_path, files):
    """Of imports, names and bases."""
    assert init(write(tmp_path, files)).startswith("No model")
