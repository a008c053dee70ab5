"""`agentrm doctor`: what is wrong with an installation and a program, and what to do about it."""

from __future__ import annotations

import itertools
import json
import re
import textwrap
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentrm_plugins import AgentRM, ContextLifecycle, SqliteStore
from agentrm_plugins.cli.app import app
from agentrm_plugins.cli.doctor import installation
from agentrm_plugins.cli.doctor.configured import store, writable
from agentrm_plugins.cli.doctor.installation import fits

NUMBERS = itertools.count()
KEY = f"sk-{'proj'}-abcdefghijklmnopqrstuvwxyz0123456789"
HEAD = f"""
from typing import TypedDict
import openai
from langchain_core.language_models import FakeListChatModel
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from agentrm_langchain import AgentRMCallbackHandler, manage, wrap_chat_model
from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, EndpointConfig
rm = AgentRM(lanes=2)
KEY = "{KEY}"
bare = ChatOpenAI(model="gpt-4o-mini", api_key=KEY, max_retries=6)
managed = wrap_chat_model(ChatOpenAI(model="gpt-4o", api_key=KEY), rm)
class State(TypedDict):
    text: str
def first(state):
    return {{"text": managed.invoke(state["text"]).content}}
def second(state):
    return {{"text": bare.invoke(state["text"]).content}}
builder = StateGraph(State)
builder.add_node("first", first)
builder.add_node("second", second)
builder.add_edge(START, "first")
builder.add_edge("first", "second")
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Write a program, and run the doctor on it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def run(text, target="app", *options, head=HEAD):
        name = f"doctored_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(head + textwrap.dedent(text), encoding="utf-8")
        arguments = ["doctor", f"{name}:{target}" if target else name, *options]
        result = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}).invoke(
            app, arguments
        )
        assert KEY not in result.output
        return result.exit_code, result.output

    return run


def findings(program, text, target="app"):
    code, out = program(text, target, "--json")
    told = json.loads(out)
    assert told["ok"] is (code == 0)
    assert all(one["fix"] for one in told["findings"] if one["status"] != "ok")
    found = [one for one in told["findings"] if one["check"] not in {"package", "extras"}]
    return code, [(one["check"], one["status"], one["text"], one["fix"]) for one in found]


def of(found, check, status=None):
    return [one for one in found if one[0] == check and status in {None, one[1]}]


def test_a_graph_with_one_managed_and_one_bare_model(program):
    """The one is fine, the other slips past, with its node, its retries and the way out."""
    code, found = findings(program, "app = builder.compile()")
    assert code == 1
    [fine] = of(found, "model", "ok")
    assert "first" in fine[2]
    assert "wrapped" in fine[2]
    [slips] = of(found, "model", "problem")
    assert "second" in slips[2]
    assert "slips past" in slips[2]
    assert "wrap_chat_model" in slips[3]
    assert "6 times" in slips[2]  # told with it: management would turn them off
    assert not of(found, "retries", "problem")
    [graph] = of(found, "graph")
    assert graph[1] == "note"
    assert len(of(found, "limits", "note")) == 2


def test_a_graph_that_is_managed_whole_is_well(program):
    """Nothing to be done; exit code 0."""
    code, found = findings(program, "app = manage(builder.compile(), rm)")
    assert code == 0
    assert not [one for one in found if one[1] == "problem"]
    assert len(of(found, "model", "ok")) == 2
    assert of(found, "graph", "ok")


def test_an_agent_with_our_middleware_is_managed_by_it(program):
    """The model in it stays bare and is managed all the same."""
    code, found = findings(
        program,
        """
        from langchain.agents import create_agent
        from agentrm_langchain import AgentRMMiddleware
        app = create_agent(bare, [], middleware=[AgentRMMiddleware(rm)])
        """,
    )
    assert code == 0
    assert any("middleware" in one[2] for one in of(found, "model", "ok"))


@pytest.mark.parametrize(
    ("text", "check", "words"),
    [
        ("app = bare | (lambda message: message)", "model", "slips past"),
        ("app = [managed, bare]", "model", "[1] slips past"),
        ("app = {'a': managed, 'b': bare.with_retry()}", "model", "slips past"),
        ("app = bare.bind_tools([])", "model", "slips past"),
        ("app = openai.OpenAI(api_key=KEY)", "client", "manage_client"),
        ("app = openai.AsyncOpenAI(api_key=KEY, max_retries=0)", "client", "slips past"),
    ],
)
def test_chains_lists_and_clients(program, text, check, words):
    """Whatever a program is made of."""
    _, found = findings(program, text)
    assert any(words in one[2] + one[3] for one in of(found, check, "problem")), found


def test_a_managed_client_is_well(program):
    """Its SDK's retries are off, whatever it was made with."""
    code, found = findings(program, "app = manage_client(openai.OpenAI(api_key=KEY), rm)")
    assert code == 0
    assert of(found, "client", "ok")
    assert of(found, "retries", "ok")


