"""A window of which only refusals tell is used again as in slow start."""

from __future__ import annotations

from agentrm_plugins.policy.endpoint.reopening import Reopening

LIMIT = 60.0


def closed(until_s: float = 60.0, now_s: float = 2.0) -> Reopening:
    window = Reopening()
    window.closed(LIMIT, until_s, now_s)
    return window


def let_through(window: Reopening, calls: int, now_s: float) -> None:
    """So many calls go, and are served."""
    for _ in range(calls):
        window.sent(1.0, now_s)
    for _ in range(calls):
        window.served(1.0, 0.0, now_s)


def test_nothing_goes_besides_before_the_window_is_over():
    """Nor where no refusal spoke of one."""
    window = closed()
    window.sent(1.0, 30.0)
    assert window.served(1.0, 0.0, 30.0) == 0.0
    assert Reopening().served(1.0, 0.0, 30.0) == 0.0


def test_each_that_is_served_lets_two_more_go():
    """One, two, four: in a few answers' time all is under way that the window holds."""
    window, going, sent = closed(), 1.0, 0.0
    steps = []
    while going:
        for _ in range(int(going)):
            window.sent(1.0, 61.0)
        steps.append(going)
        sent += going
        level, served = 0.0, going
        for _ in range(int(served)):
            level += window.served(1.0, level, 61.0)
        going = level
    assert steps == [1.0, 2.0, 4.0, 8.0, 16.0, 29.0]
    assert sent == LIMIT


def test_who_is_served_beyond_the_limit_is_in_another_window():
    """The window was shorter than a minute: its count begins anew."""
    window = closed(until_s=5.0)
    let_through(window, 60, 7.0)
    window.sent(1.0, 10.0)
    assert window.served(1.0, 0.0, 10.0) == 2.0


def test_a_window_that_was_used_up_is_waited_for_again():
    """A refusal at its end changes nothing: all goes again after the next."""
    window = closed()
    let_through(window, 60, 65.0)
    window.closed(LIMIT, 120.0, 66.0)
    window.sent(1.0, 120.0)
    assert window.served(1.0, 0.0, 120.5) == 2.0


def test_one_that_ends_too_early_slides():
    """Refused at a third of the limit, with an end that is no minute later: paced from then on."""
    window = closed()
    let_through(window, 20, 61.0)
    window.closed(LIMIT, 75.0, 62.0)
    assert window.served(1.0, 0.0, 76.0) == 0.0
    window.closed(100.0, 120.0, 80.0)  # another limit is another matter
    window.sent(1.0, 121.0)
    assert window.served(1.0, 0.0, 121.0) == 2.0


def test_one_that_keeps_what_was_not_used_is_a_window_all_the_same():
    """Less was served than it holds, but its end is a minute later."""
    window = closed()
    let_through(window, 30, 61.0)
    window.closed(LIMIT, 120.3, 62.0)
    window.sent(1.0, 121.0)
    assert window.served(1.0, 0.0, 121.0) == 2.0
