"""Calls within calls, at endpoints that have limits."""

from __future__ import annotations

import pytest

from agentrm_plugins.config import LaneGroup
from agentrm_plugins.config.endpoints import BudgetConfig, EndpointConfig
from agentrm_plugins.types.calls import Usage
from agentrm_plugins.types.verdicts import Kind
from tests.kernel.world import World, config

AT = "x/m#k"


def ask(world, agent="a", tokens=10, parent=None, endpoint=AT, **more):
    """A call that reserves so many tokens."""
    return world.submit(
        agent,
        parent,
        endpoint=endpoint,
        estimate=Usage(0, tokens),
        max_output_tokens=tokens,
        **more,
    )


def limited(lanes=9, order="fifo", *groups, tpm=6000.0, burst_s=10.0, **more):
    """An endpoint with room for 1000 tokens, and 100 more each second."""
    endpoint = EndpointConfig(tpm=tpm, burst_s=burst_s, **more.pop("endpoint", {}))
    return World(config(lanes, order, *groups, endpoints={"x/*": endpoint}, **more), twin=True)


def spend(world, tokens=1000):
    """Take what is in the bucket."""
    world.settle(ask(world, "first", tokens), tokens=tokens)


def test_a_nested_call_waits_for_its_endpoint_and_then_has_its_parents_lane():
    """At the one lane there is; until its endpoint lets it, its parent waits on."""
    world = limited(lanes=1)
    spend(world)
    parent = world.submit("a")
    kid = ask(world, "a", 100, parent)
    assert world.waiting == [kid]
    world.wait(0.9)
    assert world.waiting == [kid]
    world.wait(0.2)
    assert world.running == [parent, kid]


def test_a_nested_call_takes_no_more_than_a_quarter_from_who_waits_with_a_lane():
    """It needs no lane, but what an endpoint's head waits for is that head's."""
    world = limited(lanes=9)
    spend(world)
    parent = world.submit("a")
    head = ask(world, "b", 400)
    small, more = ask(world, "a", 100, parent), ask(world, "c", 100)
    second_parent = world.submit("d")
    second = ask(world, "d", 100, second_parent)
    world.wait(1.1)
    assert small in world.running
    world.wait(2.0)
    assert {more, second} <= set(world.waiting)
    world.wait(2.0)
    assert head in world.running
    world.wait(4.0)
    assert not world.waiting


def test_a_nested_call_may_go_while_the_head_has_no_lane():
    """Who waits for a lane anyway, maybe for this very one, does not wait for tokens."""
    world = limited(lanes=1)
    parent = world.submit("a")
    head = ask(world, "b", 400)
    kid = ask(world, "a", 1000, parent)
    assert world.running == [parent, kid]
    assert world.waiting == [head]


def test_a_nested_call_that_goes_again_leaves_its_own_nested_calls_to_its_parent():
    """They go on as that one's, and the lane passes down the family."""
    world = limited(lanes=1)
    parent = world.submit("a")
    kid = ask(world, "a", 10, parent)
    grandkid = world.submit("a", kid)
    assert world.running == [parent, kid, grandkid]
    world.requeue(kid, Kind.TRANSIENT, 1.0)
    assert world.running == [parent, grandkid]
    world.wait(2.0)
    assert kid in world.waiting
    world.settle(grandkid)
    assert world.running == [parent, kid]
    world.requeue(kid, Kind.TRANSIENT)
    world.wait(0.1)
    assert world.running == [parent, kid]
    world.settle(kid, parent)


def test_a_call_that_goes_again_leaves_its_nested_calls_to_themselves():
    """Without a parent above they go on as calls of their own."""
    world = limited(lanes=1)
    parent = ask(world, "a")
    running, waiting = world.submit("a", parent), world.submit("a", parent)
    world.requeue(parent, Kind.TRANSIENT, 1.0)
    assert world.running == [running]
    world.settle(running)
    assert world.running == [waiting]
    world.wait(1.5)
    world.settle(waiting)
    assert world.running == [parent]


def test_a_nested_call_that_a_soft_budget_slows_sleeps_first():
    """Then it has its parent's lane."""
    world = limited(lanes=1, budgets=(BudgetConfig(2.0, "calls", agent="a", soft=0.5),))
    parent = world.submit("p")
    spared = ask(world, "a", 10, parent)
    world.settle(spared)
    kid = ask(world, "a", 10, parent)
    assert world.waiting == [kid]
    world.wait(60.0)
    assert world.state[kid] in {"running", "zombie"}


@pytest.mark.parametrize("closed", ["agent", "tenant", "group"])
def test_a_nested_call_does_not_go_beyond_a_bound_that_others_at_work_fill(closed):
    """Its endpoint would let it; a ceiling that is full of work does not."""
    bounds = {"agent": {"per_agent": 1}, "tenant": {"per_tenant": 1}, "group": {}}[closed]
    capacity = 1 if closed == "group" else 5
    model = LaneGroup("model", capacity, **bounds)
    world = limited(9, "fifo", model, LaneGroup("node", 5))
    parent = world.submit("a", group="node")
    busy = ask(world, "a")
    kid = ask(world, "a", 10, parent)
    assert world.waiting == [kid]
    world.settle(busy)
    assert kid in world.running


def family(world):
    """A model call, a node inside it, and inside that a model call that has to wait for both."""
    top = world.submit("a", group="model")
    node = world.submit("a", top, group="node")
    return ask(world, "a", 50, node)


FAMILY = (LaneGroup("model", 1), LaneGroup("node", 5), LaneGroup("tool", 5))


def test_a_nested_call_whose_lane_waits_for_it_goes_beyond_its_group():
    """Its group's one lane belongs to who waits for it; nobody else is at its endpoint."""
    world = limited(9, "fifo", *FAMILY)
    assert family(world) in world.running


def test_such_a_call_too_takes_a_quarter_of_what_a_head_needs_at_most():
    """It may go before a head that waits with a lane free, until that has lost its quarter."""
    world = limited(9, "fifo", *FAMILY)
    spend(world)
    head = ask(world, "b", 150, group="tool")
    kid = family(world)
    world.wait(1.0)
    assert {head, kid} <= set(world.waiting)  # 50 are a third of the head's need
    world.wait(0.6)
    assert head in world.running
    world.wait(0.6)
    assert kid in world.running
    later = limited(9, "fifo", *FAMILY)
    spend(later)
    head = ask(later, "b", 400, group="tool")
    kid = family(later)
    later.wait(0.6)
    assert kid in later.running
    assert head in later.waiting


def test_two_nested_calls_of_one_parent_at_an_endpoint():
    """The second has a lane of its own; while tokens are short it waits for these, not for that."""
    world = limited(lanes=4)
    parent = world.submit("a")
    first, second = ask(world, "a", 10, parent), ask(world, "a", 10, parent)
    assert world.running == [parent, first, second]
    world.requeue(second, Kind.TRANSIENT)
    assert world.running == [parent, first, second]
    spend(world, 970)
    third = ask(world, "a", 500, parent)
    world.wait(0.5)
    assert third in world.waiting
    world.wait(5.0)
    assert third in world.running
