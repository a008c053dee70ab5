"""Streams whose source cannot be closed: their lane is there for others all the same.

What broke them is what their caller sees, and that they could not be closed stands beside it.
"""

from __future__ import annotations

import asyncio
import gc

import pytest

from agentrm_plugins import AgentRM, Call, CallReaped, LeaseConfig
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.integration import (
    AsyncChunks,
    Attempt,
    Chunks,
    Reading,
    core_of,
    counting,
    wire,
)

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


def is_told_first(error, *, unread=False):
    """Who reads gets the source's own error; who wants no more, that it could not be closed."""
    if not unread:
        assert str(error) == "broken"
        error = error.__context__
    assert str(error) == "not closed"


@pytest.mark.parametrize("unread", [False, True])
@pytest.mark.parametrize("worker", [False, True])
def test_a_lane_comes_back_from_a_source_that_cannot_be_closed(worker, unread):
    """Whether it broke or nobody wanted more."""
    with AgentRM(lanes=1) as rm:
        stream = Chunks(attempt(rm), Stuck, READING, worker=worker).begin()
        assert next(stream) == "one"
        with pytest.raises(ValueError if not unread else RuntimeError) as caught:
            stream.close() if unread else next(stream)
        is_told_first(caught.value, unread=unread)
        assert rm.statistics().lanes_in_use == 0


@pytest.mark.parametrize("unread", [False, True])
async def test_a_lane_comes_back_from_an_async_source_that_cannot_be_closed(unread):
    """The same in a task."""
    with AgentRM(lanes=1) as rm:
        stream = await AsyncChunks(attempt(rm), Stuck, READING).begin()
        assert await anext(stream) == "one"
        with pytest.raises(ValueError if not unread else RuntimeError) as caught:
            await (stream.aclose() if unread else anext(stream))
        is_told_first(caught.value, unread=unread)
        assert rm.statistics().lanes_in_use == 0


class Refusing(Stuck):
    """One that breaks before it has said a word."""

    def __init__(self):
        self.left = []


@pytest.mark.parametrize("worker", [False, True])
def test_what_kept_a_stream_from_opening_is_told_before_what_kept_it_from_closing(worker):
    """By it the call is judged, and goes again or not."""
    with AgentRM(lanes=1) as rm:
        one = attempt(rm)
        with pytest.raises(ValueError, match="broken") as caught:
            Chunks(one, Refusing, READING, worker=worker).begin()
        is_told_first(caught.value)
        one.lease.fail(caught.value)


async def test_what_kept_an_async_stream_from_opening_is_told_first():
    """The same in a task."""
    with AgentRM(lanes=1) as rm:
        one = attempt(rm)
        with pytest.raises(ValueError, match="broken") as caught:
            await AsyncChunks(one, Refusing, READING).begin()
        is_told_first(caught.value)
        one.lease.fail(caught.value)


class Interrupted(BaseException):
    """What no code here expects."""


def cause_of(kind):
    found = kind("first")
    found.__context__ = LookupError("before it")
    return found


@pytest.mark.parametrize("kind", [ValueError, asyncio.CancelledError, Interrupted])
def test_the_first_error_stays_and_the_other_joins_its_context(kind):
    """What the first one came of is still there, at the end of the chain."""
    first = cause_of(kind)
    with pytest.raises(kind) as caught, wire.Shutting(Stuck()):
        raise first
    assert caught.value is first
    chain = [type(first.__context__), type(first.__context__.__context__)]
    assert chain == [RuntimeError, LookupError]
    assert first.__context__.__context__.__context__ is None


def test_an_interrupt_while_closing_is_not_hidden():
    """It outranks the error that was on its way."""

    class Source:
        def close(self):
            raise Interrupted

    with pytest.raises(Interrupted), wire.Shutting(Source()):
        raise ValueError


def test_an_error_that_closing_raises_again_is_told_once():
    """A source may raise what broke it once more: the chain gets no circle."""
    first = cause_of(ValueError)

    class Source:
        def close(self):
            raise first

    class Wrapping:
        def close(self):
            raise RuntimeError("not closed") from first

    for source in (Source(), Wrapping()):
        with pytest.raises(ValueError, match="first") as caught, wire.Shutting(source):
            raise first
        seen = set()
        error = caught.value
        while error is not None:
            assert id(error) not in seen
            seen.add(id(error))
            error = error.__context__


def test_whoever_ends_a_source_that_did_not_break_is_told():
    """There is nothing else to tell."""
    with pytest.raises(RuntimeError, match="not closed"), wire.Shutting(Stuck()):
        pass
    with pytest.raises(RuntimeError, match="not closed"), wire.Shutting(Stuck()):
        raise GeneratorExit


@pytest.mark.parametrize("worker", [False, True])
def test_a_sync_stream_that_opens_as_its_lane_is_lost_is_shut(worker):
    """Nobody gets it: it is shut and charged before the caller is told."""
    clock, shut = VirtualClock(), []

    def source():
        try:
            yield "one"
        finally:
            shut.append(1)

    def settle(lease, result):
        clock.advance(60)  # past its limit, as it is handed over

    gc.disable()
    try:
        limits = LeaseConfig(response_timeout_s=12, first_token_timeout_s=12)
        with AgentRM(lanes=1, clock=clock, leases=limits) as rm:
            core = core_of(rm)
            lease = core.host.submit(Call("a", streaming=True))
            with pytest.raises(CallReaped):
                Chunks(Attempt(core.number, lease, settle), source, READING, worker=worker).begin()
            assert shut == [1]
            assert lease.ended
            counts = rm.statistics()
            assert (counts.lanes_in_use, counts.zombies) == (0, 0)
    finally:
        gc.enable()
