"""Whatever comes in one tick, in whatever order, a race ends: no lane is lost, all is charged once.

Both answers, both limits and the caller's cancellation, in every order of up to three of them. The
kernel is the real one, and its clock virtual; the first two attempts wait for futures.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

import pytest

from agentrm_plugins import AgentRM, Call, CallReaped, LeaseConfig, RetryPolicy, Usage
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.integration import AsyncChunks, Attempt, Reading, core_of, counting
from agentrm_plugins.types import effects as fx

pytestmark = pytest.mark.lowest
CALL = Call("a", endpoint="host/model", estimate=Usage(100))
LIMIT_S = 12.0
EVENTS = ("answer 1", "answer 2", "limit 1", "limit 2", "cancel")
ORDERS = [order for most in (1, 2, 3) for order in itertools.permutations(EVENTS, most)]


class Refused(Exception):
    """The server has no room."""

    status_code = 503


class Tally(counting.UsageTally):
    def add(self, chunk):
        super().add(None, len(chunk))


READING = Reading(lambda lease: Tally(lease.call.estimate), lambda chunk: chunk)


async def ticks(count=12):
    for _ in range(count):
        await asyncio.sleep(0)


def settle(lease, _):
    lease.settle(Usage(100, 10))


class Race:
    """A call whose first two attempts are on their way."""

    def __init__(self, shape, outcomes):
        self.shape, self.outcomes = shape, outcomes
        self.ends, self.open, self.came = [], set(), Counter()
        self.clock = VirtualClock()
        limits = LeaseConfig(response_timeout_s=LIMIT_S, first_token_timeout_s=LIMIT_S)
        self.rm = AgentRM(lanes=4, clock=self.clock, leases=limits)
        self.core = core_of(self.rm)
        for _ in range(31):  # it is known to answer within a second
            lease = self.core.admit(CALL)
            self.clock.advance(0.2)
            lease.settle(Usage())
        self.events = self.rm.events()
        self.limits_s = []

    async def work(self):
        number = len(self.ends)
        self.ends.append(asyncio.get_running_loop().create_future())
        self.open.add(number)
        try:
            answer = await self.ends[number]
        except BaseException as error:
            self.came[type(error).__name__] += 1
            raise
        else:
            self.came["answer"] += 1
            return answer
        finally:
            self.open.discard(number)

    async def source(self):
        yield await self.work()
        yield "more"

    def call(self):
        async def make(lease):
            if self.shape == "call":
                attempt = Attempt(self.core.number, lease, settle)
                return await attempt.in_task(self.work)
            attempt = Attempt(self.core.number, lease, Attempt.stays_open)
            return await AsyncChunks(attempt, self.source, READING).begin()

        async def whole():
            given = await self.core.call_async(CALL, make)
            return given if self.shape == "call" else [chunk async for chunk in given]

        return asyncio.create_task(whole())

    async def begun(self):
        call = self.call()
        await ticks()
        self.limits_s.append(self.clock.now() + LIMIT_S)
        while len(self.ends) < 2:
            self.clock.advance(0.05)
            await ticks()
        self.limits_s.append(self.clock.now() + LIMIT_S)
        return call

    def fire(self, event, call):
        if event == "cancel":
            call.cancel()
            return
        number = int(event[-1]) - 1
        end = self.ends[number]
        if event.startswith("limit"):
            self.clock.advance(max(0.0, self.limits_s[number] + 0.1 - self.clock.now()))
        elif not end.done() and self.outcomes[number] == "well":
            end.set_result("well")
        elif not end.done():
            end.set_exception(Refused())

    def check(self):
        """Each lane is back, and each attempt that was sent is charged once."""
        assert not self.open
        counts = self.rm.statistics()
        assert (counts.running, counts.zombies, counts.lanes_in_use, counts.waiting) == (0, 0, 0, 0)
        ended = Counter(
            one.ticket for one in self.events.drain() if isinstance(one, fx.Settled | fx.Refused)
        )
        assert set(ended.values()) == {1}
        sent = len(self.ends) - self.came["Refused"]
        assert counts.input_tokens == 100 * sent
        if self.shape == "call":
            assert counts.output_tokens == 10 * self.came["answer"]


async def ends(race, order):
    call = await race.begun()
    for event in order:
        race.fire(event, call)
    await ticks()
    if "cancel" in order:
        assert call.done(), "the cancellation was swallowed"
    for _ in range(60):
        if call.done():
            break
        race.clock.advance(1.0)
        await ticks()
    assert call.done(), "it hangs"
    (outcome,) = await asyncio.gather(call, return_exceptions=True)
    await ticks()
    kinds = CallReaped, Refused, asyncio.CancelledError
    assert outcome in ("well", ["well", "more"]) or isinstance(outcome, kinds)
    race.check()
    race.rm.close()


@pytest.mark.parametrize(
    ("shape", "first", "second"),
    [
        ("call", "well", "well"),
        ("call", "well", "refused"),
        ("call", "refused", "well"),
        ("stream", "well", "well"),
    ],
)
async def test_every_order_ends(shape, first, second):
    """In one tick: none of the attempts runs on, and each lane is back."""
    for order in ORDERS:
        try:
            await ends(Race(shape, (first, second)), order)
        except AssertionError as error:
            error.add_note(f"in the order {order}")
            raise


async def test_a_call_whose_attempts_all_hang_ends_though_one_was_refused():
    """The endpoint has room for one then: each attempt would give way to the next, for ever."""
    race = Race("call", ("refused", "well"))
    call = await race.begun()
    race.fire("answer 1", call)
    for _ in range(100):
        race.clock.advance(1.0)
        await ticks()
    assert call.done()
    with pytest.raises(CallReaped):
        await call
    race.check()
    race.rm.close()


async def test_a_cancellation_is_never_taken_for_an_attempt_that_gave_way():
    """It comes as the core asks for another try: the caller is cancelled, and nothing is sent."""
    race = Race("call", ("well", "well"))
    race.rm.close()
    clock = VirtualClock()
    with AgentRM(lanes=4, clock=clock) as rm:
        core, sent = core_of(rm), []

        async def make(lease):
            sent.append(lease)
            lease.note_reaped(fx.Reaped(0.0, lease.ticket, "a", "gave_way", 0.0))
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await core.call_async(CALL, make, retry=RetryPolicy())
        assert len(sent) == 1
        sent.pop().settle(outcome="cancelled")
