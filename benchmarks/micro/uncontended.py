"""One caller, free lanes: what does it cost to ask and to give back?

The peers are set so that they never wait. None of them does what the core does (they have no order,
no leases, no accounts); they say what people pay today for less.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from time import perf_counter

from aiolimiter import AsyncLimiter
from langchain_core.rate_limiters import InMemoryRateLimiter
from pyrate_limiter import Limiter, Rate
from tenacity import AsyncRetrying, Retrying, stop_after_attempt

from agentrm_plugins import AgentRM, Call, Usage
from agentrm_plugins.integration import core_of
from benchmarks.micro.timing import Effort, Sample, race, timed

__all__ = ["measure"]

PLENTY = 1_000_000_000
USAGE = Usage(1000, 100)


def measure(effort: Effort) -> dict[str, dict[str, Sample]]:
    with AgentRM(lanes=8) as rm:
        sync = race(_sync(rm), rounds=effort.rounds, operations=effort.operations)
        with asyncio.Runner() as runner:
            contestants = {
                name: _looped(runner, operation) for name, operation in _async(rm).items()
            }
            rounds, operations = effort.rounds, effort.operations
            return {"sync": sync, "async": race(contestants, rounds=rounds, operations=operations)}


def _sync(rm: AgentRM) -> dict[str, Callable[[int], float]]:
    call = Call("agent")
    bucket, semaphore = InMemoryRateLimiter(**_bucket()), threading.Semaphore(8)
    pyrate, retrying = Limiter(Rate(PLENTY, 1000)), Retrying(stop=stop_after_attempt(3))

    def admit() -> None:
        core_of(rm).admit(call).settle(USAGE)

    def slot() -> None:
        with rm.slot(agent="agent") as lease:
            lease.settle(USAGE)

    def guarded() -> None:
        with semaphore:
            pass

    operations = {
        "AgentRM admit + settle": admit,
        "AgentRM with slot": slot,
        "langchain InMemoryRateLimiter": bucket.acquire,
        "pyrate-limiter": lambda: pyrate.try_acquire("agent"),
        "tenacity (a call that succeeds)": lambda: retrying(_nothing),
        "threading.Semaphore": guarded,
    }
    return {
        name: lambda count, operation=operation: timed(count, operation)
        for name, operation in operations.items()
    }


def _async(rm: AgentRM) -> dict[str, Callable[[], Awaitable[object]]]:
    call = Call("agent")
    bucket, semaphore = InMemoryRateLimiter(**_bucket()), asyncio.Semaphore(8)
    leaky, pyrate = AsyncLimiter(PLENTY, 1), Limiter(Rate(PLENTY, 1000))
    retrying = AsyncRetrying(stop=stop_after_attempt(3))

    async def admit() -> None:
        (await core_of(rm).admit_async(call)).settle(USAGE)

    async def slot() -> None:
        async with rm.slot(agent="agent") as lease:
            lease.settle(USAGE)

    async def limited() -> None:
        async with leaky:
            pass

    async def guarded() -> None:
        async with semaphore:
            pass

    return {
        "AgentRM admit + settle": admit,
        "AgentRM async with slot": slot,
        "langchain InMemoryRateLimiter": bucket.aacquire,
        "aiolimiter": limited,
        "pyrate-limiter": lambda: pyrate.try_acquire_async("agent"),
        "tenacity (a call that succeeds)": lambda: retrying(_async_nothing),
        "asyncio.Semaphore": guarded,
    }


def _bucket() -> dict[str, float]:
    return {"requests_per_second": PLENTY, "max_bucket_size": PLENTY}


def _looped(
    runner: asyncio.Runner, operation: Callable[[], Awaitable[object]]
) -> Callable[[int], float]:
    async def repeat(count: int) -> float:
        begun = perf_counter()
        for _ in range(count):
            await operation()
        return perf_counter() - begun

    return lambda count: runner.run(repeat(count))


def _nothing() -> None:
    return None


async def _async_nothing() -> None:
    return None
