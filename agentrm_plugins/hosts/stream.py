"""The event stream: a bounded window on what the kernel does, for people and for tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from html import escape
from itertools import repeat
from typing import Self

from agentrm_plugins.types.effects import Effect

__all__ = ["EventStream"]

_SHOWN = 50  # events of a notebook's table: a screen


class EventStream:
    """What happened since the last look, the newest `capacity` events of it.

    It never blocks the core: when it is full the oldest event is dropped and counted. Closing it
    (or leaving its `with` block) ends the subscription.

    Args:
        capacity: Events that are kept for a reader who does not come.
        unsubscribe: Ends the subscription.
        wall: Gives what is to be added to the core's time for Unix time, when an event is read.
        ring: Called in the core when the first event comes into an empty stream; it must be quick
            and must not block.

    Attributes:
        lost: Called likewise when the first event is dropped.
        dropped: Events lost because nobody read them in time.
    """

    def __init__(
        self,
        capacity: int,
        unsubscribe: Callable[[EventStream], None],
        wall: Callable[[], float] | None = None,
        ring: Callable[[], None] | None = None,
    ) -> None:
        self._events: deque[Effect] = deque()
        self._capacity = capacity
        self._unsubscribe = unsubscribe
        self._wall = wall
        self._ring = ring
        self.lost: Callable[[], None] | None = None
        self.dropped = 0

    def drain(self) -> list[Effect]:
        """All events since the last look, the oldest first."""
        return list(self)

    def take(self, most: int) -> list[Effect]:
        """At most so many of the oldest events, without their Unix time: cheaper than `drain`."""
        events = self._events
        taken: list[Effect] = []
        with suppress(IndexError):  # another reader took the last; what came before is kept
            taken.extend(map(deque.popleft, repeat(events, min(most, len(events)))))
        return taken

    def __iter__(self) -> Iterator[Effect]:
        events = self._events
        offset_s = None if self._wall is None else self._wall()
        while events:
            try:
                event = events.popleft()
            except IndexError:  # another reader took the last
                return
            yield event if offset_s is None else event._replace(wall_s=event.at_s + offset_s)

    def __len__(self) -> int:
        return len(self._events)

    def push(self, effects: Sequence[Effect]) -> None:
        """For the host: more has happened."""
        events = self._events
        events.extend(effects)
        held = len(events)
        # A reader who saw the end before these came must hear of them; one who did not, need not.
        if held <= len(effects) and self._ring is not None and effects:
            self._ring()
        if held > self._capacity:
            self._cut()

    def _cut(self) -> None:
        """Drop and count what is too much."""
        events = self._events
        while len(events) > self._capacity:
            try:
                events.popleft()
            except IndexError:  # a reader was quicker
                return
            self.dropped += 1
            if self.dropped == 1 and self.lost is not None:
                self.lost()

    def _repr_html_(self) -> str:
        """The newest events as a table, for notebooks. Looking takes none of them away."""
        waiting = tuple(self._events)
        rows = "".join(
            f"<tr><td>{event.at_s - waiting[0].at_s:.3f} s</td><td>{type(event).__name__}</td>"
            f"<td>{escape(str(event.agent))}</td><td>{event.ticket or ''}</td>"
            f"<td>{escape(str(event.cause))}</td></tr>"
            for event in waiting[-_SHOWN:]
        )
        head = "".join(f"<th>{name}</th>" for name in ("after", "event", "agent", "call", "cause"))
        left = f"{len(waiting)} events wait to be read, {self.dropped} were dropped"
        return f"<table><caption>{left}</caption><tr>{head}</tr>{rows}</table>"

    def close(self) -> None:
        """End the subscription; what is in it can still be read."""
        self._unsubscribe(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
