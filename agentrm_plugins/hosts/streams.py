"""All streams of events that are read of one core."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from math import inf
from time import time
from typing import TYPE_CHECKING

from agentrm_plugins.hosts.asides import STARVED_S
from agentrm_plugins.hosts.stream import EventStream
from agentrm_plugins.kernel.ticket import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.hosts.asides import Notes
    from agentrm_plugins.hosts.clock import Clock
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.types.effects import Effect

__all__ = ["Streams"]

_LOOK_S = 10.0  # guessed: so often it is looked for agents that starve
_LOOKED_AT = 1_000  # of the calls that were submitted first: a look is to be quick


class Streams:
    """The streams that are open, each of which is given all that happens.

    Args:
        clock: The core's clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall_offset_s = time() - clock.now()
        self._dropped = 0
        self._look_s = -inf
        self.journal: Notes | None = None
        self.open: tuple[EventStream, ...] = ()

    def subscribe(
        self,
        capacity: int,
        ring: Callable[[], None] | None = None,
        make: type[EventStream] = EventStream,
    ) -> EventStream:
        """A new stream of all that happens from here on; `ring` is called when it has something."""
        stream = make(capacity, self._unsubscribe, self.wall_offset_s, ring)
        stream.lost = None if self.journal is None else self.journal.lost
        self.open = (*self.open, stream)
        return stream

    def note(self, effect: Effect) -> None:
        """It is something that an operator may have to know of."""
        if self.journal is not None:
            with suppress(Exception):  # a record's factory may be a user's: nothing of it in here
                self.journal.note(effect)

    def starving(self, books: Books) -> float:
        """Calls wait: tell of those that do for long and have no lane yet. When to look again."""
        now_s, journal = books.now_s, self.journal
        if journal is None:
            return inf
        if now_s >= self._look_s:
            self._look_s = now_s + _LOOK_S
            for ticket in islice(books.tickets.values(), _LOOKED_AT):
                if now_s - ticket.submitted_s <= STARVED_S:
                    break  # they stand in the order of their submission
                if ticket.state is State.QUEUED and now_s - ticket.queued_s > STARVED_S:
                    with suppress(Exception):  # a record's factory may be a user's
                        journal.starves(ticket, now_s - ticket.queued_s, now_s)
        return self._look_s if self._clock.real else inf

    def _unsubscribe(self, stream: EventStream) -> None:
        if stream in self.open:
            self._dropped += stream.dropped
            self.open = tuple(other for other in self.open if other is not stream)

    def wall_offset_s(self) -> float:
        """Seconds between the core's clock and Unix time; fixed where the clock is virtual."""
        if self._clock.real:
            self._wall_offset_s = time() - self._clock.now()
        return self._wall_offset_s

    @property
    def dropped(self) -> int:
        """Events that readers of any stream lost."""
        return self._dropped + sum(stream.dropped for stream in self.open)
