"""Threads that wait for a lane which only those can give back who wait for them.

A loop's thread that waits for helpers (`batch`, `RunnableParallel`, a pool's `map`), a signal's
handler that interrupted the very call that has the lane, a node that waits for a thread of its own:
nothing says so beforehand. So a thread that has waited for a while looks at what the others stand
in, now and then, and ever more seldom.

Law: it is for ever if lanes are what lacks, and each call that has one belongs to a thread that
waits for this one (in `Future.result`, `Thread.join` and the like, over any number of hands), or
to a task of a loop which that thread runs. If one does not, it is waited for.

Limits: who waits in another way (a bare lock, a queue) is not seen, and neither is a loop that does
not tell its thread (uvloop's). In a fleet other processes may give a lane back.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from concurrent import futures
from concurrent.futures import thread as pools
from itertools import islice
from threading import Thread
from typing import TYPE_CHECKING, Any

from agentrm_plugins.errors import WouldDeadlock
from agentrm_plugins.hosts.lease import HostLease

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType

__all__ = ["FIRST_S", "MOST_S", "check_helpers"]

FIRST_S, MOST_S = 0.25, 30.0
"""When it is looked first, and how often at last. Guessed: nobody minds the one or the other."""

_AWAITED: dict[CodeType, str] = {  # the local that says for what it waits
    futures.Future.result.__code__: "self",
    futures.Future.exception.__code__: "self",
    futures.wait.__code__: "fs",
    futures.as_completed.__code__: "fs",
    Thread.join.__code__: "self",
}
_PLAIN = frozenset({set, frozenset, list, tuple})
_WORK = pools._WorkItem.run.__code__  # noqa: SLF001 - what a pool's thread does says which future
_BOOTSTRAP = Thread._bootstrap.__code__  # type: ignore[attr-defined] # noqa: SLF001 - as above
_HERE = "agentrm_plugins.hosts."
_DEEP = 6  # frames between a wait and the lock itself


def check_helpers(lease: HostLease) -> None:
    """Refuse to go on waiting, on this thread, for what nobody can give back meanwhile.

    Raises:
        WouldDeadlock: It would be for ever; the error says what to do.
    """
    why = _why(lease)  # the error keeps this frame, and so none of the calls that were looked at
    if why is not None:
        raise WouldDeadlock(why)


def _why(lease: HostLease) -> str | None:
    host = lease._host  # noqa: SLF001 - whoever waits in it may look around in it
    pool = host.kernel.books.pool
    if pool.supplied or pool.in_use < pool.lanes:
        return None
    known = [reference() for reference in host._leases.copy().values()]  # noqa: SLF001
    held = [one for one in known if one is not None and one.granted and not one.ended]
    threads, stuck = _who_wait(get_ident())
    first: HostLease | None = None
    for other in held:
        runs_on = getattr(other.loop, "_thread_id", None)
        if other.ticket not in stuck and (other.loop is None or runs_on not in threads):
            return None  # it goes on, and may be over at any time
        first = other if first is None or other.loop is not None else first
    if first is None or lease.decided:
        return None
    what = "of an event loop's task" if first.loop is not None else "of a thread"
    return (
        f"call {lease.ticket} of agent {lease.call.agent!r} would wait for ever: the lanes belong "
        f"to others such as call {first.ticket} of agent {first.call.agent!r}, {what} that waits "
        "for this one; await the async method (ainvoke, abatch), add lanes, or make the call when "
        "the other is over (a signal's handler: leave it to a thread that nobody waits for)"
    )


def _who_wait(ident: int) -> tuple[set[int], set[int]]:
    """That thread and all that wait for it, over any number of hands; and the calls they stand in.

    A list of frames that a frame of it holds is a circle, and keeps alive what they hold.
    """
    frames = sys._current_frames()  # noqa: SLF001 - there is no other way to see what they do
    found: set[int] = set()
    tickets: set[int] = set()
    fresh = {ident}
    try:
        while fresh:
            found |= fresh
            wanted: set[int] = set()
            for one in fresh:
                for frame in _stack(frames.pop(one)):
                    wanted.update(map(id, _is_for(frame)))
                    tickets.update(_tickets(frame))
            fresh = set(_who_waits_for(wanted, frames))
    finally:
        frames.clear()
        frame = None  # type: ignore[assignment]
    return found, tickets


def _who_waits_for(wanted: set[int], frames: dict[int, FrameType]) -> Iterator[int]:
    """The threads that wait for one of those objects (futures and threads, by their identity)."""
    for ident, top in frames.items():
        for frame in islice(_stack(top), _DEEP):
            name = _AWAITED.get(frame.f_code)
            if name is not None:
                found = frame.f_locals.get(name)
                if name == "self":
                    awaited = [found]
                elif found.__class__ in _PLAIN:  # not yet: a generator of the caller's own
                    awaited = list(found)
                else:
                    break
                if not wanted.isdisjoint(map(id, awaited)):
                    yield ident
                break


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_for(frame: FrameType) -> Iterator[Any]:
    """What those who wait for such a thread may wait for: itself, or what it works on."""
    if frame.f_code is _WORK:
        yield frame.f_locals["self"].future
    elif frame.f_code is _BOOTSTRAP:
        yield frame.f_locals["self"]


def _tickets(frame: FrameType) -> Iterator[int]:
    """The calls that a thread is in the middle of there."""
    if str(frame.f_globals.get("__name__")).startswith(_HERE) and frame.f_code not in _OURS:
        told = frame.f_locals
        for one in (told.get("lease"), getattr(told.get("self"), "lease", None)):
            if one.__class__ is HostLease:
                yield one.ticket


_OURS = {function.__code__ for function in (check_helpers, _why, _who_wait, _tickets)}
"""Their locals are not looked at: that would keep them."""
