from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.policy.endpoint.breaker import Breaker, BreakerState


def opened(now_s: float = 0.0) -> Breaker:
    breaker = Breaker()
    for ticket in range(20):
        breaker.ended(ticket, failed=True, now_s=now_s)
    return breaker


def test_opens_at_half_of_twenty_and_not_before():
    """Nineteen failures are too few to judge by; the twentieth opens it."""
    breaker = Breaker()
    for ticket in range(19):
        assert breaker.ended(ticket, failed=True, now_s=0.0) is False
    assert breaker.time_until(0.0) == 0.0
    assert breaker.ended(19, failed=True, now_s=0.0) is True
    assert breaker.state is BreakerState.OPEN
    assert breaker.time_until(1.0) == 9.0


def test_each_call_counts_once():
    """Half of the calls failing opens it; a little less never does."""
    half, less = Breaker(), Breaker()
    for ticket in range(200):
        half.ended(ticket, failed=bool(ticket % 2), now_s=ticket / 100)
        less.ended(ticket, failed=ticket % 5 in (0, 1), now_s=ticket / 100)
    assert half.state is BreakerState.OPEN
    assert less.state is BreakerState.CLOSED


def test_what_says_nothing_is_not_counted():
    """A cancelled call is neither good nor bad."""
    breaker = Breaker(least_calls=2)
    for ticket in range(10):
        assert breaker.ended(ticket, failed=None, now_s=0.0) is False
    breaker.ended(1, failed=True, now_s=0.0)
    assert breaker.state is BreakerState.CLOSED


def test_failures_leave_the_window():
    """What failed longer ago than the window does not count."""
    breaker = Breaker()
    for ticket in range(19):
        breaker.ended(ticket, failed=True, now_s=0.0)
    for ticket in range(5):
        breaker.ended(ticket, failed=True, now_s=100.0)
    assert breaker.state is BreakerState.CLOSED


def test_exactly_one_probe_goes():
    """After the cool-down one call goes; the next only when that is heard of, or overdue."""
    breaker = opened()
    assert breaker.time_until(10.0) == 0.0
    assert breaker.sent(50, 10.0) is True
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.time_until(10.0) == 10.0
    assert breaker.ended(49, failed=False, now_s=11.0) is False
    assert breaker.time_until(20.0) == 0.0
    assert breaker.ended(50, failed=False, now_s=12.0) is True
    assert breaker.state is BreakerState.CLOSED
    assert breaker.sent(51, 12.0) is False


def test_a_failed_probe_doubles_the_wait_and_a_good_one_ends_it():
    """10, 20, 40, 80, 120, 120 s; then, after a good probe, 10 s again."""
    breaker, now_s, waits = opened(), 0.0, []
    for ticket in range(100, 106):
        waits.append(breaker.time_until(now_s))
        now_s += waits[-1]
        breaker.sent(ticket, now_s)
        breaker.ended(ticket, failed=True, now_s=now_s)
    assert waits == [10.0, 20.0, 40.0, 80.0, 120.0, 120.0]
    now_s += breaker.time_until(now_s)
    breaker.sent(200, now_s)
    breaker.ended(200, failed=False, now_s=now_s)
    for ticket in range(20):
        breaker.ended(ticket, failed=True, now_s=now_s)
    assert breaker.time_until(now_s) == 10.0


def test_a_probe_that_says_nothing_leaves_its_place():
    """A cancelled probe proves nothing: the next call is one."""
    breaker = opened()
    breaker.sent(50, 10.0)
    assert breaker.ended(50, failed=None, now_s=10.5) is False
    assert breaker.time_until(10.5) == 0.0
    assert breaker.sent(51, 10.5) is True


@given(st.lists(st.tuples(st.booleans(), st.floats(0.0, 5.0)), max_size=200))
def test_in_half_open_at_most_one_call_is_out(steps):
    """Whatever ends when, no second probe goes while one is out and not overdue."""
    breaker, now_s, out = opened(), 0.0, {}
    for ticket, (failed, pause_s) in enumerate(steps, 100):
        now_s += pause_s
        if breaker.time_until(now_s) == 0.0:
            if breaker.state is not BreakerState.CLOSED:
                assert all(now_s - sent_s >= 10.0 for sent_s in out.values())
                out[ticket] = now_s
            breaker.sent(ticket, now_s)
        elif out:
            probe = max(out)
            del out[probe]
            breaker.ended(probe, failed=failed, now_s=now_s)
        if breaker.state is not BreakerState.HALF_OPEN:
            out.clear()
