"""Calls from eleven places at once, a quarter cancelled, and Ctrl-C at random instants."""

from __future__ import annotations

import logging
import sys

import pytest

from benchmarks.liveness.storm import Storm


@pytest.mark.filterwarnings("ignore")  # what asyncio and finalisers say of what was cut
@pytest.mark.parametrize("seed", [1, 2])
def test_a_storm_of_interrupts_loses_no_lane_and_no_ticket(seed, caplog, monkeypatch):
    """Threads and loops are cut anywhere, in the kernel too; the books are right at the end."""
    # A loop that was cut while it was made is told of by its finaliser; pytest's note of that may
    # be cut as well, and would then fail the test.
    monkeypatch.setattr(sys, "unraisablehook", lambda _told: None)
    caplog.set_level(logging.CRITICAL, "asyncio")
    storm = Storm(calls=2000, seed=seed, deadline_s=120.0)
    storm.run()
    assert storm.asked >= 2000
    assert storm.caught > 20
    assert storm.verdict() == []
    storm.rm.close()
