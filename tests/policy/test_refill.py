from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.policy.endpoint.refill import RefillEstimator


def reports(estimator, levels, *, limit, rate, size, step_s=0.001):
    for level in levels:
        reset_s = ceil((size - level) / rate / step_s) * step_s
        known = estimator.observe(limit, float(int(level)), reset_s)
    return known


def test_one_report_says_nothing_yet():
    """Nor do two that are nearly alike."""
    estimator = RefillEstimator()
    assert estimator.observe(60.0, 59.0, 1.0) is None
    assert estimator.observe(60.0, 59.0, 1.0) is None


def test_finds_a_bucket_smaller_than_the_window():
    """Rate and size of a bucket that holds a fifth of the quota, of a window of ten seconds."""
    known = reports(RefillEstimator(), range(12, 0, -1), limit=60.0, rate=6.0, size=12.0)
    assert known.window_s == pytest.approx(10.0, rel=0.03)
    assert known.size == pytest.approx(12.0, rel=0.1)


def test_tells_a_limit_per_day_from_one_per_minute():
    """200 requests a day come back one in 432 seconds, whatever the header is called."""
    known = reports(RefillEstimator(), range(199, 180, -1), limit=200.0, rate=1 / 432, size=200.0)
    assert known.window_s == 86400.0
    minute = reports(RefillEstimator(), range(50, 0, -5), limit=50.0, rate=50 / 60, size=50.0)
    assert minute.window_s == 60.0


def test_less_remaining_with_a_shorter_reset_is_no_bucket():
    """Nothing comes back before a window is over; how that is told says `reset_shape`."""
    estimator = RefillEstimator()
    for passed_s in range(0, 50, 5):
        assert estimator.observe(100.0, 100.0 - passed_s, 58.0 - passed_s) is None


def test_a_new_limit_starts_afresh():
    """What was measured of another limit says nothing of this one."""
    estimator = RefillEstimator()
    assert reports(estimator, range(12, 0, -1), limit=60.0, rate=6.0, size=12.0)
    assert estimator.observe(24.0, 3.0, 1.0) is None


@given(
    st.floats(0.5, 50.0),
    st.floats(20.0, 500.0),
    st.lists(st.floats(0.0, 1.0), min_size=8, max_size=60),
    st.sampled_from([0.001, 1.0]),
)
def test_is_right_whatever_the_order_of_reports(rate, size, shares, step_s):
    """If it says anything it is right within a quarter, rounded resets and remains included."""
    estimator = RefillEstimator()
    levels = [share * size for share in shares]
    known = reports(estimator, levels, limit=size, rate=rate, size=size, step_s=step_s)
    if known is not None:
        assert known.window_s == pytest.approx(size / rate, rel=0.35)
