"""A picture of what all threads stand in: for what each waits, and what it works on.

It is made of numbers alone (identities of futures and threads, tickets), so it keeps nothing alive.
Only plain sets are read, never what a user handed over: that may be a generator of his own.

Limits: who waits in another way (a bare lock, a queue) is taken for one that goes on, and so is
whoever waits for no longer than a timeout.
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock
from concurrent import futures
from concurrent.futures import thread as pools
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from agentrm_plugins.hosts.lease import HostLease

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from types import CodeType, FrameType

__all__ = ["Picture", "Stand", "picture", "recent_picture"]

_SHARE = 20.0  # guessed: a picture serves for so many times as long as it took, so looks cost 5 %
_DEEP = 6  # frames between a wait and the lock itself
_AWAITED: dict[CodeType, str] = {  # the local that says for what it waits
    futures.Future.result.__code__: "self",
    futures.Future.exception.__code__: "self",
    futures.wait.__code__: "not_done",
    futures.as_completed.__code__: "pending",
    Thread.join.__code__: "self",
}
_PARKS = frozenset({"park_thread", "check_helpers"})  # whose lease is waited for
_WORK = pools._WorkItem.run.__code__  # noqa: SLF001 - what a pool's thread does says which future
_BOOTSTRAP = Thread._bootstrap.__code__  # type: ignore[attr-defined] # noqa: SLF001 - as above


class Stand(NamedTuple):
    """What one thread stands in.

    Attributes:
        awaits: Futures or threads, one or all of which it waits for, for ever.
        first: Whether the first of them that is over lets it go on.
        works_on: What those may wait for who wait for it: its future and itself.
        tickets: The calls that it is in the middle of, each with its core's identity.
        parked: The one for whose decision it waits, if it does.
    """

    awaits: frozenset[int]
    first: bool
    works_on: frozenset[int]
    tickets: frozenset[tuple[int, int]]
    parked: tuple[int, int] | None


class Picture:
    """What all threads stood in at one moment.

    Args:
        stands: What each of them did, by its identity.
    """

    __slots__ = ("_at_most", "stands")

    def __init__(self, stands: dict[int, Stand]) -> None:
        self.stands = stands
        self._at_most: dict[int, tuple[set[int], set[int]]] = {}

    def at_most(self, core: int) -> tuple[set[int], set[int]]:
        """The threads that stand still if nobody who waits for that core goes; and their calls."""
        known = self._at_most.get(core)
        if known is None:
            threads = self.stuck(self.parked(core))
            known = self._at_most[core] = threads, self.tickets(core, threads)
        return known

    def stuck(self, waiting: Collection[int]) -> set[int]:
        """Those threads and all that cannot go on before one of them does."""
        found = set(waiting)
        works_on = {thing for one in found for thing in self.stands[one].works_on}
        waits = {one: stand for one, stand in self.stands.items() if stand.awaits}
        fresh = True
        while fresh:
            fresh = False
            for one in [one for one in waits if one not in found]:
                stand = waits[one]
                if stand.first:
                    goes_on = not stand.awaits <= works_on
                else:
                    goes_on = stand.awaits.isdisjoint(works_on)
                if not goes_on:
                    found.add(one)
                    works_on |= stand.works_on
                    fresh = True
        return found

    def parked(self, core: int) -> dict[int, int]:
        """The threads that wait for a decision of that core (by identity), and for which call."""
        stands = self.stands.items()
        return {one: at.parked[1] for one, at in stands if at.parked and at.parked[0] == core}

    def tickets(self, core: int, threads: Collection[int]) -> set[int]:
        """The calls of that core which those threads are in the middle of."""
        return {ticket for one in threads for at, ticket in self.stands[one].tickets if at == core}


_last: tuple[float, Picture] = (0.0, Picture({}))
_taking = allocate_lock()


def recent_picture() -> Picture:
    """One that may be a little old, shared by all who look; one of them at a time takes it."""
    good_until_s, seen = _last
    if perf_counter() < good_until_s or not _taking.acquire(blocking=False):
        return seen
    try:
        return picture()
    finally:
        _taking.release()


def picture() -> Picture:
    """What all threads stand in now."""
    global _last  # noqa: PLW0603 - one for the process, as the threads are
    begun_s = perf_counter()
    frames = sys._current_frames()  # noqa: SLF001 - there is no other way to see what they do
    stands: dict[int, Stand] = {}
    try:
        while frames:
            ident, frame = frames.popitem()
            stands[ident] = _stand(frame)
    finally:
        frames.clear()  # frames that a frame of them holds are a circle
        frame = None  # type: ignore[assignment]
    seen = Picture(stands)
    now_s = perf_counter()
    _last = now_s + _SHARE * (now_s - begun_s), seen
    return seen


def _stand(top: FrameType) -> Stand:
    awaits: tuple[frozenset[int], bool] | None = None
    works_on: set[int] = set()
    tickets: set[tuple[int, int]] = set()
    parked: tuple[int, int] | None = None
    for depth, frame in enumerate(_stack(top)):
        code = frame.f_code
        if code in _AWAITED:
            if awaits is None and depth < _DEEP and parked is None:
                awaits = _awaited(frame, _AWAITED[code])
        elif code is _WORK:
            works_on.add(id(frame.f_locals["self"].future))
        elif code is _BOOTSTRAP:
            works_on.add(id(frame.f_locals["self"]))
        elif code.co_filename.startswith(_HERE) and code.co_filename != _OURS:
            for lease in _leases(frame):
                tickets.add((id(lease._host), lease.ticket))  # noqa: SLF001 - whose call it is
                if code.co_name in _PARKS and parked is None and awaits is None:
                    parked = id(lease._host), lease.ticket  # noqa: SLF001 - as above
    told, first = awaits or (frozenset(), False)
    return Stand(told, first, frozenset(works_on), frozenset(tickets), parked)


def _awaited(frame: FrameType, name: str) -> tuple[frozenset[int], bool]:
    told = frame.f_locals
    found = told.get(name)
    if told.get("timeout") is not None or found is None:
        return frozenset(), False
    if name == "self":
        return frozenset((id(found),)), False
    if found.__class__ is not set:  # not yet: it is what the caller handed over
        return frozenset(), False
    return frozenset(map(id, found)), told.get("return_when") != futures.ALL_COMPLETED


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _leases(frame: FrameType) -> Iterator[HostLease]:
    """The calls that a thread is in the middle of there."""
    told = frame.f_locals
    for one in (told.get("lease"), getattr(told.get("self"), "lease", None)):
        if one.__class__ is HostLease:
            yield one


def _after_fork() -> None:
    global _taking  # noqa: PLW0603 - whoever had it is not here
    _taking = allocate_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

_OURS = _stand.__code__.co_filename
"""The locals of this file's functions are not looked at: that would keep them."""
_HERE = _OURS.removesuffix("thread_picture.py")
