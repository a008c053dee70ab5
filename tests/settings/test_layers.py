"""Where a value comes from: defaults < file < environment < code."""

from __future__ import annotations

import json
import textwrap
from dataclasses import fields

import pytest
from typer.testing import CliRunner

from agentrm_plugins import AgentRM, BudgetConfig, ConfigError, EndpointConfig
from agentrm_plugins.cli.app import app
from agentrm_plugins.settings import load
from agentrm_plugins.settings.printing import as_json, rows
from agentrm_plugins.settings.schema import RECORD
from agentrm_plugins.telemetry.recording import Recording


def write(folder, text, name="agentrm.toml"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def sources(settings):
    return {row.name: row.source for row in rows(settings) if row.source != "default"}


def refusal(folder, text="", environ=None, **code):
    if text:
        write(folder, text)
    with pytest.raises(ConfigError) as met:
        load(environ=environ or {}, folder=folder, code=code)
    return str(met.value)


def test_each_layer_goes_over_the_one_below(tmp_path):
    """One field said in all layers ends as code says it; each other keeps its own origin."""
    write(
        tmp_path,
        """
        lanes = 3
        order = "fifo"
        max_waiting = 50
        [leases]
        silence_timeout_s = 30
        total_timeout_s = 400
        """,
    )
    environ = {
        "AGENTRM_LANES": "4",
        "AGENTRM_MAX_WAITING": "60",
        "AGENTRM_LEASES__TOTAL_TIMEOUT_S": "none",
        "PATH": "x",
    }
    found = load(environ=environ, folder=tmp_path, code={"lanes": 5, "boost_interval": 7})
    assert found.config.lanes == 5
    assert found.config.max_waiting == 60
    assert found.config.scheduler.order == "fifo"
    assert found.config.scheduler.boost_interval == 7
    assert found.config.leases.silence_timeout_s == 30
    assert found.config.leases.total_timeout_s is None
    assert sources(found) == {
        "lanes": "code",
        "scheduler.order": "agentrm.toml:3",
        "scheduler.boost_interval": "code",
        "max_waiting": "AGENTRM_MAX_WAITING",
        "leases.silence_timeout_s": "agentrm.toml:6",
        "leases.total_timeout_s": "AGENTRM_LEASES__TOTAL_TIMEOUT_S",
    }


def test_tables_are_joined_and_new_patterns_of_a_higher_layer_come_first(tmp_path):
    """Of patterns the first that fits counts: so one that a variable adds can win."""
    write(
        tmp_path,
        """
        [endpoints."*/gpt-4o"]
        rpm = 500
        [endpoints."*"]
        rpm = 60
        [prices."*"]
        input_per_1m = 1
        output_per_1m = 2
        """,
    )
    said = json.dumps({"*": {"tpm": 9}, "api.openai.com/*": {"rpm": 1}})
    found = load(environ={"AGENTRM_ENDPOINTS": said}, folder=tmp_path).config.endpoints
    assert list(found) == ["api.openai.com/*", "*/gpt-4o", "*"]
    assert (found["*"].rpm, found["*"].tpm) == (60, 9)
    with_code = load(
        environ={}, folder=tmp_path, code={"endpoints": {"x": EndpointConfig(rpm=3)}}
    ).config
    assert list(with_code.endpoints) == ["x"]
    assert with_code.prices["*"].output_per_1m == 2


def test_arrays_take_each_others_place(tmp_path):
    """Budgets of code are the only ones then."""
    write(tmp_path, '[[budgets]]\nlimit = 5\nagent = "*"\n[[groups]]\nname="model"\ncapacity=2\n')
    found = load(environ={}, folder=tmp_path)
    assert found.config.budgets == (BudgetConfig(5, agent="*"),)
    assert found.config.groups[0].capacity == 2
    mine = BudgetConfig(9, tenant="acme")
    assert load(environ={}, folder=tmp_path, code={"budgets": [mine]}).config.budgets == (mine,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "lanse = 3",
            "lanse: there is no such setting; did you mean 'lanes'? (from agentrm.toml:1)",
        ),
        ("lanes = 0", "lanes=0: give a whole number, 1 or more (from agentrm.toml:1)"),
        ("\nlanes = 'four'", "lanes='four'"),
        ("[leases]\nsilence_timeout = 3", "did you mean 'silence_timeout_s'?"),
        ("[leases]\nsilence_timeout_s = -3", "leases.silence_timeout_s=-3"),
        ("leases = 3", "give a table, [leases]"),
        ('[endpoints."a/*"]\nrpm = 0', 'endpoints["a/*"].rpm=0'),
        ('[endpoints."a/*"]\nrmp = 3', "did you mean 'rpm'? (from agentrm.toml:2)"),
        ('[endpoints]\n"a/*" = 3', "give a table"),
        ('[endpoints."a/*"]\nlearn = "no"', "give True or False (from agentrm.toml:2)"),
        ("[[budgets]]\nagent = '*'", "give limit (from agentrm.toml:1)"),
        ("[[budgets]]\nlimit = 1\nagnet = '*'", "did you mean 'agent'? (from agentrm.toml:3)"),
        ("[[budgets]]\nlimit = 1\nagent = '*'\nsoft = 4", "budgets[0].soft=4"),
        ("budgets = 3", "give an array of tables, [[budgets]]"),
        ("[prices.m]\ninput_per_1m = 1", "give output_per_1m"),
        ("order = 'fifo'\n[scheduler]\norder = 'hrrn'", "it is said twice"),
        ("[scheduler]\ntime_quanta_s = '1, 2'", "give an array"),
        ("[retry]\nattempts = 0", "retry.attempts=0"),
        ("[context]\nembeddings = 'x'", "only code can give it"),
        ("providers = []", "only code can give it"),
        ("clock = 3", "only code can give it"),
        ("lanes = ", "this is no valid TOML"),
        ("lanes = 1979-05-27", "give a whole number"),
        ("[coordination]\nlease_s = 3", "give coordination.server too"),
        ("[coordination]\nserver = 'redis://x'\nlease_s = 0.1", "coordination.lease_s=0.1"),
        ("monitor = 1", "monitor=1: give True or False"),
        ("[record]\nmax_bytes = 5000", "give record.path too"),
        ("[record]\npath = 'e.jsonl'\nmax_bytes = 17", "record.max_bytes=17"),
        ("[record]\npath = 'e.jsonl'\nflush_s = -1.0", "record.flush_s=-1.0"),
        ("[record]\npath = 'e.jsonl'\nkinds = ['grantd']", "use some of"),
        ("[record]\npath = 'e.jsonl'\nfsync = 1", "give True or False"),
        ("[[budgets]]\nlimit = 10\nagent = 5", "give a text"),
        ("lanes = " + "[" * 5_000, "this is no valid TOML"),
        ("lanes = " + "9" * 5_000, "this is no valid TOML"),
    ],
)
def test_what_cannot_be_in_a_file_is_told_with_its_place(tmp_path, text, words):
    """Field, value, file and line, and the way out."""
    assert words in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("AGENTRM_LANSE", "3", "did you mean 'AGENTRM_LANES'?"),
        (
            "AGENTRM_LANES",
            "many",
            "lanes='many': give a whole number, 1 or more (from AGENTRM_LANES)",
        ),
        ("AGENTRM_LANES", "2.5", "lanes=2.5"),
        ("AGENTRM_LEASES__SILENCE", "3", "did you mean"),
        ("AGENTRM_A__B__C", "3", "there is no such setting"),
        ("AGENTRM_ADAPTIVE", "maybe", "adaptive='maybe'"),
        ("AGENTRM_ENDPOINTS", "{", "give a JSON object"),
        ("AGENTRM_ENDPOINTS", "[]", "give a table"),
        ("AGENTRM_ENDPOINTS", "[" * 100_000, "give a JSON object"),
        ("AGENTRM_ENDPOINTS__X", "3", "as JSON in AGENTRM_ENDPOINTS"),
        ("AGENTRM_BUDGETS", '[{"limit": 1}]', "give either agent= or tenant="),
        ("AGENTRM_TIME_QUANTA_S", "1,2", "one quantum for each"),
        ("AGENTRM_HINT_WEIGHTS", "heavy", "give a table"),
        ("AGENTRM_CONFIG", "nowhere.toml", "No such file"),
    ],
)
def test_what_cannot_be_in_a_variable_is_told_with_its_name(tmp_path, variable, value, words):
    """The same for the environment."""
    assert words in refusal(tmp_path, environ={variable: value})


