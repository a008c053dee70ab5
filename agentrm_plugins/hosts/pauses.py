"""Consumers of streams who do not ask for the next chunk: what they leave is no silence.

Who pauses runs none of our code, so nobody can say so at that moment; and to tell the core of each
chunk that the consumer has it, and asks again, costs more than the chunk. So a lease notes when a
chunk was given away (`HostLease.away_s`), and the core hears of it only where that matters: before
a date of the core comes due, and when the consumer is back after a while.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from agentrm_plugins.hosts.readers import asking, is_begun_early, reader_here
from agentrm_plugins.types.events import Idle

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.hosts.lease import HostLease

__all__ = ["PAUSE_S", "Away", "Pauses"]

PAUSE_S = 0.25
"""Who is back after longer than that is told of. Guessed: far below any silence that counts, and
far above the gap between two chunks."""
_LOOKS_S = (0.0005, 0.001, 0.002)
"""How long a pool's job lets its event loop come to await it. Guessed: a step of a loop, and what
other threads take in between; nobody minds it before a call."""


class Away:
    """A consumer has been away since then; it stands in the inbox beside the kernel's events."""

    __slots__ = ("event", "since_s")

    def __init__(self, ticket: int, since_s: float) -> None:
        self.event = Idle(ticket, idle=True, since_s=since_s)
        self.since_s = since_s


class Pauses:
    """The streams that are read.

    Attributes:
        readers: Their tickets.
    """

    __slots__ = ("_by", "readers")

    def __init__(self) -> None:
        self.readers: set[int] = set()
        self._by: dict[int, set[int]] = {}

    def note(self, lease: HostLease, *, read: bool) -> None:
        """A stream is read from now on, by whoever runs this, or no more."""
        if lease.reader is not None:
            streams = self._by.get(lease.reader.key, set())
            streams.discard(lease.ticket)
            if not streams:
                self._by.pop(lease.reader.key, None)
        if not read:
            self.readers.discard(lease.ticket)
            return
        lease.away_s, lease.away_told = None, lease.turns
        lease.reader = reader = reader_here()
        self._by.setdefault(reader.key, set()).add(lease.ticket)
        self.readers.add(lease.ticket)

    def nest(self, lease: HostLease, lease_of: Callable[[int], HostLease | None]) -> bool:
        """Nest a call in the stream that who asks for it reads; False: he reads none in there."""
        stream = self.at_rest(lease_of)
        for look_s in _LOOKS_S:
            if stream is not None or not is_begun_early():
                break
            time.sleep(look_s)
            stream = self.at_rest(lease_of)
        if stream is None or stream.ticket < (lease.parent or 0):
            return False
        lease.parent, lease.turns = stream.ticket, True
        stream.turns = stream.away_told = True
        return True

    def at_rest(self, lease_of: Callable[[int], HostLease | None]) -> HostLease | None:
        """The newest stream whose reader has a chunk of it, and now asks for this call.

        Args:
            lease_of: The lease of a ticket, as long as the call runs.
        """
        newest: HostLease | None = None
        for key, reader in asking():
            for ticket in tuple(self._by.get(key, ())):  # one step, while others begin and end
                if newest is not None and newest.ticket > ticket:
                    continue
                lease = lease_of(ticket)
                known = None if lease is None or lease.away_s is None else lease.reader
                if known is not None and known.is_same(reader):
                    newest = lease
        return newest

    def due(self, lease_of: Callable[[int], HostLease | None]) -> list[tuple[float, Idle]]:
        """A date has come: who is away, each since when, so that it rings for none of them.

        Whoever went first is told of first: what is told of somebody who went after a date of his
        would let that date ring.

        Args:
            lease_of: The lease of a ticket, as long as the call runs.
        """
        away: list[tuple[float, Idle]] = []
        for ticket in self.readers.copy():  # one step, while others begin and end
            lease = lease_of(ticket)
            if lease is None:
                self.readers.discard(ticket)
                continue
            lease.away_told = True  # before the look: who comes back now looks at it after
            since_s = lease.away_s
            if since_s is not None:
                away.append((since_s, Idle(ticket, idle=True, since_s=since_s)))
        away.sort()
        return away
