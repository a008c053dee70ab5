from __future__ import annotations

import re
import textwrap

import pytest
from typer.testing import CliRunner

from agentrm_plugins.cli.app import app


def init(folder):
    result = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}).invoke(
        app, ["init", str(folder)]
    )
    return result.exit_code, result.output


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")


def test_each_kind_gets_its_line_with_the_name_that_it_has(tmp_path):
    """Models, clients, agents and graphs are named with file and line; the imports come once."""
    write(
        tmp_path,
        "app/chat.py",
        """
        import asyncio
        import openai as sdk
        from langchain.agents import create_agent
        from langchain_core.prompts import ChatPromptTemplate
        from langchain_openai import ChatOpenAI as Chat
        from langgraph.graph import StateGraph

        prompt = ChatPromptTemplate.from_template("{x}")
        llm = Chat(model="gpt-4o").with_retry()
        helper = create_agent(llm, [])
        builder = StateGraph(dict)
        client = sdk.AsyncOpenAI()
        gate = asyncio.Semaphore(4)
        """,
    )
    code, text = init(tmp_path)
    assert code == 0
    for words in (
        "app/chat.py:10  model: ChatOpenAI",
        "helper = manage(helper, rm)",
        "graph = manage(builder.compile(), rm)",
        "client = manage_client(client, rm)",
        "pip install 'agentrm-plugins[langchain,langgraph,openai]'",
        "app/chat.py:14: Semaphore may go",
        ".with_retry may go",
    ):
        assert words in text
    assert text.count("import manage\n") == 1
    assert "ChatPromptTemplate" not in text


def test_what_it_prints_is_python(tmp_path):
    """The lines can be pasted: every indented block compiles."""
    write(
        tmp_path,
        "a.py",
        """
        from langchain_anthropic import ChatAnthropic
        from openai import OpenAI
        def make():
            return ChatAnthropic(model="claude"), OpenAI()
        self_model = ChatAnthropic(model="claude")
        """,
    )
    _, text = init(tmp_path)
    block = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    compile(block, "printed", "exec")
    assert "self_model = wrap_chat_model(self_model, rm)" in block


@pytest.mark.parametrize(
    "text",
    [
        "",
        "print('no framework here')",
        "def broken(:\n",
        "\x00",
        "from x import ChatOpenAI\nChatOpenAI()",
        "class OpenAI: pass\nOpenAI()",
    ],
)
def test_a_project_without_models_is_told_so(tmp_path, text):
    """Empty, broken and foreign files find nothing, and end in a sentence."""
    write(tmp_path, "a.py", text)
    code, told = init(tmp_path)
    assert code == 0
    assert told.startswith("No model, agent, graph or client")
    assert "Traceback" not in told


def test_environments_and_hidden_folders_are_left_alone(tmp_path):
    """Only the project's own files are read."""
    source = "from openai import OpenAI\nclient = OpenAI()\n"
    for name in (".venv/x.py", "my-env/x.py", "node_modules/x.py", "lib/site-packages/x.py"):
        write(tmp_path, name, source)
    write(tmp_path, "my-env/pyvenv.cfg", "")
    assert init(tmp_path)[1].startswith("No model")


def test_a_file_in_place_of_a_folder_is_refused(tmp_path):
    """With the argument's name and the way out."""
    write(tmp_path, "a.py", "")
    code, text = init(tmp_path / "a.py")
    assert code == 2
    assert re.search(r"FOLDER.*give a folder", text, re.DOTALL)


def test_what_is_managed_already_is_counted(tmp_path):
    """Twice is said, not demanded."""
    write(
        tmp_path,
        "a.py",
        """
        from langchain_openai import ChatOpenAI
        from agentrm_langchain import wrap_chat_model
        model = wrap_chat_model(ChatOpenAI(model="m"), rm)
        """,
    )
    assert "1 calls of AgentRM are here already" in init(tmp_path)[1]
