"""What does more at the provider than answer is not sent again once it may have been done."""

from __future__ import annotations

import asyncio

import pytest

from agentrm_plugins import Call, CallReaped, RetryPolicy, Usage
from agentrm_plugins.integration import Attempt
from tests.hosts.test_late_calls import ENDPOINT, Script, Status, World

pytestmark = pytest.mark.lowest


async def test_what_may_be_sent_only_once_is_not_sent_again_after_a_hang():
    """A refusal goes again, for nothing was done; a hang may have done what was asked for."""
    world, script = World("task"), Script(Status(429), "hang", "well")
    once = Call("a", endpoint=ENDPOINT, hedge=False, once=True, estimate=Usage(100))
    call = asyncio.create_task(world.call(script, once, RetryPolicy()))
    await world.until(script, 2)
    world.clock.advance(700)
    with pytest.raises(CallReaped):
        await call
    assert len(script.begun) == 2
    world.end(script)


@pytest.mark.parametrize(("asked", "begun"), [(None, 1), (True, 1), (False, 2)])
async def test_a_connection_that_broke_may_have_brought_the_request_over(asked, begun):
    """Unless a transport knows that it had not been sent yet."""
    world, script = World("task"), Script(ConnectionResetError(), "well")
    once = Call("a", endpoint=ENDPOINT, hedge=False, once=True, estimate=Usage(100))

    async def make(lease):
        lease.asked = asked
        return await Attempt(world.core.number, lease, world.settle).in_task(script.task)

    call = asyncio.create_task(world.core.call_async(once, make, retry=RetryPolicy()))
    while not call.done():
        world.clock.advance(1.0)
        await asyncio.sleep(0.001)
    await asyncio.gather(call, return_exceptions=True)
    assert len(script.begun) == begun
    world.end(script)


def test_what_acts_once_is_not_hedged():
    """A second attempt beside it would act as well."""
    assert not Call("a", once=True).hedge
    assert Call("a").hedge
