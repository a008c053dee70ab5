"""Calls of several attempts in any history: a state machine of callers who do as hosts do.

A late call gets a second attempt, the first answer wins, what gave way is sent again, and meanwhile
callers cancel, servers fail, say when they come back, or never do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agentrm_plugins.config.endpoints import BudgetConfig, EndpointConfig
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import Outcome, Usage
from agentrm_plugins.types.verdicts import Kind, LimitReport
from tests.effort import effort
from tests.kernel.world import World, config

pytestmark = pytest.mark.lowest

PLACES = ("x/m#k", "y/m#k")
ESTIMATE = Usage(50, 20)
PICK = st.integers(0, 1000)
KINDS = st.sampled_from([Kind.LIMIT, Kind.OVERLOADED, Kind.TRANSIENT])
EXAMPLES = 25


@dataclass(eq=False)
class Flow:
    """One call of a user: its attempts that are not over, the first one first."""

    options: dict[str, Any]
    attempts: list[int] = field(default_factory=list)
    late: set[int] = field(default_factory=set)
    over: bool = False


class Machine(RuleBasedStateMachine):
    """A core with late calls, and what hosts and servers do to it."""

    world: World

    @initialize(
        lanes=st.sampled_from([1, 2, 3, 8]),
        concurrency=st.sampled_from([None, None, 1, 2]),
        rpm=st.sampled_from([None, 600.0]),
        warm=st.sampled_from([True, True, False]),
        eager=st.sampled_from([True, True, False]),
    )
    def build(self, lanes, concurrency, rpm, warm, eager):
        endpoint = EndpointConfig(concurrency=concurrency, rpm=rpm)
        budgets = (BudgetConfig(1e9, agent="*"), BudgetConfig(1e9, "calls", tenant="*"))
        self.lanes, self.concurrency, self.eager = lanes, concurrency, False
        self.flows: list[Flow] = []
        self.flow_of: dict[int, Flow] = {}
        self.world = World(config(lanes, endpoints={"x/*": endpoint}, budgets=budgets))
        for _ in range(12 if warm else 0):
            number = self.world.submit("w", endpoint=PLACES[0], estimate=ESTIMATE)
            self.after(0.3)
            self.world.feed(ev.Settle(number, ESTIMATE))
        self.eager = eager

    # -- what the host does of itself -----------------------------------------------------------

    def after(self, seconds):
        """Time passes, and hosts do at once what they are told to."""
        for _ in range(8):
            for effect in self.world.wait(seconds / 8):
                flow = self.flow_of.get(effect.ticket)
                if flow is not None and isinstance(effect, fx.Suspected):
                    flow.late.add(effect.ticket)
                elif flow is not None and isinstance(effect, fx.Reaped) and self.eager:
                    self.gave_way(flow, effect.ticket)
            self.tidy()
            for flow in self.flows if self.eager else ():
                self.hedged(flow)

    def gave_way(self, flow, number):
        """What was ended is settled, and sent again: beside the first, or for its own place."""
        self.world.feed(ev.Settle(number, Usage(50), Outcome.ERROR))
        flow.attempts.remove(number)
        first = next(iter(self.running(flow)), None)
        if first is not None:
            self.attempt(flow, self.world.hedge(first))
        elif not flow.attempts:
            self.attempt(flow, self.world.submit(place_of=number, **flow.options))

    def hedged(self, flow):
        first = next((number for number in self.running(flow) if number in flow.late), None)
        flow.late.clear()
        if first is not None:
            self.attempt(flow, self.world.hedge(first))
        self.tidy()

    def tidy(self):
        """Attempts that were refused or are done are no attempts any more."""
        state = self.world.state
        for flow in self.flows:
            flow.attempts = [
                n for n in flow.attempts if state[n] in {"queued", "running", "zombie"}
            ]
            flow.over = flow.over or not flow.attempts
        self.flows = [flow for flow in self.flows if not flow.over]

    def attempt(self, flow, number):
        flow.attempts.append(number)
        self.flow_of[number] = flow

    def running(self, flow):
        return [number for number in flow.attempts if self.world.state[number] == "running"]

    def finish(self, flow, winner):
        """One attempt is answered; the others are cancelled as hosts do it, before it settles."""
        for number in list(flow.attempts):
            state = self.world.state[number]
            if number != winner and state == "running":
                self.world.feed(ev.Settle(number, Usage(50), Outcome.SUPERSEDED))
            elif state == "queued":
                self.world.feed(ev.Withdraw(number, "superseded"))
            elif state == "zombie":
                self.world.feed(ev.Settle(number, Usage(50), Outcome.CANCELLED))
        if self.world.state[winner] == "running":
            self.world.feed(ev.Settle(winner, Usage(40, 20)))
        self.tidy()

    # -- rules ------------------------------------------------------------------------------------

    @rule(
        agent=st.sampled_from("abc"),
        place=st.sampled_from([*PLACES, PLACES[0]]),
        streaming=st.booleans(),
        count=st.integers(1, 3),
    )
    def ask(self, agent, place, streaming, count):
        """Some calls come."""
        options = {"endpoint": place, "estimate": ESTIMATE, "streaming": streaming}
        for _ in range(count):
            flow = Flow({"agent": agent, **options})
            self.attempt(flow, self.world.submit(**flow.options))
            self.flows.append(flow)
        self.tidy()

    @rule(seconds=st.sampled_from([0.1, 0.5, 2.0, 2.0, 20.0, 20.0, 70.0, 300.0]))
    def wait(self, seconds):
        """Time passes."""
        self.after(seconds)

    @precondition(lambda self: any(flow.late for flow in self.flows))
    @rule(pick=PICK)
    def hedge(self, pick):
        """A late call gets a second attempt, of which there may be one already."""
        late = [flow for flow in self.flows if flow.late]
        self.hedged(late[pick % len(late)])

    @precondition(lambda self: any(self.running(flow) for flow in self.flows))
    @rule(pick=PICK, last=st.booleans())
    def answer(self, pick, last):
        """An attempt is answered: the first, or the last."""
        flows = [flow for flow in self.flows if self.running(flow)]
        flow = flows[pick % len(flows)]
        self.finish(flow, self.running(flow)[-1 if last else 0])

    @precondition(lambda self: any(self.running(flow) for flow in self.flows))
    @rule(pick=PICK, kind=KINDS, after_s=st.sampled_from([None, 2.0, 400.0]))
    def fail(self, pick, kind, after_s):
        """The newest attempt fails and goes again, if its endpoint lets it."""
        flows = [flow for flow in self.flows if self.running(flow)]
        number = self.running(flows[pick % len(flows)])[-1]
        self.world.requeue(number, kind, 1.0, LimitReport(retry_after_s=after_s))
        self.tidy()

    @precondition(lambda self: any(self.running(flow) for flow in self.flows))
    @rule(pick=PICK)
    def break_off(self, pick):
        """The first attempt fails for good; if there is another one, that goes on alone."""
        flows = [flow for flow in self.flows if self.running(flow)]
        flow = flows[pick % len(flows)]
        number = self.running(flow)[0]
        self.world.fail(number, Kind.TRANSIENT)
        self.tidy()

    @precondition(lambda self: any(self.running(flow) for flow in self.flows))
    @rule(pick=PICK, visible=st.booleans(), ping=st.booleans())
    def beat(self, pick, visible, ping):
        """An attempt is heard of."""
        flows = [flow for flow in self.flows if self.running(flow)]
        number = self.running(flows[pick % len(flows)])[0]
        self.world.feed(ev.Beat(number, 1, visible=visible and not ping, ping=ping))

    @precondition(lambda self: self.flows)
    @rule(pick=PICK)
    def cancel(self, pick):
        """A caller goes, with all attempts."""
        flow = self.flows[pick % len(self.flows)]
        self.world.withdraw(*flow.attempts)
        self.tidy()

    @precondition(lambda self: self.world.numbers("zombie"))
    @rule(pick=PICK, again=st.booleans())
    def come_back(self, pick, again):
        """The caller of what was ended is told; it settles, and asks again for its place."""
        gone = self.world.numbers("zombie")
        number = gone[pick % len(gone)]
        flow = self.flow_of.get(number)
        self.world.feed(ev.Settle(number, Usage(50), Outcome.CANCELLED))
        if flow is not None and not flow.over and again:
            flow.attempts.remove(number)
            if not flow.attempts:
                self.attempt(flow, self.world.submit(place_of=number, **flow.options))
        self.tidy()

    # -- what holds after each step ---------------------------------------------------------------

    @invariant()
    def no_more_are_alive_than_is_said(self):
        """As many as lanes, half as many late, half as many that ride; never beyond a limit."""
        if not hasattr(self, "world"):
            return
        half = max(1, self.lanes // 2)
        assert len(self.world.running) <= self.lanes + 2 * half
        endpoint = self.world.kernel.books.endpoints.get(PLACES[0])
        if self.concurrency is not None and endpoint is not None:
            assert len(endpoint.in_flight) <= self.concurrency
        for flow in self.flows:
            assert len(self.running(flow)) <= 2

    def teardown(self):
        """All come home: no lane, no ticket, no token stays behind."""
        if not hasattr(self, "world"):
            return
        world, books = self.world, self.world.kernel.books
        for _ in range(500):
            for flow in list(self.flows):
                running = self.running(flow)
                if running:
                    self.finish(flow, running[-1])
            world.feed(*(ev.Settle(number, Usage(50)) for number in world.numbers("zombie")))
            world.settle(*world.running)
            self.tidy()
            if not books.tickets:
                break
            self.after(2.0)
        assert not books.tickets
        assert (books.pool.in_use, books.pool.lent, books.pool.riders) == (0, 0, 0)
        assert not books.hedges
        assert not world.kernel.late.late
        assert all(not endpoint.in_flight for endpoint in books.endpoints.values())
        assert all(not ledger.reserved for ledger in books.ledgers.ledgers.values())
        told = world.kernel.statistics().hedges
        assert told.hedge_won + told.first_won <= told.sent


def test_calls_of_several_attempts_in_any_history():
    """After each step all invariants hold, and in the end nothing is left."""
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Machine,
        settings=effort(
            EXAMPLES,
            stateful_step_count=50,
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
