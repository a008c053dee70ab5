"""Waits: who may join the queue, who sleeps before, and for how long anybody waits.

A call waits once before each of its attempts; its wait timeout bounds all its waits together. While
it sleeps (a soft budget slows it down, or it goes again after a failure) it waits as well, and its
alarm is the earlier of the two dates.

A call that cannot go within its timeout is refused at once: what a limit still lacks for it alone,
whoever else waits, flows in later, and nothing that is on its way comes back to that limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.kernel.reasons import begun, what_holds
from agentrm_plugins.policy.endpoint.meters import least_wait_s
from agentrm_plugins.policy.leases import NEVER

if TYPE_CHECKING:
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.late_calls import LateCalls
    from agentrm_plugins.kernel.nested_calls import NestedCalls
    from agentrm_plugins.kernel.steps import Steps
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.kernel.wait_queue import WaitQueue

__all__ = ["Waits"]

_FAR_S = 1e9  # until somebody says so


class Waits:
    """Begins and ends them.

    Args:
        books: The kernel's books.
        steps: What happens to a ticket.
        queue: Who waits.
        nested: Who is nested in whom.
        late: Late calls, and their hedges.
    """

    def __init__(
        self,
        books: Books,
        steps: Steps,
        queue: WaitQueue,
        nested: NestedCalls,
        late: LateCalls,
    ) -> None:
        self._books = books
        self._steps = steps
        self._queue = queue
        self._nested = nested
        self._late = late

    def join(self, ticket: Ticket) -> None:
        """A call that came has to wait, unless too many do."""
        config = self._books.config
        own, patience_s = config.max_waiting_per_agent, self._patience_s(ticket)
        if patience_s < NEVER and self._is_hopeless(ticket, patience_s):
            self._steps.refuse(ticket, "wait_timeout", what_holds(ticket, self._books.now_s))
        elif self._queue.count >= config.max_waiting:
            self._steps.refuse(ticket, "queue_full")
        elif own is not None and ticket.account.waiting >= own:
            self._steps.refuse(ticket, "agent_queue_full")
        else:
            self._wait(ticket, ticket.hold_s, patience_s)

    def again(self, ticket: Ticket, sleep_s: float) -> None:
        """The call waits, for the first time or again; it sleeps for so many seconds before."""
        patience_s = self._patience_s(ticket)
        if patience_s < NEVER and self._is_hopeless(ticket, patience_s):
            self._steps.refuse(ticket, "wait_timeout", what_holds(ticket, self._books.now_s))
        else:
            self._wait(ticket, sleep_s, patience_s)

    def _wait(self, ticket: Ticket, sleep_s: float, patience_s: float) -> None:
        """The call waits from now on, and no longer than that."""
        now_s = self._books.now_s
        ticket.deadline_s = now_s + patience_s
        if ticket.unheard:
            sleep_s = _FAR_S
        if sleep_s > 0:
            ticket.wake_s = now_s + sleep_s
            self._queue.sleep(ticket)
        elif ticket.turn:
            self._queue.put_at_place(ticket, now_s)
        else:
            self._queue.put(ticket, now_s)
        begun(self._books, ticket, sleep_s, self._queue.count)
        if ticket.parent is not None and not sleep_s:
            self._nested.awaits(ticket)
        if patience_s < NEVER or sleep_s > 0:
            self.set_alarm(ticket)
        self._books.scheduler.start_clock(now_s)

    def heard(self, ticket: Ticket) -> None:
        """A fleet has heard of what it reserved: it sleeps no longer than it has to for itself."""
        now_s = self._books.now_s
        ticket.wake_s = max(now_s, ticket.submitted_s + ticket.hold_s)
        if ticket.wake_s > now_s:
            self.set_alarm(ticket)
        else:
            self.rung(ticket)

    def rung(self, ticket: Ticket) -> None:
        """A waiting call's alarm: it sleeps no longer, or waits no longer."""
        if ticket.wake_s < ticket.deadline_s:
            sleep_s = self._late.sleep_s(ticket)
            ticket.wake_s = self._books.now_s + sleep_s if sleep_s else NEVER
            if sleep_s:  # What second attempts may waste is used up still.
                self.set_alarm(ticket)
                return
            self._queue.wake(ticket, self._books.now_s)
            if ticket.parent is not None:
                self._nested.awaits(ticket)
            self.set_alarm(ticket)
        else:
            why = what_holds(ticket, self._books.now_s)
            self._steps.turn_away(ticket, "wait_timeout", why)

    def _is_hopeless(self, ticket: Ticket, patience_s: float) -> bool:
        """Whether it may not wait, or its endpoint is known not to let it go for so long."""
        endpoint = ticket.endpoint
        if patience_s == 0:
            return True
        if endpoint is None or ticket.is_hedge:
            return False
        busy, now_s = bool(endpoint.in_flight), self._books.now_s
        return least_wait_s(endpoint.meters, ticket.need, now_s, busy=busy) > patience_s

    def _patience_s(self, ticket: Ticket) -> float:
        """Seconds for which the call may wait yet."""
        wait_s = ticket.call.wait_timeout_s
        if wait_s is None:
            wait_s = self._books.config.wait_timeout_s
        return NEVER if wait_s is None else max(0.0, wait_s - ticket.waited_s)

    def set_alarm(self, ticket: Ticket) -> None:
        """Ring when a waiting call has slept, or waited, for long enough."""
        at_s, wake_s = ticket.deadline_s, ticket.wake_s
        at_s = min(at_s, wake_s)
        if at_s < NEVER:
            self._books.alarms.set(ticket, at_s)
