"""What is back at once is not used at once: one call, four, sixteen, and all."""

from __future__ import annotations

import pytest

from agentrm_plugins.policy.endpoint.rounds import Rounds


def goes(rounds: Rounds, most: int, now_s: float) -> list[float]:
    """When so many calls go."""
    gone: list[float] = []
    while len(gone) < most:
        now_s += rounds.wait_s(now_s) if rounds.on else 0.0
        if rounds.on:
            rounds.sent(now_s)
        gone.append(now_s)
    return gone


def test_each_round_waits_for_a_refusal_of_the_one_before():
    """Three quarters of a second in all, of a minute; and what follows is not held up."""
    rounds = Rounds()
    rounds.begin(60.0, 100.0)
    gone = goes(rounds, 40, 100.0)
    assert gone[0] == 100.0
    assert gone[1:5] == [pytest.approx(100.25)] * 4
    assert gone[5:21] == [pytest.approx(100.5)] * 16
    assert gone[21:] == [pytest.approx(100.75)] * 19
    assert not rounds.on


def test_a_line_on_which_refusals_take_longer_is_waited_for():
    """A window's two hundredth at most, so that a short one is not lost to it."""
    rounds = Rounds()
    rounds.refused(0.0, 0.1)
    rounds.begin(60.0, 100.0)
    assert goes(rounds, 2, 100.0)[1] == pytest.approx(100.15)
    short = Rounds()
    short.begin(1.0, 100.0)
    assert goes(short, 40, 100.0)[-1] <= 100.02


def test_what_comes_back_all_the_time_is_held_up_once():
    """Of a sliding window something is back in each moment."""
    rounds = Rounds()
    rounds.begin(60.0, 100.0)
    goes(rounds, 22, 100.0)
    rounds.begin(60.0, 101.0)
    assert not rounds.on
    rounds.begin(60.0, 160.0)
    assert rounds.on
