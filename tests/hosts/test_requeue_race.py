"""A call that is reaped at the very moment at which it was to go again."""

from __future__ import annotations

import pytest

from agentrm_plugins import AgentRM, Call, LeaseConfig, RetryPolicy
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.hosts.judgement import judge
from agentrm_plugins.hosts.parkers import park_thread
from agentrm_plugins.integration import core_of

pytestmark = pytest.mark.lowest


@pytest.mark.parametrize("world", ["thread", "task"])
async def test_it_goes_again_all_the_same(world):
    """The core does not hear of its wish; the flow asks anew, at the old place."""
    clock = VirtualClock()
    attempts = []

    def make(lease):
        attempts.append(lease.ticket)
        if len(attempts) == 1:
            raise TimeoutError("late")
        lease.settle()
        return "well"

    async def make_async(lease):
        return make(lease)

    with AgentRM(lanes=1, clock=clock, leases=LeaseConfig(response_timeout_s=5)) as rm:
        call = Call("a", endpoint="host/model")
        policy = RetryPolicy(wait=lambda state: clock.advance(100) or 0.0)  # while it is thought of
        if world == "thread":
            answer = core_of(rm).call(call, make, retry=policy)
        else:
            answer = await core_of(rm).call_async(call, make_async, retry=policy)
        counts = rm.statistics()
    assert (answer, counts.reaped, counts.zombies, counts.lanes_in_use) == ("well", 1, 0, 0)
    assert attempts == [1, 2]


def test_a_requeue_after_the_reaper_is_lost():
    """The lease says so at once, instead of waiting for ever."""
    clock = VirtualClock()
    with AgentRM(lanes=1, clock=clock, leases=LeaseConfig(response_timeout_s=5)) as rm:
        lease = core_of(rm).admit(Call("a"))
        clock.advance(6)
        lease.requeue(judge(TimeoutError("late")))
        assert lease.decided
        assert lease.lost
        lease.settle(outcome="error")
        assert rm.statistics().zombies == 0


def test_the_reaper_wakes_who_waits_to_go_again():
    """In the other order: the wish was uttered, not heard yet, and the lane is gone."""
    clock = VirtualClock()
    with AgentRM(lanes=1, clock=clock, leases=LeaseConfig(response_timeout_s=5)) as rm:
        lease = core_of(rm).admit(Call("a"))
        lease._outcome = None
        clock.advance(6)
        park_thread(lease)
        assert lease.lost
        lease.settle(outcome="error")
