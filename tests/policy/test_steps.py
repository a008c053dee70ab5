from __future__ import annotations

from math import inf

from agentrm_plugins.config.endpoints import EndpointConfig
from agentrm_plugins.policy.endpoint.amounts import amounts_of
from agentrm_plugins.policy.endpoint.endpoint import Endpoint
from agentrm_plugins.policy.endpoint.steps import Steps
from agentrm_plugins.types.verdicts import LimitReport, ServerLimit

CALL = amounts_of(10, 10)
ROOM = LimitReport(requests=ServerLimit(60, 59.0), resource="requests")


def test_each_refusal_makes_the_step_shorter():
    """A second, then half, and never shorter than what a clock can tell."""
    steps = Steps()
    assert steps.step_s == inf
    steps.refused(60.0, 0.0)
    assert steps.step_s == 1.0
    for second in range(10):
        steps.refused(60.0, float(second))
    assert steps.step_s == 0.01


def test_it_is_forgotten_after_calm_windows():
    """Longer steps, until they reach the window: an overload looked the same."""
    steps = Steps()
    steps.refused(4.0, 0.0)
    assert not steps.advance(4.0, 19.0)
    assert steps.advance(4.0, 20.0)
    assert steps.step_s == 2.0
    assert steps.advance(4.0, 1000.0)
    assert steps.step_s == inf
    assert not steps.advance(4.0, 2000.0)


def test_a_refusal_where_there_is_room_spreads_the_calls():
    """60 a minute as one a second: one goes a second from then on, and the rate is not cut."""
    endpoint = Endpoint("e", EndpointConfig(), first=8)
    for number in range(3):
        endpoint.sent(number, CALL, 0.0)
    for number in (1, 2):
        endpoint.refused(number, ROOM, 0.01)
        endpoint.reported(ROOM, 0.01, 0.0)
    endpoint.reported(LimitReport(requests=ServerLimit(60, 59.0)), 0.5, 0.0)
    endpoint.ended(0, CALL, 0.5)
    assert 0.5 < endpoint.wait(CALL, 0.5).seconds < 0.6
    controller = endpoint.meters["requests"].controller
    assert (controller.rate_per_s, controller.source, controller.cuts) == (1.0, "server", 0)
    endpoint.sent(3, CALL, 1.1)
    endpoint.reported(LimitReport(requests=ServerLimit(60, 59.0)), 1.5, 1.1)
    assert endpoint.wait(CALL, 1.5).seconds > 0.5  # what is left of the minute is no room


def test_a_wait_that_is_named_counts():
    """Two seconds are asked for: two seconds are waited."""
    endpoint = Endpoint("e", EndpointConfig(), first=8)
    endpoint.sent(1, CALL, 0.0)
    report = LimitReport(2.0, requests=ServerLimit(60, 59.0), resource="requests")
    endpoint.refused(1, report, 0.0)
    assert 2.0 <= endpoint.wait(CALL, 0.0).seconds < 2.2


def test_what_is_left_may_go_again_after_calm_windows():
    """Five minutes without such a refusal, and two go at once; after all, as many as are left."""
    endpoint = Endpoint("e", EndpointConfig(), first=8)
    endpoint.sent(1, CALL, 0.0)
    endpoint.refused(1, ROOM, 0.0)
    endpoint.reported(ROOM, 0.0, 0.0)
    assert endpoint.meters["requests"].bucket.capacity == 1.0
    number, now_s = 2, 0.0
    while now_s < 6000.0:
        now_s += 301.0
        endpoint.sent(number, CALL, now_s)
        endpoint.reported(LimitReport(requests=ServerLimit(60, 59.0)), now_s + 1.0, now_s)
        endpoint.ended(number, CALL, now_s + 1.0)
        number += 1
    assert endpoint.meters["requests"].bucket.capacity == 60.0
