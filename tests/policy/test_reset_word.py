"""Of what moment resets are: when all is back, when the next unit is, or when the oldest leaves."""

from __future__ import annotations

import random
from math import ceil

import pytest

from agentrm_plugins.policy.endpoint.reset_word import Moment, ResetWord
from agentrm_plugins.policy.endpoint.window_watch import WindowWatch
from agentrm_plugins.testing.provider.limits import LimitSet, Quota

COUNTS = ("fixed", "clock", "sliding", "bucket")


def heard(count, means, seed, *, step_s=0.001, limit=60, seconds=150.0, burst=1.0, others=0.0):
    """The word of a server that is asked as often as it can stand, and a little more."""
    rng, word, watch = random.Random(seed), ResetWord(), WindowWatch()
    quota = Quota(requests=limit, kind=count, burst=burst)
    limits = LimitSet(quota, 0.0, wall_offset_s=rng.uniform(0.0, 60.0))
    now_s, answers = 0.0, []
    while now_s < seconds:
        now_s += rng.expovariate(1.3 * limit / 60.0)
        watch.taken(1.0, now_s)
        sent_s, came_s = now_s, now_s + rng.uniform(0.002, 0.02)
        verdict = limits.admit(came_s, input_tokens=0, output_tokens=0, rejection_cost=0.0)
        [(_, meter)] = limits.meters()
        reset_s = meter.reset_s(came_s) if means == "whole" else meter.next_s(came_s)
        left = float(int(meter.remaining(came_s) + 1e-9))
        took_s = rng.uniform(0.1, 0.6) if verdict.admitted else 0.002
        if not verdict.admitted:
            word.refused(1.0, sent_s)
        if verdict.admitted and rng.random() < others:
            limits.admit(came_s, input_tokens=0, output_tokens=0, rejection_cost=0.0)
        answers.append((came_s + took_s, left, ceil(reset_s / step_s) * step_s, sent_s))
        while answers and min(answers)[0] <= now_s:
            back_s, left, reset_s, sent_s = min(answers)
            answers.remove((back_s, left, reset_s, sent_s))
            heard_of = (float(limit), left, reset_s, None, 60.0 / limit, sent_s, back_s)
            word.observe(*heard_of, watch)
    return word


@pytest.mark.parametrize("step_s", [0.001, 1.0])
@pytest.mark.parametrize("count", COUNTS)
def test_a_word_of_the_whole_is_never_taken_for_another(count, step_s):
    """However the server counts, and to whatever its resets are rounded."""
    for seed in range(8):
        assert heard(count, "whole", seed, step_s=step_s).moment is Moment.WHOLE


@pytest.mark.parametrize("limit", [30, 60, 600])
@pytest.mark.parametrize(("count", "moment"), [("bucket", Moment.NEXT), ("sliding", Moment.OLDEST)])
def test_a_word_of_what_is_back_next_is_told(count, moment, limit):
    """As soon as somebody waits for it: the whole would be there, and is not."""
    for seed in range(8):
        assert heard(count, "next", seed, limit=limit).moment is moment


def test_a_bucket_that_is_smaller_than_its_limit_keeps_its_word():
    """Half of the limit is never there, though all of the bucket is."""
    for seed in range(8):
        assert heard("bucket", "whole", seed, burst=0.4).moment is Moment.WHOLE


def test_others_who_take_a_third_do_not_make_a_window_another():
    """They take some of what is back, at every moment."""
    for seed in range(8):
        assert heard("fixed", "whole", seed, others=0.5).moment is Moment.WHOLE


def test_a_limit_that_changes_begins_anew():
    """What was promised of sixty says nothing of six hundred."""
    word = heard("bucket", "next", 1)
    assert word.moment is Moment.NEXT
    assert word.observe(600.0, 570.0, 0.1, None, 0.1, 200.0, 200.1, WindowWatch())
    assert word.moment is Moment.WHOLE


def test_the_end_of_a_clock_window_in_which_one_begins_is_no_next_unit():
    """Others take most of what is back; the resets of the window after it are much longer."""
    word, watch = ResetWord(), WindowWatch()
    for number in range(40):
        watch.taken(1.0, 0.01 * number)
    for left, sent_s in ((59.0, 0.0), (20.0, 0.5)):
        word.observe(60.0, left, 1.0, None, 1.0, sent_s, sent_s + 0.1, watch)
    word.observe(60.0, 10.0, 59.0, None, 1.0, 2.0, 2.1, watch)
    word.observe(60.0, 5.0, 58.0, None, 1.0, 3.0, 3.1, watch)
    assert word.moment is Moment.WHOLE
