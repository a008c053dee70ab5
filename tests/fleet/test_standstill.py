"""A process that stood still for longer than its lease begins nothing that was granted before.

Time jumps at the very moment at which a call is let go: the process was stopped there.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from agentrm_plugins import AgentRM, Call, CallReaped, Usage
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.hosts.unsent import NotSent
from agentrm_plugins.integration import Attempt, core_of
from agentrm_plugins.types.events import Supply
from tests.fleet.standing import LEASE_S, Asked, Process
from tests.hosts.test_late_calls import CALL, Script
from tests.hosts.test_late_calls import World as Late
from tests.hosts.worlds import wait_until


@pytest.fixture
def process():
    made = Process()
    yield made
    made.close()


def slot(process, began):
    with process.rm.slot(agent="a"):
        began()


def slot_async(process, began):
    async def block():
        async with process.rm.slot(agent="a"):
            began()

    asyncio.run(block())


def nowait_slot(process, began):
    lease = process.core.admit_nowait(Call("a"))
    if lease is not None:
        began()
        lease.settle()


def call(process, began):
    def make(lease):
        return Attempt(process.core.number, lease).here(began)

    process.core.call(Call("a", endpoint="x/m"), make)


def call_on_worker(process, began):
    def make(lease):
        return Attempt(process.core.number, lease).on_worker(began)

    process.core.call(Call("a", endpoint="x/m"), make)


def call_async(process, began):
    async def work():
        began()

    async def make(lease):
        return await Attempt(process.core.number, lease).in_task(work)

    asyncio.run(process.core.call_async(Call("a", endpoint="x/m"), make))


def call_in_thread(process, began):
    async def make(lease):
        return await Attempt(process.core.number, lease).in_thread(began)

    asyncio.run(process.core.call_async(Call("a", endpoint="x/m"), make))


DOORS = (slot, slot_async, call, call_on_worker, call_async, call_in_thread)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("waits", [False, True], ids=["at once", "after a wait"])
def test_what_was_let_go_before_the_stop_waits_for_a_lane_again(process, door, waits):
    """It begins only once the fleet has said that it may, and is no failure."""
    began = []
    if waits:
        process.supply(0)
    process.at_grant = True
    asked = Asked(lambda: door(process, lambda: began.append(1)))
    if waits:
        wait_until(lambda: process.waiting == 1)
        process.supply(1)
    wait_until(lambda: process.requeued and process.waiting == 1)
    assert not began
    process.supply(0)
    assert not began
    process.supply(1)
    asked.end()
    assert asked.error is None
    assert began == [1]
    assert [one.cause for one in process.requeued] == ["unsent"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError, SystemExit])
def test_an_interrupt_is_no_call_that_was_not_sent(process, error):
    """Though it falls where an SDK deals with such a call: it ends the call for good."""
    made = []

    def make(lease):
        made.append(lease)
        try:
            raise NotSent(lease.ticket)
        except NotSent:
            raise error  # noqa: B904 - as it falls there

    with pytest.raises(error):
        process.core.call(Call("a", endpoint="x/m"), make)
    assert len(made) == 1
    assert process.waiting == 0
    assert not process.requeued


def test_a_borrowed_lane_that_is_lost_meanwhile_is_told_as_lost(process):
    """Its user hears that the call was reaped, and nothing of the look."""
    lease = process.core.admit(Call("a", endpoint="x/m"))

    def make(lease):
        process.supply(0, lost={"l": 1, "g:model": 1})
        raise NotSent(lease.ticket)

    with pytest.raises(CallReaped):
        process.core.call_in(lease, make)
    lease.settle(outcome="error")


def test_who_does_not_wait_gets_nothing(process):
    """`admit_nowait` says no rather than to give a lane that is others'."""
    process.at_grant = True
    began = []
    nowait_slot(process, lambda: began.append(1))
    assert not began
    assert process.waiting == 0
    process.supply(1)
    nowait_slot(process, lambda: began.append(1))
    assert began == [1]


@pytest.mark.parametrize("door", DOORS)
def test_a_lane_that_others_have_by_then_is_no_failure_either(process, door):
    """The exchange gave the call up before it was sent: it asks for its place again."""
    began = []
    process.at_grant = True
    host, stand_still = process.host, process.stand_still

    def stopped():
        stand_still()
        lost = {"l": 1, "g:model": 1}  # heard by the exchanges' thread before anybody else runs
        host._inbox.append(Supply(set={}, lost=lost, lease_s=process.clock.now() + LEASE_S))

    process.stand_still = stopped
    asked = Asked(lambda: door(process, lambda: began.append(1)))
    wait_until(lambda: process.waiting == 1)
    assert not began
    process.supply(1)
    asked.end()
    assert asked.error is None
    assert began == [1]


@pytest.mark.parametrize("shape", ["task", "worker"])
def test_a_second_attempt_is_not_sent_either(shape):
    """It is asked for while the first is on the wire, and let go just before the stop."""
    late = Late(shape)
    process = Process(late.rm, late.clock, lease_s=0.3)  # shorter than what makes a call late
    script = Script("hang", "well")

    async def main():
        task = asyncio.ensure_future(late.call(script))
        await late.until(script, 1, step_s=0.0)
        process.at_grant = True
        for _ in range(400):
            if process.at_grant:
                process.supply(4)
                late.clock.advance(0.1)
            elif process.requeued:
                break
            await asyncio.sleep(0.005)
        assert [one.cause for one in process.requeued] == ["unsent"]
        await asyncio.sleep(0.02)
        assert len(script.begun) == 1
        process.supply(4)
        return await task

    assert asyncio.run(main()) == "well"
    assert len(script.begun) == 2
    script.never.set()
    late.rm.close()


def test_nobody_looks_at_the_time_without_a_fleet():
    """A core of its own has no lease: nothing is asked."""
    clock = VirtualClock()
    rm = AgentRM(lanes=1, clock=clock)
    lease = core_of(rm).admit(CALL)
    clock._now_s += 1e6
    rm._host.clock = SimpleNamespace(now=lambda: pytest.fail("asked"), real=False)
    assert not lease.is_void
    assert core_of(rm).look_before() is None
    lease.settle(Usage(1, 1))
    rm._host.clock = clock
    rm.close()
