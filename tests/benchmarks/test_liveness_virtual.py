"""Late calls in virtual time: what the benchmark promises holds on a small scale."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.liveness import few
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


@pytest.mark.parametrize("lanes", [8, 32])
def test_a_cold_endpoint_of_ten_minute_answers_is_asked_once_for_each(lanes):
    """Many calls that are silent together are slow, not hung."""
    world = World(lanes=lanes, calls=40, median_s=500.0, sigma=0.05)
    ours = run(world, RULE)
    assert ours.failed == 0
    assert sum(ours.healthy) <= 1.05 * 40
    assert ours.charged == ours.billed


@pytest.mark.parametrize("seed", range(4))
def test_a_few_calls_do_not_wait_for_the_limit(seed):
    """Forty calls of which two in five hang: a handful of answers is enough to go by."""
    world = World(lanes=8, calls=40, hang=0.4, seed=seed)
    assert run(world, RULE).wall_s <= 5.0 * run(world, ORACLE).wall_s


def test_the_report_of_few_calls_has_a_row_for_each_situation():
    """Each size with each kind of hangs and of slow answers."""
    assert len(list(few.report(range(1, 2)))) == 2 + 6 * (4 + 4)
