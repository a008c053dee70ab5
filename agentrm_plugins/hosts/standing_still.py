"""Threads that wait for a lane which only those can give back who wait for them.

A loop's thread that waits for helpers (`batch`, `RunnableParallel`, a pool's `map`), a signal's
handler that interrupted the very call that has the lane, a node that waits for a thread of its own:
nothing says so beforehand. So a thread that has waited for a while looks at what the others stand
in, now and then, and ever more seldom.

Law: it is for ever if a lane is all that the call lacks, and each call that has one belongs to a
thread that waits for this one or for others that lack a lane (in `Future.result`, `Thread.join` and
the like, without a timeout, over any number of hands), is a stream of which such a thread has a
chunk, or belongs to a task of a loop which such a thread runs. If one does not, it is waited for;
and so is whatever comes by itself: a rate, an endpoint that is closed, the end of a back-off.

Limits: who waits in another way (a bare lock, a queue) is not seen, and neither is a loop that does
not tell its thread (uvloop's). In a fleet other processes may give a lane back.
"""

from __future__ import annotations

import logging
from _thread import get_ident
from functools import partial
from typing import TYPE_CHECKING

from agentrm_plugins.errors import WouldDeadlock
from agentrm_plugins.hosts.thread_picture import picture, recent_picture
from agentrm_plugins.kernel.outside import is_from_outside
from agentrm_plugins.kernel.reasons import lacks_lane
from agentrm_plugins.policy.leases import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentrm_plugins.hosts.host import Host
    from agentrm_plugins.hosts.lease import HostLease
    from agentrm_plugins.hosts.thread_picture import Picture
    from agentrm_plugins.kernel import Kernel

__all__ = ["FIRST_S", "MOST_S", "check_helpers"]

FIRST_S, MOST_S = 0.25, 30.0
"""When it is looked first, and how often at last. Guessed: nobody minds the one or the other."""

_LOG = logging.getLogger("agentrm")


def check_helpers(lease: HostLease) -> None:
    """Refuse to go on waiting, on this thread, for what nobody can give back meanwhile.

    Raises:
        WouldDeadlock: It would be for ever; the error says what to do.
    """
    try:
        why = _why(lease)  # the error keeps this frame, and so none of what was looked at
    except Exception as error:
        if is_from_outside(error):  # an alarm's
            raise
        why = None
        _LOG.debug("a look at who waits for whom failed", exc_info=True)
    if why is not None:
        raise WouldDeadlock(why)


def _why(lease: HostLease) -> str | None:
    host, own = lease._host, lease.ticket  # noqa: SLF001 - who waits in it may look around in it
    books, core = host.kernel.books, id(host)
    if books.pool.supplied or books.pool.in_use < books.pool.lanes:
        return None
    # First what costs little: most wait for a call that goes on, and some for a date.
    seen = recent_picture()
    if _goes_on(host, list(books.gauges.running), *seen.at_most(core), seen):
        return None
    if own not in host.read(partial(_lacking, host, own, ())):
        return None
    seen = picture()
    parked = seen.parked(core) | {get_ident(): own}
    # They stood still before this: a call that was granted meanwhile is one that goes on.
    lacking, running = host.read(
        lambda kernel: (
            _lacking(host, own, parked.values(), kernel),
            list(kernel.books.gauges.running),
        )
    )
    if own not in lacking or not running:
        return None
    threads = seen.stuck([one for one, ticket in parked.items() if ticket in lacking])
    if _goes_on(host, running, threads, seen.tickets(core, threads), seen):
        return None
    return _advice(host, lease, running)


def _lacking(host: Host, own: int, others: Iterable[int], kernel: Kernel) -> set[int]:
    """Who of them lacks a lane, and will for as long as none is given back."""
    pool, known, now_s = kernel.books.pool, kernel.books.tickets, host.clock.now()
    if pool.in_use < pool.lanes:
        return set()
    waits = [known[one] for one in others if one in known and known[one].deadline_s == NEVER]
    waits += [known[own]] if own in known else []
    return {one.number for one in waits if lacks_lane(one, now_s)}


def _goes_on(
    host: Host, running: list[int], threads: set[int], tickets: set[int], seen: Picture
) -> bool:
    """Whether one of those that run may be over though those threads, with their calls, wait."""
    for ticket in running:
        if ticket not in tickets:
            lease = host.lease(ticket)
            if lease is None:
                return True
            if _reader(lease, seen) in threads:
                continue
            if getattr(lease.loop, "_thread_id", None) not in threads:
                return True
    return False


def _reader(lease: HostLease, seen: Picture) -> int | None:
    """The thread that alone reads on in a stream that is at rest, if there is one."""
    reader = lease.reader
    stand = None if reader is None or lease.away_s is None else seen.stands.get(reader.key)
    if reader is None or stand is None:
        return None
    job = None if reader.is_ is None else reader.is_()
    return reader.key if reader.is_ is None or id(job) in stand.works_on else None


def _advice(host: Host, lease: HostLease, running: list[int]) -> str:
    known = [other for other in map(host.lease, running) if other is not None]
    of_tasks = [other for other in known if other.loop is not None]
    first = (of_tasks or known or [lease])[0]
    what = "of an event loop's task" if first.loop is not None else "of a thread"
    return (
        f"call {lease.ticket} of agent {lease.call.agent!r} would wait for ever: the lanes belong "
        f"to others such as call {first.ticket} of agent {first.call.agent!r}, {what} that waits "
        "for this one; await the async method (ainvoke, abatch), add lanes, or make the call when "
        "the other is over (a signal's handler: leave it to a thread that nobody waits for)"
    )
