"""Streams whose source cannot be closed: their lane is there for others all the same."""

from __future__ import annotations

import pytest

from agentrm_plugins import AgentRM, Call
from agentrm_plugins.integration import AsyncChunks, Attempt, Chunks, Reading, core_of, counting

pytestmark = pytest.mark.lowest


class Counting(counting.UsageTally):
    def add(self, chunk):
        super().add(None, len(chunk))


READING = Reading(lambda lease: Counting(lease.call.estimate), lambda chunk: chunk)


class Stuck:
    """A source that breaks after a chunk, and breaks again when it is closed."""

    def __init__(self):
        self.left = ["one"]

    def __iter__(self):
        return self

    def __next__(self):
        if self.left:
            return self.left.pop()
        raise ValueError("broken")

    def close(self):
        raise RuntimeError("not closed")

    def __aiter__(self):
        return self

    async def __anext__(self):
        return next(self)

    async def aclose(self):
        self.close()


def attempt(rm):
    core = core_of(rm)
    lease = core.host.submit(Call("a", streaming=True))
    return Attempt(core.number, lease, Attempt.stays_open)


@pytest.mark.parametrize("unread", [False, True])
@pytest.mark.parametrize("worker", [False, True])
def test_a_lane_comes_back_from_a_source_that_cannot_be_closed(worker, unread):
    """Whether it broke or nobody wanted more."""
    with AgentRM(lanes=1) as rm:
        stream = Chunks(attempt(rm), Stuck, READING, worker=worker).begin()
        assert next(stream) == "one"
        with pytest.raises(RuntimeError, match="not closed"):
            stream.close() if unread else next(stream)
        assert rm.statistics().lanes_in_use == 0


@pytest.mark.parametrize("unread", [False, True])
async def test_a_lane_comes_back_from_an_async_source_that_cannot_be_closed(unread):
    """The same in a task."""
    with AgentRM(lanes=1) as rm:
        stream = await AsyncChunks(attempt(rm), Stuck, READING).begin()
        assert await anext(stream) == "one"
        with pytest.raises(RuntimeError, match="not closed"):
            await (stream.aclose() if unread else anext(stream))
        assert rm.statistics().lanes_in_use == 0
