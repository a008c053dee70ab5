from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.testing.provider.limits import Bucket, LimitSet, Quota
from agentrm_plugins.testing.provider.windows import SlidingWindow, Window
from tests.effort import effort


def admit(limits, now_s, tokens=0, cost=1.0, output=0):
    return limits.admit(now_s, input_tokens=tokens, output_tokens=output, rejection_cost=cost)


def test_bucket_refills_continuously():
    """60 a minute in a bucket of one: the second waits one second, half of it after a half."""
    bucket = Bucket(60, 60.0, 1 / 60, 0.0)
    assert bucket.wait_s(1, 0.0) == 0
    bucket.charge(1, 0.0)
    assert bucket.wait_s(1, 0.0) == pytest.approx(1.0)
    assert bucket.wait_s(1, 0.5) == pytest.approx(0.5)
    assert bucket.wait_s(1, 1.0) == 0
    assert bucket.wait_s(2, 1.0) == inf


@effort(100)
@given(
    steps=st.lists(st.tuples(st.floats(0, 3), st.floats(0.1, 50)), max_size=40),
    limit=st.floats(1, 600),
    burst=st.floats(0.05, 1),
)
def test_bucket_never_lets_more_pass_than_burst_and_rate_allow(steps, limit, burst):
    """Whatever is asked and when, what passed is at most size + rate x time."""
    bucket = Bucket(limit, 60.0, burst, 0.0)
    size, now_s, passed = max(1.0, limit * burst), 0.0, 0.0
    for gap_s, amount in steps:
        now_s += gap_s
        if bucket.wait_s(amount, now_s) == 0:
            bucket.charge(amount, now_s)
            passed += amount
        assert passed <= size + limit / 60 * now_s + 1e-6


def test_fixed_window_returns_whole_and_carries_debt():
    """Nothing comes back inside a window; a debt is paid from the next one."""
    window = Window(10, 60.0, 0.0)
    window.charge(10, 1.0)
    assert window.wait_s(1, 30.0) == pytest.approx(30.0)
    assert window.remaining(60.0) == 10
    window.charge(14, 61.0)
    assert window.remaining(61.0) == -4
    assert window.remaining(120.0) == 6
    assert window.wait_s(11, 120.0) == inf
    assert window.remaining(600.0) == 10


def test_a_sliding_window_gives_back_each_amount_a_window_after_it_was_taken():
    """Not before, and not all at once; a refund shortens the newest amount."""
    window = SlidingWindow(10, 60.0)
    window.charge(6, 0.0)
    window.charge(4, 10.0)
    assert window.wait_s(1, 20.0) == pytest.approx(40.0)
    assert window.wait_s(7, 20.0) == pytest.approx(50.0)
    assert window.reset_s(20.0) == pytest.approx(50.0)
    assert window.remaining(59.9) == 0
    assert window.remaining(60.0) == 6
    window.charge(-3, 60.0)
    assert window.remaining(60.0) == 9
    assert window.wait_s(11, 60.0) == inf
    window.charge(-5, 60.0)
    assert window.remaining(60.0) == 10
    window.resize(4, 60.0)
    assert (window.remaining(60.0), window.reset_s(60.0)) == (4, 0.0)


@effort(100)
@given(
    steps=st.lists(st.tuples(st.floats(0, 3), st.floats(0.1, 50)), max_size=40),
    limit=st.floats(1, 60),
)
def test_a_sliding_window_never_lets_more_pass_in_any_window(steps, limit):
    """And what has been waited for as told passes."""
    window, now_s, passed = SlidingWindow(limit, 10.0), 0.0, []
    for gap_s, amount in steps:
        now_s += gap_s
        wait_s = window.wait_s(amount, now_s)
        if wait_s == inf:
            continue
        now_s += wait_s
        assert window.wait_s(amount, now_s + 1e-6) == 0
        window.charge(amount, now_s + 1e-6)
        passed.append((now_s, amount))
        assert sum(n for at_s, n in passed if at_s > now_s - 10.0 + 1e-3) <= limit + 1e-6


def test_clock_windows_follow_the_wall_clock():
    """A window that began before anybody asked ends with the minute, not a minute later."""
    limits = LimitSet(Quota(requests=2, kind="clock"), 100.0, wall_offset_s=1_000_000_000.0)
    # 1,000,000,100 is 20 s into its minute.
    assert all(admit(limits, 100.0).admitted for _ in range(2))
    verdict = admit(limits, 101.0)
    assert not verdict.admitted
    assert verdict.wait_s == pytest.approx(39.0)
    assert admit(limits, 140.0).admitted


