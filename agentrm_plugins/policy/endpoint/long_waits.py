"""Limits in long windows that the server names: whom they would hold up for longer than a minute.

Law: such a wait is told like that of a closed endpoint (see `retry_after`): who is less patient is
told at once, and while it lasts a single call may go after `PROBE_S`, and again after twice as
long, up to `MOST_PROBE_S`. If it is served, the account was wrong and begins anew with the next
report; if that happens again, the limit is none, and is not believed again.

Limits: what the user says is never doubted, nor what was found out by probing. A limit per minute
or less is waited for: its calls go on within that minute, or some few.
"""

from __future__ import annotations

from math import inf

from agentrm_plugins.policy.endpoint.retry_after import MOST_PROBE_S, PROBE_S
from agentrm_plugins.types.verdicts import MINUTE_S

__all__ = ["LONG_S", "LongWait"]

LONG_S = 1.5 * MINUTE_S
"""What is a long window; measured ones of a minute tremble."""


class LongWait:
    """What one limit's long wait has come to.

    Attributes:
        since_s: When it began; infinite: there is none.
    """

    __slots__ = ("_doubted", "_every_s", "_probe_s", "since_s")

    def __init__(self) -> None:
        self.since_s = self._probe_s = inf
        self._every_s = PROBE_S
        self._doubted = False

    def look(self, wait_s: float, now_s: float) -> None:
        """A call of usual size would have to wait for so long."""
        if wait_s <= PROBE_S:
            self.since_s = self._probe_s = inf
        elif self.since_s == inf:
            self.since_s, self._every_s = now_s, PROBE_S
            self._probe_s = now_s + PROBE_S

    def until_s(self, wait_s: float, now_s: float) -> float:
        """Seconds until a call may go that would have to wait for so long; as a probe maybe."""
        probe_s = PROBE_S if self.since_s == inf else max(0.0, self._probe_s - now_s)
        return min(wait_s, probe_s)

    def sent(self, now_s: float) -> None:
        """The probe goes; nobody follows until it is long back."""
        self._every_s = min(2.0 * self._every_s, MOST_PROBE_S)
        self._probe_s = now_s + self._every_s

    def served(self) -> bool:
        """The probe was served. Whether that was the first time, so that only the account errs."""
        first, self._doubted = self.since_s < inf and not self._doubted, True
        return first
