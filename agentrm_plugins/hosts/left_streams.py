"""Streams that stand unread while others wait for a lane: the collector looks if they are left.

A stream that is left with `break` gives its lane back when the last reference to it is gone. Where
it is part of a circle (an SDK's helper, a user's own objects), that is when the collector runs; and
it runs when much has been allocated. A process whose threads all wait for that lane allocates
nothing, and would stand still for ever. So the collector is run for them: by a worker, since it
runs the finalisers of users, and for at most a hundredth of the time.
"""

from __future__ import annotations

import gc
from contextvars import Context
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING

from agentrm_plugins.hosts.workers import Job, NoThread, hand_off

if TYPE_CHECKING:
    from agentrm_plugins.hosts.host import Host

__all__ = ["LeftStreams"]

_UNREAD_S = 1.0  # guessed: longer than most consumers need for a chunk
_SHARE = 0.01  # of the time; guessed: nobody feels it


class LeftStreams:
    """Looks after the streams of one host; asked about once in a second."""

    __slots__ = ("_next_s",)

    def __init__(self) -> None:
        self._next_s = -inf

    def look(self, host: Host) -> None:
        """Run the collector if a call waits and a stream stands unread."""
        now_s = host.clock.now()
        if now_s < self._next_s or not host.kernel.queue.count:
            return
        for ticket in host.pauses.readers.copy():
            lease = host.lease(ticket)
            since_s = None if lease is None else lease.away_s
            del lease  # this thread must not be the one that keeps it
            if since_s is not None and now_s - since_s >= _UNREAD_S:
                self._next_s = inf  # until it is over
                try:
                    hand_off(Job(Context(), lambda: self._collect(now_s)))
                except NoThread:
                    self._next_s = now_s + _UNREAD_S
                return

    def _collect(self, now_s: float) -> None:
        began_s = perf_counter()
        gc.collect()
        self._next_s = now_s + (perf_counter() - began_s) / _SHARE