def test_variables_of_each_type_are_read(tmp_path):
    """Switches, numbers, lists, tables and None, as text can say them."""
    environ = {
        "AGENTRM_ADAPTIVE": "off",
        "AGENTRM_WAIT_TIMEOUT_S": "2.5",
        "AGENTRM_TIME_QUANTA_S": "1, 2, 3, 4",
        "AGENTRM_HINT_WEIGHTS": '{"batch": 3}',
        "AGENTRM_RETRY__ATTEMPTS": "3",
        "AGENTRM_CONTEXT__BUDGET_TOKENS": "4_000",
        "AGENTRM_MONITOR": "1",
        "AGENTRM_RECORD": "events.jsonl",
        "AGENTRM_RECORD__FLUSH_S": "1",
        "AGENTRM_MAX_WAITING": "",
    }
    found = load(environ=environ, folder=tmp_path)
    assert found.config.adaptive is False
    assert found.config.wait_timeout_s == 2.5
    assert found.config.scheduler.time_quanta_s == (1, 2, 3, 4)
    assert found.config.scheduler.hint_weights["batch"] == 3
    assert (found.retry.attempts, found.context.budget_tokens, found.monitor) == (3, 4000, True)
    assert found.record == {"path": "events.jsonl", "flush_s": 1}
    assert found.config.max_waiting == 100_000


