from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.policy.endpoint.rate_search import RateController, RateSettings, Source

SETTINGS = RateSettings()


def saturated(controller: RateController, seconds: float, start_s: float, size: float = 1.0):
    """Send at the rate for `seconds`, held back all the time, without a hit."""
    now_s, end_s = start_s, start_s + seconds
    while now_s < end_s:
        controller.held_back()
        controller.sent(size)
        now_s += size / controller.rate_per_s
        controller.advance(now_s)
    return now_s


def test_slow_start_doubles_only_while_it_binds():
    """From a safe rate it doubles each quarter of a second that held somebody back, not else."""
    controller = RateController(SETTINGS, start_per_s=10.0)
    assert (controller.limit_per_s, controller.source) == (None, Source.UNKNOWN)
    assert controller.next_s() == inf
    assert controller.advance(1.0) is False
    controller.held_back()
    assert controller.next_s() == 1.25
    assert controller.advance(1.2) is False
    assert controller.advance(1.25) is True
    assert controller.rate_per_s == 20.0


def test_a_storm_cuts_once():
    """However many calls sent before the cut are refused, the rate is cut once."""
    controller = RateController(SETTINGS, told_per_s=10.0)
    for _ in range(20):
        controller.sent(1.0)
    assert controller.hit(1.0, 0.5, 1.0) is True
    assert controller.rate_per_s == 7.0
    for sent_s in (0.1, 0.9, 1.0):
        assert controller.hit(1.0, sent_s, 1.1) is False
    assert (controller.rate_per_s, controller.cuts) == (7.0, 1)
    assert controller.hit(1.0, 1.01, 1.2) is True
    assert controller.cuts == 2


def test_returns_fast_to_just_under_what_was_measured():
    """Between two hits the server let through what flows in: that is the limit, and 97 % of it the
    rate a moment after the cut.
    """
    controller = RateController(SETTINGS, told_per_s=30.0)
    controller.hit(1.0, 0.0, 0.0)
    for _ in range(101):
        controller.sent(1.0)
    assert controller.hit(1.0, 9.9, 10.0)
    assert controller.limit_per_s == pytest.approx(10.0)
    assert controller.source is Source.PROBED
    assert controller.rate_per_s < 10.0
    assert controller.advance(controller.next_s())
    assert controller.rate_per_s == pytest.approx(9.7)


def test_without_a_measurement_time_and_refusals_bound_the_limit():
    """Told 20 times too much, it is within a factor of 2 after six refusals."""
    controller = RateController(SETTINGS, told_per_s=20.0)
    now_s = 0.0
    for _ in range(7):
        controller.sent(1.0)
        controller.hit(1.0, now_s, now_s)
        now_s += 1.0 / controller.rate_per_s
    assert controller.rate_per_s < 2.0


def test_unbounded_until_the_first_hit():
    """Without a start there is no bound; the first hit brings the rate that was delivered."""
    controller = RateController(SETTINGS)
    assert controller.rate_per_s == inf
    for _ in range(50):
        controller.sent(100.0)
    assert controller.hit(100.0, 4.0, 5.0)
    assert controller.rate_per_s == pytest.approx(0.7 * 1000.0)


def test_idle_time_proves_nothing():
    """After an interval that did not bind, what was delivered is no measurement."""
    controller = RateController(SETTINGS, told_per_s=10.0)
    controller.hit(1.0, 0.0, 0.0)
    controller.advance(controller.next_s())
    rate = controller.rate_per_s
    controller.advance(100.0)
    for _ in range(10):
        controller.sent(1.0)
    controller.hit(1.0, 100.0, 100.5)
    assert controller.limit_per_s == pytest.approx(rate)


def test_a_risen_limit_is_followed_within_a_window():
    """From 40 % back to 100 % of 10/s takes less than 60 s, with steps that double."""
    controller = RateController(SETTINGS, told_per_s=10.0)
    controller.hit(1.0, 0.0, 0.0)
    for _ in range(40):
        controller.sent(1.0)
    controller.hit(0.0, 9.9, 10.0)
    assert controller.limit_per_s == pytest.approx(4.0)
    now_s = 10.0
    while controller.rate_per_s < 10.0:
        now_s = saturated(controller, 1.0, now_s)
    assert now_s - 10.0 < 60.0
    assert (controller.limit_per_s, controller.source) == (10.0, Source.TOLD)
    saturated(controller, 30.0, now_s)
    assert controller.rate_per_s == 10.0


