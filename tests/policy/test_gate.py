from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.policy.endpoint.retry_after import RetryAfter


def test_closes_until_the_servers_time_for_everybody():
    """Nothing goes before T; a later T counts, an earlier one does not shorten it."""
    closure = RetryAfter()
    assert closure.time_until(0.0) == 0.0
    assert closure.time_until(0.0) == 0.0
    assert closure.close(5.0, 0.0) is True
    assert closure.close(2.0, 1.0) is False
    assert closure.time_until(4.9) > 0.0
    assert closure.time_until(1.0) == 4.0
    assert closure.time_until(5.0) == 0.0


def test_drips_afterwards_and_is_then_free():
    """From T on calls keep their distance; after eight the closure is out of the way."""
    closure = RetryAfter()
    closure.close(1.0, 0.0)
    now_s, times = 1.0, []
    for _ in range(10):
        now_s += closure.time_until(now_s)
        times.append(now_s)
        closure.sent(0.5, now_s)
    assert times == [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.0]


def test_backs_off_where_the_server_gives_no_time():
    """0.5 s, doubling to 8 s, until a call is accepted."""
    closure, waits = RetryAfter(), []
    now_s = 0.0
    for _ in range(6):
        closure.close(None, now_s)
        waits.append(closure.time_until(now_s))
        now_s += waits[-1]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    closure.accepted()
    closure.close(None, now_s)
    assert closure.time_until(now_s) == 0.5


@given(st.lists(st.floats(0.0, 20.0), min_size=1, max_size=20), st.floats(0.1, 2.0))
def test_never_all_at_once(times, gap_s):
    """Of a queue that waits at the closure, no two calls go closer together than the gap."""
    closure = RetryAfter()
    for retry_after_s in times:
        closure.close(retry_after_s, 0.0)
    now_s, gone = 0.0, []
    for _ in range(8):
        now_s += closure.time_until(now_s)
        closure.sent(gap_s, now_s)
        gone.append(now_s)
    assert gone[0] == max(times)
    assert all(b - a >= gap_s * 0.999 for a, b in itertools.pairwise(gone))
