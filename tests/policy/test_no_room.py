"""An endpoint that has no room (503, 529): for nobody at all, for some, or only for a moment."""

from __future__ import annotations

import pytest

from agentrm_plugins.policy.endpoint.amounts import amounts_of
from agentrm_plugins.policy.endpoint.breaker import Breaker, BreakerState
from agentrm_plugins.policy.endpoint.endpoint import Endpoint
from agentrm_plugins.policy.endpoint.shared_endpoint import SharedEndpoint, told_of
from agentrm_plugins.types.fleet import EndpointSupply
from agentrm_plugins.types.verdicts import Kind, LimitReport, Verdict

SMALL = amounts_of(50, 50)
FULL = Verdict(Kind.OVERLOADED, 503)
LIMIT = Verdict(Kind.LIMIT, 429)


class Asked:
    """Calls to one endpoint, one after the other, each as soon as it may go."""

    def __init__(self, **said):
        self.endpoint = Endpoint("e", first=4.0)
        self.said = LimitReport(**said)
        self.now_s, self.number = 0.0, 0

    def go(self, verdict=None):
        """Seconds that it waited; None: it is refused without a request."""
        if self.endpoint.is_down(self.now_s):
            return None
        wait_s = self.endpoint.wait(SMALL, self.now_s).seconds
        self.now_s += wait_s
        self.number += 1
        self.endpoint.sent(self.number, SMALL, self.now_s)
        self.now_s += 0.01
        if verdict is None:
            self.endpoint.ended(self.number, SMALL, self.now_s)
        else:
            self.endpoint.failed(self.number, verdict, self.said, self.now_s)
        return wait_s


def test_after_the_attempts_of_one_call_the_others_are_told_at_once():
    """Nobody was served in seven seconds: no call waits for that again, but one that looks."""
    asked = Asked()
    assert [asked.go(FULL) for _ in range(5)] == pytest.approx([0.0, 0.5, 1.0, 2.0, 4.0], abs=0.03)
    assert [asked.go(FULL) for _ in range(10)] == [None] * 10
    asked.now_s += 10.0
    assert asked.go(FULL) == 0.0
    assert asked.go(FULL) is None
    asked.now_s += 20.0
    assert asked.go() == 0.0
    assert asked.endpoint.breaker.state is BreakerState.CLOSED


def test_ten_at_once_are_told_as_soon_as_one():
    """They come back together, as a single refusal, and then one by one."""
    asked = Asked()
    for number in range(-10, 0):
        asked.endpoint.sent(number, SMALL, 0.0)
    for number in range(-10, 0):
        asked.endpoint.failed(number, FULL, LimitReport(), 0.01)
    while asked.go(FULL) is not None:
        assert asked.now_s < 10.0
    assert asked.number == 4


def test_a_short_wait_that_the_server_names_gives_nobody_up_within_seconds():
    """Five attempts are soon made: a crowd goes on for seven seconds."""
    asked = Asked(retry_after_s=0.5)
    while asked.go(FULL) is not None:
        assert asked.number < 20
    assert asked.now_s == pytest.approx(7.5, abs=0.5)


@pytest.mark.parametrize("sign", [None, LIMIT])
def test_who_is_heard_of_in_between_is_not_dead(sign):
    """Someone was served, or was told of a limit: the count begins anew."""
    asked = Asked()
    for _ in range(3):
        assert None not in {asked.go(FULL) for _ in range(4)}
        assert asked.go(sign) is not None


def test_a_crowd_behind_little_room_is_never_refused():
    """While others are served, or were since the call went, no room is no failure."""
    endpoint, now_s = Endpoint("e", first=4.0), 0.0
    for number in range(0, 400, 2):
        endpoint.sent(number, SMALL, now_s)
        endpoint.sent(number + 1, SMALL, now_s)
        if number % 4:
            endpoint.ended(number, SMALL, now_s + 0.5)
            endpoint.failed(number + 1, FULL, LimitReport(), now_s + 0.5)
        else:
            endpoint.failed(number + 1, FULL, LimitReport(), now_s + 0.5)
            endpoint.ended(number, SMALL, now_s + 0.5)
        now_s += 1.0
        assert endpoint.breaker.state is BreakerState.CLOSED


def test_a_look_goes_every_ten_seconds():
    """A server that was full for five minutes is found within ten seconds of its return."""
    asked = Asked()
    while asked.go(FULL) is not None:
        pass
    for _ in range(30):
        asked.now_s += 10.0
        assert asked.go(FULL) == 0.0
        assert asked.go(FULL) is None


def test_evidence_ages():
    """Four an hour ago and one now are no five in a row."""
    breaker = Breaker()
    for number, now_s in enumerate((0.0, 0.5, 1.5, 3.5, 3600.0)):
        breaker.ended(number, failed=True, now_s=now_s, full=True)
    assert breaker.state is BreakerState.CLOSED


def test_a_fleet_is_told_since_when_there_is_no_room():
    """Its members keep who came before; that the server fails otherwise keeps nobody."""
    for verdict, keeps in ((FULL, True), (Verdict(Kind.TRANSIENT, 500), False)):
        asked = Asked()
        while asked.go(verdict) is not None:
            assert asked.number < 40
        told = told_of(asked.endpoint, asked.now_s)
        member = SharedEndpoint("e")
        supply = EndpointSupply(told=told, version=1.0)
        member.supply(supply, 100.0, void=False)
        assert member.is_down(100.0)
        assert member.breaker.keeps(99.0) is keeps
        assert not member.breaker.keeps(101.0)
