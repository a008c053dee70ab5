"""Late is not dead: second attempts beside the first, in each of an attempt's worlds.

The kernel is the real one, and its clock virtual: a call that hangs waits for an event that never
comes, and time is moved on by hand.
"""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import pytest

from agentrm_plugins import AgentRM, Call, CallReaped, LeaseConfig, RetryPolicy, Usage
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.integration import AsyncChunks, Attempt, Chunks, Reading, core_of, counting

pytestmark = pytest.mark.lowest
ENDPOINT = "host/model"
CALL = Call("a", endpoint=ENDPOINT, estimate=Usage(100))
STREAM = Call("a", endpoint=ENDPOINT, estimate=Usage(100), streaming=True)
SHAPES = ("task", "worker", "thread", "here")


class Status(Exception):
    """A provider's error with its status."""

    def __init__(self, status_code):
        super().__init__(f"status {status_code}")
        self.status_code = status_code


class Script:
    """What the attempts of one call do, in their order: an answer, an error, or "hang"."""

    def __init__(self, *steps):
        self.steps = list(steps)
        self.begun = []
        self.never = threading.Event()
        self.woken = threading.Event()

    def next(self):
        self.begun.append(len(self.begun))
        return self.steps.pop(0)

    def sync(self):
        step = self.next()
        if step == "hang":
            self.never.wait(20)
            return "late"
        if isinstance(step, BaseException):
            raise step
        return step

    async def task(self):
        step = self.next()
        if step == "hang":
            await asyncio.Event().wait()
        if isinstance(step, BaseException):
            raise step
        return step


class World:
    """A core whose endpoint is known to answer within a second."""

    def __init__(self, shape, **settings):
        self.shape = shape
        self.clock = VirtualClock()
        self.rm = AgentRM(**{"lanes": 4, "clock": self.clock, **settings})
        self.core = core_of(self.rm)
        for _ in range(40):
            lease = self.core.admit(CALL)
            self.clock.advance(0.2)
            lease.settle(Usage(100, 10))

    def settle(self, lease, _):
        lease.settle(Usage(100, 10))

    async def call(self, script, call=CALL, retry=None):
        """Make the call in this world's shape."""

        def attempt(lease):
            return Attempt(self.core.number, lease, self.settle)

        def make(lease):
            one = attempt(lease)
            if self.shape == "worker":
                return one.on_worker(script.sync)
            lease.on_reap(lambda _: script.never.set())  # as a transport wakes its reader
            return one.here(script.sync)

        async def make_async(lease):
            one = attempt(lease)
            if self.shape == "task":
                return await one.in_task(script.task)
            return await one.in_thread(script.sync)

        if self.shape in {"worker", "here"}:
            return await asyncio.to_thread(self.core.call, call, make, retry=retry)
        return await self.core.call_async(call, make_async, retry=retry)

    async def until(self, script, begun, step_s=1.0):
        """Let time pass until so many attempts have begun."""
        for _ in range(400):
            if len(script.begun) >= begun:
                return
            self.clock.advance(step_s)
            await asyncio.sleep(0.005)
        raise AssertionError(script.begun)

    def end(self, script):
        script.never.set()
        for _ in range(2000):
            counts = self.rm.statistics()
            if not (counts.running or counts.zombies or counts.lanes_in_use):
                break
            threading.Event().wait(0.002)
        self.rm.close()
        assert (counts.running, counts.zombies, counts.lanes_in_use, counts.waiting) == (0, 0, 0, 0)
        return counts


async def test_a_first_attempt_that_is_refused_beside_a_second_costs_nothing():
    """The server's 429 comes while the second is on its way; the answer's input is charged."""
    world, script, held = World("worker"), Script("held", "hang"), threading.Event()
    hang = script.sync

    def sync():
        if script.begun:
            return hang()
        script.next()
        held.wait(20)
        raise Status(429)

    script.sync = sync
    call = asyncio.create_task(world.call(script))
    await world.until(script, 2)
    held.set()
    for _ in range(2000):
        if world.rm.statistics().settled == 41:
            break
        await asyncio.sleep(0.005)
    script.never.set()
    assert await call == "late"
    assert world.end(script).input_tokens == 40 * 100 + 100


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_hung_call_is_answered_by_a_second_attempt(shape):
    """The first is not killed but superseded, and what each was sent is charged."""
    world, script = World(shape), Script("hang", "well")
    call = asyncio.create_task(world.call(script))
    await world.until(script, 2)
    assert await call == "well"
    counts = world.end(script)
    assert (counts.reaped, counts.settled) == (0, 42)
    assert counts.input_tokens == 40 * 100 + 200
    assert counts.output_tokens == 40 * 10 + 10


