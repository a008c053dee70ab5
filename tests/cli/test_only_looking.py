"""A command that imports a program leaves the program's recording and its monitor alone."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentrm_plugins import AgentRM
from agentrm_plugins.cli.app import app
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.telemetry import read_events
from agentrm_plugins.telemetry.attached import running
from agentrm_plugins.types.looking import only_looking, unopened

NUMBERS = itertools.count()
PROGRAM = """
from agentrm_plugins import AgentRM
rm = AgentRM(lanes=3, record="b.jsonl", monitor=True)
def make():
    return AgentRM.from_config(record="b.jsonl", monitor=True)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the recording of a run, and a runtime folder of this test alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with tempfile.TemporaryDirectory() as base:
        monkeypatch.setenv("XDG_RUNTIME_DIR", base)
        with AgentRM(lanes=1, record="b.jsonl") as rm, rm.slot(agent="ada"):
            pass
        yield tmp_path


def asked(*arguments: str) -> tuple[int, str]:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*arguments])
    return result.exit_code, result.output


def agentrm_folder() -> list[str]:
    folder = Path(os.environ["XDG_RUNTIME_DIR"], "agentrm")
    return [path.name for path in folder.iterdir()] if folder.exists() else []


@pytest.mark.parametrize("target", ["rm", "make()", ""])
@pytest.mark.parametrize("command", ["doctor", "config"])
def test_a_recording_and_a_monitor_stay_off(here: Path, command: str, target: str) -> None:
    """The recording of the real run is as it was, and no socket stands anywhere."""
    before = Path("b.jsonl").read_bytes()
    name = f"looked_at_{next(NUMBERS)}"
    (here / f"{name}.py").write_text(PROGRAM, encoding="utf-8")
    _, out = asked(command, f"{name}:{target}" if target else name)
    assert Path("b.jsonl").read_bytes() == before
    assert [path.name for path in here.glob("b*")] == ["b.jsonl"]
    assert agentrm_folder() == []
    if command == "doctor":
        assert "b.jsonl can be written; recording was off while doctor imported" in out
        assert "was off while doctor imported the program: no socket" in out
    assert unopened() is None  # restored: a core made now records
    sys.modules[name].rm.close()
    with AgentRM(lanes=1, record="after.jsonl"):
        assert Path("after.jsonl").exists()


def test_a_recording_that_cannot_be_is_found_all_the_same(here: Path) -> None:
    """A folder in place of a file is refused as ever; one that may not be written is a problem."""
    with only_looking() as noted, pytest.raises(ConfigError, match="folder"):
        AgentRM(record=str(here))
    with only_looking() as noted:
        with only_looking() as inner, AgentRM(record="x/new.jsonl", monitor=True):
            assert inner is noted
        with pytest.raises(ConfigError):
            AgentRM(monitor="yes")
    assert (noted.records, noted.monitors) == (["x/new.jsonl"], 1)
    name = f"looked_at_{next(NUMBERS)}"
    (here / f"{name}.py").write_text(
        "from agentrm_plugins import AgentRM\nrm = AgentRM(record='b.jsonl/e.jsonl')\n"
    )
    code, out = asked("doctor", f"{name}:rm", "--json")
    [found] = [one for one in json.loads(out)["findings"] if one["check"] == "record"]
    assert (code, found["status"]) == (1, "problem")


def test_an_empty_recording_names_the_run_before_it(here: Path) -> None:
    """At every command that reads one; a run without a call is passed over."""
    for _ in range(2):
        AgentRM(lanes=1, record="b.jsonl").close()
    assert [path.name for path in sorted(here.glob("b*"))] == [
        *("b.jsonl", "b.jsonl.000001", "b.jsonl.000002")
    ]
    words = "b.jsonl: no call is recorded; an earlier run is in b.jsonl.000001"
    assert words in asked("story", "b.jsonl")[1]
    assert words in asked("story", "b.jsonl", "1")[1]
    assert words in asked("report", "b.jsonl")[1]
    assert words in asked("top", "--replay", "b.jsonl")[1]
    assert "ada" in asked("story", "b.jsonl.000001")[1]
    assert read_events("b.jsonl.000001").empty == ""
    Path("b.jsonl").write_bytes(b"")
    assert (
        "nothing was recorded; an earlier run is in b.jsonl.000001" in asked("story", "b.jsonl")[1]
    )
    AgentRM(lanes=1, record="alone.jsonl").close()
    assert asked("story", "alone.jsonl")[1].strip() == "alone.jsonl: no call is recorded"


def test_sockets_of_dead_processes_go(here: Path) -> None:
    """When one is listed, and when a new one is opened; those that are listened to stay."""
    text = "import os; from agentrm_plugins import AgentRM; AgentRM(monitor=True); os._exit(0)"

    def left_behind() -> None:
        subprocess.run([sys.executable, "-c", text], check=True, timeout=60)
        assert len(agentrm_folder()) == 1

    left_behind()
    assert running() == []
    assert agentrm_folder() == []
    left_behind()
    with AgentRM(monitor=True):
        [mine] = agentrm_folder()
        assert mine.startswith(f"{os.getpid()}-")
        with AgentRM(monitor=True):
            assert len(running()) == 2
    assert agentrm_folder() == []
