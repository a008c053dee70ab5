"""However a race of attempts in tasks ends, no attempt of it runs on, and no loop hears of one.

The kernel is the real one, and its clock virtual. What an attempt does is held by futures: it waits
for its own, and when it is cancelled it goes, raises, or swallows that.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from contextvars import ContextVar

import pytest

from agentrm_plugins import AgentRM, Call, CallReaped, LeaseConfig, RetryPolicy, Usage
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.integration import AsyncChunks, Attempt, Reading, core_of, counting

pytestmark = pytest.mark.lowest
CALL = Call("a", endpoint="host/model", estimate=Usage(100))
FIRST, SECOND = 0, 1
INSIDE: ContextVar[int] = ContextVar("INSIDE")


class Refused(Exception):
    """A provider's error with its status."""

    def __init__(self, status_code):
        super().__init__(f"status {status_code}")
        self.status_code = status_code


class Lost(Exception):
    """What a client says whose connection broke."""


class Work:
    """What the attempts of one call do: each holds a connection until it is told how to end.

    Args:
        how: What each does when it is cancelled: "goes", "raises" or "swallows"; the last of them,
            what all further ones do.
    """

    def __init__(self, *how):
        self.how, self.ends, self.late = how, [], asyncio.Event()
        self.open = set()
        self.shut = []

    async def __call__(self):
        number, how = len(self.ends), self.how[min(len(self.ends), len(self.how) - 1)]
        self.ends.append(asyncio.get_running_loop().create_future())
        self.open.add(number)
        try:
            return await self.ends[number]
        except asyncio.CancelledError:
            if how == "raises":
                raise Lost from None
            if how == "swallows":
                await self.late.wait()
                return f"late {number}"
            raise
        finally:
            self.open.discard(number)

    async def stream(self):
        number = len(self.ends)
        token = INSIDE.set(number)  # as tracers and frameworks do
        try:
            yield await self()
            yield "more"
        except BaseException as error:
            if isinstance(error, GeneratorExit):  # it is shut for nobody
                INSIDE.reset(token)
                await asyncio.sleep(0)
            self.shut.append(number)
            raise
        self.shut.append(number)

    async def begun(self, clock, count=2):
        for _ in range(400):
            if len(self.ends) >= count:
                return
            clock.advance(1)
            await ticks()
        raise AssertionError(self.ends)


class Plain(counting.UsageTally):
    def add(self, chunk):
        super().add(None, len(chunk))


READING = Reading(lambda lease: Plain(lease.call.estimate), lambda chunk: chunk)


