"""Three processes on shared sessions, killed at random instants: a short run of the benchmark."""

from __future__ import annotations

import os

import pytest

from benchmarks.context.kills import run


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_nothing_acknowledged_is_lost_or_set_aside_in_silence(tmp_path):
    """Whoever is killed, whenever: what was acknowledged is archived, found, or told of."""
    found = run(10, seed=3, folder=tmp_path)
    assert found.kills == 10
    assert found.acknowledged > 20
    assert found.clean, found
