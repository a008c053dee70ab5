"""A stream that is left with `break` gives its lane back then, not when the collector runs."""

from __future__ import annotations

import asyncio
import gc

import openai
import pytest

from agentrm_openai import manage_client
from agentrm_plugins import AgentRM
from tests.wire import said, wire

ASK = {"model": "m", "messages": [{"role": "user", "content": "go"}], "stream": True}
OPEN = [said("one "), said("two "), None]


@pytest.fixture(autouse=True)
def _no_collector():
    """It never runs by itself in these tests, as in a process that only waits."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("on_stall", ["error", "restart"])
def test_a_loop_that_is_left(on_stall, raw):
    with (
        wire(OPEN) as (url, _),
        AgentRM(lanes=1) as rm,
        openai.OpenAI(base_url=url, api_key="k") as client,
    ):
        ai = manage_client(client, rm, on_stall=on_stall)

        def ask():
            if raw:
                return ai.chat.completions.with_raw_response.create(**ASK).parse()
            return ai.chat.completions.create(**ASK)

        for _ in range(2):
            for _ in ask():
                assert rm.statistics().running == 1
                break
            counts = rm.statistics()
            assert (counts.running, counts.lanes_in_use) == (0, 0)


@pytest.mark.parametrize("on_stall", ["error", "restart"])
def test_a_loop_in_a_task_that_is_left(on_stall):
    async def leave(ai):
        async for _ in await ai.chat.completions.create(**ASK):
            break

    async def main(url, rm):
        async with openai.AsyncOpenAI(base_url=url, api_key="k") as client:
            ai = manage_client(client, rm, on_stall=on_stall)
            for _ in range(2):  # the second would wait for ever
                await asyncio.wait_for(leave(ai), 20)
            for _ in range(2000):
                if not rm.statistics().running:
                    break
                await asyncio.sleep(0.005)
            assert rm.statistics().running == 0

    with wire(OPEN) as (url, _), AgentRM(lanes=1) as rm:
        asyncio.run(main(url, rm))


def test_a_stream_that_began_anew_is_left_and_its_own_response_closed():
    """What the caller's stream closes is the answer that it gives."""
    stalled = [said("half "), None]
    with (
        wire(stalled, OPEN) as (url, asked),
        AgentRM(lanes=1) as rm,
        openai.OpenAI(base_url=url, api_key="k") as client,
    ):
        ai = manage_client(client, rm, on_stall="restart", silence_timeout_s=0.5)
        stream = ai.chat.completions.create(**ASK)
        first = stream.response
        for piece in stream:
            if piece.choices[0].delta.content == "one ":
                break
        assert len(asked) == 2
        assert stream.response is not first
        del stream, first, piece
        assert rm.statistics().running == 0
