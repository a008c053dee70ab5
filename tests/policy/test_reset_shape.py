"""Resets show how a limit comes back: whole at one moment, as it was taken, or all the time."""

from __future__ import annotations

import random
from math import ceil

import pytest

from agentrm_plugins.policy.endpoint.reset_shape import ResetShape
from agentrm_plugins.policy.endpoint.window_watch import Shape
from agentrm_plugins.testing.provider.limits import LimitSet, Quota

KINDS = {"fixed": Shape.FIXED, "clock": Shape.FIXED, "sliding": Shape.SLIDING}
KINDS["bucket"] = Shape.BUCKET


def reports(kind, seed, *, step_s, seconds, window_s=60.0, named=True, trip_s=(0.005, 0.1)):
    """What is believed after each report of a server that is asked about once a second."""
    rng, shape = random.Random(seed), ResetShape()
    quota = Quota(requests=60, kind=kind, window_s=window_s)
    limits = LimitSet(quota, 0.0, wall_offset_s=rng.uniform(0.0, window_s))
    now_s, answers, found = 0.0, [], []
    while now_s < seconds:
        now_s += rng.expovariate(1.2 * 60 / window_s)
        came_s, took_s = now_s + rng.uniform(*trip_s), rng.uniform(0.2, 3.0) * window_s / 60
        if limits.admit(came_s, input_tokens=0, output_tokens=0, rejection_cost=0.0).admitted:
            [(_, meter)] = limits.meters()
            reset_s = ceil(meter.reset_s(came_s) / step_s) * step_s
            left = float(int(meter.remaining(came_s) + 1e-9))
            answers.append((came_s + took_s, left, reset_s, now_s))
    for back_s, left, reset_s, sent_s in sorted(answers):
        name_s = window_s if named else None
        found.append(shape.observe(60.0, left, reset_s, step_s, name_s, sent_s, back_s))
    return found, shape


@pytest.mark.parametrize("step_s", [0.001, 1.0])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_told(kind, named, step_s):
    """And is taken for no other kind, whatever the moment at which one begins to look."""
    for seed in range(12):
        found, _ = reports(kind, seed, step_s=step_s, named=named, seconds=150.0)
        known = KINDS[kind]
        assert set(found) <= {Shape.UNKNOWN, Shape.WINDOW, known}
        assert found[-1] is known


def test_a_window_is_told_from_a_bucket_by_its_first_burst():
    """Whether it slides shows later: until then nothing is believed to come in."""
    shape = ResetShape()
    for left in range(59, 39, -1):
        found = shape.observe(60.0, float(left), 60.0, 1.0, 60.0, 0.0, 0.5)
    assert found is Shape.WINDOW


def test_the_end_of_a_window_is_the_soonest_that_any_report_allows():
    """A late answer says less of it than a quick one; the next window has its own end."""
    shape = ResetShape()
    for sent_s, back_s, left, reset_s in ((0.0, 5.0, 59, 60.0), (1.0, 1.2, 58, 59.0)):
        shape.observe(60.0, left, reset_s, 1.0, 60.0, sent_s, back_s)
    assert shape.ends_s == pytest.approx(60.2)
    shape.observe(60.0, 59, 60.0, 1.0, 60.0, 60.5, 61.0)
    assert shape.ends_s == pytest.approx(121.0)


def test_what_refutes_all_begins_anew():
    """Others changed the limit, or a clock jumped; a moment that has passed says nothing."""
    found, shape = reports("fixed", 1, step_s=0.001, seconds=30.0)
    assert found[-1] is Shape.FIXED
    assert shape.observe(60.0, 10.0, 0.0, 0.001, 60.0, 31.0, 31.1) is Shape.FIXED
    for number in range(40):
        at_s, reset_s = 32.0 + number, 10.0 + 7.0 * (number % 3)
        shape.observe(60.0, 30.0 - number % 5, reset_s, 0.001, 60.0, at_s, at_s + 0.1)
        assert shape.ends_s <= at_s + 0.1 + 24.0  # it is waited for, whatever is believed
    assert shape.observe(90.0, 80.0, 60.0, 0.001, 60.0, 80.0, 80.1) is Shape.UNKNOWN
