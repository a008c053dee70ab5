from __future__ import annotations

import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from agentrm_plugins import AgentRM
from agentrm_plugins.cli.app import app

RUNNER = CliRunner()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """What a short run leaves behind."""
    path = tmp_path / "events.jsonl"
    with AgentRM(lanes=2, record=str(path)) as rm:
        for agent in ("ada", "bob"):
            with rm.slot(agent=agent, endpoint="api.test/m"):
                pass
    return path


def test_report_writes_the_page_beside_the_recording(recording: Path) -> None:
    """`agentrm report events.jsonl` says where it is."""
    done = RUNNER.invoke(app, ["report", str(recording)])
    assert done.exit_code == 0, done.output
    page = recording.with_suffix(".html")
    assert str(page) in done.output.replace("\n", "")
    text = page.read_text(encoding="utf-8")
    assert '"name":"ada"' in text
    assert "<title>AgentRM: events.jsonl</title>" in text


def test_report_leaves_out_what_is_damaged(recording: Path, tmp_path: Path) -> None:
    """A broken line is counted; the rest is drawn. `-o` and `--title` are heard."""
    with recording.open("a", encoding="utf-8") as file:
        file.write("no json\n")
    out = tmp_path / "page.html"
    done = RUNNER.invoke(app, ["report", str(recording), "-o", str(out), "--title", "A <run>"])
    assert done.exit_code == 0, done.output
    assert "1 lines could not be read" in done.output
    assert "<title>A &lt;run&gt;</title>" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [["report"], ["top", "--replay"], ["dash", "--replay"]])
def test_what_is_no_recording_is_said_plainly(tmp_path: Path, command: list[str]) -> None:
    """A missing file, a text and a folder end with one sentence, not with a traceback."""
    text = tmp_path / "notes.txt"
    text.write_text("hello\n", encoding="utf-8")
    for path in (tmp_path / "none.jsonl", text, tmp_path):
        done = RUNNER.invoke(app, [*command, str(path)])
        assert done.exit_code in {1, 2}, done.output
        assert "Traceback" not in done.output
        assert not isinstance(done.exception, OSError | KeyError | ValueError)


def test_report_never_overwrites_its_recording(recording: Path) -> None:
    """The page cannot be written over what it is made of."""
    before = recording.read_bytes()
    done = RUNNER.invoke(app, ["report", str(recording), "-o", str(recording)])
    assert done.exit_code == 2
    assert recording.read_bytes() == before


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "1e9"])
def test_a_speed_that_cannot_be_is_refused(recording: Path, speed: str) -> None:
    """With the option's name and the way out."""
    done = RUNNER.invoke(app, ["top", "--replay", str(recording), "--speed", speed])
    assert done.exit_code == 2
    assert "--speed" in done.output


def test_top_without_a_terminal_says_so(recording: Path) -> None:
    """In a pipe or a service it ends, and names what works there."""
    done = RUNNER.invoke(app, ["top", "--replay", str(recording)])
    assert done.exit_code == 1
    assert "needs a terminal" in done.output
    assert "agentrm dash" in done.output


@pytest.mark.parametrize("command", ["top", "dash"])
def test_without_a_process_the_way_is_told(command: str, tmp_path, monkeypatch) -> None:
    """Where nothing runs, both commands say how to have something to look at."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for arguments in ([command], [command, "4711"]):
        done = RUNNER.invoke(app, arguments)
        assert done.exit_code == 1, done.output
        assert "Nothing to look at" in done.output
    assert "monitor=True" in RUNNER.invoke(app, [command]).output


def test_a_page_for_others_needs_a_name(recording: Path) -> None:
    """An address that others can reach is not served by accident."""
    done = RUNNER.invoke(app, ["dash", "--replay", str(recording), "--host", "0.0.0.0"])
    assert done.exit_code == 2
    assert "--allow-host" in done.output


def test_dash_prints_its_address_once_and_serves_it(recording: Path) -> None:
    """The address with the token works, no log has the token, and Ctrl-C ends it."""
    command = [sys.executable, "-m", "agentrm_plugins.cli", "dash", "--replay", str(recording)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as own:
        address = own.stdout.readline().split()[1]
        token = parse_qs(urlsplit(address).query)["token"][0]
        own.stdout.readline()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(address, timeout=60) as page:
            assert "text/html" in page.headers["content-type"]
            assert token not in page.url
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(address.partition("?")[0], timeout=60)
        own.send_signal(signal.SIGINT)
        said, errors = own.communicate(timeout=60)
    assert token not in said + errors
    assert "Traceback" not in errors
