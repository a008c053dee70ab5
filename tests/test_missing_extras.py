"""A requirement that is not there is a sentence with the line that installs it, at import too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HIDE = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
{code}
"""
COLLECTOR = (
    "from agentrm_plugins import AgentRM\n"
    "from agentrm_plugins.telemetry import AgentRMCollector\nAgentRMCollector(AgentRM())"
)
INSTRUMENT = COLLECTOR.replace("AgentRMCollector", "instrument")
CASSETTE = "from agentrm_plugins.testing.cassettes import cassette\nwith cassette('x.yaml'): pass"


@pytest.mark.parametrize(
    ("hidden", "code", "words"),
    [
        (
            ("langchain_core",),
            "import agentrm_langchain",
            "agentrm_langchain needs langchain-core: pip install 'agentrm-plugins[langchain]'",
        ),
        (
            ("langgraph",),
            "from agentrm_langgraph import manage_graph",
            "agentrm_langgraph needs langgraph: pip install 'agentrm-plugins[langgraph]'",
        ),
        (
            ("langgraph", "langchain_core"),
            "import agentrm_langgraph",
            "agentrm_langgraph needs langgraph: pip install 'agentrm-plugins[langgraph]'",
        ),
        (
            ("langchain", "langgraph"),
            "from agentrm_langchain import AgentRMMiddleware",
            "AgentRMMiddleware needs the package langchain: pip install 'agentrm-plugins[agents]'",
        ),
        (
            ("httpx2",),
            "import agentrm_openai",
            "agentrm_openai needs httpx2: pip install 'agentrm-plugins[openai]'",
        ),
        (
            ("openai",),
            "from agentrm_openai import manage_client",
            "agentrm_openai needs openai: pip install 'agentrm-plugins[openai]'",
        ),
        (
            ("h11",),
            "from agentrm_plugins.testing.provider import SimulatedProvider",
            "the simulated provider needs h11: pip install 'agentrm-plugins[testing]'",
        ),
        (
            ("vcr",),
            CASSETTE,
            "cassettes need vcrpy: pip install 'agentrm-plugins[cassettes]'",
        ),
        (
            ("prometheus_client",),
            COLLECTOR,
            "Prometheus need prometheus-client: pip install 'agentrm-plugins[prometheus]'",
        ),
        (
            ("opentelemetry",),
            INSTRUMENT,
            "OpenTelemetry needs opentelemetry-api: pip install 'agentrm-plugins[otel]'",
        ),
        (
            ("langchain_openai",),
            "import agentrm_plugins.demo",
            "the demo needs langchain_openai: pip install 'agentrm-plugins[quickstart]'",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("agentrm") else None,
)
def test_the_last_line_is_the_way_out(hidden, code, words, tmp_path):
    """One error, not a chain of them, and its last line can be copied into a shell."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
    done = subprocess.run(
        [sys.executable, "-c", HIDE.format(hidden=hidden, code=code)],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].endswith(words)
    assert "During handling" not in done.stderr
    assert "direct cause" not in done.stderr


def test_the_core_needs_no_extra(tmp_path):
    """Core, configuration and errors import where no framework and no optional package is."""
    hidden = ("langchain_core", "langgraph", "openai", "httpx2", "typer", "rich", "h11", "vcr")
    code = (
        "from agentrm_plugins import AgentRM\n"
        "with AgentRM(lanes=1) as rm, rm.slot(agent='a'):\n    print(rm.statistics().lanes_in_use)"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "adapters")])
    done = subprocess.run(
        [sys.executable, "-c", HIDE.format(hidden=hidden, code=code)],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.strip() == "1", done.stderr
