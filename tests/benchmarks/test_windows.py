"""Limits in windows, in virtual time: what the benchmark promises holds for each kind of server."""

from __future__ import annotations

import pytest

from benchmarks.congestion.window_trials import KINDS, drawn
from benchmarks.congestion.window_world import AGENTS, ROWS, play
from benchmarks.congestion.windows import report, table, virtual

NAMING = [name for name, kind in KINDS.items() if kind.resets == "whole" and not kind.tokens]
NEXT = [name for name, kind in KINDS.items() if kind.resets == "next"]


@pytest.mark.parametrize("told", [False, True], ids=["untold", "told"])
@pytest.mark.parametrize("name", ROWS)
def test_all_are_through_as_fast_as_the_window_allows(name, told):
    """With five refusals in the first window, one after that.

    Six where nobody names the step, and nine of a bucket that says nothing: its rate shows by them.
    """
    for seed, phase_s in ((1, 5.0), (2, 25.0)):
        ours = play(ROWS[name], "ours", told=told, seed=seed, phase_s=phase_s)
        best = play(ROWS[name], "oracle", seed=seed, phase_s=phase_s)
        assert ours.finished == AGENTS
        # Who is told a limit of which the server shows nothing is paced at it: a call a second.
        paced = told and name.endswith(("words", "silent"))
        assert ours.wall_s <= max(102.0 if paced else 0.0, 1.1 * best.wall_s)
        assert ours.first <= {"bucket, silent": 9}.get(name, 5 + ("second" in name))
        assert ours.later <= 1


@pytest.mark.parametrize("name", NAMING)
def test_a_server_that_says_when_all_is_back_refuses_hardly_any(name):
    """Whoever's headers, however it counts, with whatever agents, lines and clocks.

    Drawn: a window that is as short as its resets are rounded is not used as fast as it allows.
    """
    for seed in (501, 502, 503):
        trial = drawn(name, seed).run()
        assert trial.lost == 0
        assert trial.first <= 5
        assert trial.later <= 5


@pytest.mark.parametrize("name", NEXT)
def test_a_server_that_says_when_the_next_is_back_is_found_out(name):
    """Most by two refusals or none; a crowd behind a slow line may have one round refused."""
    trials = [drawn(name, seed).run() for seed in (501, 502, 503)]
    for refusals in ([one.first for one in trials], [one.later for one in trials]):
        assert sorted(refusals)[1] <= 2
        assert max(refusals) <= 20
    assert not sum(one.lost for one in trials)


def test_the_bare_sdk_loses_agents_behind_a_gateway():
    """Twice is not enough for anybody, ten times for few: that is why the rows are there."""
    assert play(ROWS["clock"], "sdk-2").finished == 0
    assert play(ROWS["clock"], "sdk-10", phase_s=5.0).finished < AGENTS


def test_the_table_says_who_was_lost():
    """A time that is not everybody's is marked, and no ratio is formed of it."""
    found = virtual(1, 2, ["clock"])
    lines = list(table(found))
    assert len(lines) == 2 + 5
    assert "| clock | ours | 20/20 |" in lines[3]
    about = {"when": "", "machine": "", "python": "", "version": "", "seeds": 1}
    assert lines[3] in report({"about": about, "virtual": found})
