"""A stream of a further attempt stays in one context, whichever task reads it."""

from __future__ import annotations

import asyncio

import pytest

from agentrm_plugins.integration import AsyncChunks, Attempt
from tests.hosts.test_race_ends import CALL, FIRST, INSIDE, READING, SECOND, end, run

pytestmark = pytest.mark.lowest


@pytest.mark.parametrize("leaves", [False, True])
def test_a_stream_that_wins_is_opened_read_and_closed_in_one_context(leaves):
    """What its model sets as it begins, it takes back as it ends; the caller's task reads."""
    inside = []

    async def main(world, work):
        async def source():
            number = len(work.ends)
            token = INSIDE.set(number)
            try:
                yield await work()
                await asyncio.sleep(0)
                inside.append(INSIDE.get() == number)
                yield "more"
            finally:
                INSIDE.reset(token)
                work.shut.append(number)

        async def make(lease):
            attempt = Attempt(world.core.number, lease, Attempt.stays_open)
            return await AsyncChunks(attempt, source, READING).begin()

        async def read():
            chunks = await world.core.call_async(CALL, make)
            first = await anext(chunks)
            if leaves:
                await chunks.aclose()
                return [first]
            return [first] + [chunk async for chunk in chunks]

        call = asyncio.create_task(read())
        await work.begun(world.clock)
        end(work, SECOND, "one")
        assert await call == (["one"] if leaves else ["one", "more"])
        assert sorted(work.shut) == [FIRST, SECOND]
        assert inside == ([] if leaves else [True])
        assert INSIDE.get(None) is None

    run(main, "goes", "goes")
