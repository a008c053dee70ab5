"""How far our account of a server's bucket is off, from the ``remaining`` that it reports.

Law: the figure was right at some moment between the request's arrival and the response's departure;
which one, no provider says. So two differences are formed, ``remaining - level`` at the moment when
the request went and at the moment when the response came. If both are below zero the account is too
high by the smaller of them at least, and is corrected at once: else calls will be refused. If both
are above zero in `reports` reports in a row, it is too low, and is raised by the least of them.

Regimes: calls that went just before either moment may not have reached the server when it counted;
what they took is left out of a raise. ``remaining`` is rounded down, and 0 may stand for any debt:
it never raises.

Limits: moments longer ago than the last `memory` changes of the account are not known any more;
then the present one stands for both. Guessed: eight reports, and a twentieth of a second under way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from math import inf

__all__ = ["Mirror"]

_REPORTS = 8
_MEMORY = 512
_ON_THE_WAY_S = 0.05
_STEP = 1.0  # of the rounding


class Mirror:
    """What our account of one bucket was, lately.

    Args:
        reports: Reports in a row that must agree before the account is raised; 1 or more.
        memory: Changes of the account that are remembered; 1 or more.
    """

    __slots__ = ("_agreed", "_entries", "_least", "_offset", "_reports")

    def __init__(self, *, reports: int = _REPORTS, memory: int = _MEMORY) -> None:
        self._reports = reports
        # When, the level then, what had just been taken, and the corrections until then.
        self._entries: deque[tuple[float, float, float, float]] = deque(maxlen=memory)
        self._offset = 0.0
        self._agreed = 0
        self._least = inf

    def note(self, level: float, taken: float, now_s: float) -> None:
        """The account is `level` now, after `taken` (0 or more) was taken."""
        self._entries.append((now_s, level, taken, self._offset))

    def moved(self, difference: float) -> None:
        """The account was corrected by `difference` for another reason."""
        self._offset += difference

    def correction(
        self, remaining: float, level: float, rate_per_s: float, sent_s: float, now_s: float
    ) -> float:
        """By how much to correct the account, which is `level` now, after this report; mostly 0.

        `sent_s` is when the request went. What is given back counts as done.
        """
        present = past = remaining - level
        unseen_now = unseen_then = self._taken_before(len(self._entries), now_s)
        then = bisect_right(self._entries, sent_s, key=_at_s)
        if then:
            at_s, old, taken, offset = self._entries[then - 1]
            past = remaining - (old + rate_per_s * (sent_s - at_s) + self._offset - offset)
            unseen_then = self._taken_before(then - 1 if taken else then, sent_s)
        off = max(past, present) + _STEP
        if off < 0:
            return self._correct(off)
        lacking = min(past - unseen_then, present - unseen_now)
        if remaining <= 0 or lacking <= 0:
            self._begin()
            return 0.0
        self._agreed += 1
        self._least = min(self._least, lacking)
        return self._correct(self._least) if self._agreed >= self._reports else 0.0

    def _correct(self, difference: float) -> float:
        self._begin()
        self._offset += difference
        return difference

    def _begin(self) -> None:
        self._agreed = 0
        self._least = inf

    def _taken_before(self, end: int, at_s: float) -> float:
        """What the first `end` entries took so shortly before that it may be on its way still."""
        total = 0.0
        for index in range(end - 1, -1, -1):
            entry = self._entries[index]
            if entry[0] <= at_s - _ON_THE_WAY_S:
                break
            total += entry[2]
        return total


def _at_s(entry: tuple[float, float, float, float]) -> float:
    return entry[0]
