"""Nothing freezes: a sync wait for what this very thread holds is an error that says what to do."""

from __future__ import annotations

import asyncio
import threading

import pytest

from agentrm_plugins import AgentRM, Call, LaneGroup
from agentrm_plugins.errors import WouldDeadlock
from agentrm_plugins.integration import core_of

pytestmark = pytest.mark.lowest


async def test_a_sync_call_on_the_loop_whose_tasks_hold_the_lanes():
    """It would stand still for as long as they hold them, and so would they."""
    with AgentRM(lanes=1) as rm:
        async with rm.slot(agent="task"):
            with pytest.raises(WouldDeadlock, match=r"await the async method.*to_thread"):
                await asyncio.create_task(_sync_slot(rm), context=_elsewhere())
            counts = rm.statistics()
            assert (counts.waiting, counts.running) == (0, 1)
        with rm.slot(agent="sync"):  # a free lane is no matter
            pass


async def _sync_slot(rm):
    with rm.slot(agent="sync"):
        pass


def _elsewhere():
    """A context that is not inside the slot: a call in there would ride on its lane."""
    import contextvars

    return contextvars.Context()


async def test_a_task_that_waits_for_the_lane_counts_as_well():
    """It stands before the sync call in the queue, and could not run when its turn came."""
    with AgentRM(lanes=1) as rm:
        held, free = threading.Event(), threading.Event()

        def hold():
            with rm.slot(agent="thread"):
                held.set()
                free.wait(20)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(20)
        waiting = asyncio.create_task(_async_slot(rm))
        while not rm.statistics().waiting:
            await asyncio.sleep(0.002)
        with pytest.raises(WouldDeadlock):
            await _sync_slot(rm)
        free.set()
        await waiting
        thread.join(20)


async def _async_slot(rm):
    async with rm.slot(agent="task"):
        pass


async def test_a_lane_that_a_thread_holds_is_waited_for():
    """The loop stands still meanwhile, as without a core; but it goes on."""
    with AgentRM(lanes=1) as rm:
        held = threading.Event()

        def hold():
            with rm.slot(agent="thread"):
                held.set()
                while not rm.statistics().waiting:
                    pass

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(20)
        await _sync_slot(rm)
        thread.join(20)


async def test_a_sync_call_inside_its_own_call():
    """What is around it waits for it: that is no reason not to wait for others."""
    groups = (LaneGroup("node", 1), LaneGroup("model", 1))
    with AgentRM(lanes=2, groups=groups) as rm:
        held = threading.Event()

        def hold():
            with rm.slot(agent="thread"):
                held.set()
                while not rm.statistics().waiting:
                    pass

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(20)
        async with rm.slot(agent="task", group="node"):
            await _sync_slot(rm)
        thread.join(20)


def test_admit_nowait_in_a_finaliser_of_the_core():
    """It cannot be decided before the finaliser ends: it is None, at once."""
    given = []
    with AgentRM(lanes=1) as rm:
        core = core_of(rm)
        host = core.host
        deliver = host._deliver

        def delivering(effects):
            host._deliver = deliver
            given.append(core.admit_nowait(Call("finaliser")))
            with pytest.raises(WouldDeadlock, match="admit_nowait"):
                core.admit(Call("finaliser"))
            deliver(effects)

        host._deliver = delivering
        with rm.slot(agent="a"):
            pass
        counts = rm.statistics()
    assert given == [None]
    assert (counts.running, counts.waiting, counts.lanes_in_use) == (0, 0, 0)
