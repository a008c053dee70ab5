from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from agentrm_plugins.testing.provider import SimulatedProvider

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(path for path in EXAMPLES.glob("*.py") if "__main__" in path.read_text())


def run(*command, cwd=ROOT, **environment):
    path = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_example_runs_against_the_provider_in_the_environment(script):
    """It needs nothing but the two variables, and tells what passed the core."""
    with SimulatedProvider(seed=7) as provider:
        done = run(str(script), OPENAI_BASE_URL=provider.base_url, OPENAI_API_KEY="test-key")
        assert done.returncode == 0, done.stderr
        assert provider.statistics().peak_concurrency <= (8 if script.stem == "map_reduce" else 2)
        assert provider.statistics().requests >= 4
    assert "calls" in done.stdout
    assert "test-key" not in done.stdout + done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_example_without_a_key_says_how(script):
    """No traceback: both ways to run it."""
    done = run(str(script))
    assert done.returncode == 1
    assert "OPENAI_API_KEY=..." in done.stderr
    assert "agentrm provider" in done.stderr
    assert "Traceback" not in done.stderr


def test_replaying_project_passes_on_its_own():
    """Its tests replay recordings through the managed model, with the network blocked."""
    folder = EXAMPLES / "ci_replay"
    done = run("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:asyncio", "-q", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_examples_are_short():
    """Each file of each example has fewer than 60 lines."""
    files = [*EXAMPLES.glob("*.py"), *(EXAMPLES / "ci_replay").rglob("*.py")]
    assert len(files) >= 5
    assert not {str(path): n for path in files if (n := len(path.read_text().splitlines())) >= 60}


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_provider_command_serves_until_ctrl_c():
    """It prints the two variables to set, answers, and ends cleanly."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
    process = subprocess.Popen(
        [sys.executable, "-m", "agentrm_plugins.cli", "provider", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
    )
    with process:
        url = process.stdout.readline().strip().partition("OPENAI_BASE_URL=")[2]
        assert process.stdout.readline() == "export OPENAI_API_KEY=test-key\n"
        process.stderr.readline()
        assert httpx2.get(f"{url}/models", timeout=20).status_code < 500
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors == "Served 1 requests.\n"
