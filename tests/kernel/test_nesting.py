"""Calls within calls: one lane in all is enough, and no lane has two at work."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.config import LaneGroup, Order
from tests.effort import effort
from tests.kernel.world import World, config, said

pytestmark = pytest.mark.lowest

TWO = (LaneGroup("model", 1), LaneGroup("node", 1))


def test_nested_call_rides_on_its_parents_lane() -> None:
    """With one lane in all, a managed call inside a managed call starts at once."""
    world = World(config(1))
    parent = world.submit("a")
    kid = world.submit("a", parent)
    grandkid = world.submit("a", kid)
    assert world.running == [parent, kid, grandkid]
    assert world.at_work() == 1
    assert world.kernel.statistics().lanes_in_use == 1
    world.settle(grandkid, kid, parent)
    assert world.kernel.statistics().lanes_in_use == 0


def test_nested_call_of_another_group_needs_no_further_lane() -> None:
    """A node that calls a model shares its lane of the total with the model call."""
    world = World(config(1, "mlfq", *TWO))
    node = world.submit("a", group="node")
    model = world.submit("a", node, wait_timeout_s=0)
    assert world.running == [node, model]
    assert world.kernel.statistics().lanes_in_use == 1


def test_lending_leaves_the_other_lanes_to_others() -> None:
    """A nested call uses its parent's idle lane even where others are free: nothing stays idle."""
    world = World(config(2, "mlfq", LaneGroup("model", 2), LaneGroup("node", 2)))
    node = world.submit("a", group="node")
    world.submit("a", node)
    assert world.submit("b") in world.running
    assert world.at_work() == 2


def test_lane_is_lent_to_one_at_a_time() -> None:
    """Two nested calls at once: one has the parent's lane, the other waits its turn for it."""
    world = World(config(1, "mlfq", *TWO, LaneGroup("tool", 1)))
    parent = world.submit("a", group="node")
    first, second = world.submit("a", parent), world.submit("a", parent, group="tool")
    third = world.submit("a", parent, group="node")
    assert world.waiting == [second, third]
    assert said(world.settle(first))[1:] == [("Granted", second, "nested")]
    assert said(world.settle(second))[1:] == [("Granted", third, "nested")]
    world.settle(third, parent)


def test_clocks_of_a_waiting_parent_stand_still() -> None:
    """A parent is not reaped for its nested call's time, nor is that its service."""
    world = World(config(1, response_timeout_s=5.0, total_timeout_s=6.0))
    parent = world.submit("a")
    world.wait(4.0)
    kid = world.submit("b", parent, total_timeout_s=100.0)
    for _ in range(5):
        world.wait(4.0)
        world.beat(parent)
        world.beat(kid)
    world.settle(kid)
    assert world.kernel.statistics().agents["a"].service_s == 4.0
    assert world.kernel.statistics().agents["b"].service_s == 20.0
    assert said(world.wait(2.0)) == [("Reaped", parent, "total")]


def test_circle_of_waiting_parents_is_untied() -> None:
    """Two calls that hold each other's group and ask for a nested call there both end."""
    world = World(config(2, "mlfq", *TWO))
    model, node = world.submit("a"), world.submit("b", group="node")
    inner = world.submit("a", model, group="node")
    assert world.waiting == [inner]
    other = world.submit("b", node)
    assert not world.waiting  # The circle closed, and was untied.
    assert world.kernel.books.pool.groups["node"].in_use == 2
    assert world.kernel.statistics().lanes_in_use == 2
    assert world.at_work() == 2
    world.settle(inner, model, other, node)
    assert world.kernel.books.pool.extra == 0


def test_circles_within_ceilings_are_untied() -> None:
    """An agent's and a tenant's ceiling may be what all wait for."""
    groups = (LaneGroup("model", 4, per_agent=1), LaneGroup("node", 4, per_tenant=1))
    world = World(config(8, "mlfq", *groups))
    first = world.submit("a")
    second = world.submit("b", group="node", tenant="t")
    inner = world.submit("a", second)
    assert world.waiting == [inner]
    beyond = world.submit("x", first, group="node", tenant="t")
    assert beyond in world.running or inner in world.running
    for _ in range(4):
        world.settle(*world.running[-1:])
    assert not world.running


def test_bound_that_others_work_behind_is_not_passed() -> None:
    """A nested call waits for a group that is full of calls at work: they will end."""
    world = World(config(4, "mlfq", *TWO))
    working = world.submit("b")
    node = world.submit("a", group="node")
    inner = world.submit("a", node)
    assert world.waiting == [inner]
    assert said(world.settle(working))[1:] == [("Granted", inner, "order")]
    assert world.kernel.statistics().lanes_in_use == 1


