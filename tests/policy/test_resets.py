from __future__ import annotations

from math import inf

import pytest

from agentrm_plugins.policy.bucket import Bucket
from agentrm_plugins.policy.endpoint.resets import Resets
from agentrm_plugins.policy.endpoint.returns import Returns
from agentrm_plugins.policy.endpoint.times import step_s


def whole(size=100.0):
    """A word that has been found to hold."""
    resets = Resets()
    resets.size = size
    resets.said(1.0, 60.0, 0.0)
    resets.landed()
    resets.tried(60.0, 100.0, 1.5)
    assert resets.holds
    return resets


def test_one_call_tries_the_word():
    """Until it has, no more than a call is there; then all that did not go since."""
    resets = Resets()
    resets.size = 100.0
    resets.said(1.0, 60.0, 0.0)
    assert resets.at_s == pytest.approx(1.01)
    assert resets.there(60.0, 40.0) == 40.0
    resets.landed()
    assert resets.at_s == inf
    resets.tried(60.0, 100.0, 0.5)
    assert resets.holds is None  # it went before
    resets.tried(60.0, 100.0, 1.5)
    assert resets.holds
    resets.said(1.0, 100.0, 2.0)
    assert resets.there(130.0, 40.0) == 70.0


def test_a_size_that_was_wrong_is_corrected():
    """What was found is the size, and the word is tried anew."""
    resets = Resets()
    resets.size = 100.0
    resets.said(1.0, 60.0, 0.0)
    resets.landed()
    resets.tried(10.0, 100.0, 1.5)
    assert resets.holds is None
    assert resets.size == 50.0


def test_a_word_that_never_holds_is_heard_no_more():
    """Some servers name the moment at which the next unit is back."""
    resets = Resets()
    for _ in range(3):
        resets.size = 100.0
        resets.said(1.0, 60.0, 0.0)
        resets.landed()
        resets.tried(0.0, 100.0, 1.5)
    assert resets.holds is False
    assert resets.in_s == inf
    resets.said(1.0, 60.0, 5.0)
    assert resets.at_s == inf


def test_a_refusal_has_the_word_tried_anew():
    """It may have been true of another limit only."""
    resets = whole()
    resets.refused()
    assert resets.holds is None
    resets.refused()
    assert resets.holds is None


def test_who_waits_makes_the_plan():
    """The bucket expects at least what the call takes that waits."""
    returns, bucket = Returns(), Bucket(1.0, 100.0, level=0.0)
    assert not returns.asked(30.0)
    assert not returns.asked(30.0)
    returns.resets.size = 100.0
    returns.resets.said(5.0, 0.0, 0.0)
    returns.expect(bucket, 60.0, 10.0, 0.0)
    assert bucket.time_until(30.0, 0.0) == pytest.approx(5.01)
    assert returns.asked(50.0)
    returns.expect(bucket, 60.0, 10.0, 0.0)
    assert bucket.time_until(50.0, 0.0) == pytest.approx(5.01)
    assert returns.land(bucket, 5.0) == 0.0
    assert returns.land(bucket, 6.0) == pytest.approx(44.0)
    assert returns.at_s == inf


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("2026-09-21T14:13:30Z", 1.0),
        ("2026-09-21T14:13:30.5Z", None),
        ("Mon, 21 Sep 2026 14:13:30 GMT", 1.0),
        ("1790000000", 1.0),
        ("1790000000.25", None),
        ("1790000000123", None),
        ("7", None),
        ("6m0s", None),
        ("12ms", None),
    ],
)
def test_moments_show_to_what_they_are_rounded(text, step):
    """A moment in whole seconds is any figure once it is made relative."""
    assert step_s(text) == step
