"""Two thin drivers for the flows that wait: each flow is one generator, written once.

A flow yields a `Lease` to wait until it is decided, and returns its result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TYPE_CHECKING, TypeVar

from agentrm_plugins.types.identity import WAITING

if TYPE_CHECKING:
    from agentrm_plugins.hosts.lease import Lease

__all__ = ["admission", "drive", "drive_async", "park"]

T = TypeVar("T")
_SIGN_OF_LIFE_S = 0.05  # guessed: well below any idle timeout that leaves a model time to answer


def admission(lease: Lease) -> Generator[Lease, None, Lease]:
    """Wait for the lane that was asked for.

    Raises:
        CallRefused: The core said no.
        ClosedError: The core is closed.
    """
    if not lease.decided:
        try:
            yield lease
        except BaseException:
            lease.withdraw()
            raise
    return lease.result()


def drive(flow: Generator[Lease, None, T]) -> T:
    """Run a flow in this thread, which blocks while it waits."""
    try:
        lease = next(flow)
        while True:
            try:
                lease.park_thread()
            except BaseException as error:  # noqa: BLE001 - the flow decides, Ctrl-C included
                lease = flow.throw(error)
            else:
                lease = next(flow)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def drive_async(flow: Generator[Lease, None, T]) -> T:
    """Run a flow in this task, which is suspended while it waits."""
    try:
        lease = next(flow)
        while True:
            try:
                await park(lease)
            except BaseException as error:  # noqa: BLE001 - the flow decides, cancellation included
                lease = flow.throw(error)
            else:
                lease = next(flow)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def park(lease: Lease) -> None:
    """Wait for a decision; whoever watches this task hears meanwhile that it is not idle."""
    sign = WAITING.get()
    if sign is None:
        await lease.park_task()
        return
    loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []

    def ring() -> None:
        timers[:] = [loop.call_later(_SIGN_OF_LIFE_S, ring)]
        sign()

    ring()
    try:
        await lease.park_task()
    finally:
        timers[0].cancel()
        sign()
