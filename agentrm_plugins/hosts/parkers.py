"""How a caller waits until its lease is decided: one parker for each world.

A parker belongs to the caller's world: a lock that a thread blocks on, or a future of a running
loop. Whoever delivers stores the outcome first and then looks for a parker; whoever waits stores
the parker first and then looks for an outcome. So one of the two always sees the other.
"""

from __future__ import annotations

import asyncio
import threading
from _thread import LockType, allocate_lock
from time import monotonic
from typing import TYPE_CHECKING

from agentrm_plugins.hosts.standing_still import FIRST_S, MOST_S, check_helpers
from agentrm_plugins.hosts.tracing import GRACE_S, TracedWait, is_traced
from agentrm_plugins.types.identity import WAITING

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.hosts.lease import HostLease

__all__ = ["park_task", "park_thread"]

_SIGN_OF_LIFE_S = 0.05  # guessed: well below any idle timeout that leaves a model time to answer


def park_thread(lease: HostLease) -> None:
    """Block this thread until the call is granted or refused.

    Raises:
        WouldDeadlock: It would be for ever: what the call waits for is held by this thread itself.
    """
    lock = allocate_lock()
    lock.acquire()
    lease.wake = lock.release
    if not lease.decided:
        lease.check_wait()
        if is_traced(lease):
            begun_s = monotonic()
            if not lock.acquire(timeout=GRACE_S):
                with TracedWait(lease, begun_s) as wait:
                    wait.begin()
                    _block(lock, lease)
        else:
            _block(lock, lease)
    lease.wake = None


def _block(lock: LockType, lease: HostLease) -> None:
    """Wait for it; look now and then whether that is for ever."""
    pause_s = FIRST_S
    while not lock.acquire(timeout=pause_s):
        pause_s = min(2.0 * pause_s, MOST_S)
        check_helpers(lease)


async def park_task(lease: HostLease) -> None:
    """Suspend this task until then; whoever watches it hears meanwhile that it is not idle."""
    if not is_traced(lease):
        await _watched(lease)
        return
    with TracedWait(lease, monotonic()) as wait:
        timer = asyncio.get_running_loop().call_later(GRACE_S, wait.begin)
        try:
            await _watched(lease)
        finally:
            timer.cancel()


async def _watched(lease: HostLease) -> None:
    sign = WAITING.get()
    if sign is None:
        await _parked(lease)
        return
    loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []

    def ring() -> None:
        timers[:] = [loop.call_later(_SIGN_OF_LIFE_S, ring)]
        sign()

    ring()
    try:
        await _parked(lease)
    finally:
        timers[0].cancel()
        sign()


async def _parked(lease: HostLease) -> None:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    lease.wake = _waker(lease, loop, future)
    if not lease.decided:
        await future
    lease.wake = None


def _waker(
    lease: HostLease, loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]
) -> Callable[[], None]:
    home = threading.get_ident()

    def ring() -> None:
        if not future.done():
            future.set_result(None)

    def wake() -> None:
        try:
            if threading.get_ident() == home:
                ring()
            else:
                loop.call_soon_threadsafe(ring)
        except RuntimeError:  # the loop is closed, and its task with it
            lease.withdraw("abandoned")

    return wake
