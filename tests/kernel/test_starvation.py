"""The starvation bound that the feedback queues state, under traffic made to break it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.config import LaneGroup, TenantConfig
from agentrm_plugins.types import effects as fx
from tests.effort import effort
from tests.kernel.world import World, config, said

pytestmark = pytest.mark.lowest


@effort(60)
@given(
    interval=st.integers(1, 8),
    lanes=st.integers(1, 3),
    ahead=st.integers(0, 4),
    in_flight=st.booleans(),
    order=st.sampled_from(["mlfq", "mlfq_textbook"]),
    hint=st.sampled_from(["interactive", None]),
    hostile=st.lists(st.integers(0, 3), min_size=1, max_size=3),
    data=st.data(),
)
def test_bound_holds_under_hostile_traffic(
    interval: int,
    lanes: int,
    ahead: int,
    in_flight: bool,
    order: str,
    hint: str | None,
    hostile: list[int],
    data: st.DataObject,
) -> None:
    """Endless new interactive agents of light tenants: (r + 1) * boost_interval, and no more."""
    world = World(
        config(
            lanes,
            order,
            time_quanta_s=(1.0, 2.0, 4.0, 8.0),
            boost_interval=interval,
            total_timeout_s=None,
            response_timeout_s=1e9,
            tenants={"victim": TenantConfig(weight=1e-6)},
        )
    )
    fresh = iter(range(10**9))

    def attack() -> None:
        tenant = f"light{data.draw(st.sampled_from(hostile))}"
        world.submit(f"new{next(fresh)}", tenant=tenant, priority=hint)

    own = world.submit("victim", tenant="victim", priority="background")
    world.wait(100.0)
    if not in_flight:
        world.settle(own, tokens=10**6)
    while len(world.running) < lanes + (own in world.running):
        if not world.submit("filler", tenant="victim") or world.waiting:
            break
    for _ in range(ahead):
        attack()
    preceding = len({world.calls[number].agent for number in world.waiting} - {"victim"})
    victim = world.submit("victim", tenant="victim", priority="background")
    dispatches = 0
    while world.state[victim] != "running":
        for _ in range(1 + lanes):
            attack()
        candidates = [number for number in world.running if number != own or lanes == 1]
        world.wait(0.01)
        number = data.draw(st.sampled_from(candidates or world.running))
        effects = world.settle(number, tokens=data.draw(st.sampled_from([0, 5])))
        dispatches += sum(isinstance(effect, fx.Granted) for effect in effects)
        assert dispatches <= (preceding + 2) * interval
    assert dispatches <= (preceding + 1) * interval


def test_other_groups_cannot_starve_a_group() -> None:
    """Lanes in all are what is scarce: calls of another group may not take every one."""
    interval = 5
    groups = (LaneGroup("model", 1), LaneGroup("node", 1))
    tenants = {"victim": TenantConfig(weight=1e-6)}
    world = World(config(1, "mlfq", *groups, boost_interval=interval, tenants=tenants))
    world.settle(world.submit("v", tenant="victim", group="node"), tokens=10**6)
    world.submit("new0", tenant="light0")
    victim = world.submit("v", tenant="victim", group="node")
    for number in range(1, 2 * interval + 10):
        world.submit(f"new{number}", tenant=f"light{number}")
        world.settle(*world.running)
        if world.state[victim] == "running":
            break
    assert number <= interval + 2


def test_oldest_turn_is_relieved_with_its_cause() -> None:
    """The grant that bounds starvation says so; baselines know no such grant."""
    for order, causes in (("mlfq", {"order", "oldest"}), ("fifo", {"order"})):
        world = World(config(1, order, boost_interval=2))
        first = world.submit("a")
        for agent in "bcdef":
            world.submit(agent)
        seen = set()
        while world.running:
            effects = world.settle(*world.running)
            seen |= {effect.cause for effect in effects if isinstance(effect, fx.Granted)}
        assert first in world.granted
        assert seen == causes


def test_boost_by_dispatches_and_by_time() -> None:
    """All agents go up after so many dispatches, and after so many seconds if calls wait."""
    world = World(config(1, "mlfq_textbook", boost_interval=3, time_quanta_s=(1.0, 1.0, 1.0, 1.0)))
    number = world.submit("greedy")
    world.wait(2.5)
    world.settle(number)
    assert world.kernel.statistics().agents["greedy"].level == 2
    world.settle(world.submit("x"))
    world.submit("y")
    assert world.kernel.statistics().boosts == 1
    assert world.kernel.statistics().agents["greedy"].level == 0

    world = World(config(1, "mlfq_textbook", boost_every_s=10.0))
    world.submit("a")
    assert world.wait(50.0) == []
    world.submit("b")
    assert world.kernel.next_deadline() == 60.0
    effects = world.wait(25.0)
    assert [(effect.at_s, effect.cause) for effect in effects] == [(60.0, "time"), (70.0, "time")]


def test_demotion_is_told_once_and_moves_all_of_an_agents_bids() -> None:
    """Service counts wherever the agent waits, also while its calls are in flight."""
    groups = (LaneGroup("model", 1), LaneGroup("node", 1))
    world = World(config(2, "mlfq_textbook", *groups, time_quanta_s=(1.0, 2.0, 4.0, 8.0)))
    running, _ = world.submit("greedy"), world.submit("other", group="node")
    world.submit("greedy")
    late = world.submit("greedy", group="node")
    world.submit("fresh")
    fresh = world.submit("fresh2", group="node")
    world.wait(3.5)
    assert world.tally["Demoted"] == 0
    world.settle(running)
    assert world.tally["Demoted"] == 1
    assert said(world.settle(2))[1:] == [("Granted", fresh, "order"), ("Demoted", 0, "quantum")]
    agents = world.kernel.statistics().agents
    assert (agents["greedy"].level, agents["other"].level, agents["fresh2"].level) == (2, 2, 0)
    assert fresh in world.running
    assert late in world.waiting