@pytest.mark.parametrize("shape", ["task", "worker", "thread"])
async def test_a_slow_call_wins_over_its_second_attempt(shape):
    """It goes on all the while; the second one is the loser, and no third is sent."""
    world, slow = World(shape), threading.Event()

    class Slow(Script):
        def sync(self):
            if self.next() == "slow":
                slow.wait(20)
                return "slow"
            self.never.wait(20)
            return "never"

        async def task(self):
            if self.next() == "slow":
                await asyncio.to_thread(slow.wait, 20)
                return "slow"
            await asyncio.Event().wait()
            return None

    script = Slow("slow", "hang", "hang", "hang")
    call = asyncio.create_task(world.call(script))
    await world.until(script, 2)
    slow.set()
    assert await call == "slow"
    counts = world.end(script)
    assert counts.reaped == 0
    assert len(script.begun) == 2


@pytest.mark.parametrize("shape", SHAPES)
async def test_never_where_the_user_says_so(shape):
    """`hedge=False`: the call waits for as long as its configured limit allows."""
    world, script = World(shape), Script("hang")
    call = asyncio.create_task(world.call(script, Call("a", endpoint=ENDPOINT, hedge=False)))
    while not script.begun:
        await asyncio.sleep(0.002)
    world.clock.advance(599)
    await asyncio.sleep(0.05)
    assert not call.done()
    world.clock.advance(2)
    with pytest.raises(CallReaped, match="600 s, set by the configuration"):
        await call
    world.end(script)
    assert len(script.begun) == 1


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("settings", [{"adaptive": False}, {}])
async def test_what_is_learnt_can_be_switched_off(shape, settings):
    """For a core, or for one call."""
    world, script = World(shape, **settings), Script("hang")
    adaptive = None if settings else False
    call = asyncio.create_task(
        world.call(script, Call("a", endpoint=ENDPOINT, adaptive=adaptive, total_timeout_s=50))
    )
    while not script.begun:
        await asyncio.sleep(0.002)
    for _ in range(49):
        world.clock.advance(1)
    assert len(script.begun) == 1
    world.clock.advance(2)
    with pytest.raises(CallReaped, match="total_timeout_s=50 s, set by the call"):
        await call
    world.end(script)


@pytest.mark.parametrize("shape", ["task", "worker", "thread"])
async def test_a_second_attempt_that_fails_backs_off(shape):
    """A 503 of it is no failure of the call: it goes again, and the first goes on."""
    world, script = World(shape), Script("hang", Status(503), Status(503), "well")
    call = asyncio.create_task(world.call(script, retry=RetryPolicy()))
    await world.until(script, 4)
    assert await call == "well"
    world.end(script)


@pytest.mark.parametrize("shape", ["task", "worker", "thread"])
async def test_what_cannot_be_cured_ends_the_call(shape):
    """A 400 of the second attempt would be that of the first as well."""
    world, script = World(shape), Script("hang", Status(400))
    call = asyncio.create_task(world.call(script, retry=RetryPolicy()))
    await world.until(script, 2)
    with pytest.raises(Status, match="400"):
        await call
    world.end(script)


@pytest.mark.parametrize("shape", ["task", "worker", "thread"])
async def test_the_second_stands_alone_when_the_first_fails(shape):
    """A reset of the first leaves the call to the other, without another try."""
    fail, world = threading.Event(), World(shape)

    class Failing(Script):
        def sync(self):
            step = self.next()
            (fail if step == "fail" else self.woken).wait(20)
            if step == "fail":
                raise Status(500)
            return "second"

        async def task(self):
            return await asyncio.to_thread(self.sync)

    script = Failing("fail", "wait")
    call = asyncio.create_task(world.call(script, retry=RetryPolicy()))
    await world.until(script, 2)
    fail.set()
    await asyncio.sleep(0.05)
    assert not call.done()
    script.woken.set()
    assert await call == "second"
    world.end(script)
    assert len(script.begun) == 2


