"""A process that stood still (stopped, suspended, collecting): that time is nobody's silence.

Law: a date that is looked at more than `STILL_S` too late says that this process did not run. What
came meanwhile lies in its sockets, so no call is ended or late for that time, and each has
`GRACE_S` more to read what came. Silence before it counts in full.

A process that is late again and again is no excuse for a call that makes no progress: after the
first time there is no further grace, so it ends when its date is missed once more; and later
standstills are left out no longer than its own limit is.

Limits: only what the monotonic clock counts is seen, and a standstill in which no date came due is
not noticed, for nothing is ended by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.policy.leases import NEVER
from agentrm_plugins.types.events import Idle

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.kernel import Kernel
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.types.effects import Effect

__all__ = ["STILL_S", "Standstills"]

STILL_S = 1.0
"""Guessed: far above the delay of a thread that waits for a date, also on a busy machine."""
GRACE_S = 1.0
"""Guessed: what came is read within milliseconds once the process runs."""


class Standstills:
    """What was left out for each call since its last progress."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left: dict[int, tuple[tuple[float, int], float]] = {}

    def leave_out(
        self, kernel: Kernel, due_s: float, now_s: float, happened: Callable[[list[Effect]], None]
    ) -> None:
        """Have calls at work not answer for a standstill.

        Args:
            kernel: The kernel.
            due_s: The date that was missed.
            now_s: The time.
            happened: Told what comes of it.
        """
        calls = kernel.books.gauges.running.items()
        running = {number: ticket for number, ticket in calls if ticket.idle_s == NEVER}
        before, self._left = self._left, {}
        first, again = [], []
        for number, ticket in running.items():
            progress = ticket.granted_s, ticket.beats
            known = before.get(number)
            if known is None or known[0] != progress:
                self._left[number] = progress, 0.0
                first.append(number)
                continue
            left_s = known[1] + now_s - due_s
            self._left[number] = progress, left_s
            if left_s <= _limit_s(ticket):
                again.append(number)
        for numbers, since_s in ((first, due_s - GRACE_S), (again, due_s)):
            for number in numbers:
                happened(kernel.handle(since_s, Idle(number, idle=True, since_s=since_s)))
        for number in (*first, *again):
            happened(kernel.handle(now_s, Idle(number, idle=False)))


def _limit_s(ticket: Ticket) -> float:
    limits = ticket.terms
    assert limits is not None  # noqa: S101 - it runs
    return min(limits.total_s, limits.silence_s if ticket.beats else limits.first_s)
