from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.policy.bucket import Bucket


def test_refills_at_its_rate_up_to_its_capacity():
    """The level grows by rate x time and stops at the capacity."""
    bucket = Bucket(2.0, 10.0, level=1.0)
    assert bucket.level(2.0) == 5.0
    assert bucket.level(100.0) == 10.0
    assert bucket.level(50.0) == 10.0


def test_says_how_long_to_wait():
    """Missing over rate; 0 when it is there; never when it is larger than the bucket."""
    bucket = Bucket(2.0, 10.0, level=1.0)
    assert bucket.time_until(1.0, 0.0) == 0.0
    assert bucket.time_until(5.0, 0.0) == 2.0
    assert bucket.time_until(10.0, 0.0) == 4.5
    assert bucket.time_until(10.1, 0.0) == inf


def test_no_refill_is_never_unless_a_window_is_expected():
    """A fixed window has rate 0 and one refill at its end."""
    bucket = Bucket(0.0, 10.0, level=0.0)
    assert bucket.time_until(1.0, 0.0) == inf
    bucket.expect_refill(3.0, 10.0)
    assert bucket.time_until(1.0, 1.0) == 2.0
    assert bucket.level(3.0) == 10.0
    bucket.take(10.0, 3.0)
    assert bucket.level(9.0) == 0.0
    bucket.expect_refill(12.0, 4.0)
    assert bucket.time_until(5.0, 9.0) == inf


def test_settling_gives_back_or_goes_into_debt():
    """What was not used comes back; what was used beyond the reserve is paid from the refill."""
    bucket = Bucket(1.0, 10.0)
    bucket.take(8.0, 0.0)
    bucket.settle(8.0, 3.0, 0.0)
    assert bucket.level(0.0) == 7.0
    bucket.settle(1.0, 20.0, 0.0)
    assert bucket.level(0.0) == -12.0
    assert bucket.time_until(1.0, 0.0) == 13.0
    bucket.settle(100.0, 0.0, 0.0)
    assert bucket.level(0.0) == 10.0


def test_a_refusal_empties_it_and_keeps_debts():
    """After a refusal nothing is there; a debt stays one."""
    bucket = Bucket(1.0, 10.0)
    bucket.drain(0.0)
    assert bucket.level(0.0) == 0.0
    bucket.take(5.0, 0.0)
    bucket.drain(0.0)
    assert bucket.level(0.0) == -5.0


def test_a_new_rate_counts_from_now_on():
    """What has come until now came at the old rate; a smaller size cuts the level."""
    bucket = Bucket(1.0, 10.0, level=0.0)
    bucket.set_rate(100.0, 10.0, 4.0)
    assert bucket.level(4.0) == 4.0
    bucket.set_rate(1.0, 3.0, 4.0)
    assert bucket.level(4.0) == 3.0


def test_a_wrong_account_is_shifted():
    """A correction moves the level up or down, never above the size."""
    bucket = Bucket(1.0, 100.0, level=50.0)
    bucket.shift(-30.0, 0.0)
    assert bucket.level(0.0) == 20.0
    bucket.shift(900.0, 0.0)
    assert bucket.level(0.0) == 100.0


@pytest.mark.parametrize(("rate", "capacity"), [(-1.0, 1.0), (inf, 1.0), (1.0, 0.0), (1.0, -2.0)])
def test_refuses_what_no_bucket_can_have(rate, capacity):
    """A negative or infinite rate and an empty size are errors, when made and when changed."""
    with pytest.raises(ValueError, match="give a"):
        Bucket(rate, capacity)
    with pytest.raises(ValueError, match="give a"):
        Bucket(1.0, 1.0).set_rate(rate, capacity, 0.0)


amounts = st.floats(0.01, 50.0)


@given(st.floats(0.1, 20.0), st.floats(1.0, 60.0), st.lists(amounts, min_size=1, max_size=40))
def test_never_lets_through_more_than_capacity_and_refill(rate, capacity, sizes):
    """Whoever waits as told takes at most capacity + rate x time, and the wait is exact."""
    bucket, now_s, taken = Bucket(rate, capacity), 0.0, 0.0
    for size in sizes:
        wait_s = bucket.time_until(size, now_s)
        if size > capacity * (1 + 1e-9):
            assert wait_s == inf
            continue
        now_s += wait_s
        assert bucket.time_until(size, now_s) <= 1e-6
        bucket.take(size, now_s)
        taken += size
        assert taken <= capacity + rate * now_s + 1e-3


@given(
    st.lists(
        st.tuples(st.sampled_from(["take", "settle", "shift", "rate"]), amounts, amounts),
        max_size=40,
    )
)
def test_is_never_above_its_capacity(steps):
    """No sequence of events lifts the level above the capacity."""
    bucket, now_s = Bucket(1.0, 20.0), 0.0
    for kind, one, two in steps:
        now_s += one / 10
        if kind == "take":
            bucket.take(one, now_s)
        elif kind == "settle":
            bucket.settle(one, two, now_s)
        elif kind == "shift":
            bucket.shift(one - two, now_s)
        else:
            bucket.set_rate(one, two, now_s)
        assert bucket.level(now_s) <= bucket.capacity
