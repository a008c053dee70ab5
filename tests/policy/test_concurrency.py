from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.policy.endpoint.concurrency import ConcurrencyController


def test_no_bound_until_the_first_refusal_then_what_was_accepted():
    """The calls under way when the server had no room for one more are its capacity."""
    controller = ConcurrencyController()
    assert controller.allows(1000)
    assert controller.refused(8, 1.0, 1.1)
    assert controller.limit == 8
    assert controller.allows(7)
    assert not controller.allows(8)


def test_a_storm_cuts_once():
    """Refusals of calls sent before the cut belong to the same event."""
    controller = ConcurrencyController(told=10)
    assert controller.refused(6, 1.0, 1.2)
    assert not controller.refused(2, 1.1, 1.3)
    assert not controller.refused(2, 1.2, 1.3)
    assert (controller.limit, controller.cuts) == (6, 1)
    assert controller.refused(0, 1.3, 1.4)
    assert controller.limit == 3


def test_grows_by_one_only_when_it_binds():
    """Twenty good answers, and somebody held back, are one more."""
    controller = ConcurrencyController()
    controller.refused(4, 1.0, 1.0)
    for _ in range(40):
        controller.answered()
    assert controller.limit == 4
    controller.held_back()
    controller.answered()
    assert controller.limit == 5


def test_a_refused_growth_makes_the_next_one_rarer():
    """Each growth that is refused doubles the answers needed, each that holds halves them."""
    controller = ConcurrencyController(told=6)
    controller.refused(4, 1.0, 1.0)
    grown = []
    for refuse in (True, True, False, False, False):
        answers = 0
        before = controller.limit
        while controller.limit == before:
            controller.held_back()
            controller.answered()
            answers += 1
            if answers > 200:
                break
        grown.append(answers)
        if refuse:
            controller.refused(4, 2.0 + len(grown), 2.0 + len(grown))
    assert grown == [20, 40, 80, 80, 201]


def test_the_users_word_is_the_most():
    """At the capacity that the user told, answers change nothing."""
    controller = ConcurrencyController(told=2)
    controller.held_back()
    for _ in range(100):
        controller.answered()
    assert controller.limit == 2
    assert ConcurrencyController().limit == inf


@given(st.lists(st.tuples(st.sampled_from(["refused", "answered", "allows"]), st.integers(0, 50))))
def test_at_least_one_call_always_goes(events):
    """Whatever is refused, the limit never falls below one."""
    controller = ConcurrencyController()
    for now_s, (kind, number) in enumerate(events):
        if kind == "refused":
            controller.refused(number, now_s, now_s)
        elif kind == "answered":
            controller.answered()
        else:
            controller.held_back()
        assert controller.limit >= 1
        assert controller.allows(0)
