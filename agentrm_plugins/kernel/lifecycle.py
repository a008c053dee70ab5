"""A call's life as its caller tells it: it comes, makes progress, ends, or is not wanted any more.

Each handler says whether others may go now; then the kernel dispatches.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agentrm_plugins.errors import ConfigError, KernelBug
from agentrm_plugins.kernel.door import look_at_settle, look_at_submit
from agentrm_plugins.kernel.steps import cost_of
from agentrm_plugins.kernel.ticket import State, Ticket, move
from agentrm_plugins.policy.leases import NEVER
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import Call, Outcome, Usage

if TYPE_CHECKING:
    from agentrm_plugins.kernel.accrual import Accrual
    from agentrm_plugins.kernel.agents import Agents
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.clocks import Clocks
    from agentrm_plugins.kernel.endpoints import Endpoints
    from agentrm_plugins.kernel.lane_lending import LaneLending
    from agentrm_plugins.kernel.late_calls import LateCalls
    from agentrm_plugins.kernel.nested_calls import NestedCalls
    from agentrm_plugins.kernel.requeue import Requeue
    from agentrm_plugins.kernel.steps import Steps
    from agentrm_plugins.kernel.wait_queue import WaitQueue
    from agentrm_plugins.kernel.waits import Waits
    from agentrm_plugins.policy.endpoint.endpoint import Endpoint
    from agentrm_plugins.types.verdicts import Verdict

__all__ = ["SEES_TO", "Lifecycle"]

SEES_TO = frozenset({ev.Submit, ev.Settle})
"""Events whose values are looked at here, and not before."""


class Lifecycle:
    """Handles the events of calls and of agents."""

    def __init__(
        self,
        books: Books,
        *,
        steps: Steps,
        clocks: Clocks,
        agents: Agents,
        endpoints: Endpoints,
        queue: WaitQueue,
        waits: Waits,
        requeue: Requeue,
        nested: NestedCalls,
        lending: LaneLending,
        late: LateCalls,
    ) -> None:
        self._books = books
        self._steps = steps
        self._clocks = clocks
        self._agents = agents
        self._endpoints = endpoints
        self._queue = queue
        self._waits = waits
        self._requeue = requeue
        self._nested = nested
        self._lending = lending
        self._late = late

    def submit(self, event: ev.Submit) -> bool:
        """A caller wants a lane."""
        books, call, number = self._books, event.call, event.ticket
        if not (
            number.__class__ is int
            and call.__class__ is Call
            and event.parent is event.place_of is event.hedge_of is None
        ):  # as nearly all are
            look_at_submit(event)
        if number in books.tickets:
            raise KernelBug(f"ticket {number} was submitted twice")
        group = books.pool.groups.get(call.group)
        if group is None:
            names = ", ".join(map(repr, books.pool.groups))
            raise ConfigError("group", call.group, f"use one of the configured groups: {names}")
        books.counters.submitted += 1
        books.out.append(_submitted(event, books.now_s))
        if books.closed:
            books.counters.refused["closed"] += 1
            where = call.tenant, call.group, call.endpoint
            books.out.append(fx.Refused(books.now_s, number, call.agent, "closed", 0.0, "", *where))
            return False
        account = self._agents.enter(call, books.now_s)
        drained = self._agents.drained and (call.tenant, call.agent) in self._agents.drained
        books.seq += 1
        ticket = Ticket(number, books.seq, call, account, group, books.now_s)
        books.tickets[number] = ticket
        if event.hedge_of is not None and not self._late.follow(ticket, event.hedge_of):
            self._steps.refuse(ticket, "superseded")
            return False
        if drained and event.hedge_of is None and event.place_of is None:
            self._steps.refuse(ticket, "agent_drained")
            return False
        refusal = self._enter(ticket, event.place_of)
        if refusal is not None:
            self._steps.refuse(ticket, *refusal)
            return False
        parent = event.parent
        if ticket.first is not None:
            above = ticket.first.parent
            parent = None if above is None else above.number
        return self._start(ticket, parent, reads=event.reads)

    def _enter(self, ticket: Ticket, place_of: int | None) -> tuple[str, str] | None:
        """The call is known, with its place, its endpoint and its budget; or else why not."""
        books, call = self._books, ticket.call
        if books.refusing:
            return "coordinator_unavailable", ""
        if place_of is not None:
            self._requeue.take_place(ticket, place_of)
        if call.endpoint is not None:
            refusal = self._endpoints.enter(ticket, call.endpoint)
            if refusal is not None:
                return refusal
        if books.ledgers.asked:
            owners = self._agents.owners(ticket.account)
            spent = books.ledgers.enter(ticket, owners, books.now_s)
            if spent is not None:
                return "budget", spent
        return None

    def _start(self, ticket: Ticket, parent_number: int | None, *, reads: bool) -> bool:
        """It goes at once, on its parent's lane or on a free one, or waits."""
        books, parent = self._books, None
        if parent_number is not None:
            parent = self._nested.attach(ticket, parent_number, reads=reads)
        # Nobody who waits may start, so nobody is overtaken.
        if ticket.is_hedge:
            self._late.awaits(ticket)
            ticket.hold_s = max(ticket.hold_s, self._late.sleep_s(ticket))
        endpoint = ticket.endpoint
        free = not ticket.hold_s and ticket.unheard is None and not books.pool.lapsed
        able = free and (endpoint is None or self._is_let_go(ticket, endpoint))
        lends = able and parent is not None and parent.rider is None
        if lends and ticket.reads and self._has_lane(ticket):
            lends = False  # its parent's request is under way: better not both on one lane
        if lends and parent is not None and self._lending.lend(ticket, parent):
            return False
        if able and self._has_lane(ticket):
            if not ticket.turn:
                self._queue.turn += 1
                ticket.turn = self._queue.turn  # its place, should it have to go again
            ticket.seat = books.pool.take(ticket.group, ticket.account)
            self._steps.grant(ticket, "free")
            return False
        if ticket.first is None:
            self._waits.join(ticket)
        else:  # It takes the place of a call that does not wait: there is room for it.
            self._waits.again(ticket, ticket.hold_s)
        return True

    def _is_let_go(self, ticket: Ticket, endpoint: Endpoint) -> bool:
        """Whether its endpoint lets a call that has a lane go now, before anybody who waits."""
        endpoint.advance(self._books.now_s)
        if endpoint.news:
            self._endpoints.tell(endpoint)
        if self._queue.count and self._queue.anybody_before(endpoint):
            return False
        return endpoint.wait(ticket.need, self._books.now_s).seconds == 0

    def _has_lane(self, ticket: Ticket) -> bool:
        group, account, pool = ticket.group, ticket.account, self._books.pool
        return (
            pool.in_use < pool.lanes
            and group.in_use < group.capacity
            and (group.per_agent is None or not group.agent_full(account))
            and (group.per_tenant is None or not group.tenant_full(account.tenant))
        )

    def withdraw(self, event: ev.Withdraw) -> bool:
        """The caller does not want the call any more."""
        ticket = self._books.tickets.get(event.ticket)
        if ticket is None:
            return False
        if ticket.state is State.QUEUED:
            self._steps.turn_away(ticket, event.cause)
            return True
        return self._end(ticket, Usage() if event.unsent else None, Outcome.CANCELLED, None)

    def beat(self, event: ev.Beat) -> bool:
        """A running call made progress."""
        books, ticket = self._books, self._books.tickets.get(event.ticket)
        if ticket is None or ticket.state is not State.RUNNING:
            return False
        if event.ping:
            self._clocks.heard(ticket)
            return False
        idle = ticket.idle_s < NEVER
        if idle and event.visible:
            self._clocks.idle(ticket, idle=False)  # Whoever is given something has asked for it.
        if ticket.late:
            self._late.alive(ticket)
        ticket.beats += 1
        ticket.visible = ticket.visible or event.visible
        tokens = event.tokens
        if tokens:
            ticket.beaten_tokens += tokens
            books.counters.token_rate.add(tokens, books.now_s)
        if ticket.endpoint is not None and not idle:
            self._endpoints.beat(ticket, ticket.endpoint)
        if not ticket.nested:
            self._clocks.arm(ticket)
        call = ticket.call
        where = call.tenant, call.group, call.endpoint
        books.out.append(fx.Beaten(books.now_s, ticket.number, call.agent, "", tokens, *where))
        return False

    def idle(self, event: ev.Idle) -> bool:
        """The consumer does not ask for more, or does so again."""
        ticket = self._books.tickets.get(event.ticket)
        if ticket is not None and ticket.state is State.RUNNING:
            self._clocks.idle(ticket, idle=event.idle, since_s=event.since_s)
            if ticket.nested and not event.idle:
                self._nested.turn(ticket)
        return False

    def settle(self, event: ev.Settle) -> bool:
        """A running call ended, or a reaped one after all."""
        if not (
            event.ticket.__class__ is int
            and event.usage.__class__ is Usage
            and event.outcome.__class__ is Outcome
            and event.verdict is None
            and event.report is None
        ):  # as nearly all are
            look_at_settle(event)
        ticket = self._books.tickets.get(event.ticket)
        if ticket is None:
            return False
        if ticket.state is State.QUEUED:
            raise KernelBug(f"ticket {event.ticket} waits and was settled")
        return self._end(ticket, event.usage, event.outcome, event)

    def _end(
        self, ticket: Ticket, usage: Usage | None, outcome: Outcome, event: ev.Settle | None
    ) -> bool:
        books, steps = self._books, self._steps
        late = ticket.state is State.ZOMBIE
        move(ticket, State.DONE)
        if late:
            books.zombies -= 1
        else:
            steps.vacate(ticket)
        ticket.account.calls += 1
        guessed = _guessed(ticket) if usage is None and outcome is Outcome.OK else usage
        verdict = None if event is None else event.verdict
        cost = cost_of(ticket, verdict) if guessed is None else guessed
        too_much = 0
        if ticket.accrual is not None:
            if outcome is not Outcome.OK:
                asked = bool(cost.input_tokens) or _was_asked(ticket, usage, verdict)
                cost = ticket.accrual.cut(cost, asked=asked)
            elif usage is not None:
                cost, too_much = _true_cost(ticket, ticket.accrual, cost)
        spent = steps.charge(ticket, cost)
        if too_much:
            spent -= steps.give_back(ticket, too_much)
        if books.ledgers.asked:
            books.ledgers.settle(ticket, cost, books.now_s)
        failed = verdict is not None
        known = outcome is Outcome.OK or (failed and outcome is not Outcome.CANCELLED)
        if ticket.endpoint is not None:
            self._endpoints.ended(ticket, ticket.endpoint, usage, event if known else None)
        books.counters.settled += 1
        cause = "late" if late else outcome.value
        status = None if verdict is None else verdict.status
        books.out.append(_settled(ticket, books.now_s, cause, outcome, usage, spent, status))
        alone = ticket.accrual is None and not ticket.late
        if alone and outcome is Outcome.OK and ticket.endpoint is not None:  # as nearly all are
            self._endpoints.ended_alone(ticket.endpoint, cost)
        elif ticket.endpoint is not None or ticket.is_hedge or ticket.hedge is not None:
            self._late.ended(ticket, outcome, cost)
        steps.forget(ticket)
        steps.recharge(ticket)
        return bool(self._queue.count or books.scheduler.demoted)

    def end_agent(self, event: ev.EndAgent) -> bool:
        """An agent is done: whatever waits for it, or for its children, is refused.

        An agent that works for several has one parent at a time; what it waits for on behalf of
        somebody else goes on waiting.
        """
        family = self._agents.family(event.agent, event.tenant)
        names = {None, *(account.name for account in family)}
        accounts = set(family)
        waiting = [one for account in family for bid in account.bids.values() for one in bid.queue]
        waiting += [one for one in self._queue.asleep.values() if one.account in accounts]
        for ticket in waiting:
            own = ticket.account.name == event.agent
            if ticket.state is State.QUEUED and (own or ticket.call.parent_agent in names):
                self._steps.turn_away(ticket, "agent_ended")  # this may let another one go
        return True

    def close(self, event: ev.Close) -> bool:
        """The core closes."""
        self._books.closed = True
        for ticket in list(self._books.tickets.values()):
            if ticket.state is State.QUEUED:
                self._steps.turn_away(ticket, event.cause)
        return True


