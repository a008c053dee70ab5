from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from agentrm_plugins.cli.app import app
from agentrm_plugins.cli.registry import summaries
from agentrm_plugins.demo import DemoSettings, run_demo
from agentrm_plugins.demo.display import picture
from agentrm_plugins.demo.sides import Side
from agentrm_plugins.demo.words import introduction, verdict

ROOT = Path(__file__).parent.parent.parent
SMALL = ("--agents", "4", "--lanes", "2", "--time-scale", "0.01", "--plain")


def agentrm(*arguments):
    result = CliRunner(env={"COLUMNS": "300", "NO_COLOR": "1", "TERM": "dumb"}).invoke(
        app, arguments
    )
    return result.exit_code, re.sub(r"\x1b\[[0-9;]*m", "", result.output)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("scenario", ["storm", "hangs", "memory", "all"])
def test_demo_runs_both_sides_and_compares_them(scenario, tmp_path):
    """All managed turns of real LangChain agents end; table, figures and picture say how."""
    path, picture = tmp_path / "figures.json", tmp_path / "demo.svg"
    files = ("--json", str(path), "--picture", str(picture))
    code, text = agentrm("demo", *SMALL, "--scenario", scenario, "--hang-rate", "0.2", *files)
    assert code == 0, text
    for words in ("Semaphore(2)", "max_retries=2", "agents that died", "turns finished", "Next: "):
        assert words in text
    assert "test-key" not in text
    figures = json.loads(path.read_text())
    assert figures["settings"]["scenario"] == scenario
    before, after = figures["unmanaged"], figures["managed"]
    assert after["finished"] == after["turns"] == before["turns"]
    assert not after["died"]
    assert after["lanes_peak"] <= 2
    if scenario in {"memory", "all"}:
        assert after["remembered"] == after["talks"] > 0
        assert before["remembered"] == 0
    assert before["finished"] < before["turns"] if before["died"] else True
    drawing = picture.read_text()
    assert "<svg" in drawing
    assert not re.search(r"(src|href|url)[=(]\W*https?:", drawing), "it fetches nothing"


def board_of(kind, agents, **states):
    """A board as it is in the middle of a run."""
    from agentrm_plugins.demo.sides import boards

    both = boards(DemoSettings(agents=agents, interactive=agents // 2))
    board = both[kind == "managed"]
    board.started_s, board.elapsed_s = 1.0, 12.0
    board.states.update(states)
    return board


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (160, 50)])
@pytest.mark.parametrize("agents", [4, 20, 200])
def test_both_sides_and_the_log_fit_the_screen(size, agents):
    """At 80x24 as on a wide screen, both sides, whoever hangs or died, and the log are seen."""
    width, height = size
    console = Console(force_terminal=True, width=width, height=height, color_system=None)
    before = board_of("unmanaged", agents, b02="HUNG", b01="DIED")
    after = board_of("managed", agents)
    after.tell("b02 reaped: no first token for 20 s")
    with console.capture() as captured:
        console.print(picture((before, after), width, height))
    lines = captured.get().splitlines()
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for words in ("Unmanaged", "Managed", "lanes", "b02 HUNG", "b01 DIED", "b02 reaped"):
        assert words in text


