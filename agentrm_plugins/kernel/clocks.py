"""A running call's clocks: the service that its agent receives, and the silence that is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.policy.leases import NEVER, terms
from agentrm_plugins.types.calls import Call

if TYPE_CHECKING:
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.policy.endpoint.endpoint import Endpoint

__all__ = ["Clocks"]

_NONE = (None, None, None)


class Clocks:
    """Starts and stops them.

    Args:
        books: The kernel's books.
    """

    def __init__(self, books: Books) -> None:
        self._books = books
        self.reconfigure()

    def reconfigure(self) -> None:
        """The configured limits are others now; calls that run keep theirs."""
        leases = self._books.config.leases
        self._usual = {kind: terms(Call("any", streaming=kind), leases) for kind in (False, True)}

    def start(self, ticket: Ticket, since_s: float = NEVER) -> None:
        """Let the call's service run, from `since_s` or from now on."""
        now_s = self._books.now_s
        since_s = min(since_s, now_s)
        ticket.started_s = since_s
        seat, account = ticket.seat, ticket.account
        assert seat is not None  # noqa: S101 - it runs
        seat.busy += 1
        seat.group.busy += 1
        account.running += 1
        account.since_sum_s += since_s

    def stop(self, ticket: Ticket, until_s: float = NEVER) -> None:
        """Let the call's clocks stand still, and count the service since they ran."""
        if ticket.started_s == NEVER:
            return
        seat, account = ticket.seat, ticket.account
        assert seat is not None  # noqa: S101 - it runs
        seat.busy -= 1  # it waits for a nested call, or leaves
        seat.group.busy -= 1
        now_s, started_s = self._books.now_s, ticket.started_s
        seconds = (min(until_s, now_s)) - started_s
        account.running -= 1
        account.since_sum_s -= started_s
        if not account.running:
            account.since_sum_s = 0.0  # no rounding error survives
        if seconds > 0.0:
            account.attained_s += seconds
            account.tenant.service_s += seconds
        ticket.started_s = NEVER
        self._books.alarms.clear(ticket)

    def arm(self, ticket: Ticket) -> None:
        """The call made progress: its silence begins now."""
        ticket.progress_s = self._books.now_s
        self.rearm(ticket)

    def heard(self, ticket: Ticket) -> None:
        """Its server is there: the silence that is configured begins anew, but it is no further."""
        ticket.heard_s = self._books.now_s
        self.rearm(ticket)

    def rearm(self, ticket: Ticket) -> None:
        """See when to look at a running call: something that this depends on has changed."""
        if not ticket.nested and ticket.idle_s == NEVER:
            at_s = self.ends_s(ticket)
            if ticket.adaptive:
                at_s = min(at_s, self.late_s(ticket))
            # What was learnt just now may make it late since long; then it is late now.
            self._books.alarms.set(ticket, at_s)
        elif not ticket.nested:  # in a pause only the total counts, where others wait
            self._books.alarms.set(ticket, ticket.deadline_s)

    def reconsider(self, endpoint: Endpoint) -> None:
        """More is known of an endpoint: its calls may be late sooner, or later, than they were."""
        for number in endpoint.in_flight:
            ticket = self._books.tickets.get(number)
            if ticket is not None and not ticket.late:
                self.rearm(ticket)

    def ends_s(self, ticket: Ticket) -> float:
        """When the call is ended if nothing more is heard of it, by what was configured."""
        limits = ticket.terms
        assert limits is not None  # noqa: S101 - set when it was granted
        allowed_s = limits.silence_s if ticket.beats else limits.first_s
        heard_s = ticket.progress_s
        heard_s = max(heard_s, ticket.heard_s)
        silent_s = heard_s + allowed_s
        return min(ticket.deadline_s, silent_s)

    def late_s(self, ticket: Ticket) -> float:
        """When the call is late, by what was learnt of its endpoint; infinite if it never is."""
        endpoint = ticket.endpoint
        if endpoint is None or not ticket.adaptive or ticket.late:
            return NEVER
        if ticket.is_hedge and ticket.first is None:
            return NEVER  # The first was answered: this one is about to be cancelled.
        attempt = 0 if ticket.first is None else ticket.first.hedges
        running = len(endpoint.in_flight) - bool(attempt)  # the first is the same call
        return ticket.progress_s + endpoint.times.late_after_s(
            ticket.call, beats=ticket.beats, attempt=attempt, in_flight=running
        )

    def late_after_s(self, ticket: Ticket, endpoint: Endpoint) -> float:
        """Seconds of silence after which it is late, as the first attempt."""
        running = len(endpoint.in_flight)
        return endpoint.times.late_after_s(ticket.call, beats=ticket.beats, in_flight=running)

    def idle(self, ticket: Ticket, *, idle: bool, since_s: float | None = None) -> None:
        """Whether the consumer asks for more: what it does not ask for is no silence.

        Told late, it counts from `since_s` on, yet from no moment before the last progress.
        """
        now_s = self._books.now_s
        if idle and ticket.idle_s == NEVER:
            told_s = now_s if since_s is None else since_s
            ticket.idle_s = min(now_s, max(told_s, ticket.progress_s))
            self.rearm(ticket)
        elif not idle and ticket.idle_s < NEVER:
            idle_s, ticket.idle_s = now_s - ticket.idle_s, NEVER
            ticket.progress_s = min(now_s, ticket.progress_s + idle_s)
            ticket.heard_s = min(now_s, ticket.heard_s + idle_s)
            ticket.deadline_s += idle_s
            self.rearm(ticket)

    def begin(self, ticket: Ticket) -> None:
        """The call goes."""
        self.limit(ticket)
        self.start(ticket)
        ticket.progress_s = self._books.now_s
        self.rearm(ticket)

    def limit(self, ticket: Ticket) -> None:
        """What the call declares, or what is configured, are its limits from now on."""
        config, call, endpoint = self._books.config, ticket.call, ticket.endpoint
        own = call.first_token_timeout_s, call.silence_timeout_s, call.total_timeout_s
        ticket.terms = self._usual[call.streaming] if own == _NONE else terms(call, config.leases)
        ticket.deadline_s = self._books.now_s + ticket.terms.total_s
        if endpoint is not None:
            told = endpoint.config.adaptive if call.adaptive is None else call.adaptive
            ticket.adaptive = config.adaptive if told is None else told