def test_call_that_ends_first_leaves_its_nested_calls_to_its_parent() -> None:
    """A call in the middle of a chain that ends early never makes two work on one lane."""
    world = World(config(1))
    top = world.submit("a")
    middle = world.submit("a", top)
    bottom = world.submit("a", middle)
    side = world.submit("a", middle)
    world.withdraw(middle)
    assert world.running == [top, bottom]
    assert world.at_work() == 1
    assert said(world.settle(bottom))[1:] == [("Granted", side, "nested")]
    world.settle(side)
    assert world.at_work() == 1
    world.settle(top)


def test_parent_that_ends_first_leaves_its_nested_calls_alone() -> None:
    """Without a parent the nested calls go on as calls of their own, on the lane they have."""
    world = World(config(1))
    parent = world.submit("a")
    kid, waiting = world.submit("a", parent), world.submit("a", parent)
    world.settle(parent)
    assert world.running == [kid]
    assert said(world.settle(kid))[1:] == [("Granted", waiting, "order")]


def test_nested_in_nothing_is_an_ordinary_call() -> None:
    """A parent that is unknown, waits or has been reaped lends nothing."""
    world = World(config(1, response_timeout_s=1.0))
    first, second = world.submit("a"), world.submit("b")
    assert world.state[world.submit("c", second)] == "queued"
    assert world.state[world.submit("c", 99)] == "queued"
    world.withdraw(*world.waiting)
    world.wait(1.0)
    assert world.state[first] == "zombie"
    last = world.submit("d", first)
    assert said(world.kernel.story(last))[1] == ("Granted", last, "free")


def test_reaped_nested_call_gives_the_lane_back_to_its_parent() -> None:
    """The parent goes on when its nested call turns out to hang."""
    world = World(config(1, response_timeout_s=3.0))
    parent = world.submit("a")
    kid = world.submit("a", parent, first_token_timeout_s=1.0)
    assert said(world.wait(1.0)) == [("Reaped", kid, "response")]
    assert world.running == [parent]
    assert said(world.wait(3.0)) == [("Reaped", parent, "response")]


def test_refused_nested_call_lets_its_parent_go_on() -> None:
    """A nested call that may not wait is refused, and its parent's clocks run again."""
    world = World(config(1, "mlfq", *TWO, max_waiting=0, response_timeout_s=3.0))
    parent = world.submit("a")
    kid = world.submit("a", parent)
    assert world.state[world.submit("b", parent)] == "gone"
    world.settle(kid)
    assert said(world.wait(3.0)) == [("Reaped", parent, "response")]


TREES = st.recursive(
    st.just(()), lambda kids: st.lists(kids, min_size=1, max_size=3).map(tuple), max_leaves=6
)


@effort(80)
@given(
    order=st.sampled_from(list(Order)),
    lanes=st.integers(1, 2),
    trees=st.lists(TREES, min_size=1, max_size=4),
    data=st.data(),
    bounds=st.lists(
        st.tuples(st.integers(1, 2), st.sampled_from([None, 1]), st.sampled_from([None, 1])),
        min_size=3,
        max_size=3,
    ),
)
def test_random_trees_always_finish(order, lanes, trees, data, bounds) -> None:
    """However calls nest, over whatever groups, agents and bounds: all of them run and end."""
    names = ("model", "node", "tool")
    groups = [
        LaneGroup(name, capacity, 0, agents, tenants)
        for name, (capacity, agents, tenants) in zip(names, bounds, strict=True)
    ]
    world = World(config(lanes, order, *groups))
    todo: dict[int, tuple] = {}
    parents: dict[int, int] = {}
    live: dict[int, int] = {}

    def submit(tree: tuple, parent: int | None) -> None:
        number = world.submit(
            data.draw(st.sampled_from("abc")),
            parent,
            group=data.draw(st.sampled_from(names)),
            tenant=data.draw(st.sampled_from(["t", "u"])),
        )
        todo[number] = tree
        live[number] = 0
        if parent is not None:
            parents[number] = parent
            live[parent] += 1

    for tree in trees:
        submit(tree, None)
    while any(state != "done" for state in world.state.values()):
        ready = [number for number in world.running if todo[number] or not live[number]]
        assert ready, "all wait for each other"
        number = data.draw(st.sampled_from(ready))
        if todo[number]:
            kids = todo[number]
            together = data.draw(st.integers(1, len(kids)))
            todo[number] = kids[together:]
            for kid in kids[:together]:
                submit(kid, number)
        else:
            world.settle(number)
            if number in parents:
                live[parents[number]] -= 1
    assert world.kernel.statistics().lanes_in_use == 0
    assert world.kernel.books.pool.extra == 0