async def test_demo_draws_a_live_display():
    """On a terminal the display shows lanes, turns, agents and the limit, from the first second."""
    console = Console(force_terminal=True, width=80, height=24)
    settings = DemoSettings(agents=2, interactive=1, lanes=1, time_scale=0.01, hang_rate=0.0)
    with console.capture() as captured:
        _, after = await run_demo(settings, console=console)
    text = captured.get()
    for words in ("lanes", "turns", "tokens", "429s", "p01", "b01", "t01"):
        assert words in text
    assert after.finished == after.turns
    head = text.partition("\x1b")[0].splitlines()
    assert max(map(len, head)) <= 80
    said = introduction(settings)
    assert " ".join("\n".join(head).split()).startswith(" ".join(said.split()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--agents", "1"), r"--agents.*1: give a whole number from 2 to 200"),
        (("--agents", "many"), r"--agents.*valid integer"),
        (("--interactive", "21"), r"--interactive.*21: give a whole number from 0 to 20"),
        (("--lanes", "0"), r"--lanes.*0: give a whole number from 1"),
        (("--hang-rate", "1.5"), r"--hang-rate.*1\.5: give a number from 0 to 0\.9"),
        (("--hang-rate", "nan"), r"--hang-rate.*nan: give a number"),
        (("--time-scale", "0"), r"--time-scale.*0\.0: give a number from 0\.01 to 1"),
        (("--timeout", "-1"), r"--timeout.*-1\.0"),
        (("--first-token-timeout", "0"), r"--first-token-timeout"),
        (("--scenario", "rain"), r"--scenario.*'rain': use one of 'storm'"),
        (("--tpm", "10"), r"--tpm.*10\.0: give"),
        (("--picture", "no/such/x.svg"), r"--picture.*folder does not exist"),
        (("--order", "best"), r"--order.*'best': use one of 'mlfq'"),
        (("--json", "no/such/folder/x.json"), r"--json.*folder does not exist"),
        (("--json", "."), r"--json.*is a folder; give a file's path"),
    ],
)
def test_demo_refuses_bad_options(arguments, message):
    """The error names the option, the value and the way out, before anything starts."""
    code, text = agentrm("demo", *arguments)
    assert code == 2
    assert re.search(message, text), text


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or os.name == "nt", reason="POSIX signals")
def test_ctrl_c_ends_the_demo_cleanly():
    """No traceback, the shell's code for an interrupt, and the process is gone."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
    process = subprocess.Popen(
        [sys.executable, "-m", "agentrm_plugins.cli", "demo", "--plain"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
    )
    with process:
        for line in process.stdout:
            if "lanes" in line and "turns" in line and " 0.0 s" not in line:
                process.send_signal(signal.SIGINT)
                break
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "Stopped." in errors


def test_simulate_prints_the_table_and_says_where_it_loses():
    """Five orders side by side, the workload in words, and the losses of the one in question."""
    code, text = agentrm("simulate", "--scenario", "faulty", "--order", "mlfq", "--seeds", "5")
    assert code == 0
    assert "4 lanes; 63 turns of 5 agents" in text
    for order in ("mlfq", "fifo", "round_robin", "priority", "hrrn"):
        assert f"| {order}" in text
    assert "mlfq loses by more than 2 %:" in text
    code, text = agentrm("simulate", "--scenario", "normal", "--seeds", "2", "--no-reaper")
    assert code == 0
    assert "loses nowhere" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--scenario", "x"), r"--scenario.*'x': use one of normal"),
        (("--seeds", "0"), r"--seeds.*0: give a whole number from 1 to 1000"),
        (("--order", "x"), r"--order.*'x': use one of mlfq"),
    ],
)
def test_simulate_refuses_bad_options(arguments, message):
    """The error names the option, the value and the way out."""
    code, text = agentrm("simulate", *arguments)
    assert code == 2
    assert re.search(message, text), text


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or os.name == "nt", reason="POSIX signals")
def test_provider_serves_the_limits_that_it_is_given():
    """A gateway with clock windows on the command line refuses and says what it was told to."""
    httpx = pytest.importorskip("httpx2")
    given = "--port 0 --first-token 0 --rpm 1 --tpm 9000 --window clock --window-s 30"
    more = "--headers gateway --no-reset --retry-after none --charge reserve_only --enforce-s 5"
    path = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
    process = subprocess.Popen(
        [sys.executable, "-m", "agentrm_plugins.cli", "provider", *f"{given} {more}".split()],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
    )
    with process, httpx.Client(timeout=10) as client:
        url = process.stdout.readline().partition("=")[2].strip()
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        answers = [client.post(f"{url}/chat/completions", json=body) for _ in range(4)]
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    refused = answers[-1]
    assert answers[0].headers["x-ratelimit-limit-requests"] == "1"
    assert refused.status_code == 429
    assert "retry-after" not in refused.headers
    assert "x-ratelimit-reset-requests" not in refused.headers


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--window", "60"), r"--window.*'60': use one of"),
        (("--rpm", "0"), r"--rpm.*0\.0: give a finite number above 0"),
        (("--charge", "x"), r"--charge.*'x': use one of"),
        (("--headers", "x"), r"--headers.*'x': use one of"),
        (("--first-token", "-1"), r"--first-token.*-1\.0"),
        (("--enforce-s", "90"), r"--enforce-s.*90\.0: keep it at most 60"),
    ],
)
def test_provider_refuses_bad_options(arguments, message):
    """The error names the option, the value and the way out."""
    code, text = agentrm("provider", *arguments)
    assert code == 2
    assert re.search(message, text), text


def test_help_names_every_option():
    """`--help` works for all commands, and alone shows them."""
    code, text = agentrm("demo", "--help")
    assert code == 0
    for option in ("--agents", "--interactive", "--lanes", "--hang-rate", "--seed", "--order"):
        assert option in text
    assert "simulate" in agentrm("--help")[1]


def without(*modules):
    """A Python program that runs the command line as if these modules were not installed."""
    return (
        f"import sys; hidden = {modules!r}\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in hidden: raise ModuleNotFoundError(name=name)\n"
        "import importlib.util as util; found = util.find_spec\n"
        "util.find_spec = lambda name, *a: None if name in hidden else found(name, *a)\n"
        "sys.meta_path.insert(0, Hide())\n"
        "from agentrm_plugins.cli import main; main()"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--version",), 0, "agentrm "),
        (("--help",), 0, "demo "),
        ((), 0, "pip install 'agentrm-plugins[cli]'"),
        (("demo",), 1, "agentrm demo needs typer and rich: pip install 'agentrm-plugins[cli]'"),
        (("demoo",), 2, "agentrm has no command 'demoo'; agentrm --help lists them"),
    ],
)
def test_a_bare_install_answers_in_sentences(arguments, code, words):
    """Without typer and rich, `--help` and `--version` work and the rest names the extra."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
    done = subprocess.run(
        [sys.executable, "-c", without("typer", "rich", "click"), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "hidden", "words"),
    [
        ("report", ("plotly",), "typer, rich, plotly: pip install 'agentrm-plugins[cli,report]'"),
        ("top", ("textual",), "typer, rich, textual: pip install 'agentrm-plugins[cli,top]'"),
        (
            "dash",
            ("starlette", "uvicorn", "plotly"),
            "plotly: pip install 'agentrm-plugins[cli,dash]'",
        ),
        ("demo", ("h11", "langchain"), "h11, langchain: pip install 'agentrm-plugins[quickstart]'"),
        ("story", ("plotly",), "typer and rich: pip install 'agentrm-plugins[cli]'"),
    ],
)
def test_a_bare_install_names_all_that_a_command_needs_at_once(command, hidden, words):
    """Not the command line's extra now and the command's own after that is installed."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
    done = subprocess.run(
        [sys.executable, "-c", without("typer", "rich", "click", *hidden), command],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.strip().endswith(words)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (0, "the managed side gives it up after 15."),
        (1, "sent a second attempt beside a late call, and gives a hung one up after 15."),
        (4, "sent 4 second attempts beside late calls, and gives a hung one up after 15."),
    ],
)
def test_the_words_below_the_table_follow_its_figures(second, words):
    """Of second attempts is told only where some were sent."""
    figures = (9, 9, {}, 3, {}, 30, 0, 2, 1.0, 0, 0, 2)
    before, after = Side("Unmanaged", *figures, 0, 4.0), Side("Managed", *figures, second, 4.0)
    settings = DemoSettings(scenario="hangs", timeout_s=60.0, first_token_timeout_s=15.0)
    assert words in verdict(before, after, settings)


def test_version_is_told():
    """`--version` names the program and a version."""
    code, text = agentrm("--version")
    assert code == 0
    assert re.match(r"agentrm \S+", text)


def test_every_command_is_a_file_of_its_own():
    """Each module of `commands/` is a command with a line of its own, with or without typer."""
    lines = summaries()
    assert {"bench", "demo", "provider", "simulate"} <= set(lines)
    text = agentrm("--help")[1]
    for name, line in lines.items():
        assert re.search(rf"\b{name}\b", text)
        assert line.endswith("."), name


async def test_a_call_that_the_provider_still_holds_is_told_in_a_line():
    """Waiting for the provider's last word is our own bookkeeping: the demo goes on without it."""
    httpx = pytest.importorskip("httpx2")
    from agentrm_plugins.demo import sides, words
    from agentrm_plugins.testing.provider import SimulatedProvider

    settings = DemoSettings(agents=2, interactive=1)
    board = sides.boards(settings)[0]
    board.agents.clear()
    with SimulatedProvider(hang_rate=1.0) as provider:
        wait_for, board.provider = provider.wait_for, provider
        async with httpx.AsyncClient() as client:
            body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
            url = f"{provider.base_url}/chat/completions"
            held = asyncio.create_task(client.post(url, json=body))
            await asyncio.to_thread(wait_for, lambda seen: seen.in_flight == 1)
            provider.wait_for = lambda condition: wait_for(condition, 0.01)
            side = await sides._run(None, board, provider)
            held.cancel()
            await asyncio.gather(held, return_exceptions=True)
    assert side.held == 1
    told = words.verdict(side, side, settings).splitlines()
    assert told[0] == "Unmanaged: 1 of its calls had not ended yet."