def test_clients_beside_a_graph_are_seen(program):
    """A node may use one that no walk through the graph would find."""
    code, found = findings(
        program, "client = openai.OpenAI(api_key=KEY)\napp = manage(builder.compile(), rm)"
    )
    assert code == 1
    assert any("client slips past" in one[2] for one in of(found, "client", "problem"))


def test_a_callback_cannot_turn_retries_off(program):
    """The model is managed, its SDK still retries."""
    code, found = findings(
        program, "app = bare.with_config(callbacks=[AgentRMCallbackHandler(rm)])"
    )
    assert code == 1
    assert any("callback" in one[2] for one in of(found, "model", "ok"))
    [retries] = of(found, "retries", "problem")
    assert "a callback cannot" in retries[3]


def test_a_whole_module_and_a_function_that_makes_the_graph(program):
    """Named without an object; or called, when its name ends in ()."""
    assert of(findings(program, "x = 1", "")[1], "model", "problem")
    assert of(findings(program, "def make(): return builder.compile()", "make()")[1], "model")


def test_limits_that_are_told_are_known(program):
    """No note where the configuration has them."""
    _, found = findings(
        program, 'rm = AgentRM(endpoints={"*": EndpointConfig(rpm=5)})\napp = managed'
    )
    assert of(found, "limits", "ok")


@pytest.mark.parametrize(
    ("text", "target", "words"),
    [
        ("raise RuntimeError('token=abcdefghijklmnop boom')", "app", "RuntimeError"),
        ("import no_such_package_at_all", "app", "no_such_package_at_all"),
        ("import sys; sys.exit(3)", "app", "SystemExit"),
        ("x = 1", "app", "it has"),
        ("def make(): raise ValueError('no')", "make()", "ValueError"),
        ("def make(): raise SystemExit(4)", "make()", "SystemExit"),
        (
            "class Lazy:\n    @property\n    def graph(self): raise ValueError('no')\nx = Lazy()",
            *("x.graph", "ValueError"),
        ),
    ],
)
def test_a_program_that_cannot_be_imported(program, text, target, words):
    """One message with the cause, exit code 2, no traceback."""
    code, out = program(text, target)
    assert code == 2
    assert words in out
    assert "Traceback" not in out


@pytest.mark.parametrize("text", ["raise RuntimeError('boom')", "import sys; sys.exit(3)", "x = ("])
def test_json_is_told_also_where_the_program_cannot_be_imported(program, text):
    """All other findings, one of the program with the cause, and exit code 2."""
    code, out = program(text, "app", "--json")
    told = json.loads(out)
    assert (code, told["ok"]) == (2, False)
    [found] = [one for one in told["findings"] if one["check"] == "app"]
    assert found["status"] == "problem"
    assert "cannot be imported" in found["text"]
    assert any(one["check"] == "python" for one in told["findings"])


def test_a_program_with_proxies_that_are_not_bound(program):
    """As Flask's request and Django's settings are outside of a request: looked past."""
    code, told = program(
        """
        class Proxy:
            def __getattr__(self, name):
                raise RuntimeError("working outside of a request")
        request = Proxy()
        app = managed | (lambda x: request)
        """
    )
    assert code in {0, 1}
    assert "is managed (wrapped)" in told


