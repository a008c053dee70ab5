"""What a user tells of his call is looked at at once, and a slip costs neither lane nor books."""

from __future__ import annotations

from math import nan

import pytest

from agentrm_plugins import AgentRM, Usage
from agentrm_plugins.errors import ConfigError

HUGE = 10**400
WRONG = {
    "settle usage dict": (lambda lease: lease.settle({"input_tokens": 7}), "usage"),
    "settle usage number": (lambda lease: lease.settle(5), "usage"),
    "settle usage text": (lambda lease: lease.settle("x"), "usage"),
    "settle usage nan": (lambda lease: lease.settle(nan), "usage"),
    "settle usage zero": (lambda lease: lease.settle(0), "usage"),
    "settle outcome word": (lambda lease: lease.settle(outcome="nonsense"), "outcome"),
    "settle outcome none": (lambda lease: lease.settle(outcome=None), "outcome"),
    "settle outcome list": (lambda lease: lease.settle(Usage(1), outcome=[]), "outcome"),
    "settle outcome ours": (lambda lease: lease.settle(outcome="superseded"), "outcome"),
    "fail usage": (lambda lease: lease.fail(ValueError("no"), {"input_tokens": 7}), "usage"),
    "fail error": (lambda lease: lease.fail("no"), "error"),
    "beat text": (lambda lease: lease.beat("x"), "tokens"),
    "beat negative": (lambda lease: lease.beat(-5), "tokens"),
    "beat nan": (lambda lease: lease.beat(nan), "tokens"),
    "beat float": (lambda lease: lease.beat(1.0), "tokens"),
    "beat bool": (lambda lease: lease.beat(True), "tokens"),
    "beat object": (lambda lease: lease.beat(object()), "tokens"),
    "beat huge": (lambda lease: lease.beat(HUGE), "tokens"),
    "beat visible": (lambda lease: lease.beat(1, visible="yes"), "visible"),
    "beat ping": (lambda lease: lease.beat(1, ping=None), "ping"),
    "idle": (lambda lease: lease.idle(idle="no"), "idle"),
}  # fmt: skip


@pytest.mark.parametrize("slip", WRONG)
def test_what_cannot_be_is_refused_by_name_and_a_right_end_works_after_it(slip):
    """The error names field and way out; the call runs on, and its true end is charged."""
    wrong, field = WRONG[slip]
    with AgentRM(lanes=1) as rm:
        with rm.slot(agent="ada") as lease:
            with pytest.raises(
                ConfigError, match=rf"^{field}(=| \(a dict\)).*: (give|use) "
            ) as refused:
                wrong(lease)
            assert refused.value.field == field
            assert rm.statistics().running == 1
            lease.settle(Usage(7, 3), outcome="ok")
            assert rm.statistics().running == 0
        counts = rm.statistics()
        assert (counts.settled, counts.input_tokens, counts.output_tokens) == (1, 7, 3)


@pytest.mark.parametrize("slip", WRONG)
def test_a_slot_that_a_slip_ends_gives_its_lane_back(slip):
    """The error leaves the slot: the one lane is free at once."""
    wrong, field = WRONG[slip]
    with AgentRM(lanes=1) as rm:
        with pytest.raises(ConfigError, match=f"^{field}"), rm.slot(agent="ada") as lease:
            wrong(lease)
        assert (rm.statistics().running, rm.statistics().waiting) == (0, 0)
        with rm.slot(agent="bob", wait_timeout_s=0):
            pass


@pytest.mark.parametrize("outcome", ["ok", "error", "cancelled"])
def test_the_three_outcomes_are_taken_as_words(outcome):
    """As the docs name them."""
    with AgentRM(lanes=1) as rm, rm.slot(agent="ada") as lease:
        lease.beat(2, visible=True)
        lease.beat(ping=True)
        lease.settle(None, outcome=outcome)
        assert rm.statistics().running == 0
