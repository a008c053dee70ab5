"""Two attempts that both hang, over real sockets: neither connection outlives its call."""

from __future__ import annotations

import asyncio
import gc

import openai
import pytest

from agentrm_plugins import AgentRM, Call, CallReaped, LeaseConfig, Usage
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.integration import Attempt, core_of
from agentrm_plugins.testing.provider import SimulatedProvider

ASK = {"model": "m", "messages": [{"role": "user", "content": "go"}]}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_second_attempt_that_hangs_as_well_is_cancelled_at_its_limit(stream):
    """The provider sees both go before the client is closed, and the loop hears of neither."""
    told, clock = [], VirtualClock()
    asyncio.get_running_loop().set_exception_handler(lambda _, found: told.append(found))
    limits = LeaseConfig(response_timeout_s=12, first_token_timeout_s=12)
    with (
        SimulatedProvider(hang_rate=1.0) as provider,
        AgentRM(lanes=4, clock=clock, leases=limits) as rm,
    ):
        core, call = core_of(rm), Call("a", endpoint="host/m", estimate=Usage(100))
        for _ in range(40):
            lease = core.admit(call)
            clock.advance(0.2)
            lease.settle(Usage(100, 10))
        client = openai.AsyncOpenAI(base_url=provider.base_url, api_key="k", max_retries=0)

        async def ask():
            return await client.chat.completions.create(**ASK, stream=stream)

        async def make(lease):
            return await Attempt(core.number, lease).in_task(ask)

        asked = asyncio.create_task(core.call_async(call, make))
        for _ in range(2000):
            if asked.done():
                break
            if provider.statistics().requests:
                clock.advance(1)
            await asyncio.sleep(0.005)
        with pytest.raises(CallReaped):
            await asked
        seen = await asyncio.to_thread(provider.wait_for, lambda seen: not seen.in_flight)
        assert seen.abandoned == seen.requests >= 2
        await client.close()
    del asked
    gc.collect()
    await asyncio.sleep(0)
    assert told == []