@pytest.mark.parametrize("kind", ["bucket", "fixed", "sliding"])
def test_a_limit_may_be_enforced_by_the_second(kind):
    """600 a minute pass ten a second, while what is told stays 600; a large amount is a debt."""
    limits = LimitSet(Quota(requests=600, tokens=6000, kind=kind, enforce_s=1.0), 0.0)
    assert [admit(limits, 0.0, cost=0).admitted for _ in range(11)] == [True] * 10 + [False]
    requests = dict(limits.meters())["requests"]
    assert (requests.limit, requests.remaining(0.0)) == (600, 590)
    assert admit(limits, 1.0, tokens=500, cost=0).admitted
    verdict = admit(limits, 2.0, tokens=500, cost=0)
    assert (verdict.resource, verdict.wait_s) == ("tokens", pytest.approx(4.0))
    limits.apply(Quota(requests=60, tokens=6000, kind=kind, enforce_s=1.0), 9.0)
    assert [admit(limits, 9.0, cost=0).admitted for _ in range(2)] == [True, False]


@pytest.mark.parametrize("kind", ["bucket", "fixed", "clock", "sliding"])
def test_rejection_costs_requests_down_to_zero(kind):
    """A rejected request takes a request from the quota, but never makes a debt."""
    limits = LimitSet(Quota(requests=10, tokens=100, kind=kind), 0.0)
    assert admit(limits, 0.0, tokens=100).admitted
    for _ in range(30):
        assert not admit(limits, 0.0, tokens=10).admitted
    left = dict(limits.meters())["requests"].remaining(0.0)
    assert left == 0
    free = LimitSet(Quota(requests=10, tokens=100, kind=kind), 0.0)
    admit(free, 0.0, tokens=100)
    admit(free, 0.0, tokens=10, cost=0)
    assert dict(free.meters())["requests"].remaining(0.0) == 9


def test_the_binding_resource_and_its_wait_are_named():
    """The verdict names the limit with the longest wait, and infinity for what never fits."""
    limits = LimitSet(Quota(requests=60, tokens=600), 0.0)
    assert admit(limits, 0.0, tokens=600).admitted
    verdict = admit(limits, 0.0, tokens=100, cost=0)
    assert (verdict.resource, verdict.limit, verdict.requested) == ("tokens", 600, 100)
    assert verdict.wait_s == pytest.approx(10.0)
    assert admit(limits, 0.0, tokens=601).wait_s == inf


def test_settle_gives_back_and_takes_more():
    """The difference between the real and the reserved usage is corrected, into debt if need be."""
    limits = LimitSet(Quota(tokens=100, input_tokens=50, output_tokens=80), 0.0)
    assert admit(limits, 0.0, tokens=20, output=60).admitted
    limits.settle(0.0, input_tokens=0, output_tokens=-40)
    left = {name: meter.remaining(0.0) for name, meter in limits.meters()}
    assert left == {"tokens": 60, "input_tokens": 30, "output_tokens": 60}
    limits.settle(0.0, input_tokens=0, output_tokens=90)
    assert dict(limits.meters())["tokens"].remaining(0.0) == -30


def test_new_limits_keep_what_was_taken():
    """A fall to 40 % cuts the level; a rise does not fill it; another window starts afresh."""
    limits = LimitSet(Quota(tokens=100), 0.0)
    admit(limits, 0.0, tokens=90)
    limits.apply(Quota(tokens=40), 0.0)
    assert dict(limits.meters())["tokens"].remaining(0.0) == 10
    limits.apply(Quota(tokens=1000, requests=5), 0.0)
    left = {name: meter.remaining(0.0) for name, meter in limits.meters()}
    assert left == {"tokens": 10, "requests": 5}
    limits.apply(Quota(tokens=1000, window_s=1.0), 0.0)
    assert dict(limits.meters())["tokens"].remaining(0.0) == 1000


def test_there_is_more_before_all_is_back():
    """In a bucket the next unit, in a sliding window what the oldest took; a fixed one has none."""
    found = {}
    for kind in ("bucket", "sliding", "fixed"):
        limits = LimitSet(Quota(requests=60, kind=kind), 0.0)
        [(_, meter)] = limits.meters()
        assert meter.next_s(0.0) == (60.0 if kind == "fixed" else 0.0)
        for at_s in (0.0, 10.0, 10.25):
            meter.charge(5.0, at_s)
        found[kind] = (meter.next_s(10.25), meter.reset_s(10.25))
    assert found["bucket"] == pytest.approx((0.75, 9.75))
    assert found["sliding"] == pytest.approx((49.75, 60.0))
    assert found["fixed"] == pytest.approx((49.75, 49.75))