def test_the_projects_file_is_found_and_no_strangers(tmp_path):
    """Upwards to the project's root; agentrm.toml first; nothing from above or from elsewhere."""
    write(tmp_path, "lanes = 9")
    inner = tmp_path / "project" / "src" / "deep"
    inner.mkdir(parents=True)
    assert load(environ={}, folder=inner).config.lanes == 8  # outside a project: only the folder
    write(tmp_path / "project", "[tool.agentrm]\nlanes = 2\n[tool.other]\nx = 1", "pyproject.toml")
    found = load(environ={}, folder=inner)
    assert found.config.lanes == 2
    assert found.origins["lanes",].endswith("pyproject.toml:2")
    write(tmp_path / "project" / "src", "lanes = 5")
    assert load(environ={}, folder=inner).config.lanes == 5
    assert (
        load(environ={"AGENTRM_CONFIG": str(tmp_path / "agentrm.toml")}, folder=inner).config.lanes
        == 9
    )
    broken = write(tmp_path / "other", "no toml [", "pyproject.toml")
    assert load(environ={}, folder=broken.parent).config.lanes == 8


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\xef\xbb\xbflanes = 2"])
def test_a_file_in_another_encoding(tmp_path, content):
    """A byte order mark is fine, what is not UTF-8 is refused politely."""
    (tmp_path / "agentrm.toml").write_bytes(content)
    if content.startswith(b"\xef"):
        assert load(environ={}, folder=tmp_path).config.lanes == 2
    else:
        assert "not UTF-8" in refusal(tmp_path)


def test_a_core_is_made_of_all_layers(tmp_path, monkeypatch):
    """`from_config` takes them; `AgentRM()` reads no file; both tell where values came from."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "lanes = 3\n[retry]\nattempts = 2\n[context]\nbudget_tokens = 900")
    monkeypatch.setenv("AGENTRM_ORDER", "hrrn")
    with AgentRM.from_config(max_waiting=9) as rm, AgentRM(max_waiting=9) as plain:
        assert (rm.config.lanes, rm.config.scheduler.order, rm.config.max_waiting) == (3, "hrrn", 9)
        assert rm.settings.context.budget_tokens == 900
        assert sources(rm.settings)["lanes"] == "agentrm.toml:1"
        assert plain.config.lanes == 8
        assert sources(plain.settings) == {"max_waiting": "code"}
    with pytest.raises(ConfigError, match="did you mean 'lanes'"):
        AgentRM.from_config(lane=3)
    with pytest.raises(ConfigError, match="one by one"):
        AgentRM.from_config(config=plain.config)
    with pytest.raises(ConfigError, match="No such file"):
        AgentRM.from_config("elsewhere.toml")


def test_an_empty_coordination_variable_means_alone(tmp_path, monkeypatch):
    """It takes the file's server away, as it does for `AgentRM()`."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "coordination = 'redis://127.0.0.1:1/0'\nnamespace = 'us'")
    assert load(environ={}, folder=tmp_path).coordination.namespace == "us"
    monkeypatch.setenv("AGENTRM_COORDINATION", "")
    with AgentRM.from_config() as rm:
        assert rm.statistics().fleet is None


