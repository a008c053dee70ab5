"""Any history at all: a state machine over the kernel, in each order, dumped after every step."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from agentrm_plugins.calls import Usage
from agentrm_plugins.config import LaneGroup, Order, TenantConfig
from tests.effort import effort
from tests.kernel.world import World, config

pytestmark = pytest.mark.lowest

AGENTS = st.sampled_from(["a", "b", "c", "d"])
TENANTS = st.sampled_from(["default", "other", "third"])
GROUPS = st.sampled_from(["model", "node", "tool"])
CEILING = st.one_of(st.none(), st.integers(1, 2))
SECONDS = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 5.0, 30.0])
PICK = st.integers(0, 1000)
EXAMPLES = 40  # of 40 steps, in each of the five orders


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
            ),
            twin=True,
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
    )
    def submit(self, agent, tenant, group, priority, wait_s, parent_agent, streaming, total_s):
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
                estimate=Usage(3, 4) if streaming else Usage(),
            )

    @precondition(lambda self: self.world.state)
    @rule(
        pick=PICK, agent=AGENTS, tenant=TENANTS, group=GROUPS, wait_s=st.sampled_from([None, 0, 1])
    )
    def submit_nested(self, pick, agent, tenant, group, wait_s):
        """Mostly inside a running call; now and then inside one that is long gone."""
        numbers = self.world.running or list(self.world.state)
        parent = numbers[pick % len(numbers)]
        self.world.submit(agent, parent, tenant=tenant, group=group, wait_timeout_s=wait_s)

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
        for _ in range(10_000):
            if not world.running:
                break
            world.settle(*world.running)
        assert not world.running
        assert not world.waiting
        world.wait(60.0)
        assert not world.kernel.tickets
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
