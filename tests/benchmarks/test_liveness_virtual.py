"""Late calls in virtual time: what the benchmark promises holds on a small scale."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.liveness.agents import Policy, World, run
from benchmarks.liveness.virtual import BARE, ORACLE, RULE, report

CALLS = 400


@pytest.mark.parametrize(
    "world",
    [World(hang=0.2), World(waves=True, lanes=32), World(hang=0.2, concurrency=8)],
    ids=["hung", "waves", "set concurrency"],
)
def test_hung_calls_cost_little_more_than_an_oracle_needs(world):
    """All finish, none fails, and every token that was billed is charged."""
    world = replace(world, calls=CALLS)
    ours, oracle = run(world, RULE), run(world, ORACLE)
    assert ours.failed == 0
    assert ours.wall_s <= 2.0 * oracle.wall_s
    assert ours.charged == ours.billed
    assert world.concurrency is None or ours.peak <= world.concurrency


@pytest.mark.parametrize("times", [2.0, 10.0, 100.0])
def test_healthy_slow_calls_are_answered_and_seldom_sent_twice(times):
    """5 % of the calls take so many times as long: nobody fails, three requests at most."""
    world = World(slow=0.05, times=times, calls=2 * CALLS)
    ours, bare = run(world, RULE), run(world, BARE)
    assert ours.failed == 0
    assert sum(ours.healthy) / (2 * CALLS) <= 1.05
    assert max(ours.healthy) <= 3
    assert ours.billed <= 1.05 * bare.billed
    assert ours.charged == ours.billed


def test_an_overload_makes_no_storm():
    """For half a minute all is twenty times slower: hardly anything more is sent."""
    world = World(overload=(10.0, 40.0), calls=CALLS)
    ours, bare = run(world, RULE), run(world, BARE)
    assert ours.billed <= 1.06 * bare.billed
    assert ours.failed == 0


def test_without_what_is_learnt_hung_calls_wait_for_their_limit():
    """The other side: switched off, only the configured timeout helps."""
    world = World(hang=0.05, calls=100, lanes=40)
    assert run(world, Policy(adaptive=False, timeout_s=30.0)).wall_s > 30.0


def test_the_report_is_made_of_rows():
    """One for each kind, with each number of lanes."""
    assert len(report(60, 1).splitlines()) == 8 + 12 + 5
