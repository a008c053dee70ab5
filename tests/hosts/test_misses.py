"""A configured limit that a call misses again and again: too short, or a server that hangs?"""

from __future__ import annotations

import asyncio

import pytest

from agentrm_plugins import AgentRM, Call, CallReaped, RetryPolicy, Usage
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.integration import Attempt, core_of

pytestmark = pytest.mark.lowest
LIMIT_S = 1.0
ASK = Call("a", endpoint="host/m", estimate=Usage(100), first_token_timeout_s=LIMIT_S, hedge=False)
OTHER = Call("b", endpoint="host/m", estimate=Usage(100), hedge=False)


class APITimeoutError(Exception):
    """As the SDK names its own."""


class World:
    """A core, and how often a call was sent."""

    def __init__(self):
        self.clock = VirtualClock()
        self.rm = AgentRM(lanes=8, clock=self.clock)
        self.core, self.sent = core_of(self.rm), 0

    def answers(self, seconds, times=1):
        """Somebody else's calls, which are answered."""
        for _ in range(times):
            lease = self.core.admit(OTHER)
            self.clock.advance(seconds)
            lease.settle(Usage(100, 10))

    async def ask(self, work, each=lambda: None, retry=None):
        """One call: the error that it ends with, or what it gives."""

        async def counted():
            self.sent += 1
            return await work(self.sent)

        async def make(lease):
            return await Attempt(self.core.number, lease).in_task(counted)

        retry = RetryPolicy(wait=lambda _: 0.0) if retry is None else retry
        asked, seen = asyncio.create_task(self.core.call_async(ASK, make, retry=retry)), 0
        for _ in range(4000):
            if asked.done():
                return asked.exception() or asked.result()
            if self.sent > seen:
                seen = self.sent
                each()
            self.clock.advance(0.25)
            for _ in range(8):
                await asyncio.sleep(0)
        raise AssertionError(self.sent)


@pytest.fixture
def world():
    """Closed in the end."""
    made = World()
    yield made
    made.rm.close()


async def hangs(_):
    await asyncio.get_running_loop().create_future()


async def gives_up(_):
    raise APITimeoutError


async def test_a_limit_that_nothing_keeps_is_missed_three_times(world):
    """As often as a bare SDK tries; the error says which limit, and that raising it may help."""
    error = await world.ask(hangs)
    assert isinstance(error, CallReaped)
    assert (world.sent, error.limit_s) == (3, LIMIT_S)
    assert "3 attempts in a row passed the limit of 1 s" in error.__notes__[-1]


async def test_answers_that_take_longer_are_no_sign(world):
    """Others allow five seconds, and get their answers: none of them within the one."""
    world.answers(5.0, 10)
    await world.ask(hangs)
    assert world.sent == 3


async def test_the_sdks_own_timeout_is_the_same_limit(world):
    """Whichever of the two clocks is first."""
    error = await world.ask(gives_up)
    assert (world.sent, type(error)) == (3, APITimeoutError)
    assert "the limit of 1 s" in error.__notes__[-1]


async def test_a_call_that_hangs_among_healthy_ones_goes_on(world):
    """Others are answered within the limit: it hung, and the next one may not."""
    world.answers(0.2, 10)

    async def work(number):
        return "well" if number == 12 else await hangs(number)

    assert await world.ask(work, lambda: world.answers(0.2)) == "well"


async def test_an_endpoint_that_has_become_slow_is_found_out(world):
    """Eight misses in a row are no chance any more, and two further ones are as many."""
    world.answers(0.2, 10)
    assert isinstance(await world.ask(hangs), CallReaped)
    assert world.sent == 10


async def test_calls_that_meet_one_pause_side_by_side_live_through_it(world):
    """Each misses the limit five times, as a lone call would; they are no evidence for each other.

    Six: fewer failures than the breaker opens at.
    """
    world.answers(0.2, 40)
    paused_s = world.clock.now() + 4.5

    async def work(number):
        return "well" if world.clock.now() > paused_s else await hangs(number)

    async def made(lease):
        return await Attempt(world.core.number, lease).in_task(lambda: work(0))

    retry = RetryPolicy(wait=lambda _: 0.0)
    calls = [asyncio.create_task(world.core.call_async(ASK, made, retry=retry)) for _ in range(6)]
    for _ in range(40):
        for _ in range(8):
            await asyncio.sleep(0)
        world.clock.advance(0.25)
    assert [call.exception() or call.result() for call in calls] == ["well"] * 6


async def test_a_policy_of_ones_own_says_by_itself_when_to_stop(world):
    """What tenacity's objects say is done."""
    retry = RetryPolicy(stop=lambda state: state.attempt_number >= 6, wait=lambda _: 0.0)
    await world.ask(hangs, retry=retry)
    assert world.sent == 6
