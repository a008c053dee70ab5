"""Cores for the tests of LangGraph."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentrm_plugins import AgentRM, LaneGroup

sys.path.insert(0, str(Path(__file__).parent))  # the workloads, a module beside the tests

CORES = {
    "no lanes for nodes": {"lanes": 2},
    "one lane in all": {
        "lanes": 1,
        "groups": (LaneGroup("model", 1), LaneGroup("node", 1), LaneGroup("tools", 1)),
    },
    "lanes for nodes": {"lanes": 8, "groups": (LaneGroup("model", 4), LaneGroup("node", 4))},
}


@pytest.fixture(params=CORES)
def rm(request: pytest.FixtureRequest) -> Iterator[AgentRM]:
    """Each kind of core in turn; whatever a test did, nothing is held or waits at its end."""
    with AgentRM(**CORES[request.param]) as core:
        yield core
        seen = core.statistics()
        assert (seen.running, seen.waiting, seen.lanes_in_use) == (0, 0, 0)
        assert seen.lanes_peak <= core.config.lanes


@pytest.fixture
def lanes() -> Iterator[AgentRM]:
    """A core with two lanes for nodes and two for models."""
    with AgentRM(lanes=4, groups=(LaneGroup("model", 2), LaneGroup("node", 2))) as core:
        yield core
        seen = core.statistics()
        assert (seen.running, seen.waiting, seen.lanes_in_use) == (0, 0, 0)
