"""The built wheel in a new environment for each extra: what it promises is there, and works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[1]
UNREACHABLE = ("NewConnectionError", "Temporary failure in name resolution", "unreachable")
MODEL = (
    "from langchain_core.language_models import FakeListChatModel\n"
    "from agentrm_langchain import wrap_chat_model\n"
    "from agentrm_plugins import AgentRM\n"
    "with AgentRM() as rm:\n"
    "    print(wrap_chat_model(FakeListChatModel(responses=['hello']), rm).invoke('hi').content)"
)
FIRST = (
    "from langchain_openai import ChatOpenAI\n"
    "from agentrm_langchain import AgentRMMiddleware, wrap_chat_model\n"
    "from agentrm_langgraph import manage_graph\n"
    "from agentrm_openai import manage_client\n"
    "from agentrm_plugins import AgentRM\n"
    "from agentrm_plugins.testing.provider import SimulatedProvider\n"
    "import agentrm_plugins.demo, plotly, starlette, textual, uvicorn\n"
    "with SimulatedProvider() as provider, AgentRM() as rm:\n"
    "    model = ChatOpenAI(model='m', base_url=provider.base_url, api_key='k')\n"
    "    assert wrap_chat_model(model, rm).invoke('hi').text\n"
    "    print('hello')"
)
PROBES = {
    "": "from agentrm_plugins import AgentRM; AgentRM().close(); print('hello')",
    "langchain": MODEL,
    "langgraph": "import agentrm_langgraph.graph; print('hello')",
    "agents": "from agentrm_langchain import AgentRMMiddleware; print('hello')",
    "openai": "from agentrm_openai import manage_client; print('hello')",
    "cli": "from agentrm_plugins.cli.app import app; print('hello')",
    "testing": "import agentrm_plugins.testing.provider as p\n"
    "with p.SimulatedProvider(): print('hello')",
    "cassettes": "import agentrm_plugins.testing.cassettes, vcr; print('hello')",
    "report": "import agentrm_plugins.telemetry, plotly; print('hello')",
    "dash": "import agentrm_plugins.telemetry, starlette, uvicorn; print('hello')",
    "prometheus": "from agentrm_plugins import AgentRM\n"
    "from agentrm_plugins.telemetry import serve_metrics\n"
    "with AgentRM() as rm, serve_metrics(rm, port=0): print('hello')",
    "otel": "from agentrm_plugins import AgentRM\n"
    "from agentrm_plugins.telemetry import instrument\n"
    "with AgentRM() as rm, instrument(rm): print('hello')",
    "redis": "import redis; print('hello')",
    "top": "import textual; print('hello')",
    "quickstart": FIRST,
}


def run(*command: str | Path, cwd: Path, fail: bool = True) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode and any(words in done.stderr for words in UNREACHABLE):
        pytest.skip("no package index can be reached")
    assert not (fail and done.returncode), f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def install(python: Path, what: str, *, cwd: Path, by_pip: bool) -> None:
    """By pip, as most people do, or by uv, which is quicker; by pip too where uv cannot do it."""
    locked = ("--constraint", ROOT / "requirements" / "dev.txt")
    uv = shutil.which("uv") or ROOT / ".venvs" / "uv" / "bin" / "uv"
    if not by_pip and Path(uv).exists():
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        command = [uv, "pip", "install", "--quiet", "--python", python, *locked, what]
        if not subprocess.run(
            command, cwd=cwd, env=env, capture_output=True, check=False
        ).returncode:
            return
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile")
    run(*pip, *locked, what, cwd=cwd)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and source distribution, as a packager builds them."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    return out


def test_twine_finds_nothing_to_complain_of(dist: Path) -> None:
    """Both files pass `twine check --strict`: the README renders where it will be shown."""
    files = sorted(dist.iterdir())
    assert [path.suffix for path in files] == [".whl", ".gz"]
    text = run(sys.executable, "-m", "twine", "check", "--strict", *files, cwd=dist)
    assert text.count("PASSED") == 2


@pytest.mark.parametrize("extra", PROBES, ids=lambda extra: extra or "bare")
def test_extra_installs_and_works(extra: str, dist: Path, tmp_path: Path) -> None:
    """In a new environment, with what the extra names and nothing else."""
    [wheel] = dist.glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    what = f"agentrm-plugins[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
    install(python, what, cwd=tmp_path, by_pip=extra in {"", "langchain"})
    assert run(python, "-I", "-c", PROBES[extra], cwd=tmp_path).splitlines()[-1] == "hello"
    agentrm = tmp_path / "venv" / "bin" / "agentrm"
    assert "simulate" in run(agentrm, "--help", cwd=tmp_path)
    assert run(agentrm, "--version", cwd=tmp_path).startswith("agentrm 0.")
    if extra in {"", "langchain", "openai"}:
        assert "pip install" in run(agentrm, "demo", cwd=tmp_path, fail=False)
