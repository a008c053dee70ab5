"""A fleet in virtual time keeps its limits, whoever comes and goes."""

from __future__ import annotations

import pytest

from agentrm_plugins.sim.fleet import FleetPlan, simulate_fleet


def test_lanes_are_the_fleets():
    """Never more calls at once than there are lanes, and nearly always as many."""
    found = simulate_fleet(FleetPlan(workers=6, lanes=6, agents=6, seconds=20.0))
    assert found.lanes_most == 6
    assert found.calls >= 0.8 * 6 * 20.0 / 0.9


def test_tokens_are_the_fleets():
    """The limit is used and not passed, whatever the number of workers."""
    for workers in (1, 6):
        plan = FleetPlan(workers=workers, lanes=256, tpm=60_000.0, agents=24 // workers, seconds=20)
        found = simulate_fleet(plan)
        most = 60_000.0 / 60.0 * (20.0 + 2.0)
        assert 0.85 * most <= found.tokens <= most + 1000.0


def test_interactive_calls_do_not_wait_for_batch_of_other_workers():
    """With the lanes full of batch work, a person's call goes long before its median."""
    found = simulate_fleet(FleetPlan(workers=6, lanes=8, agents=8, seconds=25.0))
    assert found.quantile_s("interactive", 0.5) <= found.quantile_s("batch", 0.5)


def test_a_fleet_that_doubles_and_halves():
    """Workers that join get their part; the lanes of killed ones come back after a lease."""
    plan = FleetPlan(workers=4, lanes=8, agents=6, seconds=24.0, doubles_s=6.0, halves_s=12.0)
    found = simulate_fleet(plan)
    assert found.workers_most == 8
    assert found.lanes_most <= 8 + 8  # the calls of the killed run on at the provider
    assert found.calls >= 0.6 * 8 * 24.0 / 0.9


def test_people_wait_in_a_fleet_as_with_one_process():
    """Limits are learnt from what the provider says: one process or eight, it is used as fully."""
    shape = {"lanes": 256, "tpm": 420_000.0, "reports": True, "burst_s": 2.0, "seconds": 6.0}
    one, eight = (
        simulate_fleet(FleetPlan(workers=n, agents=64 // n, people=16 // n, **shape))
        for n in (1, 8)
    )
    assert eight.tokens >= 0.95 * one.tokens
    assert eight.quantile_s("interactive", 0.95) <= 1.5 * one.quantile_s("interactive", 0.95)
    assert eight.refused <= 0.01 * eight.calls


@pytest.mark.parametrize("part", ["all", "s", "m", "x", "h", "n", "o", "e", "r", "g", "y"])
def test_whatever_the_server_loses_heals(part):
    """No lane and no token above the limits, and the work goes on: once early, once late."""
    plan = FleetPlan(
        workers=6, lanes=8, tpm=420_000.0, agents=6, seconds=24.0, loses=((6.0, part), (13.0, part))
    )
    found = simulate_fleet(plan)
    assert found.lanes_most == 8
    assert found.refused == 0
    assert found.calls >= 0.7 * 8 * 24.0 / 0.9
    last = [found.by_second[second] for second in range(18, 24)]
    assert sum(last) >= 0.8 * 6 / 24 * found.tokens
