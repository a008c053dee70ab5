"""The event stream: a bounded window on what the kernel does, for people and for tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Self

from agentrm_plugins.types.effects import Effect

__all__ = ["EventStream"]


class EventStream:
    """What happened since the last look, the newest `capacity` events of it.

    It never blocks the core: when it is full the oldest event is dropped and counted. Closing it
    (or leaving its `with` block) ends the subscription.

    Attributes:
        dropped: Events lost because nobody read them in time.
    """

    def __init__(self, capacity: int, unsubscribe: Callable[[EventStream], None]) -> None:
        self._events: deque[Effect] = deque()
        self._capacity = capacity
        self._unsubscribe = unsubscribe
        self.dropped = 0

    def drain(self) -> list[Effect]:
        """All events since the last look, the oldest first."""
        return list(self)

    def __iter__(self) -> Iterator[Effect]:
        events = self._events
        while events:
            try:
                yield events.popleft()
            except IndexError:  # another reader took the last
                return

    def __len__(self) -> int:
        return len(self._events)

    def push(self, effects: Sequence[Effect]) -> None:
        """For the host: more has happened."""
        events = self._events
        events.extend(effects)
        while len(events) > self._capacity:
            try:
                events.popleft()
            except IndexError:  # a reader was quicker
                return
            self.dropped += 1

    def close(self) -> None:
        """End the subscription; what is in it can still be read."""
        self._unsubscribe(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
