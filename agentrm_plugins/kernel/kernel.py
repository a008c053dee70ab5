"""The kernel: composes the policies. Events in, effects out; it never waits and knows no clock.

``handle(now_s, *events)`` is the only mutator. After it, nothing that could run is waiting, nothing
that is due is left over, and ``next_deadline()`` says when to call again at the latest. Questions
change nothing.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from agentrm_plugins.errors import ConfigError, KernelBug
from agentrm_plugins.kernel.agents import Agents
from agentrm_plugins.kernel.books import Books
from agentrm_plugins.kernel.check import check
from agentrm_plugins.kernel.clocks import Clocks
from agentrm_plugins.kernel.door import CHECKS, no_event
from agentrm_plugins.kernel.endpoints import Endpoints
from agentrm_plugins.kernel.lane_lending import LaneLending
from agentrm_plugins.kernel.late_calls import LateCalls
from agentrm_plugins.kernel.lifecycle import SEES_TO, Lifecycle
from agentrm_plugins.kernel.mending import Mending
from agentrm_plugins.kernel.nested_calls import NestedCalls
from agentrm_plugins.kernel.observe import observe
from agentrm_plugins.kernel.observe_agents import busiest
from agentrm_plugins.kernel.observe_calls import MOST_WAITERS
from agentrm_plugins.kernel.outside import is_from_outside
from agentrm_plugins.kernel.reaper import Reaper
from agentrm_plugins.kernel.reconfigure import Reconfigure
from agentrm_plugins.kernel.requeue import Requeue
from agentrm_plugins.kernel.steps import Steps
from agentrm_plugins.kernel.supply import Supplies
from agentrm_plugins.kernel.ticket import State
from agentrm_plugins.kernel.wait_queue import WaitQueue
from agentrm_plugins.kernel.waits import Waits
from agentrm_plugins.policy.leases import NEVER
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types import events as ev

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.config import Config
    from agentrm_plugins.policy.order.protocols import Scheduler
    from agentrm_plugins.types.statistics import Statistics

__all__ = ["Kernel"]

_HISTORY = 4096


class Kernel:
    """One core.

    Args:
        config: The configuration.
        now_s: The time at which it begins.
        scheduler: Another order than the configured one.
        shared: Whether a fleet shares its limits: then it has nothing until it is given something.

    `books` are its state, `handled` the events of the last step; all else are its parts.
    """

    handled: tuple[ev.Event, ...] = ()

    def __init__(
        self,
        config: Config,
        now_s: float = 0.0,
        scheduler: Scheduler | None = None,
        *,
        shared: bool = False,
    ) -> None:
        books = self.books = Books(config, now_s, scheduler)
        if shared:
            books.pool.supply(0, {})
        self.clocks = Clocks(books)
        self.agents = Agents(books)
        self.endpoints = Endpoints(books, self.clocks)
        self.queue = WaitQueue(books)
        self.nested = NestedCalls(books, self.clocks)
        self.steps = Steps(books, self.clocks, self.agents, self.endpoints, self.queue, self.nested)
        self.late = LateCalls(books, self.clocks, self.steps, self.queue)
        self.waits = Waits(books, self.steps, self.queue, self.nested, self.late)
        self.requeue = Requeue(
            books, self.steps, self.endpoints, self.waits, self.nested, self.late
        )
        self.lending = LaneLending(books, self.clocks, self.steps, self.queue, self.nested)
        self._reaper = Reaper(
            *(books, self.steps, self.endpoints, self.waits, self.requeue, self.nested),
            *(self.lending, self.clocks, self.late),
        )
        calls = Lifecycle(
            books,
            steps=self.steps,
            clocks=self.clocks,
            agents=self.agents,
            endpoints=self.endpoints,
            queue=self.queue,
            waits=self.waits,
            requeue=self.requeue,
            nested=self.nested,
            lending=self.lending,
            late=self.late,
        )
        self._supplies = Supplies(
            books, self.steps, self.endpoints, self.queue, self._reaper, self.waits
        )
        registries = self.clocks, self.agents, self.endpoints, self.queue
        self._mending = Mending(books, *registries, self.nested, self.late, self.waits)
        self.deadline_s = NEVER
        self._history: deque[fx.Effect] = deque(maxlen=_HISTORY)
        self._handlers = self._handled_by(calls)

    def _handled_by(self, calls: Lifecycle) -> dict[type, Callable[[Any], bool]]:
        """Who sees to each kind of event."""
        changes = Reconfigure(self.books, self.agents, self.endpoints, self.queue, self.clocks)
        return {
            ev.Submit: calls.submit,
            ev.Withdraw: calls.withdraw,
            ev.Beat: calls.beat,
            ev.Idle: calls.idle,
            ev.Settle: calls.settle,
            ev.EndAgent: calls.end_agent,
            ev.Close: calls.close,
            ev.Requeue: self.requeue.requeue,
            ev.Unsent: self.requeue.unsent,
            ev.Observe: self._observe,
            ev.Reconfigure: changes.reconfigure,
            ev.Drain: changes.drain,
            ev.Tick: self._tick,
            ev.Supply: self._supplies.supply,
            ev.Recall: self._supplies.recall,
        }

    def handle(self, now_s: float, *events: ev.Event) -> list[fx.Effect]:  # noqa: C901 - one piece
        """Let `events` happen at `now_s` (seconds; a time before the last one counts as that).

        Returns:
            The effects, in order.

        Raises:
            ConfigError: An event holds a value that cannot be; it changes nothing.
            KernelBug: A host did the impossible, for instance settled a call that still waits.
            Exception: A bug of ours: the call that it concerns is given up, the others go on.

        What is raised carries the effects of all else that happened, as `effects`: whoever catches
        it delivers those.
        """
        books = self.books
        now_s = books.now_s = max(books.now_s, now_s)
        out = books.out = []
        error: Exception | None = None
        if self.deadline_s <= now_s or books.pool.lease_s <= now_s:
            error = self._try(self._expire)
        for event in events:
            kind = event.__class__
            try:
                if kind not in SEES_TO:
                    CHECKS.get(kind, no_event)(event)
                books.at_work = getattr(event, "ticket", 0)
                if self._handlers[kind](event) or books.left or books.failing:
                    self.dispatch()
            except Exception as problem:  # noqa: BLE001 - it is raised when all else is done
                error = self._failed(problem, repr(event)[:200])
        deadline_s = books.alarms.next_s()
        if deadline_s <= now_s:  # More was learnt, and with it what is late.
            error = self._try(self._expire) or error
            deadline_s = books.alarms.next_s()
        if self.queue.count:
            deadline_s = min(deadline_s, books.scheduler.next_boost_s, self.queue.look_s)
        self.deadline_s = deadline_s
        if books.gauges.is_astir:
            books.gauges.look(books.pool, now_s)
        if books.ledgers.crossed:
            self._tell_crossed()
        self._history.extend(out)
        self.handled = events
        if error is not None:
            error.effects = out  # type: ignore[attr-defined]
            raise error
        return out

    def _try(self, step: Callable[[], None]) -> Exception | None:
        """Do a step; if that fails, nothing is left half done."""
        try:
            step()
        except Exception as problem:  # noqa: BLE001 - it is raised when all else is done
            return self._failed(problem, "what was due")
        return None

    def _failed(self, error: Exception, what: str) -> Exception:
        """A step failed: what is to be raised, once others have gone on."""
        if is_from_outside(error):
            raise error
        books = self.books
        books.counters.failed += 1
        if isinstance(error, KernelBug):
            error = KernelBug(f"{error}: {self.story(books.at_work)}")
        else:
            error.add_note(f"while the kernel handled {what}")
        if not isinstance(error, ConfigError | KernelBug):
            self._mend(books.at_work, error)
        return error

    def _mend(self, number: int, error: Exception) -> None:
        """A step failed in the middle: give up its call, and let the others go on."""
        try:
            self._mending.give_up(number, error)
            self.dispatch()
        except Exception as another:  # noqa: BLE001 - one failure is enough to raise
            self.books.counters.failed += 1
            error.add_note(f"and mending it failed: {another!r}")

    def recount(self, half: int = 0) -> None:
        """`handle` was cut by an exception from outside: nothing is left half done.

        Call `handle` afterwards; `handled` are the events of the last one that was not cut.

        Args:
            half: The ticket whose submission was cut, to be submitted again if it is not known.
        """
        self._mending.recount(half)
        self.deadline_s = -NEVER

    def next_deadline(self) -> float:
        """When `handle` must be called again at the latest, in seconds; infinite for never."""
        return self.deadline_s  # hot paths look at that

    def statistics(self, *, agents: bool | int = True, brief: bool = False) -> Statistics:
        """The state for people, frozen, as it was when something happened last.

        `agents` says how many of them are told of, the busiest first: a number, all or none.
        A brief look leaves out tenants and running calls, and all but `BRIEF_ENDPOINTS`.
        """
        known = len(self.books.accounts)
        most = (known if agents else 0) if isinstance(agents, bool) else min(agents, known)
        chosen = busiest(self.books, self.agents.idle, most)
        listed = MOST_WAITERS if agents is True else int(agents)
        return observe(self.books, self.queue, chosen, self.agents.drained, listed, brief=brief)

    def validate(self) -> None:
        """Check every invariant.

        Raises:
            KernelBug: One does not hold.
        """
        check(self.books, self.queue, self.endpoints.idle, self.deadline_s)

    def story(self, ticket: int) -> list[fx.Effect]:
        """What has lately happened to a ticket, the oldest first."""
        return [effect for effect in self._history if effect.ticket == ticket]

    def history(self) -> list[fx.Effect]:
        """What has lately happened, the oldest first."""
        return list(self._history)

    def remember(self, told: list[fx.Effect]) -> None:
        """Let what happened beside the kernel stand in its history."""
        self._history.extend(told)

    def dispatch(self) -> None:
        """Grant until nobody who waits may start, and no late call is in the way."""
        self._grant()
        while self.late.late and not self.books.pool.lapsed and self._reaper.clear():
            self._grant()

    def _grant(self) -> None:
        """Grant until nobody who waits may start."""
        books, queue, now_s = self.books, self.queue, self.books.now_s
        if books.failing or queue.at or books.left or self.late.late:
            self._prepare()
        queue.look_s = NEVER
        pool = books.pool
        while queue.count:
            if pool.in_use >= pool.lanes:
                queue.look_s, queue.looked_s = NEVER, now_s
                break
            choice = queue.choose(now_s)
            queue.note(choice, now_s)
            if choice.bid is None:
                break
            books.at_work = choice.bid.head.number
            ticket = queue.take(choice, now_s)
            within = None if ticket.parent is None else self.lending.within(ticket)
            ticket.seat = pool.take(ticket.group, ticket.account, within)
            self.steps.grant(ticket, choice.cause)
            books.at_work = 0
        if self.nested.waiting and not pool.lapsed:
            self.lending.relieve()
        if self.late.waiting and not pool.lapsed:
            self.late.ride()
        demoted = books.scheduler.demoted
        if demoted:
            for account, level in demoted:
                books.counters.demotions += 1
                books.out.append(
                    fx.Demoted(now_s, 0, account.name, "quantum", level, account.tenant.name)
                )
            demoted.clear()

    def _prepare(self) -> None:
        """See to what happened since, before anybody is granted a lane."""
        if self.books.failing:
            self._turn_away()
        if self.queue.at:
            for at in list(self.queue.at.values()):
                self.endpoints.advance(at.endpoint)
        if self.books.left:
            self.lending.settle()
        if self.late.late:
            self.late.lend_more()
            if self.books.left:  # a nested call lent its lane back
                self.lending.settle()

    def _tell_crossed(self) -> None:
        """Budgets have crossed their marks: say so, and by which call."""
        books, crossed = self.books, self.books.ledgers.crossed
        for number, call, cause, budget in crossed:
            what = budget.name, budget.spent(books.now_s), budget.hard, call.tenant
            books.out.append(fx.BudgetCrossed(books.now_s, number, call.agent, cause, *what))
        crossed.clear()

    def _expire(self) -> None:
        """See to all that is due."""
        books = self.books
        if books.pool.lease_s <= books.now_s:
            self._supplies.lapse()
        self._reaper.expire()
        if self.queue.count and books.scheduler.next_boost_s <= books.now_s:
            books.scheduler.boost(books.now_s)
            self.steps.boosted("time")
        self.dispatch()

    def _turn_away(self) -> None:
        """Endpoints fail, or are closed for long: who would wait for them too long is told so."""
        books = self.books
        while books.failing:
            endpoint = books.failing.pop()
            for ticket in list(books.tickets.values()):
                if ticket.endpoint is endpoint and ticket.state is State.QUEUED:
                    refusal = self.endpoints.impossible(ticket, endpoint)
                    if refusal is not None:
                        self.steps.turn_away(ticket, *refusal)

    def _observe(self, event: ev.Observe) -> bool:
        self.endpoints.observe(event)
        return True

    def _tick(self, _event: ev.Tick) -> bool:
        """What was due has been done already."""
        return False
