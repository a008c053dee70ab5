"""When all is back by the server's own word, before its refill has been measured.

Law: a reset is the moment at which a limit is whole again, whether it refills all the time or at
the end of a window; so at that moment there is as much as there ever was, less what went since the
server said so. Neither rate nor window need be known for that: a limit that is believed to be one
per minute and really is one per second is not waited for by the minute.

Regimes: until the word has been tried, one call goes at that moment and what the server says is
left to it shows whether it holds. If so, all goes that is there. If not, the size was wrong; after
`_TRIES` such in a row the word was (some servers name the moment at which the next unit is back),
and is heard no more. A refusal has it tried anew.

Limits: a refill that was measured says more (see `refill`), and so does a window that was told from
a bucket (see `window_watch`): then this is not asked.
"""

from __future__ import annotations

from math import inf

__all__ = ["Resets"]

_AFTER_S = 0.01  # guessed: the clocks and the roundings of both sides
_SHARE = 0.25  # guessed: if so much of the size is missing, it was not whole
_TRIES = 3  # guessed
_NEAR_S = 0.5  # guessed


class Resets:
    """The server's word of when one limit is whole again.

    Attributes:
        at_s: The next such moment; infinite: none is known.
        size: The most that was ever there at once, units.
        in_s: Seconds in which all was to be back when that was said last; infinite before.
        holds: Whether the word was found true; None: it is being tried.
    """

    __slots__ = ("_expected", "_failed", "_landed_s", "_taken", "at_s", "holds", "in_s", "size")

    def __init__(self) -> None:
        self.at_s = self.in_s = inf
        self.size = 0.0
        self.holds: bool | None = None
        self._taken = 0.0
        self._landed_s = inf
        self._expected = 0.0
        self._failed = 0

    def said(self, in_s: float, taken: float, now_s: float) -> None:
        """All is back in `in_s`; `taken` is all that had been taken when the server said so."""
        if self.holds is False:
            return
        at_s = now_s + in_s + _AFTER_S
        if self.at_s < inf and abs(at_s - self.at_s) <= _NEAR_S:  # the same moment, in other words
            at_s, taken = max(at_s, self.at_s), max(taken, self._taken)
        self.in_s, self._taken, self.at_s = in_s, taken, at_s

    def there(self, total: float, scout: float) -> float:
        """What is there at that moment at least, when `total` is all that was ever taken.

        While the word is being tried that is `scout`, what one call takes.
        """
        least = self.size - max(0.0, total - self._taken)
        return least if self.holds else min(least, max(1.0, scout))

    def landed(self) -> None:
        """The moment has come."""
        self._landed_s, self._expected = self.at_s, self.size + self._taken
        self.at_s = inf

    def tried(self, left: float, total: float, sent_s: float) -> None:
        """What is left, to a call that went at `sent_s`; `total` is all that was ever taken."""
        if self._landed_s > sent_s:
            return
        self._landed_s = inf
        missing = self._expected - left - total
        if missing <= _SHARE * self.size:
            self.holds, self._failed = True, 0
            return
        self._failed += 1
        self.size -= missing
        self.holds = False if self._failed >= _TRIES else None
        if self.holds is False:
            self.in_s = inf

    def refused(self) -> None:
        """A call was refused that went on this word."""
        if self.holds:
            self.holds = None
