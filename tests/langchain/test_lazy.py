"""What the package imports, and when."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import agentrm_langchain

pytestmark = pytest.mark.lowest
ROOT = Path(__file__).parents[2]

PROBE = """
import sys
sys.path[:0] = [{root!r}, {root!r} + "/adapters"]
sys.modules["langchain"] = sys.modules["langgraph"] = None
import agentrm_langchain
assert not [name for name in sys.modules if name.startswith(("langchain.", "langgraph."))]
agentrm_langchain.pressure, agentrm_langchain.extractive_summarizer
try:
    agentrm_langchain.AgentRMMiddleware
except ImportError as error:
    print(error)
"""


def test_it_imports_without_langchain_and_says_what_is_missing():
    """Neither langchain nor langgraph is needed, until the middleware is asked for."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(root=str(ROOT))],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "pip install 'agentrm-plugins[agents]'" in done.stdout


def test_an_unknown_name_is_an_ordinary_error():
    """As for any module."""
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = agentrm_langchain.Nothing
