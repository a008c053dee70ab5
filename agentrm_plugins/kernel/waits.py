"""Waits: who may join the queue, who sleeps before, and for how long anybody waits.

A call waits once before each of its attempts; its wait timeout bounds all its waits together. While
it sleeps (a soft budget slows it down, or it goes again after a failure) it waits as well, and its
alarm is the earlier of the two dates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.policy.leases import NEVER

if TYPE_CHECKING:
    from agentrm_plugins.kernel.kernel import Kernel
    from agentrm_plugins.kernel.ticket import Ticket

__all__ = ["Waits"]


class Waits:
    """Begins and ends them.

    Args:
        kernel: The kernel whose calls wait.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def queue(self, ticket: Ticket) -> None:
        """A call that came has to wait, unless too many do."""
        kernel, account = self._kernel, ticket.account
        config = kernel.config
        own = config.max_waiting_per_agent
        if self._patience_s(ticket) == 0:
            kernel.refuse(ticket, "wait_timeout")
        elif kernel.room.count >= config.max_waiting:
            kernel.refuse(ticket, "queue_full")
        elif own is not None and account.waiting >= own:
            kernel.refuse(ticket, "agent_queue_full")
        else:
            self.again(ticket, ticket.hold_s)
            kernel.dispatch()

    def again(self, ticket: Ticket, sleep_s: float) -> None:
        """The call waits, for the first time or again; it sleeps for so many seconds before."""
        kernel, now_s = self._kernel, self._kernel.now_s
        patience_s = self._patience_s(ticket)
        if patience_s == 0:
            kernel.refuse(ticket, "wait_timeout")
            return
        ticket.deadline_s = now_s + patience_s
        if sleep_s > 0:
            ticket.wake_s = now_s + sleep_s
            kernel.room.sleep(ticket)
        elif ticket.turn:
            kernel.room.put_at_place(ticket, now_s)
        else:
            kernel.room.put(ticket, now_s)
        if ticket.parent is not None and not sleep_s:
            kernel.nesting.awaits(ticket)
        self._set_alarm(ticket)
        kernel.scheduler.start_clock(now_s)

    def rung(self, ticket: Ticket) -> None:
        """A waiting call's alarm: it sleeps no longer, or waits no longer."""
        kernel = self._kernel
        if ticket.wake_s < ticket.deadline_s:
            ticket.wake_s = NEVER
            kernel.room.wake(ticket, kernel.now_s)
            if ticket.parent is not None:
                kernel.nesting.awaits(ticket)
            self._set_alarm(ticket)
        else:
            kernel.room.remove(ticket, kernel.now_s)
            kernel.refuse(ticket, "wait_timeout")

    def _patience_s(self, ticket: Ticket) -> float:
        """Seconds for which the call may wait yet."""
        wait_s = ticket.call.wait_timeout_s
        if wait_s is None:
            wait_s = self._kernel.config.wait_timeout_s
        return NEVER if wait_s is None else max(0.0, wait_s - ticket.waited_s)

    def _set_alarm(self, ticket: Ticket) -> None:
        at_s = min(ticket.deadline_s, ticket.wake_s)
        if at_s < NEVER:
            self._kernel.alarms.set(ticket, at_s)
