"""A process that stood still (stopped, suspended, collecting): that time is nobody's silence.

Law: a date that is looked at more than `STILL_S` too late says that this process did not run. What
came meanwhile lies in its sockets, so no call is ended or late for that time, and each has
`GRACE_S` more to read what came. Silence before it counts in full.

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
    from agentrm_plugins.types.effects import Effect

__all__ = ["STILL_S", "leave_out"]

STILL_S = 1.0
"""Guessed: far above the delay of a thread that waits for a date, also on a busy machine."""
GRACE_S = 1.0
"""Guessed: what came is read within milliseconds once the process runs."""


def leave_out(
    kernel: Kernel, due_s: float, now_s: float, happened: Callable[[list[Effect]], None]
) -> float:
    """Have calls at work not answer for a standstill.

    Args:
        kernel: The kernel.
        due_s: The date that was missed.
        now_s: The time.
        happened: Told what comes of it.

    Returns:
        The time.
    """
    calls = kernel.books.gauges.running.items()
    running = [number for number, ticket in calls if ticket.idle_s == NEVER]
    since_s = due_s - GRACE_S
    for number in running:
        happened(kernel.handle(since_s, Idle(number, idle=True, since_s=since_s)))
    for number in running:
        happened(kernel.handle(now_s, Idle(number, idle=False)))
    return now_s