def test_the_configuration_is_looked_at(program, tmp_path):
    """A file that cannot be is a problem with its line."""
    (tmp_path / "agentrm.toml").write_text("lanse = 3")
    code, found = findings(program, "app = managed")
    assert code == 1
    assert "did you mean 'lanes'" in of(found, "config", "problem")[0][2]
    (tmp_path / "agentrm.toml").write_text("lanes = 3")
    assert "agentrm.toml" in of(findings(program, "app = managed")[1], "config", "ok")[0][2]


def test_a_fleet_that_cannot_be_reached(program, monkeypatch):
    """Said with the way out, and without the password."""
    monkeypatch.setenv("AGENTRM_COORDINATION", "redis://:hunter2hunter2@127.0.0.1:1/0")
    code, out = program("x = 1", "KEY", head="KEY = 'none'\n")
    assert code == 1
    assert "coordination" in out
    assert "hunter2" not in out


def test_lines_for_people_and_the_fix(program):
    """Each problem has an arrow with the way out; --fix prints what `agentrm init` would."""
    code, out = program("app = bare", "app", "--quiet", "--fix")
    assert code == 1
    assert "FAIL  model" in out
    assert "->" in out
    assert "ok    python" not in out
    assert "from agentrm_plugins import AgentRM" in out


def test_the_installation_alone():
    """Python, the packages and encodings, without a program."""
    result = CliRunner().invoke(app, ["doctor", "--json"])
    told = {one["check"]: one for one in json.loads(result.output)["findings"]}
    assert told["python"]["status"] == "ok"
    assert told["encodings"]["status"] == "ok"
    assert told["store"]["status"] == "ok"


def test_versions_out_of_range_and_missing_extras(monkeypatch):
    """Named with the line that installs what is wanted."""
    have = {"agentrm-plugins": "0.1.0", "openai": "4.0.0", "tenacity": "9.0"}

    def version(name):
        if name not in have:
            raise installation.PackageNotFoundError(name)
        return have[name]

    wanted = ["tenacity<10,>=8.2.3", 'openai<4,>=3; extra == "openai"', 'rich>=13; extra == "cli"']
    monkeypatch.setattr(installation, "version", version)
    monkeypatch.setattr(installation, "requires", lambda _: wanted)
    found = {one.text: one for one in installation._packages()}
    assert found["tenacity 9.0"].status == "ok"
    bad = next(one for text, one in found.items() if text.startswith("openai 4.0.0"))
    assert (bad.status, bad.fix) == ("problem", "pip install 'openai<4,>=3'")
    missing = next(one for text, one in found.items() if "cli (rich)" in text)
    assert missing.status == "ok"  # an extra is the user's choice
    assert "agentrm-plugins[cli]" in missing.fix


@pytest.mark.parametrize(
    ("have", "wanted", "inside"),
    [
        ("1.2", ">=1.2,<2", True),
        ("1.2.0", "==1.2", True),
        ("2.0rc1", "<2", False),
        ("1.4.7.post1", "~=1.4", True),
        ("2.1", "~=1.4", False),
        ("1.5", "!=1.5", False),
        ("odd", ">=1", False),
        ("3", "", True),
    ],
)
def test_ranges(have, wanted, inside):
    """Each sign of a requirement."""
    assert fits(have, wanted) is inside


def test_an_archive_that_others_can_read(tmp_path):
    """It holds conversations; the fix is a chmod."""
    path = tmp_path / "archive.db"
    with ContextLifecycle(store=SqliteStore(path)) as context:
        context.session("t").prepare([{"role": "user", "content": "hi"}])
        assert store(context).status == "ok"
        path.chmod(0o644)
        assert (store(context).status, store(context).fix) == ("problem", f"chmod 600 {path}")
    with ContextLifecycle() as context:
        assert store(context).status == "note"
    assert writable(tmp_path, "record").status == "problem"
    assert writable(tmp_path / "new" / "events.jsonl", "record").status == "ok"


def test_a_core_is_enough():
    """`agentrm doctor app:rm` looks at the core alone."""
    from agentrm_plugins.cli.doctor import program as looked

    with AgentRM(lanes=2) as rm:
        found = list(looked.program(looked, rm, "x:rm", None))
    assert [one.status for one in found] == ["ok"]


