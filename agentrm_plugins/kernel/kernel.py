"""The kernel: composes the policies. Events in, effects out; it never waits and knows no clock.

``handle(now_s, *events)`` is the only mutator. After it, nothing that could run is waiting, nothing
that is due is left over, and ``next_deadline()`` says when to call again at the latest.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from agentrm_plugins.errors import ConfigError, KernelBug
from agentrm_plugins.kernel.agents import Agents
from agentrm_plugins.kernel.check import check
from agentrm_plugins.kernel.clocks import Clocks
from agentrm_plugins.kernel.congestion import Congestion
from agentrm_plugins.kernel.nesting import Nesting
from agentrm_plugins.kernel.observe import Counters, observe
from agentrm_plugins.kernel.orders import make_scheduler
from agentrm_plugins.kernel.room import WaitingRoom
from agentrm_plugins.kernel.states import State, move
from agentrm_plugins.kernel.ticket import Ticket
from agentrm_plugins.kernel.waits import Waits
from agentrm_plugins.policy.lanes import LanePool
from agentrm_plugins.policy.leases import NEVER, Alarms, terms
from agentrm_plugins.policy.order.tenant_shares import DominantShares
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import Outcome, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.config import Config
    from agentrm_plugins.policy.lanes import Group, Seat
    from agentrm_plugins.types.statistics import Statistics

__all__ = ["Kernel"]

_HISTORY = 4096


class Kernel:
    """The state of one core.

    Args:
        config: The configuration.
        now_s: The time at which it begins.
    """

    def __init__(self, config: Config, now_s: float = 0.0) -> None:
        self.config = config
        self.now_s = now_s
        self.pool = LanePool(config.lanes, config.groups)
        self.shares = DominantShares(config.lanes, config.scheduler.share_half_life_s)
        self.scheduler = make_scheduler(config, self.shares)
        self.room = WaitingRoom(self.scheduler, self.pool, config.scheduler.boost_interval)
        self.alarms = Alarms()
        self.tickets: dict[int, Ticket] = {}
        self.agents = Agents(config, self.scheduler, self.shares)
        self.accounts = self.agents.accounts
        self.tenants = self.agents.tenants
        self.counters = Counters()
        self.clocks = Clocks(self)
        self.nesting = Nesting(self)
        self.waits = Waits(self)
        self.congestion = Congestion(self)
        self.closed = False
        self.zombies = 0
        self.seq = 0
        self._deadline_s = NEVER
        self._history: deque[fx.Effect] = deque(maxlen=_HISTORY)
        self._out: list[fx.Effect] = []
        self._leases = config.leases
        self._token_service_s = config.scheduler.service_s_per_1k_tokens / 1000.0
        self._handlers: dict[type, Callable[[Any], None]] = {
            ev.Submit: self._submit,
            ev.Withdraw: self._withdraw,
            ev.Beat: self._beat,
            ev.Settle: self._settle,
            ev.Requeue: self.congestion.requeue,
            ev.Observe: self.congestion.observe,
            ev.EndAgent: self._end_agent,
            ev.Tick: self._tick,
            ev.Close: self._close,
        }

    # -- the door ---------------------------------------------------------------------------

    def handle(self, now_s: float, *events: ev.Event) -> list[fx.Effect]:
        """Let `events` happen at `now_s` (seconds; a time before the last one counts as that).

        Returns:
            The effects, in order.

        Raises:
            KernelBug: A host did the impossible, for instance settled a call that still waits.
        """
        self.now_s = max(self.now_s, now_s)
        out = self._out = []
        try:
            if self._deadline_s <= self.now_s:
                self._expire()
            for event in events:
                self._handlers[event.__class__](event)
            if self.congestion.news:
                self.congestion.tell_news()
        finally:
            deadline_s = self.alarms.next_s()
            if deadline_s <= self.now_s:  # More was learnt, and with it what has hung.
                self._expire()
                deadline_s = self.alarms.next_s()
            if self.room.count:
                deadline_s = min(deadline_s, self.scheduler.next_boost_s, self.room.look_s)
            self._deadline_s = deadline_s
        self._history.extend(out)
        return out

    def next_deadline(self) -> float:
        """When `handle` must be called again at the latest, in seconds; infinite for never."""
        return self._deadline_s

    def statistics(self, *, agents: bool = True) -> Statistics:
        """The state for people, frozen. Costs a look at each agent."""
        return observe(self, agents=agents)

    def validate(self) -> None:
        """Check every invariant.

        Raises:
            KernelBug: One does not hold.
        """
        check(self)

    def story(self, ticket: int) -> list[fx.Effect]:
        """What has lately happened to a ticket, the oldest first."""
        return [effect for effect in self._history if effect.ticket == ticket]

    # -- events -----------------------------------------------------------------------------

    def _submit(self, event: ev.Submit) -> None:
        now_s, call, number = self.now_s, event.call, event.ticket
        if number in self.tickets:
            raise KernelBug(f"ticket {number} was submitted twice: {self.story(number)}")
        group = self.pool.groups.get(call.group)
        if group is None:
            names = ", ".join(map(repr, self.pool.groups))
            raise ConfigError("group", call.group, f"use one of the configured groups: {names}")
        self.counters.submitted += 1
        self._out.append(fx.Submitted(now_s, number, call.agent, call.label))
        if self.closed:
            self.counters.refused["closed"] += 1
            self._out.append(fx.Refused(now_s, number, call.agent, "closed", 0.0))
            return
        account = self.agents.enter(call, now_s)
        self.seq += 1
        ticket = self.tickets[number] = Ticket(number, self.seq, call, account, group, now_s)
        refusal = self.congestion.enter(ticket, event.place_of)
        if refusal is not None:
            self.refuse(ticket, *refusal)
            return
        if event.parent is not None and self.nesting.attach(ticket, event.parent):
            return
        # Nobody who waits may start, so nobody is overtaken.
        if not ticket.hold_s and self._may_start(ticket):
            if not ticket.turn:
                self.room.turn += 1
                ticket.turn = self.room.turn  # its place, should it have to go again
            self.grant(ticket, "free", self.pool.take(group, account))
        else:
            self.waits.queue(ticket)

    def _withdraw(self, event: ev.Withdraw) -> None:
        ticket = self.tickets.get(event.ticket)
        if ticket is None:
            return
        if ticket.state is State.QUEUED:
            self.room.remove(ticket, self.now_s)
            self.refuse(ticket, event.cause)
            self.dispatch()
        else:
            self._end(ticket, None, Outcome.CANCELLED)

    def _beat(self, event: ev.Beat) -> None:
        ticket = self.tickets.get(event.ticket)
        if ticket is None or ticket.state is not State.RUNNING:
            return
        ticket.beats += 1
        tokens = event.tokens
        if tokens:
            ticket.beaten_tokens += tokens
            self.counters.token_rate.add(tokens, self.now_s)
        self.congestion.beat(ticket)
        if not ticket.nested:
            self.clocks.arm(ticket)
        self._out.append(fx.Beaten(self.now_s, ticket.number, ticket.call.agent, "", tokens))

    def _settle(self, event: ev.Settle) -> None:
        ticket = self.tickets.get(event.ticket)
        if ticket is None:
            return
        if ticket.state is State.QUEUED:
            raise KernelBug(
                f"ticket {event.ticket} waits and was settled: {self.story(event.ticket)}"
            )
        self._end(ticket, event.usage, event.outcome, event)

    def _end_agent(self, event: ev.EndAgent) -> None:
        for account in self.agents.family(event.agent, event.tenant):
            for bid in list(account.bids.values()):
                while bid.live:  # To refuse one may let another one go.
                    first = bid.head
                    self.room.remove(first, self.now_s)
                    self.refuse(first, "agent_ended")
            for ticket in list(self.room.asleep.values()):
                if ticket.account is account:
                    self.room.remove(ticket, self.now_s)
                    self.refuse(ticket, "agent_ended")
        self.dispatch()

    def _tick(self, event: ev.Tick) -> None:
        """What was due has been done already."""

    def _close(self, event: ev.Close) -> None:
        self.closed = True
        for ticket in list(self.tickets.values()):
            if ticket.state is State.QUEUED:
                self.room.remove(ticket, self.now_s)
                self.refuse(ticket, event.cause)
        self.dispatch()

    # -- steps ------------------------------------------------------------------------------

    def grant(self, ticket: Ticket, cause: str, seat: Seat) -> None:
        """Give `ticket` its seat."""
        now_s, account = self.now_s, ticket.account
        move(ticket, State.RUNNING)
        ticket.seat = seat
        ticket.granted_s = now_s
        allowed = terms(ticket.call, self._leases)
        ticket.terms = allowed if ticket.site is None else self.congestion.terms(ticket, allowed)
        ticket.deadline_s = now_s + ticket.terms.total_s
        counters = self.counters
        counters.granted += 1
        counters.running += 1
        waited_s = now_s - ticket.queued_s
        if waited_s:
            ticket.waited_s += waited_s
            account.waited_s += waited_s
            account.tenant.waited_s += waited_s
            counters.waited_s += waited_s
        if seat.group.per_agent is not None:
            self.room.seated(account, seat.group)
        if ticket.parent is not None:
            self.nesting.granted(ticket)
        self.congestion.go(ticket)
        self.clocks.start(ticket)
        number, agent = ticket.number, ticket.call.agent
        self._out.append(fx.Granted(now_s, number, agent, cause, ticket.group.name, waited_s))
        boost = self.scheduler.dispatched(now_s)
        if boost is not None:
            self._boosted(boost)

    def refuse(self, ticket: Ticket, cause: str, detail: str = "") -> None:
        """A call that does not wait (any more) will not run."""
        move(ticket, State.GONE)
        waited_s = self.now_s - ticket.submitted_s
        account = ticket.account
        account.refused += 1
        account.tenant.refused += 1
        self.counters.refused[cause] += 1
        number, agent = ticket.number, ticket.call.agent
        self._out.append(fx.Refused(self.now_s, number, agent, cause, waited_s, detail))
        self.congestion.ledgers.settle(ticket, None, ran=ticket.attempts > 0)
        self._forget(ticket)

    def _end(
        self,
        ticket: Ticket,
        usage: Usage | None,
        outcome: Outcome,
        settle: ev.Settle | None = None,
    ) -> None:
        late = ticket.state is State.ZOMBIE
        move(ticket, State.DONE)
        if late:
            self.zombies -= 1
        else:
            self.vacate(ticket)
        account = ticket.account
        account.calls += 1
        if usage is not None or ticket.beaten_tokens:
            self.charge(ticket, usage)
        if ticket.site is not None or self.config.budgets:
            unknown = settle is None or (settle.verdict is None and outcome is not Outcome.OK)
            if settle is None or unknown or outcome is Outcome.CANCELLED:
                self.congestion.given_up(ticket, usage)
            else:
                self.congestion.ended(ticket, usage, settle.verdict, settle.report)
        self.counters.settled += 1
        cause = "late" if late else outcome.value
        held_s = self.now_s - ticket.granted_s
        number, agent = ticket.number, ticket.call.agent
        self._out.append(fx.Settled(self.now_s, number, agent, cause, outcome, held_s, usage))
        self._forget(ticket)
        if self.scheduler.charged(account, self.now_s):
            self.room.recharged(account, self.now_s)
        if self.room.count or self.scheduler.demoted or self.congestion.opened:
            self.dispatch()

    def vacate(self, ticket: Ticket, *, until_s: float = NEVER) -> None:
        """The call leaves its lane; only until `until_s` does it count as service."""
        self.clocks.stop(ticket, until_s)
        self.counters.running -= 1
        seat = ticket.seat
        assert seat is not None  # noqa: S101 - every running ticket has one
        ticket.seat = None
        if self.pool.leave(seat) and self.room.count:
            self.room.unseated(seat.account, seat.group, self.now_s)
            self.room.reprice(seat.account.tenant)

    def charge(self, ticket: Ticket, usage: Usage | None) -> None:
        """The tokens count for the agent, its tenant and the totals."""
        if usage is None:
            # Nobody knows what it cost; what came out did cost.
            usage = Usage(0, ticket.beaten_tokens)
        tokens = usage.input_tokens + usage.output_tokens
        if not tokens:
            return
        account, tenant, counters = ticket.account, ticket.account.tenant, self.counters
        account.tokens += tokens
        tenant.tokens += tokens
        account.attained_s += tokens * self._token_service_s
        self.shares.charge(tenant, tokens, self.now_s)
        counters.input_tokens += usage.input_tokens
        counters.output_tokens += usage.output_tokens
        if tokens > ticket.beaten_tokens:
            counters.token_rate.add(tokens - ticket.beaten_tokens, self.now_s)

    def _forget(self, ticket: Ticket) -> None:
        """The ticket is done; see to what hung on it."""
        del self.tickets[ticket.number]
        if ticket.alarm_s < NEVER:
            self.alarms.clear(ticket)
        if ticket.site is not None:
            self.congestion.leave(ticket.site)
        if ticket.parent is not None or ticket.kids is not None:
            self.nesting.detach(ticket)
        self.agents.leave(ticket.account, self.now_s)

    def dispatch(self) -> None:
        """Grant until nobody who waits may start."""
        if self.congestion.opened:
            self.congestion.turn_away()
        self.room.look_s = NEVER
        while self.room.count and (choice := self.room.choose(self.now_s)) is not None:
            bid, cause = choice
            ticket = self.room.take(bid, self.now_s)
            within = self.nesting.within(ticket)
            self.grant(ticket, cause, self.pool.take(ticket.group, ticket.account, within))
        if self.nesting.waiting:
            self.nesting.relieve()
        if self.scheduler.demoted:
            for account, level in self.scheduler.demoted:
                self.counters.demotions += 1
                self._out.append(fx.Demoted(self.now_s, 0, account.name, "quantum", level))
            self.scheduler.demoted.clear()

    # -- time -------------------------------------------------------------------------------

    def _expire(self) -> None:
        now_s = self.now_s
        while (item := self.alarms.due(now_s)) is not None:
            ticket: Ticket = item  # type: ignore[assignment]
            if ticket.state is State.QUEUED:
                self.waits.rung(ticket)
            elif ticket.state is State.RUNNING:
                self._reap(ticket)
            else:
                self._lose(ticket)
        if self.room.count and self.scheduler.next_boost_s <= now_s:
            self.scheduler.boost(now_s)
            self._boosted("time")
        self.dispatch()

    def _reap(self, ticket: Ticket) -> None:
        limits = ticket.terms
        assert limits is not None  # noqa: S101 - set when it was granted
        if self.now_s >= ticket.deadline_s:
            cause = "deadline"
        else:
            cause = "silence" if ticket.beats else limits.first_cause
        held_s = self.now_s - ticket.granted_s
        move(ticket, State.ZOMBIE)
        self.vacate(ticket, until_s=ticket.progress_s)  # its silence was no service to its agent
        self.congestion.reaped(ticket)
        self.zombies += 1
        ticket.account.zombies += 1
        self.counters.reaped += 1
        self.counters.zombie_lane_s += held_s
        number, agent = ticket.number, ticket.call.agent
        self._out.append(fx.Reaped(self.now_s, number, agent, cause, held_s))
        if ticket.parent is not None or ticket.kids is not None:
            self.nesting.detach(ticket)
        if self.scheduler.charged(ticket.account, self.now_s):
            self.room.recharged(ticket.account, self.now_s)
        # Its caller may never come back: remember it for as long as an idle agent.
        self.alarms.set(ticket, self.now_s + self.config.agent_idle_s)

    def _lose(self, ticket: Ticket) -> None:
        """A zombie's caller was never heard of again."""
        move(ticket, State.DONE)
        self.zombies -= 1
        self.counters.lost += 1
        self._forget(ticket)

    def emit(self, effect: fx.Effect) -> None:
        """Tell of something."""
        self._out.append(effect)

    def _boosted(self, cause: str) -> None:
        self.counters.boosts += 1
        self._out.append(fx.Boosted(self.now_s, 0, "", cause))

    # -- helpers ----------------------------------------------------------------------------

    def _may_start(self, ticket: Ticket) -> bool:
        group: Group = ticket.group
        account = ticket.account
        return (
            self.pool.free(group)
            and (group.per_agent is None or not group.agent_full(account))
            and (group.per_tenant is None or not group.tenant_full(account.tenant))
            and (ticket.site is None or self.congestion.may_start(ticket))
        )
