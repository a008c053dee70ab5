from __future__ import annotations

import random

import pytest

from agentrm_plugins.policy.endpoint.mirror import Mirror

RATE = 10.0


def test_too_much_is_corrected_at_once():
    """The server has less at both moments than we thought: by the smaller difference."""
    mirror = Mirror()
    mirror.note(100.0, 5.0, 0.0)
    assert mirror.correction(80.0, 105.0, RATE, 0.0, 1.0) == pytest.approx(-19.0)
    assert mirror.correction(80.0, 86.0, RATE, 0.0, 1.0) == 0.0


def test_too_little_is_corrected_when_it_is_said_again_and_again():
    """By the least of the differences of so many reports in a row; one that differs starts anew."""
    mirror = Mirror(reports=3)
    for remaining in (60.0, 50.0):
        assert mirror.correction(remaining, 10.0, RATE, 1.0, 1.0) == 0.0
    assert mirror.correction(10.0, 10.0, RATE, 1.0, 1.0) == 0.0
    for remaining in (60.0, 50.0):
        assert mirror.correction(remaining, 10.0, RATE, 1.0, 1.0) == 0.0
    assert mirror.correction(70.0, 10.0, RATE, 1.0, 1.0) == 40.0


def test_between_the_two_moments_nothing_is_proved():
    """A figure that fits either moment is no error of ours."""
    mirror = Mirror(reports=1)
    mirror.note(20.0, 10.0, 0.0)
    mirror.note(90.0, 0.0, 2.0)  # a call that was refunded meanwhile
    assert mirror.correction(20.0, 90.0, RATE, 0.0, 2.0) == 0.0
    assert mirror.correction(90.0, 90.0, RATE, 0.0, 2.0) == 0.0


def test_calls_on_their_way_and_debts_do_not_raise():
    """What went a moment ago may not be in the figure; 0 may stand for any debt."""
    mirror = Mirror(reports=1)
    mirror.note(0.0, 30.0, 9.99)
    assert mirror.correction(30.0, 0.0, RATE, 9.99, 10.0) == 0.0
    assert mirror.correction(0.0, -50.0, RATE, 10.0, 11.0) == 0.0


def test_corrections_are_not_made_twice():
    """A report about a moment before a correction is read with it."""
    mirror = Mirror()
    for at_s in (0.0, 0.5):
        mirror.note(100.0, 5.0, at_s)
    assert mirror.correction(50.0, 105.0, RATE, 0.0, 1.0) < -40.0
    assert mirror.correction(50.0, 60.0, RATE, 0.5, 1.0) == 0.0
    mirror.moved(-20.0)
    assert mirror.correction(31.0, 36.0, RATE, 0.5, 1.0) == 0.0


@pytest.mark.parametrize("at_response", [False, True])
@pytest.mark.parametrize("error", [-3000.0, 3000.0])
def test_finds_the_error_whichever_moment_the_server_means(error, at_response):
    """In a steady stream an account that is off by three calls is within one and a half again."""
    rng, mirror = random.Random(7), Mirror()
    rate, size, server, ours, now_s = 5000.0, 1000.0, 2000.0, 2000.0 + error, 0.0
    flying: list[tuple[float, float, float]] = []
    for _ in range(200):
        step_s = size / rate
        now_s += step_s
        server, ours = server + rate * step_s - size, ours + rate * step_s - size
        mirror.note(ours, size, now_s)
        flying.append((now_s + rng.uniform(0.3, 1.5), now_s, server))
        for call in [call for call in flying if call[0] <= now_s]:
            flying.remove(call)
            figure = server if at_response else call[2]
            ours += mirror.correction(max(0.0, figure), ours, rate, call[1], now_s)
    assert abs(server - ours) <= 1.5 * size