async def ticks(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


class World:
    """A core whose endpoint is known to answer within a second."""

    def __init__(self):
        self.clock = VirtualClock()
        limits = LeaseConfig(response_timeout_s=12, first_token_timeout_s=12)
        self.rm = AgentRM(lanes=4, clock=self.clock, leases=limits)
        self.core = core_of(self.rm)
        for _ in range(40):
            lease = self.core.admit(CALL)
            self.clock.advance(0.2)
            lease.settle(Usage(100, 10))

    def call(self, work, retry=None):
        async def make(lease):
            return await Attempt(self.core.number, lease).in_task(work)

        return asyncio.create_task(self.core.call_async(CALL, make, retry=retry))

    def read(self, work):
        async def make(lease):
            attempt = Attempt(self.core.number, lease, Attempt.stays_open)
            return await AsyncChunks(attempt, work.stream, READING).begin()

        async def whole():
            return [chunk async for chunk in await self.core.call_async(CALL, make)]

        return asyncio.create_task(whole())

    def end(self):
        counts = self.rm.statistics()
        self.rm.close()
        assert (counts.running, counts.zombies, counts.lanes_in_use, counts.waiting) == (0, 0, 0, 0)


def run(main, *how):
    """Run `main(world, work)` in a loop of its own, which must hear of nothing, and end it."""
    told, world = [], World()

    async def inside():
        asyncio.get_running_loop().set_exception_handler(lambda _, found: told.append(found))
        await main(world, Work(*how))
        gc.collect()
        await ticks()

    try:
        asyncio.run(inside())
    finally:
        gc.collect()
        world.end()
        assert told == []


LOSES = pytest.mark.parametrize("loses", ["goes", "raises", "swallows"])


def end(work, number, outcome):
    """Have an attempt end."""
    if isinstance(outcome, Exception):
        work.ends[number].set_exception(outcome)
    else:
        work.ends[number].set_result(outcome)


async def comes_to(call, outcome):
    if isinstance(outcome, Exception):
        with pytest.raises(type(outcome)):
            await call
    else:
        assert await call == outcome


@LOSES
@pytest.mark.parametrize("outcome", ["well", Refused(400)])
def test_the_first_decides_and_the_second_is_left(loses, outcome):
    """By its answer, or by an error that cannot be cured; a loser that stays holds nobody up."""

    async def main(world, work):
        call = world.call(work)
        await work.begun(world.clock)
        end(work, FIRST, outcome)
        await comes_to(call, outcome)
        await ticks()
        assert work.open == ({SECOND} if loses == "swallows" else set())
        work.late.set()
        await ticks()
        assert not work.open

    run(main, "goes", loses)


@LOSES
@pytest.mark.parametrize("outcome", ["well", Refused(400)])
def test_the_second_decides_and_the_first_is_left(loses, outcome):
    """The call's own task is cancelled out of its wait, and no cancellation stays behind."""

    async def main(world, work):
        async def inside():
            try:
                return await world.core.call_async(CALL, make)
            finally:
                assert asyncio.current_task().cancelling() == 0

        async def make(lease):
            return await Attempt(world.core.number, lease).in_task(work)

        call = asyncio.create_task(inside())
        await work.begun(world.clock)
        end(work, SECOND, outcome)
        work.late.set()
        await comes_to(call, outcome)
        assert not work.open

    run(main, loses, "goes")


@LOSES
def test_both_pass_the_configured_limit(loses):
    """First the first, and then the second, which decides the call: it is cancelled as well."""

    async def main(world, work):
        call = world.call(work)
        await work.begun(world.clock)
        for _ in range(30):
            world.clock.advance(1)
            await ticks()
        with pytest.raises(CallReaped):
            await call
        assert FIRST not in work.open
        assert not work.open or loses == "swallows"
        work.late.set()
        await ticks()
        assert not work.open

    run(main, "goes", loses)


@LOSES
def test_the_caller_is_cancelled(loses):
    """Both are left, and neither ends up waiting to be sent again."""

    async def main(world, work):
        call = world.call(work, RetryPolicy())
        await work.begun(world.clock)
        call.cancel()
        work.late.set()
        with pytest.raises(asyncio.CancelledError):
            await call
        for _ in range(30):
            world.clock.advance(1)
            await ticks()
        assert not work.open
        assert len(work.ends) == 2

    run(main, "goes", loses)


@LOSES
def test_the_loop_closes(loses):
    """`asyncio.run` cancels what is left, both attempts at once."""
    seen = []

    async def main(world, work):
        seen.append(work)
        seen.append(world.call(work))
        await work.begun(world.clock)
        work.late.set()

    run(main, "goes", loses)
    assert not seen[0].open
    assert seen[1].cancelled()


@LOSES
def test_a_ctrl_c(loses):
    """The main task is the caller: it is cancelled, and the loop closes behind it."""
    seen = []

    async def main(world, work):
        call = world.core.call_async(CALL, lambda lease: attempt(world, lease, work))
        pressing = asyncio.create_task(press(world, work))
        await call
        await pressing

    async def attempt(world, lease, work):
        return await Attempt(world.core.number, lease).in_task(work)

    async def press(world, work):
        await work.begun(world.clock)
        seen.append(work)
        work.late.set()
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(main, "goes", loses)
    assert not seen[0].open


@pytest.mark.parametrize("order", [(FIRST, SECOND), (SECOND, FIRST)])
@pytest.mark.parametrize("other", ["well", Refused(400), Refused(503)])
def test_both_end_in_the_same_tick(order, other):
    """Whichever is looked at first; the other's error is nobody's."""

    async def main(world, work):
        call = world.call(work)
        await work.begun(world.clock)
        for number in order:
            end(work, number, "well" if number == order[0] else other)
        (outcome,) = await asyncio.gather(call, return_exceptions=True)
        assert outcome in ("well", other)
        assert len(work.ends) == 2

    run(main, "goes", "goes")


def test_an_answer_that_came_after_the_lane_was_lost_leaves_the_call_to_the_second():
    """The first swallows its cancellation: the second goes on, and decides."""

    async def main(world, work):
        call = world.call(work)
        await work.begun(world.clock)
        while not work.ends[FIRST].done():
            world.clock.advance(1)
            await ticks()
        work.late.set()
        await ticks()
        assert not call.done()
        end(work, -1, "well")  # one before it may have given way
        assert await call == "well"

    run(main, "swallows", "goes")


@pytest.mark.parametrize("order", [(FIRST, SECOND), (SECOND, FIRST)])
def test_a_stream_that_nobody_reads_is_shut(order):
    """Both are opened in one tick: the loser's source is closed at once, not by the collector."""

    async def main(world, work):
        gc.disable()
        try:
            call = world.read(work)
            await work.begun(world.clock)
            for number in order:
                end(work, number, "one")
            assert await call == ["one", "more"]
            await ticks()
            assert sorted(work.shut) == [FIRST, SECOND]
        finally:
            gc.enable()

    run(main, "goes", "goes")


def test_a_stream_that_opens_in_spite_of_its_cancellation_is_shut():
    """A loser that swallows it, and then brings a stream."""

    async def main(world, work):
        gc.disable()
        try:
            call = world.read(work)
            await work.begun(world.clock)
            end(work, FIRST, "one")
            assert await call == ["one", "more"]
            assert work.shut == [FIRST]
            work.late.set()
            await ticks()
            assert work.shut == [FIRST, SECOND]
        finally:
            gc.enable()

    run(main, "goes", "swallows")


def test_a_first_that_opens_in_spite_of_its_lost_lane_is_shut_in_its_own_task():
    """It swallows its cancellation; the second goes on, and decides."""

    async def main(world, work):
        gc.disable()
        try:
            call = world.read(work)
            await work.begun(world.clock)
            while not work.ends[FIRST].done():
                world.clock.advance(1)
                await ticks()
            work.late.set()
            await ticks()
            assert not call.done()
            assert FIRST in work.shut
            end(work, -1, "one")
            assert await call == ["one", "more"]
        finally:
            gc.enable()

    run(main, "swallows", "goes")


@pytest.mark.parametrize(
    ("raced", "when"),
    [(False, "as it opens"), (False, "as it is handed over"), (True, "as it is handed over")],
)
def test_a_stream_that_opens_as_its_lane_is_lost_is_shut(raced, when):
    """Nobody gets it: it is shut and charged before the caller is told, not by the collector."""

    async def main(world, work):
        leases = []

        def settle(lease, result):
            if when == "as it is handed over":
                leases.append(lease)
                world.clock.advance(60)  # past its limit

        async def make(lease):
            return await AsyncChunks(
                Attempt(world.core.number, lease, settle), work.stream, READING
            ).begin()

        gc.disable()
        try:
            call = asyncio.create_task(world.core.call_async(CALL, make))
            await work.begun(world.clock, 2 if raced else 1)
            end(work, -1, "one")
            if when == "as it opens":
                world.clock.advance(60)
            with pytest.raises(CallReaped):
                await call
            await ticks()
            assert sorted(work.shut) == list(range(len(work.ends)))
            counts = world.rm.statistics()
            assert (counts.running, counts.zombies, counts.lanes_in_use) == (0, 0, 0)
            assert all(lease.ended for lease in leases)
        finally:
            gc.enable()

    run(main, "goes", "goes")