async def test_a_cancelled_caller_leaves_nothing_behind():
    """Both attempts are cancelled and charged, whichever was first."""
    world, script = World("task"), Script("hang", "hang", "hang")
    call = asyncio.create_task(world.call(script))
    await world.until(script, 2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    counts = world.end(script)
    assert counts.input_tokens == 42 * 100


# -- streams ------------------------------------------------------------------------------------


def said(chunk):
    """Chunks here are texts; what is no text says nothing."""
    return chunk if isinstance(chunk, str) else None


def counted(lease):
    return counting.UsageTally(lease.call.estimate)


class Counting(counting.UsageTally):
    def add(self, chunk):
        super().add(None, len(chunk) if isinstance(chunk, str) else 0)


READING = {whole: Reading(lambda lease: Counting(lease.call.estimate), said, whole)
           for whole in (False, True)}  # fmt: skip


class Streams(World):
    """The same for streams: each attempt gives its chunks; "hang" hangs."""

    def __init__(self, shape):
        super().__init__(shape)
        for _ in range(40):
            lease = self.core.admit(STREAM)
            for _ in range(4):
                self.clock.advance(0.1)
                lease.beat(1, visible=True)
            lease.settle(Usage(100, 10))

    async def read(self, script, got, *, whole=False, retry=None):
        def source():
            for chunk in script.next():
                if chunk == "hang":
                    script.never.wait(20)
                    return
                yield chunk

        async def asource():
            for chunk in script.next():
                if chunk == "hang":
                    await asyncio.Event().wait()
                yield chunk

        def attempt(lease):
            return Attempt(self.core.number, lease, Attempt.stays_open)

        def make(lease):
            return Chunks(attempt(lease), source, READING[whole], worker=True).begin()

        async def make_async(lease):
            return await AsyncChunks(attempt(lease), asource, READING[whole]).begin()

        def read_all():
            for chunk in self.core.call(STREAM, make, retry=retry):
                got.append(chunk)

        if self.shape == "worker":
            await asyncio.to_thread(read_all)
            return
        async for chunk in await self.core.call_async(STREAM, make_async, retry=retry):
            got.append(chunk)


@pytest.mark.parametrize("shape", ["task", "worker"])
@pytest.mark.parametrize("before", [[], [None, None]])
async def test_a_stream_that_has_said_nothing_goes_again(shape, before):
    """A role, a start and a count say nothing: the second attempt's chunks are all that is seen."""
    world, script, got = Streams(shape), Script([*before, "hang"], [None, "well", "done"]), []
    call = asyncio.create_task(world.read(script, got))
    await world.until(script, 2)
    await call
    world.end(script)
    assert got == [None, "well", "done"]


@pytest.mark.parametrize("shape", ["task", "worker"])
async def test_a_stream_that_has_spoken_is_not_sent_again(shape):
    """Only the configured silence ends it; the error carries the text so far."""
    world, script, got = Streams(shape), Script(["one ", "two", "hang"]), []
    call = asyncio.create_task(world.read(script, got, retry=RetryPolicy()))
    while len(got) < 2:
        await asyncio.sleep(0.002)
    await asyncio.sleep(0.02)
    world.clock.advance(59)
    await asyncio.sleep(0.02)
    assert not call.done()
    world.clock.advance(2)
    with pytest.raises(CallReaped, match="silence_timeout_s=60 s") as reaped:
        await call
    assert reaped.value.text_so_far == "one two"
    world.end(script)
    assert len(script.begun) == 1


@pytest.mark.parametrize("shape", ["task", "worker"])
async def test_who_only_wants_the_whole_goes_again_after_any_stall(shape):
    """A hang in the middle costs a second attempt, not the answer."""
    world, script, got = Streams(shape), Script(["one", "hang"], ["one", "two"]), []
    call = asyncio.create_task(world.read(script, got, whole=True))
    await world.until(script, 2)
    await call
    world.end(script)
    assert got == ["one", "two"]


@pytest.mark.parametrize("shape", ["task", "worker"])
async def test_a_slow_reader_is_no_silence(shape):
    """An hour between two chunks, in which nobody asks, costs nothing."""
    world, script, got = Streams(shape), Script(["one", "two", "three"]), []
    pause = SimpleNamespace(over=threading.Event())

    class Slow(list):
        def append(self, chunk):
            super().append(chunk)
            if len(self) == 2 and shape == "worker":
                pause.over.wait(20)

    got = Slow()
    call = asyncio.create_task(world.read(script, got))
    while len(got) < 2:
        await asyncio.sleep(0.002)
    await asyncio.sleep(0.4)  # the core hears of a pause after a quarter of a second
    world.clock.advance(3600)
    pause.over.set()
    await call
    counts = world.end(script)
    assert (list(got), counts.reaped) == (["one", "two", "three"], 0)


def test_pings_are_signs_of_life():
    """With them a stream may say nothing for ever, within its total limit."""
    clock = VirtualClock()
    with AgentRM(lanes=1, clock=clock, leases=LeaseConfig(total_timeout_s=None)) as rm:
        lease = core_of(rm).admit(STREAM)
        for _ in range(100):
            clock.advance(50)
            lease.beat()
        assert not lease.reaped
        clock.advance(61)
        assert lease.reap_cause == "silence"
        lease.settle(outcome="error")


def test_whoever_waits_in_an_attempt_that_was_outrun_is_woken():
    """A thread that blocks in a read of the first attempt: it hears as soon as another won."""
    with AgentRM(lanes=1) as rm:
        told = []

        def work(lease):
            lease.on_reap(told.append)
            lease.supersede(None)

        core_of(rm).call(CALL, work)
        assert [error.cause for error in told] == ["superseded"]
