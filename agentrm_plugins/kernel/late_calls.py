"""Late calls: what is learnt of an endpoint never ends a call, it lends its lane.

A call that has been silent for longer than healthy calls are is *late*. It goes on; its lane is
lent to others, and its caller may send a second attempt (a *hedge*), which waits at the call's own
place. At most two attempts of a call are alive: the newest gives way to the next, the first stays.
Where no next one may go yet, the newest gives way all the same, and its lane is free meanwhile.

1. Beside the lanes at most half as many late calls go on (`LanePool.may_lend`). Beyond that a late
   call keeps its lane, and its hedge rides on it: at most half of the lanes again.
2. A hedge goes when its endpoint's waste allows (`policy.endpoint.hedging`); till then it sleeps.
3. Where an endpoint's limit of calls in flight is full of late calls nobody could go any more: the
   oldest one that has a hedge gives way, or else the oldest one that is late twice over, and goes
   again. Only while hedges mostly win, and for twice as long each time: a slow call gets through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.kernel.ticket import State
from agentrm_plugins.policy.leases import NEVER
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types.calls import Outcome

if TYPE_CHECKING:
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.clocks import Clocks
    from agentrm_plugins.kernel.steps import Steps
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.kernel.wait_queue import WaitQueue
    from agentrm_plugins.policy.endpoint.endpoint import Endpoint
    from agentrm_plugins.policy.endpoint.hedge_tally import HedgeTally
    from agentrm_plugins.types.calls import Usage

__all__ = ["LateCalls"]

_ASK_AGAIN_S = 1.0  # the share that is wasted falls by itself
_LOOK_AGAIN_S = 5.0  # others may teach more; guessed
_TWICE = 2.0


class LateCalls:
    """Lends their lanes, and sees to their hedges.

    Args:
        books: The kernel's books.
        clocks: Times running calls.
        steps: What happens to a ticket.
        queue: Who waits.

    `late` are the first attempts that are late now, the oldest first.
    """

    def __init__(self, books: Books, clocks: Clocks, steps: Steps, queue: WaitQueue) -> None:
        self._books = books
        self._clocks = clocks
        self._steps = steps
        self._queue = queue
        self.late: dict[int, Ticket] = {}
        self.waiting = books.hedges

    # -- a call is late ------------------------------------------------------------------------

    def suspect(self, ticket: Ticket) -> None:
        """A first attempt is late."""
        books, limits = self._books, ticket.terms
        assert limits is not None  # noqa: S101 - set when it was granted
        ticket.late = True
        self.late[ticket.number] = ticket
        if ticket.seat is not None:
            self._lend(ticket)
        self._clocks.rearm(ticket)
        if ticket.hedge is not None:
            return  # It came alive for a moment; what was to be done for it is done.
        if ticket.endpoint is not None:
            ticket.endpoint.hedging.tally.late += 1
        cause = "silence" if ticket.beats else limits.first_cause
        silent_s = books.now_s - ticket.progress_s
        number, call = ticket.number, ticket.call
        where = call.tenant, call.group, call.endpoint
        books.out.append(fx.Suspected(books.now_s, number, call.agent, cause, silent_s, *where))

    def alive(self, ticket: Ticket) -> None:
        """A late call is heard of: it is a running call as any other, without a lane maybe."""
        ticket.late = False
        self.late.pop(ticket.number, None)

    def _lend(self, ticket: Ticket) -> None:
        pool, parent = self._books.pool, ticket.parent
        if ticket.nested or not pool.may_lend(ticket.group):
            return
        self._steps.leave_lane(ticket, ticket.progress_s)  # silence is no service to its agent
        ticket.lent = True
        pool.lend(ticket.group, 1)
        if parent is not None and parent.rider is ticket:
            parent.rider = None
            self._books.left.append(parent)

    # -- its hedge -----------------------------------------------------------------------------

    def follow(self, ticket: Ticket, number: int) -> bool:
        """The call is a hedge of another, at its place. False if that is over, or has one."""
        first = self._books.tickets.get(number)
        if first is None or first.state is not State.RUNNING:
            return False
        if first.first is not None or first.hedge is not None or first.visible:
            return False
        ticket.first, first.hedge = first, ticket
        ticket.accrual = first.accrue()
        ticket.is_hedge = ticket.beside = True
        ticket.seq, ticket.turn = first.seq, first.turn
        return True

    def sleep_s(self, ticket: Ticket) -> float:
        """For how long the hedge has to wait before it may go, by what may be wasted."""
        first, endpoint, now_s = ticket.first, ticket.endpoint, self._books.now_s
        if first is None or endpoint is None:
            return 0.0
        if first.hedges:
            return self._follows_s(first, endpoint)
        late_s = first.progress_s + self._clocks.late_after_s(first, endpoint)
        if late_s > now_s:  # More was learnt, and it is not late any more.
            return min(_ASK_AGAIN_S, late_s - now_s)
        if endpoint.hedging.may_go(ticket.expected_tokens, now_s):
            return 0.0
        return max(1e-6, min(_ASK_AGAIN_S, endpoint.hedging.ask_again_s(now_s) - now_s))

    def _follows_s(self, first: Ticket, endpoint: Endpoint) -> float:
        """The same of one that follows another of the same call, which gave way."""
        hedging, now_s = endpoint.hedging, self._books.now_s
        if hedging.may_follow(first.hedges):
            return 0.0
        age_s = hedging.follows_after_s(first.hedges, endpoint.times.slowest_s)
        return max(0.0, min(_LOOK_AGAIN_S, first.progress_s + age_s - now_s))

    def awaits(self, ticket: Ticket) -> None:
        """A hedge waits."""
        if ticket.first is not None:
            self.waiting[ticket.number] = ticket

    def stopped(self, ticket: Ticket) -> None:
        """The attempt does not run (any more), or does not wait: it goes again, or not."""
        self.late.pop(ticket.number, None)
        ticket.late = False
        if ticket.is_hedge and ticket.endpoint is not None:
            ticket.endpoint.hedging.ended(ticket.number)

    # -- and what comes of it ---------------------------------------------------------------------

    def gives_way(self, ticket: Ticket, first: Ticket) -> None:
        """A hedge makes room for the next one."""
        first.given_way += 1
        first.given_tokens += ticket.expected_tokens
        first.hedge = None
        ticket.first, ticket.is_hedge = None, False

    def gone(self, ticket: Ticket) -> None:
        """An attempt gave way; what stands beside it is the only one now."""
        self.stopped(ticket)
        if ticket.endpoint is not None:
            ticket.endpoint.hedging.tally.gave_way += 1
        hedge, ticket.hedge = ticket.hedge, None
        ticket.yielded = True
        if hedge is not None:
            self._alone(hedge, ticket)

    def ended(self, ticket: Ticket, outcome: Outcome, cost: Usage) -> None:
        """An attempt is over: what it says of the others, and what becomes of them.

        Of one that went well and never had another beside it, `Endpoints.ended_alone` tells.
        """
        if ticket.late or ticket.is_hedge:
            self.stopped(ticket)
        endpoint, hedge = ticket.endpoint, ticket.hedge
        tokens = cost.input_tokens + cost.output_tokens
        if endpoint is not None:
            if tokens:
                endpoint.hedging.billed(tokens, self._books.now_s)
            _count(ticket, endpoint.hedging.tally, outcome, tokens)
        if ticket.is_hedge:
            self._hedge_ended(ticket, ticket.first, outcome, tokens)
        elif outcome is Outcome.OK and endpoint is not None:
            self._first_won(ticket, endpoint)
        if hedge is not None:
            ticket.hedge = None
            self._first_ended(ticket, hedge, outcome)

    def _first_ended(self, ticket: Ticket, hedge: Ticket, outcome: Outcome) -> None:
        if outcome is Outcome.ERROR:
            self._alone(hedge, ticket)
        elif hedge.state is State.QUEUED:
            self._steps.turn_away(hedge, "superseded")
        else:
            hedge.first, hedge.given_way = None, 1 + ticket.given_way

    def _hedge_ended(
        self, ticket: Ticket, first: Ticket | None, outcome: Outcome, tokens: int
    ) -> None:
        endpoint = ticket.endpoint
        if endpoint is None or not ticket.attempts:
            return
        hedging = endpoint.hedging
        if outcome is Outcome.OK:
            hedging.won(1 + first.given_way if first is not None else ticket.given_way)
            self._expect(endpoint)
        elif outcome is Outcome.SUPERSEDED:
            hedging.wasted(tokens or ticket.expected_tokens, self._books.now_s)

    def _first_won(self, ticket: Ticket, endpoint: Endpoint) -> None:
        hedging = endpoint.hedging
        hedging.answered()
        for _ in range(ticket.given_way):
            hedging.wasted(ticket.given_tokens / ticket.given_way, self._books.now_s)
        self._expect(endpoint)

    def _expect(self, endpoint: Endpoint) -> None:
        """Another share of the attempts hangs, as far as is known now."""
        if endpoint.times.expect(endpoint.hedging.hung):
            self._clocks.reconsider(endpoint)

    def _alone(self, hedge: Ticket, first: Ticket) -> None:
        """The first attempt failed: its hedge is the only one now, and the first of its kind."""
        hedge.first, hedge.is_hedge = None, False
        hedge.given_way, hedge.hedges = first.given_way, first.hedges
        if hedge.state is State.QUEUED:
            hedge.beside = False  # it goes in place of the first
        self.waiting.pop(hedge.number, None)
        if hedge.endpoint is not None:
            hedge.endpoint.hedging.ended(hedge.number)

    # -- dispatching ---------------------------------------------------------------------------

    def lend_more(self) -> None:
        """Late calls that had to keep their lanes lend them as soon as others have come back."""
        for ticket in list(self.late.values()):
            if ticket.seat is not None and not ticket.is_ridden:
                self._lend(ticket)
                if ticket.lent:
                    self._clocks.rearm(ticket)

    def ride(self) -> None:
        """Hedges that wait for a lane may ride on that of the first."""
        pool, now_s = self._books.pool, self._books.now_s
        for hedge in list(self.waiting.values()):
            if not pool.may_ride():
                return
            first = hedge.first
            waits = hedge.bid is not None and first is not None and first.late
            if not waits or first is None or first.seat is None:
                continue
            if first.nested or first.is_ridden:
                continue
            endpoint = hedge.endpoint
            if endpoint is not None and endpoint.wait(hedge.need, now_s).seconds > 0:
                continue
            self._queue.remove(hedge, now_s)
            self._clocks.stop(first, first.progress_s)
            self._clocks.rearm(first)
            hedge.rides = True
            pool.riders += 1
            hedge.seat = pool.share(first.seat)
            self._steps.grant(hedge, "rides")

    def in_the_way(self) -> Ticket | None:
        """A late call that must give way, since it takes a place that others wait for; or None."""
        queue, now_s, seen = self._queue, self._books.now_s, set[str]()
        for ticket in self.late.values():
            endpoint = ticket.endpoint
            if endpoint is None or endpoint.name in seen or endpoint.name not in queue.at:
                continue
            seen.add(endpoint.name)
            if endpoint.concurrency.allows(len(endpoint.in_flight)):
                continue
            if not endpoint.hedging.hopeful:
                continue
            found = self._oldest(endpoint, now_s)
            if found is not None:
                return found
        return None

    def _oldest(self, endpoint: Endpoint, now_s: float) -> Ticket | None:
        own = [ticket for ticket in self.late.values() if ticket.endpoint is endpoint]
        for ticket in own:
            if ticket.hedge is not None and ticket.hedge.state is State.RUNNING:
                return ticket
        next_s = NEVER
        for ticket in own:
            after_s = self._clocks.late_after_s(ticket, endpoint)
            at_s = ticket.progress_s + after_s * _TWICE ** (1 + ticket.given_way)
            if not ticket.visible and ticket.call.hedge:
                if at_s <= now_s:
                    return ticket
                next_s = min(next_s, at_s)
        self._queue.look_s = min(self._queue.look_s, next_s)
        return None


def _count(ticket: Ticket, tally: HedgeTally, outcome: Outcome, tokens: int) -> None:
    if ticket.yielded or outcome is Outcome.SUPERSEDED:
        tally.lost_tokens += tokens
    elif outcome is Outcome.OK and ticket.beside:
        tally.hedge_won += 1
    elif outcome is Outcome.OK and ticket.hedges:
        tally.first_won += 1
