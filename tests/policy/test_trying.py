"""What only a bucket would have given back by now is tried with one call at a time."""

from __future__ import annotations

import pytest

from agentrm_plugins.policy.endpoint.window_watch import Shape, WindowWatch

LIMIT = 60.0


def used_up() -> WindowWatch:
    """Sixty calls went, and the last report knew of fifty-nine of them."""
    watch = WindowWatch()
    for number in range(60):
        watch.taken(1.0, 0.02 * number)
    watch.report(1.0, LIMIT, 1.0, 1.18, 2.0, under_way=1.0)
    return watch


def test_one_call_tries_and_the_others_wait_for_its_answer():
    """Whoever waits does so for two seconds at most: an answer may take for ever."""
    watch = used_up()
    assert watch.try_s(1.0, 2.0) == 0.0
    watch.taken(1.0, 2.0)
    assert watch.try_s(1.0, 2.5) == pytest.approx(1.5)
    assert watch.try_s(1.0, 4.5) == 0.0


def test_an_answer_lets_the_next_try():
    """Served or refused; one to a call that went before says nothing."""
    watch = used_up()
    watch.taken(1.0, 2.0)
    watch.report(2.0, LIMIT, 1.0, 1.19, 2.1, under_way=1.0)
    assert watch.try_s(1.0, 2.2) > 0.0
    watch.report(0.0, LIMIT, 1.0, 2.0, 2.3, under_way=0.0)
    assert watch.try_s(1.0, 2.3) == 0.0
    watch = used_up()
    watch.taken(1.0, 2.0)
    watch.refused(1.0, LIMIT, None, 2.0, 2.3)
    assert watch.try_s(1.0, 2.3) == 0.0


def test_what_is_left_goes_at_once():
    """As does everything of a server that was told to be a bucket, or that says nothing."""
    watch = WindowWatch()
    for number in range(20):
        watch.taken(1.0, 0.02 * number)
    assert watch.try_s(1.0, 1.0) == 0.0
    watch.report(40.0, LIMIT, 1.0, 0.38, 1.0, under_way=1.0)
    watch.taken(1.0, 1.0)
    assert watch.try_s(1.0, 1.0) == 0.0
    told = used_up()
    told.taken(1.0, 2.0)
    told.told(Shape.BUCKET, 2.0)
    assert told.try_s(1.0, 2.0) == 0.0
