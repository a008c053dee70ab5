"""What a window's reports and refusals say of how it counts."""

from __future__ import annotations

import pytest

from agentrm_plugins.policy.endpoint.window_watch import Shape, WindowWatch

LIMIT = 60.0


def test_a_refusal_with_much_left_shows_that_a_fixed_window_ends_at_another_time():
    """It is a window still, whose end is not known; a refusal with little left is none of that."""
    for calls, shape in ((1, Shape.WINDOW), (40, Shape.FIXED)):
        watch = WindowWatch()
        watch.told(fixed=True, ends_s=60.0)
        watch.taken(1.0, 0.0)
        watch.report(LIMIT - 1.0, LIMIT, 1.0, 0.1, 0.2)
        for number in range(calls - 1):
            watch.taken(1.0, 0.3 + 0.01 * number)
        watch.refused(1.0, LIMIT, None, 1.0, 1.1)
        assert watch.shape is shape
        assert watch.windowed


def test_a_sliding_window_in_which_nothing_went_is_asked_again_in_a_quarter_of_it():
    """Nothing that is known of comes back; others may have taken it."""
    watch = WindowWatch()
    watch.shape = Shape.SLIDING
    back = watch.next_return(LIMIT, 2.0, 100.0)
    assert (back.at_s, back.amount, back.whole) == (pytest.approx(115.0), 2.0, False)
    watch.taken(3.0, 100.0)
    watch.taken(-3.0, 100.0)  # refused at once: it never counted
    assert watch.next_return(LIMIT, 2.0, 102.0).at_s == pytest.approx(117.0)
