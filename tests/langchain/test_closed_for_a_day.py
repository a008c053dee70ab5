"""A provider that says "come back in 24 h": fallbacks act at once, and the day after it is back."""

from __future__ import annotations

import asyncio

import pytest

from agentrm_langchain import wrap_chat_model
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.testing.provider import Reply, Status
from tests.langchain.test_deadlines import WAYS, told

DAY_S = 86_400


@pytest.mark.parametrize("way", WAYS)
async def test_fallbacks_answer_all_day_and_the_endpoint_is_used_again(
    way, provider, start, core, chat
):
    """The first, the second and ten at once: the closed provider is asked once, and no call waits.

    The virtual clock stands still meanwhile, so a call that waited would never come back.
    """
    clock, other = VirtualClock(), start()
    other.script([Reply("instead")] * 12)
    provider.script([Status(429, headers={"retry-after": str(DAY_S)}), Reply("itself")])
    rm = core(lanes=20, clock=clock)
    second = wrap_chat_model(chat(other), rm, agent="you", retry=None)
    model = wrap_chat_model(chat(provider), rm, agent="me").with_fallbacks([second])
    sync = way in {"invoke", "stream"}

    async def ask():
        if sync:  # blocks the loop that is in its way
            return await asyncio.to_thread(asyncio.run, told(way, model))
        return await told(way, model)

    assert [await ask(), await ask()] == ["instead"] * 2
    assert await asyncio.gather(*(ask() for _ in range(10))) == ["instead"] * 10
    assert len(provider.log) == 1
    clock.advance(DAY_S + 60.0)
    assert await ask() == "itself"
