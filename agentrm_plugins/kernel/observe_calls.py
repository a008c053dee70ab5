"""From the kernel's tickets to single calls in the statistics: who runs, and who waits."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from agentrm_plugins.kernel.ticket import State
from agentrm_plugins.types.call_statistics import RunningCall, WaitingCall

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.ticket import Ticket

__all__ = ["MOST_WAITERS", "oldest_s", "running", "waiters"]

MOST_WAITERS = 1000
"""Waiting calls that are told of one by one. Guessed: more than anybody reads."""


def _queued(books: Books) -> Iterator[Ticket]:
    """Who waits, the oldest first: tickets are kept in the order of their submission."""
    return (ticket for ticket in books.tickets.values() if ticket.state is State.QUEUED)


def _named(ticket: Ticket) -> tuple[int, str, str, str, str | None, str]:
    """Which call it is and whose: the first fields of both."""
    call = ticket.call
    return ticket.number, call.agent, call.tenant, ticket.group.name, call.endpoint, call.label


def oldest_s(books: Books) -> float:
    """The age of the oldest call that waits; 0 if none does."""
    ticket = next(_queued(books), None)
    return 0.0 if ticket is None else books.now_s - ticket.submitted_s


def running(books: Books) -> tuple[RunningCall, ...]:
    """The calls that run, the oldest lease first."""
    now_s = books.now_s
    found = list(books.gauges.running.values())
    found.sort(key=lambda ticket: (ticket.granted_s, ticket.number))
    return tuple(
        RunningCall(
            *_named(ticket),
            attempt=ticket.attempts,
            streaming=ticket.call.streaming,
            age_s=now_s - ticket.granted_s,
            silent_s=max(0.0, now_s - max(ticket.progress_s, ticket.heard_s)),
            beats=ticket.beats,
            waited_s=ticket.waited_s,
            priority=str(ticket.call.priority or ""),
            late=ticket.late,
            nested=ticket.rides or (ticket.parent is not None and ticket.parent.rider is ticket),
        )
        for ticket in found
    )


def waiters(books: Books, most: int) -> tuple[WaitingCall, ...]:
    """The calls that wait, the oldest first; so many at most."""
    now_s, scheduler = books.now_s, books.scheduler
    if not books.gauges.waiting:
        return ()
    return tuple(
        WaitingCall(
            *_named(ticket),
            priority=str(ticket.call.priority or ""),
            attempt=ticket.attempts + 1,
            level=scheduler.level(ticket.account, now_s),
            held_by=ticket.held_by,
            age_s=now_s - ticket.submitted_s,
            waiting_s=now_s - ticket.queued_s,
            waited_s=ticket.waited_s,
        )
        for ticket in islice(_queued(books), min(most, MOST_WAITERS))
    )
