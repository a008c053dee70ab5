"""The log of what went in the last minute, by its own arithmetic."""

from __future__ import annotations

import random

from agentrm_plugins.policy.endpoint.minute_log import MinuteLog


def test_no_minute_has_more_than_the_limit() -> None:
    """Whoever asks how long to wait, and waits, is never over, for calls of any size and time."""
    for seed in range(20):
        rng, log, gone, now_s = random.Random(seed), MinuteLog(100.0, 60.0), [], 0.0
        for _ in range(400):
            amount = rng.choice([1.0, 3.7, 40.0])
            now_s += rng.expovariate(1.0) + log.time_until(amount, now_s)
            now_s += log.time_until(amount, now_s)
            log.take(amount, now_s)
            gone.append((now_s, amount))
        for at_s, _ in gone:
            assert sum(n for t, n in gone if at_s <= t < at_s + 60.0) <= 100.0 + 1e-6


def test_what_is_given_back_may_go_again() -> None:
    """What more was used than reserved counts, and what is larger than the limit goes alone."""
    log = MinuteLog(100.0, 60.0)
    log.take(60.0, 0.0)
    log.take(40.0, 10.0)
    assert log.time_until(1.0, 10.0) > 50.0
    log.settle(40.0, 10.0)
    assert log.time_until(30.0, 10.0) == 0.0
    log.settle(60.0, 80.0)
    assert log.time_until(30.0, 10.0) > 50.0
    assert 110.0 < log.time_until(500.0, 10.0) + 50.0 < 111.0
    assert log.time_until(500.0, 71.0) == 0.0


def test_many_calls_of_one_instant_are_one_entry() -> None:
    """Ten thousand a second are twenty entries, each of which counts as long as its last call."""
    log = MinuteLog(1e6, 60.0)
    for number in range(10_000):
        log.take(1.0, number / 10_000)
    assert len(log._gone) <= 20
    wait_s = log.time_until(1e6, 1.0)
    assert wait_s >= 60.0 - 1e-3