def _submitted(event: ev.Submit, now_s: float) -> fx.Submitted:
    call, expected = event.call, event.call.estimate
    return fx.Submitted(
        now_s,
        event.ticket,
        call.agent,
        call.label,
        call.priority or "",
        expected.input_tokens + expected.output_tokens,
        event.parent,
        event.hedge_of,
        call.parent_agent,
        call.tenant,
        call.group,
        call.endpoint,
    )


def _settled(
    ticket: Ticket,
    now_s: float,
    cause: str,
    outcome: Outcome,
    usage: Usage | None,
    spent: float,
    status: int | None,
) -> fx.Settled:
    call = ticket.call
    return fx.Settled(
        now_s,
        ticket.number,
        call.agent,
        cause,
        outcome,
        now_s - ticket.granted_s,
        usage,
        spent,
        status,
        call.tenant,
        call.group,
        call.endpoint,
    )


def _true_cost(ticket: Ticket, accrual: Accrual, cost: Usage) -> tuple[Usage, int]:
    """What an answered attempt, and those that were charged by estimate, have cost: one charge.

    If the estimates were more than all of them have cost, the second number says how many tokens
    are to be given back.
    """
    missing = accrual.answered(cost.input_tokens)
    if ticket.endpoint is not None and (ticket.hedges or ticket.beside):
        ticket.endpoint.hedging.tally.lost_tokens += missing
    left = cost.input_tokens + missing
    return replace(cost, input_tokens=max(0, left)), max(0, -left)


def _was_asked(ticket: Ticket, usage: Usage | None, verdict: Verdict | None) -> bool:
    """Whether an attempt that cost no input was sent at all, and not refused, for nothing."""
    return verdict is None and (usage is None or not ticket.call.estimate.input_tokens)


def _guessed(ticket: Ticket) -> Usage | None:
    """What a call that went well has cost, if nobody says: as estimated, and what came out."""
    estimate = ticket.call.estimate
    came = max(estimate.output_tokens, ticket.beaten_tokens)
    if not estimate.input_tokens and not came:
        return None
    return replace(estimate, output_tokens=came)
