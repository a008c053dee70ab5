"""Agents and tenants: whom the kernel meets, who works for whom, and whom it forgets."""

from __future__ import annotations

import pytest

from agentrm_plugins.config import LaneGroup
from tests.kernel.world import World, config, said

pytestmark = pytest.mark.lowest


def test_ending_an_agent_withdraws_its_family() -> None:
    """Its waiting calls and its children's are refused; running ones and strangers go on."""
    world = World(config(1))
    running = world.submit("boss")
    own = world.submit("boss")
    child = world.submit("child", parent_agent="boss")
    grandchild = world.submit("grandchild", parent_agent="child")
    stranger = world.submit("stranger")
    namesake = world.submit("child", tenant="other")
    effects = world.end("boss")
    assert said(effects) == [
        ("Refused", number, "agent_ended") for number in (own, child, grandchild)
    ]
    assert world.running == [running]
    assert world.waiting == [stranger, namesake]
    assert world.end("nobody") == []


def test_parent_may_be_unknown_so_far() -> None:
    """A child may come before its parent has made any call."""
    world = World(config(1))
    world.submit("x")
    child = world.submit("child", parent_agent="boss")
    assert world.kernel.statistics().agents["child"].parent == "boss"
    assert said(world.end("boss")) == [("Refused", child, "agent_ended")]


def test_child_may_change_hands() -> None:
    """The last parent named is the one that counts; what was asked for another one goes on."""
    world = World(config(1))
    world.submit("x")
    world.submit("child", parent_agent="first")
    world.submit("child", parent_agent="second")
    world.submit("child", parent_agent="second")
    assert world.end("first") == []
    assert len(world.end("second")) == 2
    assert len(world.end("child")) == 1


def test_circles_of_parents_are_cut() -> None:
    """Nobody is his own ancestor: the tie that would close a circle loosens an older one."""
    world = World(config(1))
    world.submit("x")
    a = world.submit("a", parent_agent="b")
    b = world.submit("b", parent_agent="c")
    c = world.submit("c", parent_agent="a")
    assert world.kernel.statistics().agents["b"].parent is None
    assert [effect.ticket for effect in world.end("c")] == [c]
    assert [effect.ticket for effect in world.end("b")] == [b, a]


def test_idle_agents_are_forgotten_and_tenants_with_them() -> None:
    """An agent without calls for `agent_idle_s` is forgotten when the next new one comes."""
    world = World(config(2, agent_idle_s=10.0))
    world.settle(world.submit("old", tenant="t"), tokens=5)
    world.wait(5.0)
    world.settle(world.submit("again"))
    world.wait(5.0)
    world.settle(world.submit("again"))
    assert "t" in world.kernel.statistics().tenants
    world.submit("new")
    statistics = world.kernel.statistics()
    assert set(statistics.agents) == {"again", "new"}
    assert set(statistics.tenants) == {"default"}


def test_parents_are_remembered_while_they_have_children() -> None:
    """A parent that only commands has no calls, and its children are still found."""
    world = World(config(1, agent_idle_s=10.0))
    world.settle(world.submit("child", parent_agent="boss"))
    for _ in range(5):
        world.wait(6.0)
        world.settle(world.submit("child", parent_agent="boss"))
        world.settle(world.submit(f"stranger{world.now_s}"))
    world.submit("x")
    number = world.submit("child")
    assert said(world.end("boss")) == [("Refused", number, "agent_ended")]
    world.withdraw(*world.running)
    for _ in range(6):
        world.wait(11.0)
        world.settle(world.submit("x" + str(world.now_s)))
    assert not {"boss", "child"} & set(world.kernel.statistics().agents)


def test_demoted_agent_at_its_ceiling_stays_aside() -> None:
    """An agent that is sent down while its calls wait aside goes on waiting aside."""
    groups = (LaneGroup("model", 3, per_agent=1), LaneGroup("node", 1))
    world = World(config(4, "mlfq", *groups, time_quanta_s=(1.0, 2.0, 4.0, 8.0)))
    world.submit("a")
    aside, node = world.submit("a"), world.submit("a", group="node")
    world.wait(4.0)
    world.settle(node)
    assert world.kernel.statistics().agents["a"].level == 2
    assert world.waiting == [aside]