def test_the_fields_of_a_recording_are_known():
    """The settings' own list of them is `Recording`'s, which stands on a higher floor."""
    assert {field.name for field in fields(Recording)} == set(RECORD)


SECRETS = (
    "redis://user:hunter2hunter2@host:6379/0",
    "redis://:p@ss/w0rd@host",
    "rediss://host/0?password=hunter2hunter2",
    "user:hunter2@127.0.0.1:6379",  # its scheme was forgotten
    "redis://user:hunter2/hunter2@host",
)


@pytest.mark.parametrize("url", SECRETS)
def test_a_servers_password_is_never_printed(tmp_path, url):
    """In no column, no JSON and no error."""
    found = load(environ={"AGENTRM_COORDINATION": url}, folder=tmp_path)
    told = as_json(found) + repr(found)
    told += refusal(tmp_path, environ={"AGENTRM_COORDINATION": url, "AGENTRM_NAMESPACE": "{}"})
    told += refusal(tmp_path, environ={"AGENTRM_COORDINATON": url})
    for word in ("hunter2", "w0rd", "p@ss"):
        assert word not in told


@pytest.mark.parametrize(
    "text", ["{}.rpm = -5", "{}.rmp = 5", "{} = 5"], ids=["value", "name", "table"]
)
def test_a_login_in_an_endpoints_name_is_in_no_error(tmp_path, text):
    """A pattern may be pasted from an address that has a key in it."""
    for name in ("https://u:hunter2hunter2@api.x/*", "sk-" + "hunter2" * 3):
        told = refusal(tmp_path, "[endpoints]\n" + text.format(f'"{name}"'))
        assert "hunter2" not in told


def test_a_project_file_that_is_broken_is_told(tmp_path):
    """Its table is ours, so it is not passed over."""
    write(tmp_path, "[tool.agentrm]\nlanes = 3\n[project", "pyproject.toml")
    with pytest.raises(ConfigError, match="no valid TOML"):
        load(environ={}, folder=tmp_path)


def run(*arguments, env=None):
    base = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    result = CliRunner(env=base | (env or {})).invoke(app, ["config", *arguments])
    return result.exit_code, result.output


def test_the_command_prints_values_and_sources(tmp_path, monkeypatch):
    """As lines and as JSON, all of it or what was changed."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "lanes = 3")
    code, text = run("--changed", env={"AGENTRM_ORDER": "fifo"})
    assert code == 0
    assert "lanes = 3" in text
    assert "agentrm.toml:1" in text
    assert "AGENTRM_ORDER" in text
    assert "max_waiting" not in text
    assert "max_waiting = 100000" in run()[1]
    code, text = run("--json", "--file", str(tmp_path / "agentrm.toml"))
    told = json.loads(text[: text.rindex("}") + 1])
    assert told["lanes"] == {"value": 3, "source": f"{tmp_path}/agentrm.toml:1", "layer": "file"}
    assert told["context.soft_mark"]["layer"] == "default"


def test_the_command_fails_with_the_way_out(tmp_path, monkeypatch):
    """One line, exit code 1, no traceback."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "lanse = 3")
    code, text = run()
    assert code == 1
    assert "did you mean 'lanes'" in text
    assert "Traceback" not in text


def test_the_command_looks_at_a_core_of_a_program(tmp_path, monkeypatch):
    """What code says counts and is told as code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    write(tmp_path, "lanes = 3")
    write(
        tmp_path,
        "from agentrm_plugins import AgentRM\nrm = AgentRM.from_config(max_waiting=5)\nx = 1\n",
        "an_app_with_a_core.py",
    )
    code, text = run("an_app_with_a_core:rm", "--changed")
    assert code == 0
    assert text.split() == ["lanes", "=", "3", "agentrm.toml:1", "max_waiting", "=", "5", "code"]
    for bad, words in (
        ("an_app_with_a_core:x", "name an AgentRM"),
        ("an_app_with_a_core:r", "it has"),
        ("no_such_module_at_all:rm", "ModuleNotFoundError"),
        ("a b", "give module:name"),
    ):
        code, text = run(bad)
        assert code == 2
        assert words in text
