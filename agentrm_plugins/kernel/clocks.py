"""A running call's clocks: the service that its agent receives, and the silence that is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.policy.leases import NEVER, terms

if TYPE_CHECKING:
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.policy.leases import Terms

__all__ = ["Clocks"]


class Clocks:
    """Starts and stops them.

    Args:
        books: The kernel's books.
    """

    def __init__(self, books: Books) -> None:
        self._books = books

    def start(self, ticket: Ticket) -> None:
        """Let the call's clocks run."""
        ticket.started_s = self._books.now_s
        assert ticket.seat is not None  # noqa: S101 - it runs
        ticket.seat.begin()
        account = ticket.account
        account.running += 1
        account.since_sum_s += self._books.now_s
        self.arm(ticket)

    def stop(self, ticket: Ticket, until_s: float = NEVER) -> None:
        """Let the call's clocks stand still, and count the service since they ran."""
        if ticket.started_s == NEVER:
            return
        account = ticket.account
        assert ticket.seat is not None  # noqa: S101 - it runs
        ticket.seat.pause()
        seconds = max(0.0, min(self._books.now_s, until_s) - ticket.started_s)
        account.running -= 1
        account.since_sum_s -= ticket.started_s
        if not account.running:
            account.since_sum_s = 0.0  # no rounding error survives
        account.attained_s += seconds
        account.tenant.service_s += seconds
        ticket.started_s = NEVER
        self._books.alarms.clear(ticket)

    def arm(self, ticket: Ticket) -> None:
        """The call made progress: its silence begins now."""
        limits = ticket.terms
        assert limits is not None  # noqa: S101 - set when it was granted
        ticket.progress_s = self._books.now_s
        allowed_s = limits.silence_s if ticket.beats else limits.first_s
        if ticket.idle_s == NEVER:
            self._books.alarms.set(ticket, min(self._books.now_s + allowed_s, ticket.deadline_s))

    def idle(self, ticket: Ticket, *, idle: bool) -> None:
        """Whether the consumer asks for more: what it does not ask for is no silence."""
        now_s = self._books.now_s
        if idle and ticket.idle_s == NEVER:
            ticket.idle_s = now_s
            self._books.alarms.clear(ticket)
        elif not idle and ticket.idle_s < NEVER:
            since_s, ticket.idle_s = now_s - ticket.idle_s, NEVER
            ticket.progress_s = min(now_s, ticket.progress_s + since_s)
            ticket.deadline_s += since_s
            self.rearm(ticket)

    def rearm(self, ticket: Ticket) -> None:
        """What is allowed to a running call has changed: its endpoint is known better."""
        if ticket.nested or ticket.idle_s < NEVER:
            return
        limits = ticket.terms = self.terms(ticket)
        allowed_s = limits.silence_s if ticket.beats else limits.first_s
        self._books.alarms.set(ticket, min(ticket.progress_s + allowed_s, ticket.deadline_s))

    def terms(self, ticket: Ticket) -> Terms:
        """How long the call may be silent: by what is declared, and what its endpoint does."""
        prior = terms(ticket.call, self._books.config.leases)
        if ticket.endpoint is None:
            return prior
        return ticket.endpoint.timeouts.terms(ticket.call, prior)