AGENT = """
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from agentrm_langchain import AgentRMMiddleware
from agentrm_plugins import AgentRM
@tool
def look_up(what: str) -> str:
    "Look something up."
    return what
rm = AgentRM(lanes=4)
model = ChatOpenAI(model="gpt-4o-mini", api_key="x")
"""


@pytest.mark.parametrize("target", ["agent", ""])
def test_the_readmes_agent_has_nothing_to_be_done(program, target):
    """The middleware is the way to manage it: nothing to note of its graph."""
    text = "agent = create_agent(model, [look_up], middleware=[AgentRMMiddleware(rm)])"
    code, out = program(text, target, "--json", head=AGENT)
    found = json.loads(out)["findings"]
    [graph] = [one for one in found if one["check"] == "graph"]
    assert (code, graph["status"]) == (0, "ok")
    assert "every model found in it is managed" in graph["text"]
    bare, _ = program("agent = create_agent(model, [look_up])", target, "--json", head=AGENT)
    assert bare == 1


def test_a_model_is_told_once_and_problems_come_first(program):
    """However many ways lead to it; its retries are no second fault."""
    text = "\n".join(f"app_{number} = builder.compile()" for number in range(9))
    code, out = program(text, "")
    assert code == 1
    assert out.count("FAIL") == 1
    first = out.splitlines()[0]
    assert first.startswith("FAIL  model")
    assert "also at" in first
    assert "more)" in first
    assert "(6 times)" in first
    signs = [line[:4] for line in out.splitlines() if line[:4] in {"FAIL", "note", "ok  "}]
    assert signs == sorted(signs, key=["FAIL", "note", "ok  "].index)


def test_a_core_that_the_program_closed_by_itself_is_a_note(program):
    """As the quick start's examples do, each in a `with` block."""
    code, found = findings(
        program,
        """
        with rm:
            app = manage(builder.compile(), rm)
        """,
    )
    assert code == 0
    [note] = of(found, "core")
    assert note[1] == "note"
    assert "closed it while it was imported" in note[2]
    assert "__main__" in note[3]
    assert findings(program, "app = rm\nrm.close()")[0] == 0


@pytest.mark.parametrize(
    ("target", "managed"),
    [
        ("bare", "wrap_chat_model(bare, rm)"),
        ("app", "manage(app, rm)"),
        ("", "(manage(app, rm), manage(client, rm), manage(bare, rm))"),
        ("client", "manage_client(client, rm)"),
    ],
)
def test_what_is_handed_over_where_importing_does_not_go(program, target, managed):
    """The source is read: doctor and init say the same of it."""
    text = f"""
        app = builder.compile()
        client = openai.OpenAI(api_key=KEY)
        if __name__ == "__main__":
            print({managed})
        """
    code, found = findings(program, text, target)
    handed = [one for one in found if "is bare here; it is handed to manage" in one[2]]
    handed += [one for one in found if "is bare here; it is handed to wrap" in one[2]]
    assert handed
    assert all(one[1] == "note" for one in handed)
    assert (code == 0) is (target in {"", "client"}), found  # else the client beside it is bare
    assert ".py:" in handed[0][2]


def test_the_quick_starts_program_for_doctor_is_well(program, monkeypatch):
    """The page shows how a program is laid out that doctor can look at; no model is called."""
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    page = Path(__file__).parents[2] / "docs" / "quickstart.md"
    [block] = [
        one
        for one in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
        if "__main__" in one
    ]
    for target in ("graph", "rm", ""):
        code, out = program("", target, head=block)
        assert code == 0, out
        assert "closed" not in out
    assert "is managed (wrapped)" in program("", "graph", head=block)[1]


def test_handing_over_one_model_says_nothing_of_another(program):
    """Known by its name in the module, else all of its class have to be handed over."""
    text = """
        other = ChatOpenAI(model="gpt-4o", api_key=KEY)
        app = [other]
        inline = {"a": ChatOpenAI(model="gpt-4o", api_key=KEY)}
        if __name__ == "__main__":
            manage(bare, rm)
        """
    assert findings(program, text)[0] == 1
    assert findings(program, text, "inline")[0] == 1
    assert findings(program, text, "bare")[0] == 0
