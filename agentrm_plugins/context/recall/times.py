"""When each message of a session was said: kept in order, so that a stretch of time is found."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from itertools import islice

from agentrm_plugins.context.plan.entry import Entry

__all__ = ["SAYING", "Times"]

SAYING = frozenset({"user", "assistant"})


class Times:
    """The times of what users and assistants said; each message is looked at once."""

    def __init__(self) -> None:
        self._said: list[tuple[float, int]] = []
        self._places: list[int] = []
        self._talk: set[int] = set()
        self._taken = 0

    def take(self, entries: Sequence[Entry]) -> None:
        """Take in what has come since."""
        for entry in islice(entries, self._taken, None):
            if entry.role in SAYING:
                insort(self._said, (entry.at_s, entry.seq))
                self._places.append(entry.seq)
                if not entry.calls:
                    self._talk.add(entry.seq)
        self._taken = len(entries)

    def cut(self, seq: int) -> None:
        """Forget the messages from `seq` on."""
        self._said = [one for one in self._said if one[1] < seq]
        at = bisect_left(self._places, seq)
        self._talk.difference_update(self._places[at:])
        del self._places[at:]
        self._taken = min(self._taken, seq)

    def between(self, start_s: float, stop_s: float) -> list[tuple[float, int]]:
        """Give times and places from `start_s` to before `stop_s`."""
        return self._said[bisect_left(self._said, (start_s,)) : bisect_left(self._said, (stop_s,))]

    def talk_in(self, places: Iterable[int]) -> set[int]:
        """Give those of these places where somebody said something and called nothing."""
        return self._talk.intersection(places)

    def before(self, end: int) -> int:
        """Count the messages before a place."""
        return bisect_left(self._places, end)
