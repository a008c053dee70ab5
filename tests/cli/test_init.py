from __future__ import annotations

import os
import re
import sys
import textwrap
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from typer.testing import CliRunner

from agentrm_plugins.cli.app import app
from agentrm_plugins.cli.project.files import project_files


def init(folder):
    result = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}).invoke(
        app, ["init", str(folder)]
    )
    return result.exit_code, result.output


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")


def told_of(folder, source):
    """What is said of a project of one file."""
    write(folder, "a.py", source)
    return init(folder)[1]


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
        "manage(builder.compile(...), rm)  # in place of builder.compile(...)",
        "client = manage_client(client, rm)",
        "Installed already:  agentrm-plugins[agents,openai]",
        "app/chat.py:14: Semaphore may go",
        ".with_retry may go",
    ):
        assert words in text
    assert text.count("import manage\n") == 1
    assert "ChatPromptTemplate" not in text


def test_what_it_prints_is_python(tmp_path):
    """The lines can be pasted: every indented block compiles."""
    text = told_of(
        tmp_path,
        """
        from langchain_anthropic import ChatAnthropic
        from openai import OpenAI
        def make():
            return ChatAnthropic(model="claude"), OpenAI()
        self_model = ChatAnthropic(model="claude")
        """,
    )
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


def test_a_graph_is_managed_where_it_is_compiled(tmp_path):
    """Nodes are added below the builder's line; what `compile` is given must stay as it is."""
    text = told_of(
        tmp_path,
        """
        from langgraph.graph import START, MessagesState, StateGraph

        builder = StateGraph(MessagesState)
        builder.add_node("a", lambda state: {})
        app = builder.compile(checkpointer=None)
        other = StateGraph(MessagesState).add_node("a", print).add_edge(START, "a").compile()
        """,
    )
    assert "    # a.py:6\n    app = manage(app, rm)" in text
    assert "    # a.py:7\n    other = manage(other, rm)" in text
    assert "builder" not in text


def test_what_has_no_name_is_wrapped_in_place(tmp_path):
    """No line names a variable that the project does not have."""
    text = told_of(
        tmp_path,
        """
        from langchain.agents import create_agent
        from langchain_openai import ChatOpenAI

        def make():
            return create_agent("openai:gpt-4o", [])

        chains = [ChatOpenAI(), ChatOpenAI()]
        first, second = ChatOpenAI(), make()
        typed: ChatOpenAI = ChatOpenAI()
        """,
    )
    assert "    # a.py:6\n    manage(create_agent(...), rm)  # in place of" in text
    assert text.count("wrap_chat_model(ChatOpenAI(...), rm)  # in place of") == 2
    assert "first = wrap_chat_model(first, rm)" in text
    assert "typed = wrap_chat_model(typed, rm)" in text


@pytest.mark.parametrize(
    "use",
    [
        "agent = create_agent(llm, [])",
        "agent = create_agent(model=llm, tools=[])",
        (
            "def node(state):\n    return llm.invoke(state)\n"
            "graph = StateGraph(dict).add_node('n', node).compile()"
        ),
    ],
)
def test_a_model_of_an_agent_or_a_graph_has_no_line_of_its_own(tmp_path, use):
    """It is managed with what uses it, and the list of what was found says so."""
    head = "from langchain.agents import create_agent\nfrom langgraph.graph import StateGraph\n"
    head += "from langchain_openai import ChatOpenAI\nllm = ChatOpenAI()\n"
    write(tmp_path, "a.py", head + use)
    _, text = init(tmp_path)
    assert "a.py:4  model: ChatOpenAI (with the agent, graph or chain that uses it)" in text
    assert "= manage(" in text
    assert "wrap_chat_model" not in text


def test_what_is_managed_already_is_left_out(tmp_path):
    """A model that is wrapped, a graph that is given to `manage`, an agent with the middleware."""
    text = told_of(
        tmp_path,
        """
        import agentrm_langchain
        from langchain.agents import create_agent
        from langchain_openai import ChatOpenAI
        from agentrm_langchain import AgentRMMiddleware, manage, wrap_chat_model
        model = wrap_chat_model(ChatOpenAI(model="m"), rm)
        llm = ChatOpenAI()
        llm = agentrm_langchain.wrap_chat_model(inner=llm, rm=rm)
        agent = create_agent("openai:m", [], middleware=[AgentRMMiddleware(rm)])
        """,
    )
    assert text.count("(managed already)") == 3
    assert "All of it is managed already." in text
    assert "pip install" not in text


