"""A process that stood still for longer than a limit ends none of its calls by that.

The clock jumps, as it does for a process that was stopped: nobody could look at the dates between.
"""

from __future__ import annotations

import pytest

from agentrm_plugins import AgentRM, Call, LeaseConfig, Usage
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.integration import core_of

CALL = Call("a", endpoint="host/model", estimate=Usage(100))


class Stopped(VirtualClock):
    """It goes on while this process does not run."""

    real = True

    def attach(self, host):
        self.host = host

    def advance(self, seconds):
        """As while the process runs: each date is looked at."""
        end_s = self._now_s + seconds
        while self.host.deadline_s < end_s:
            self._now_s = max(self._now_s, self.host.deadline_s)
            self.host.tick()
        self._now_s = end_s
        self.host.tick()

    def jump(self, seconds):
        self._now_s += seconds


@pytest.fixture
def clock():
    return Stopped()


@pytest.fixture
def rm(clock):
    with AgentRM(lanes=2, clock=clock, leases=LeaseConfig(response_timeout_s=10.0)) as rm:
        yield rm


def test_an_answer_that_came_meanwhile_counts(rm, clock):
    """It is read after the standstill: the call is answered, and its endpoint is well."""
    lease = core_of(rm).admit(CALL)
    clock.advance(9.0)
    clock.jump(500.0)
    lease.settle(Usage(100, 10))
    counts = rm.statistics()
    assert (counts.reaped, counts.settled, counts.lanes_in_use) == (0, 1, 0)


def test_what_still_does_not_come_is_ended(rm, clock):
    """Silence before it counts, and that after it; a second is left to read what came."""
    lease = core_of(rm).admit(CALL)
    clock.advance(9.0)
    clock.jump(500.0)
    rm.statistics()
    clock.advance(0.9)
    assert not lease.reaped
    clock.advance(0.2)
    assert lease.reap_cause == "response"
    lease.settle(outcome="error")


def test_a_call_is_not_late_for_it(rm, clock):
    """Nothing is sent beside it as soon as the process goes on."""
    core = core_of(rm)
    for _ in range(40):
        lease = core.admit(CALL)
        clock.advance(0.2)
        lease.settle(Usage(100, 10))
    lease = core.admit(CALL)
    clock.jump(500.0)
    rm.statistics()
    assert not lease.suspected
    clock.advance(5.0)
    assert lease.suspected
    lease.settle(Usage(100, 10))


def test_a_reader_who_is_away_stays_away(rm, clock):
    """His pause is no silence either, and it is not over when the process goes on."""
    core = core_of(rm)
    away, other = core.admit(Call("a", streaming=True)), core.admit(CALL)
    away.beat(1, visible=True)
    away.idle(idle=True)
    clock.jump(500.0)
    other.settle(Usage(100, 10))
    clock.advance(500.0)
    assert not away.reaped
    away.settle()


def test_a_date_that_is_a_little_late_is_kept(rm, clock):
    """A thread that comes half a second too late is no standstill."""
    lease = core_of(rm).admit(CALL)
    clock.jump(10.5)
    rm.statistics()
    assert lease.reaped
    lease.settle(outcome="error")


@pytest.mark.parametrize("stall_s", [1.6, 2.5, 7.0])
def test_a_process_that_is_late_again_and_again_ends_a_hung_call(rm, clock, stall_s):
    """It is given a second once: its next date is kept, however late."""
    lease = core_of(rm).admit(Call("a", total_timeout_s=3.0))
    for _ in range(2 + int(4.0 / stall_s) + 1):
        clock.jump(stall_s)
        rm.statistics()
    assert lease.reap_cause == "total"
    lease.settle(outcome="error")


def test_progress_is_worth_another_second(rm, clock):
    """A call that goes on between two standstills is ended by neither."""
    lease = core_of(rm).admit(Call("a", streaming=True, silence_timeout_s=3.0))
    lease.beat(1)
    for _ in range(5):
        clock.jump(10.0)
        lease.beat(1)
    assert not lease.reaped
    lease.settle()


def test_others_that_are_late_are_no_excuse_for_long(rm, clock):
    """Dates of short calls are missed all the time: what is left out for a long one is bounded."""
    core = core_of(rm)
    hung, left_s = core.admit(Call("a", first_token_timeout_s=20.0, streaming=True)), 0.0
    while not hung.reaped and left_s < 500.0:
        other = core.admit(Call("b", total_timeout_s=0.5))
        clock.jump(4.5)
        left_s += 4.5
        rm.statistics()
        other.settle(outcome="error")
    assert hung.reap_cause == "first_token"
    assert left_s < 60.0
    hung.settle(outcome="error")
