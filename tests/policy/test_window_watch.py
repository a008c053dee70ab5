"""What a window's reports and refusals say of how it counts."""

from __future__ import annotations

import pytest

from agentrm_plugins.policy.endpoint.window_watch import Shape, WindowWatch

LIMIT = 60.0


def test_a_refusal_with_much_left_shows_that_a_fixed_window_ends_at_another_time():
    """It is a window still, whose end is not known; a refusal with little left is none of that."""
    for calls, shape in ((1, Shape.WINDOW), (40, Shape.FIXED)):
        watch = WindowWatch()
        watch.told(Shape.FIXED, 60.0)
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


def heard(left: float, sent_s: float, watch: WindowWatch) -> None:
    """The server says what is left, to a call that took 1 and was answered a tenth later."""
    watch.taken(1.0, sent_s)
    watch.report(left, LIMIT, 1.0, sent_s, sent_s + 0.1, own=1.0)


def test_a_little_more_than_expected_is_no_new_window_and_no_bucket():
    """Who counts with a delay says so; the account stays what it was."""
    watch = WindowWatch()
    heard(30.0, 0.0, watch)
    before = watch.left()
    heard(40.0, 0.5, watch)
    assert watch.shape is Shape.UNKNOWN
    assert watch.left() == before - 1.0, "what was taken, and nothing else"


@pytest.mark.parametrize(("minute_began_s", "began_s"), [(None, 20.0), (19.5, 19.5), (10.0, 20.0)])
def test_window_that_is_new_began_when_the_request_went_or_by_the_clock(minute_began_s, began_s):
    """All is there again: a window, since the clock's minute if that began just then."""
    watch = WindowWatch()
    heard(59.0, 0.0, watch)
    heard(10.0, 1.0, watch)
    if minute_began_s is not None:
        watch.clock(1_000_000_020.0, minute_began_s)  # a multiple of sixty
    heard(59.0, 20.0, watch)
    assert watch.shape is Shape.FIXED
    back = watch.next_return(LIMIT, 2.0, 21.0)
    assert back.at_s == pytest.approx(began_s + 60.0 + 0.1)
    assert (back.amount, back.whole) == (LIMIT, True)


def test_others_who_take_of_a_limit_refute_no_bucket():
    """What is left falls faster than we take: no model explains that, so neither is chosen."""
    watch = WindowWatch()
    for number, left in enumerate((59.0, 25.0, 10.0, 5.0)):
        heard(left, float(number), watch)
    assert watch.shape is Shape.UNKNOWN
    assert not watch.windowed