@pytest.mark.parametrize(
    "hostile",
    [
        f"create_agent(model{'.a' * 900})",
        f"graph{'.a' * 900} = StateGraph(dict)",
        f"x = {'-' * 20_000}1",
        f"x = {'(' * 5_000}1{')' * 5_000}",
        "x = '\0'",
    ],
)
def test_a_file_that_is_nested_too_deep_hides_no_other(tmp_path, hostile):
    """What Python or its tree cannot bear is left out, as what is no Python is."""
    head = "from langchain.agents import create_agent\nfrom langgraph.graph import StateGraph\n"
    write(tmp_path, "a.py", head + hostile + "\n")
    write(tmp_path, "b.py", head + "agent = create_agent('openai:m', [])\n")
    code, text = init(tmp_path)
    assert code == 0
    assert "b.py:3  agent: create_agent" in text


def test_files_that_cannot_be_read_are_named_in_one_line(tmp_path):
    """With the reason, also where nothing else is found; of many the number is told."""
    (tmp_path / "deep.py").write_text(f"x = {'(' * 5_000}1{')' * 5_000}", encoding="utf-8")
    (tmp_path / "fine.py").write_text("x = 1", encoding="utf-8")
    code, text = init(tmp_path)
    assert code == 0
    assert re.search(r"Left out, as it cannot be read: deep\.py \(.*nest.*\)\.$", text)
    for number in range(9):
        (tmp_path / f"broken_{number}.py").write_text("def (:", encoding="utf-8")
    assert "broken_4.py (invalid syntax), and 5 more." in init(tmp_path)[1]


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="no such rights here")
def test_a_folder_that_may_not_be_entered_is_left_out():
    """Such as the data of a server that runs as another user."""
    was = os.geteuid()
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for place in ("a.py", "listed/b.py", "closed/c.py"):
            write(folder, place, "")
        (folder / "closed").chmod(0o000)
        (folder / "listed").chmod(0o444)
        try:
            os.seteuid(was or 65534)
            found = [path.name for path in project_files(folder).found]
        finally:
            os.seteuid(was)
            (folder / "closed").chmod(0o755)
            (folder / "listed").chmod(0o755)
    assert found == ["a.py"]


CHAINS = """
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI

    prompt = ChatPromptTemplate.from_template("Name one {thing}.")
    chain = (
        prompt
        | ChatOpenAI(model="gpt-4o-mini").bind_tools([])
        | StrOutputParser()
    )
    kind = int | None
"""


def test_a_chain_is_managed_as_a_whole(tmp_path):
    """As the README says; the line below its statement, and its model is no second line."""
    text = told_of(tmp_path, CHAINS)
    assert "    # a.py:7\n    chain = manage(chain, rm)  # every model in it" in text
    assert "a.py:9  model: ChatOpenAI (with the agent, graph or chain that uses it)" in text
    assert "from agentrm_langchain import manage\n" in text
    assert "wrap_chat_model" not in text
    assert "agentrm-plugins[langchain]" in text
    managed = CHAINS.replace("\n", "\n    from agentrm_langchain import manage\n", 1)
    assert "All of it is managed" in told_of(tmp_path, managed + "\n    done = manage(chain, 0)\n")


def test_a_model_with_a_name_is_wrapped_before_its_chains(tmp_path):
    """Others may use it too; and what a function makes when it runs is in no chain."""
    text = told_of(
        tmp_path,
        """
        from langchain_openai import ChatOpenAI

        llm = ChatOpenAI()
        chain = str | llm
        late = str | (lambda text: ChatOpenAI().invoke(text))
        """,
    )
    assert "llm = wrap_chat_model(llm, rm)" in text
    assert "wrap_chat_model(ChatOpenAI(...), rm)  # in place of" in text
    assert "manage(" not in text


@pytest.mark.parametrize(("missing", "way"), [("langchain_core", True), ("openai", False)])
def test_what_is_installed_is_not_to_be_installed(tmp_path, monkeypatch, missing, way):
    """By what the extra brings; another package that is missing does not matter."""
    monkeypatch.setitem(sys.modules, missing, None)
    text = told_of(tmp_path, CHAINS)
    assert ("pip install 'agentrm-plugins[langchain]'" in text) is way
    assert ("Installed already:  agentrm-plugins[langchain]" in text) is not way
