"""Calls from eleven places at once, a quarter cancelled, and Ctrl-C at random instants."""

from __future__ import annotations

import logging

import pytest

from benchmarks.liveness.storm import Storm


@pytest.mark.filterwarnings("ignore")  # what asyncio and finalisers say of what was cut
@pytest.mark.parametrize("seed", [1, 2])
def test_a_storm_of_interrupts_loses_no_lane_and_no_ticket(seed, caplog):
    """Threads and loops are cut anywhere, in the kernel too; the books are right at the end."""
    caplog.set_level(logging.CRITICAL, "asyncio")
    storm = Storm(calls=2000, seed=seed, deadline_s=120.0)
    storm.run()
    assert storm.asked >= 2000
    assert storm.caught > 20
    assert storm.verdict() == []
    storm.rm.close()