def test_a_known_limit_is_held_and_then_probed():
    """After so many calls at the limit the rate exceeds it, until calls beyond it went or one is
    refused; each refused probe makes the next one rarer.
    """
    controller = RateController(SETTINGS, told_per_s=1000.0)
    controller.hit(1.0, 0.0, 0.0)
    for _ in range(101):
        controller.sent(1.0)
    controller.hit(1.0, 9.9, 10.0)
    assert controller.limit_per_s == pytest.approx(10.0)
    now_s, held = 10.0, []
    for _ in range(3):
        begin_s = now_s
        while controller.rate_per_s <= controller.limit_per_s:
            now_s = saturated(controller, 0.1, now_s)
        held.append(now_s - begin_s)
        beyond = controller.rate_per_s - controller.limit_per_s
        assert beyond == pytest.approx(8.0)  # two calls in a quarter of a second
        controller.sent(1.0)
        controller.hit(1.0, now_s, now_s + 0.01)
    assert controller.limit_per_s == pytest.approx(10.0, rel=0.2)
    assert held[0] < 2.0 < held[2] < 4.0


def test_a_probe_that_nobody_fills_proves_nothing():
    """Without enough calls beyond the limit it has not risen; without a crowd the probe ends."""
    controller = RateController(SETTINGS, told_per_s=1000.0)
    controller.learn(10.0, 0.0, firm=False)
    now_s = 0.0
    while controller.rate_per_s <= 10.0:
        now_s = saturated(controller, 0.1, now_s)
    controller.held_back()
    assert controller.advance(now_s + 5.0) is False
    assert controller.limit_per_s == 10.0
    assert controller.advance(now_s + 20.0) is True
    assert controller.rate_per_s == 10.0


def test_a_closed_endpoint_is_no_lack_of_calls():
    """Who waits for something else does not make what was delivered no measurement."""
    controller = RateController(SETTINGS, told_per_s=1000.0)
    controller.hit(1.0, 0.0, 0.0)
    controller.advance(controller.next_s())
    controller.stopped()
    controller.advance(5.0)
    for _ in range(51):
        controller.sent(1.0)
    controller.hit(1.0, 9.9, 10.0)
    assert controller.limit_per_s == pytest.approx(5.0)


def test_the_servers_word_counts_at_once_up_and_down():
    """A limit in headers is the rate; the same again is no news; the user's is an upper bound."""
    controller = RateController(SETTINGS, start_per_s=10.0)
    assert controller.learn(50.0, 1.0)
    assert (controller.rate_per_s, controller.source) == (50.0, Source.SERVER)
    assert controller.learn(50.0, 2.0) is False
    assert controller.learn(20.0, 3.0)
    assert controller.rate_per_s == 20.0
    told = RateController(SETTINGS, told_per_s=30.0)
    assert told.source is Source.TOLD
    told.learn(90.0, 0.0)
    assert (told.rate_per_s, told.source) == (30.0, Source.TOLD)
    told.learn(10.0, 0.0)
    assert (told.rate_per_s, told.source) == (10.0, Source.SERVER)


def test_what_only_refusals_say_does_not_hold_growth_back():
    """When such a limit rises nobody says so: the rate goes on growing beyond it."""
    controller = RateController(SETTINGS, start_per_s=10.0)
    assert controller.learn(5.0, 0.0, firm=False)
    assert controller.learn(5.0, 0.0, firm=False) is False
    assert (controller.rate_per_s, controller.source) == (5.0, Source.SERVER)
    saturated(controller, 20.0, 0.0)
    assert controller.rate_per_s > 6.0
    assert controller.source is Source.PROBED


def test_corrections_count():
    """What a call really used is what was delivered."""
    controller = RateController(SETTINGS, told_per_s=100.0)
    controller.hit(1.0, 0.0, 0.0)
    for _ in range(10):
        controller.sent(30.0)
        controller.corrected(-20.0)
    controller.hit(1.0, 9.0, 10.0)
    assert controller.limit_per_s == pytest.approx(10.0, rel=0.05)


steps = st.lists(
    st.tuples(st.sampled_from(["sent", "hit", "held", "advance", "learn"]), st.floats(0.01, 100.0)),
    max_size=60,
)


@given(steps, st.one_of(st.none(), st.floats(1.0, 1e4)), st.booleans())
def test_whatever_happens_the_rate_is_sane(events, told, firm):
    """The rate stays above zero, never exceeds what was told, and grows without no hit above it."""
    controller = RateController(SETTINGS, told_per_s=told, start_per_s=5.0)
    now_s = 0.0
    for kind, value in events:
        now_s += value / 10
        cuts, rate = controller.cuts, controller.rate_per_s
        if kind == "sent":
            controller.sent(value)
        elif kind == "hit":
            controller.hit(value, now_s - 0.1, now_s)
            assert controller.rate_per_s <= rate or controller.rate_per_s == value / 60.0
        elif kind == "held":
            controller.held_back()
        elif kind == "learn":
            controller.learn(value, now_s, firm=firm)
        else:
            controller.advance(now_s)
        assert controller.rate_per_s > 0
        assert controller.cuts - cuts in (0, 1)
        if told is not None and kind != "hit":
            assert controller.rate_per_s <= max(told, 100.0 / 60.0)
