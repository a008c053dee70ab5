"""Any history at all: a state machine over the kernel, in each order, dumped on the way."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from agentrm_plugins.config import LaneGroup, Order, TenantConfig
from agentrm_plugins.config.endpoints import (
    BreakerConfig,
    BudgetConfig,
    EndpointConfig,
    Price,
    ShareConfig,
)
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import Usage
from agentrm_plugins.types.verdicts import Kind, LimitReport, ServerLimit
from tests.effort import effort
from tests.kernel.world import World, config

pytestmark = pytest.mark.lowest

AGENTS = st.sampled_from(["a", "b", "c", "d"])
TENANTS = st.sampled_from(["default", "other", "third"])
GROUPS = st.sampled_from(["model", "node", "tool"])
CEILING = st.one_of(st.none(), st.integers(1, 2))
SECONDS = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 5.0, 30.0])
WHERE = st.sampled_from([None, None, "x/1#a", "x/1#b", "y/2", "z/3"])
SIZES = st.sampled_from([Usage(), Usage(3, 4), Usage(100, 10, 50), Usage(10, 400)])
RATES = st.sampled_from([None, None, 3000.0, 6000.0, 60000.0])
ENDPOINTS = st.lists(
    st.builds(
        EndpointConfig,
        rpm=RATES,
        tpm=RATES,
        input_tpm=RATES,
        concurrency=st.sampled_from([None, None, 1, 2]),
        reserve=st.sampled_from(["max", "usage"]),
        cached_input_counts=st.booleans(),
        learn=st.booleans(),
    ),
    min_size=2,
    max_size=2,
)
BUDGETS = st.sampled_from(
    [
        (),
        (),
        (
            BudgetConfig(2000.0, agent="*", window_s=8.0, soft=0.1),
            BudgetConfig(0.01, "cost", tenant="*", window_s=30.0),
        ),
        (BudgetConfig(5.0, "calls", agent="a", soft=0.5), BudgetConfig(900.0, tenant="third")),
    ]
)
SHARES = st.sampled_from(
    [
        (),
        (ShareConfig(0.1, agent="*"), ShareConfig(0.5, "calls", tenant="o*", over="refuse")),
        (ShareConfig(0.3, "calls", agent="a", endpoint="x*", burst_s=0.1),),
    ]
)
LIMITS = st.builds(
    ServerLimit,
    limit=st.sampled_from([None, 120.0, 1200.0]),
    remaining=st.sampled_from([None, 0.0, 50.0]),
    reset_s=st.sampled_from([None, 1.0, 4.0]),
    firm=st.booleans(),
)
REPORTS = st.one_of(
    st.none(),
    st.builds(
        LimitReport,
        retry_after_s=st.sampled_from([None, 0.5, 7.0]),
        requests=st.one_of(st.none(), LIMITS),
        tokens=st.one_of(st.none(), LIMITS),
        resource=st.sampled_from([None, None, "tokens", "requests"]),
    ),
)
PICK = st.integers(0, 1000)
EXAMPLES = 10  # of 40 steps, in each of the five orders


class Machine(RuleBasedStateMachine):
    """Callers that do whatever callers can do, and a core that must bear it."""

    order = "mlfq"
    world: World

    @initialize(
        lanes=st.integers(1, 3),
        bounds=st.lists(st.tuples(st.integers(1, 3), CEILING, CEILING), min_size=3, max_size=3),
        guarantee=st.booleans(),
        max_waiting=st.sampled_from([100, 100, 2, 0]),
        per_agent=st.sampled_from([None, 2]),
        boost=st.sampled_from([1, 3, 100]),
        boost_every_s=st.sampled_from([None, 3.0]),
        token_service_s=st.sampled_from([0.0, 10.0]),
        endpoints=ENDPOINTS,
        budgets=BUDGETS,
        shares=SHARES,
    )
    def build(
        self,
        lanes,
        bounds,
        guarantee,
        max_waiting,
        per_agent,
        boost,
        boost_every_s,
        token_service_s,
        endpoints,
        budgets,
        shares,
    ):
        groups = [
            LaneGroup(name, capacity, int(guarantee and not number), agents, tenants)
            for number, (name, (capacity, agents, tenants)) in enumerate(
                zip(("model", "node", "tool"), bounds, strict=True)
            )
        ]
        self.world = World(
            config(
                lanes,
                self.order,
                *groups,
                max_waiting=max_waiting,
                max_waiting_per_agent=per_agent,
                agent_idle_s=20.0,
                tenants={"other": TenantConfig(2.5)},
                boost_interval=boost,
                boost_every_s=boost_every_s,
                service_s_per_1k_tokens=token_service_s,
                time_quanta_s=(0.5, 1.0, 2.0, 4.0),
                first_token_timeout_s=3.0,
                silence_timeout_s=2.0,
                response_timeout_s=4.0,
                total_timeout_s=9.0,
                endpoints=dict(zip(("x*", "y*"), endpoints, strict=True)),
                breaker=BreakerConfig(least_calls=3, window_s=10.0, cool_down_s=2.0),
                budgets=budgets,
                shares=shares,
                prices={"*": Price(1.0, 2.0)},
            ),
            twin=True,
            dumped_each=3,
        )

    @rule(
        agent=AGENTS,
        tenant=TENANTS,
        group=GROUPS,
        priority=st.sampled_from([None, "interactive", "batch", "background"]),
        wait_s=st.sampled_from([None, None, None, 4.0, 0.5, 0]),
        parent_agent=st.one_of(st.none(), AGENTS),
        streaming=st.booleans(),
        total_s=st.sampled_from([None, 1.5]),
        endpoint=WHERE,
        tokens=SIZES,
    )
    def submit(
        self,
        agent,
        tenant,
        group,
        priority,
        wait_s,
        parent_agent,
        streaming,
        total_s,
        endpoint,
        tokens,
    ):
        """Three agents at once, so that most find the lanes taken."""
        for name, payer in ((agent, tenant), ("crowd", "other"), (agent, "third")):
            self.world.submit(
                name,
                tenant=payer,
                group=group,
                priority=priority,
                wait_timeout_s=wait_s,
                parent_agent=None if parent_agent == agent else parent_agent,
                streaming=streaming,
                total_timeout_s=total_s,
                estimate=tokens,
                endpoint=endpoint,
            )

    @precondition(lambda self: self.world.state)
    @rule(
        pick=PICK,
        agent=AGENTS,
        tenant=TENANTS,
        group=GROUPS,
        wait_s=st.sampled_from([None, 0, 1]),
        endpoint=WHERE,
        tokens=SIZES,
    )
    def submit_nested(self, pick, agent, tenant, group, wait_s, endpoint, tokens):
        """Mostly inside a running call; now and then inside one that is long gone."""
        numbers = self.world.running or list(self.world.state)
        parent = numbers[pick % len(numbers)]
        self.world.submit(
            agent,
            parent,
            tenant=tenant,
            group=group,
            wait_timeout_s=wait_s,
            endpoint=endpoint,
            estimate=tokens,
        )

    @precondition(lambda self: self.world.numbers("zombie", "done"))
    @rule(pick=PICK, group=GROUPS, endpoint=WHERE)
    def submit_again(self, pick, group, endpoint):
        """A call that hung goes again at its place; its old self may still be heard of."""
        numbers = self.world.numbers("zombie") or self.world.numbers("done")
        old = numbers[pick % len(numbers)]
        call = self.world.calls[old]
        fields = {"tenant": call.tenant, "group": group, "endpoint": endpoint}
        self.world.submit(call.agent, place_of=old, **fields)

    @precondition(lambda self: self.world.running)
    @rule(
        pick=PICK,
        kind=st.sampled_from([Kind.LIMIT, Kind.OVERLOADED, Kind.TRANSIENT]),
        wait_s=st.sampled_from([0.0, 0.0, 1.0, 6.0]),
        report=REPORTS,
    )
    def requeue(self, pick, kind, wait_s, report):
        """A call that failed holds nothing and keeps its place."""
        numbers = self.world.running
        number = numbers[pick % len(numbers)]
        self.world.requeue(number, kind, wait_s, report)

    @precondition(lambda self: self.world.running)
    @rule(pick=PICK, kind=st.sampled_from([*Kind, None]), report=REPORTS)
    def fail(self, pick, kind, report):
        """A call that failed for good."""
        numbers = self.world.running
        self.world.fail(numbers[pick % len(numbers)], kind, report)

    @rule(
        endpoint=st.sampled_from(["x/1#a", "y/2", "z/3"]),
        report=REPORTS,
        kind=st.sampled_from([None, None, *Kind]),
        ago_s=st.sampled_from([None, 0.0, 2.0]),
    )
    def observe(self, endpoint, report, kind, ago_s):
        """What others meet at an endpoint counts too."""
        sent_s = None if ago_s is None else max(0.0, self.world.now_s - ago_s)
        self.world.observe(endpoint, report or LimitReport(), kind, sent_s)

    @precondition(lambda self: self.world.numbers("running", "zombie", "done", "gone"))
    @rule(pick=PICK, tokens=st.sampled_from([10, 5000, 200, None, 0]))
    def settle(self, pick, tokens):
        """Once or twice: the second time changes nothing."""
        numbers = self.world.numbers("running", "zombie") or list(self.world.state)
        number = numbers[pick % len(numbers)]
        if self.world.state[number] != "queued":
            self.world.settle(number, tokens=tokens)
            assert self.world.settle(number, tokens=tokens) == []

    @precondition(lambda self: self.world.state)
    @rule(pick=PICK)
    def withdraw(self, pick):
        """In whatever state the call is, and once more."""
        number = 1 + pick % (len(self.world.state) + 1)
        self.world.withdraw(number)
        assert self.world.withdraw(number) == []

    @precondition(lambda self: self.world.state)
    @rule(pick=PICK, tokens=st.sampled_from([0, 7]))
    def beat(self, pick, tokens):
        numbers = self.world.running or list(self.world.state)
        self.world.beat(numbers[pick % len(numbers)], tokens)

    @precondition(lambda self: self.world.state)
    @rule(pick=PICK, visible=st.booleans())
    def say(self, pick, visible):
        """A running call says something to its consumer, or only shows that it lives."""
        numbers = self.world.running or list(self.world.state)
        self.world.feed(ev.Beat(numbers[pick % len(numbers)], 1, visible))

    @precondition(lambda self: self.world.state)
    @rule(pick=PICK, idle=st.booleans())
    def pause(self, pick, idle):
        """A consumer does not ask for more, or does again."""
        numbers = self.world.running or list(self.world.state)
        self.world.feed(ev.Idle(numbers[pick % len(numbers)], idle))

    @precondition(lambda self: self.world.state)
    @rule(pick=PICK)
    def hedge(self, pick):
        """A second attempt, mostly of a late call; now and then of one that is not, or is over."""
        late = list(self.world.kernel.late.late)
        numbers = late or self.world.running or list(self.world.state)
        self.world.hedge(numbers[pick % len(numbers)])

    @precondition(lambda self: self.world.running)
    @rule(pick=PICK, tokens=st.sampled_from([10, None]))
    def supersede(self, pick, tokens):
        """One attempt was faster, the other one is cancelled."""
        numbers = self.world.running
        number = numbers[pick % len(numbers)]
        ticket = self.world.kernel.books.tickets[number]
        other = ticket.first or ticket.hedge
        self.world.settle(number, tokens=tokens)
        if other is not None and self.world.state[other.number] == "running":
            self.world.supersede(other.number, tokens=tokens)

    @rule(agent=AGENTS, tenant=TENANTS)
    def end_agent(self, agent, tenant):
        """Nobody of that name waits afterwards, though others may start in their place."""
        self.world.end(agent, tenant)
        calls = self.world.calls
        assert (agent, tenant) not in {
            (calls[number].agent, calls[number].tenant) for number in self.world.waiting
        }

    @rule(seconds=SECONDS)
    def wait(self, seconds):
        self.world.wait(seconds)

    @rule(seconds=SECONDS)
    def oversleep(self, seconds):
        """A host that was late: all deadlines that passed are met at once."""
        self.world.now_s += seconds
        self.world.feed()

    @rule(data=st.data())
    def close(self, data):
        """Seldom: all that waits is refused, what runs goes on."""
        if data.draw(st.integers(0, 30)) == 7:
            self.world.close()
            assert not self.world.waiting

    def teardown(self):
        """All come home in the end: nothing is left waiting, running or forgotten."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.wait(40.0)
        for _ in range(2000):
            world.settle(*world.running)
            if not world.waiting and not world.running:
                break
            world.wait(1.0)  # endpoints and breakers take their time
        assert not world.running
        assert not world.waiting
        world.wait(60.0)
        assert not world.kernel.books.tickets
        statistics = world.kernel.statistics()
        assert (statistics.lanes_in_use, statistics.waiting, statistics.zombies) == (0, 0, 0)


def machine_of(name: str) -> type[Machine]:
    return type(f"Machine_{name}", (Machine,), {"order": name})


@pytest.mark.parametrize("order", [str(order) for order in Order])
def test_any_history(order: str) -> None:
    """After each step every invariant holds, the twin that was dumped and loaded answers alike."""
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        machine_of(order),
        settings=effort(
            EXAMPLES,
            stateful_step_count=40,
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
