"""How many attempts of one call may follow each other, by what second attempts have taught."""

from __future__ import annotations

from math import inf

import pytest

from agentrm_plugins.policy.endpoint.hedging import Hedging


def taught(*, wins=0, losses=0, alone=0):
    """What is known after so many of each, in that order."""
    hedging = Hedging(4.0)
    for _ in range(wins):
        hedging.won(1)
    for number in range(losses):
        hedging.wasted(100.0, float(number))
    for _ in range(alone):
        hedging.answered()
    return hedging


def most(hedging):
    """How many may be sent of one call as soon as each is late; ten stand for any number."""
    return next((n for n in range(10) if not hedging.may_follow(n)), 10)


def test_at_first_two_may_go():
    """Nothing is known: they win as often as they lose, and hardly any call hangs."""
    assert most(taught()) == 2


def test_where_slow_calls_are_merely_slow_one_goes():
    """It loses to the first each time; a second one would be paid for nothing as well."""
    assert most(taught(losses=5, alone=50)) == 1


def test_where_some_hang_and_slow_calls_are_many_two_go():
    """They mostly lose, and yet three attempts of a call may hang."""
    assert most(taught(wins=10, losses=30)) == 2


def test_where_calls_hang_as_many_go_as_it_takes():
    """They win."""
    assert most(taught(wins=10)) == 10


@pytest.mark.parametrize(("hedges", "age_s"), [(1, 240.0), (2, 240.0), (3, 480.0), (4, 960.0)])
def test_an_old_call_goes_again_whatever_was_learnt(hedges, age_s):
    """Four minutes, then twice as long each time; or twice as long as the slowest answer took."""
    hedging = taught(losses=5)
    assert hedging.follows_after_s(hedges, 1.0) == age_s
    assert hedging.follows_after_s(hedges, 300.0) == 2.5 * age_s
    assert hedging.follows_after_s(hedges, 0.0) == inf
