"""A fleet's lease: once it is over nothing new goes, on no lane, until somebody renews it."""

from __future__ import annotations

from agentrm_plugins import EndpointConfig, LaneGroup
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import Usage
from agentrm_plugins.types.fleet import EndpointSupply
from tests.kernel.world import World, config

LEASE_S = 5.0
TOOLS = LaneGroup("model", 2), LaneGroup("tool", 2)


def fleet(lanes=1, *groups, **more):
    """A world whose kernel has what it is given, and nothing before."""
    world = World(config(lanes, "fifo", *groups, **more))
    world.kernel = Kernel(world.config, shared=True)
    return world


def supply(world, lanes, lease_s=LEASE_S, **more):
    held = {"l": lanes} | {f"g:{name}": lanes for name in world.kernel.books.pool.groups}
    return world.feed(ev.Supply(set=held, lease_s=world.now_s + lease_s, **more))


def running(world):
    return {n for n, one in world.kernel.books.tickets.items() if one.state.value == "running"}


def test_a_lane_that_becomes_free_after_the_lease_is_not_used_again():
    """Others may have it by now, whether or not anybody was known to wait."""
    world = fleet()
    supply(world, 1)
    first, second = world.submit("a"), world.submit("b")
    world.now_s = LEASE_S + 1.0
    world.feed(ev.Settle(first, Usage(1, 1)))
    assert running(world) == set()
    supply(world, 1)
    assert running(world) == {second}


def test_an_answer_that_comes_after_its_lease_lets_nobody_go():
    """The process stood still between the question and the answer."""
    world = fleet()
    call = world.submit("a")
    world.now_s = 2 * LEASE_S
    supply(world, 1, lease_s=-LEASE_S)
    assert running(world) == set()
    supply(world, 1)
    assert running(world) == {call}


def test_a_nested_call_does_not_go_on_its_parents_lane():
    """The parent's own lane may be another process's."""
    world = fleet(2, *TOOLS)
    supply(world, 2)
    parent = world.submit("a", group="tool")
    world.now_s = LEASE_S + 1.0
    kids = [world.submit("a", parent, group="tool"), world.submit("a", parent, group="model")]
    assert running(world) == {parent}
    supply(world, 1)
    [first] = running(world) - {parent}
    world.feed(ev.Settle(first, Usage(1, 1)))
    assert running(world) == {parent, *kids} - {first}


def test_a_lane_that_a_nested_call_leaves_is_lent_on_when_the_lease_is_renewed():
    """It stays in the family, and is not forgotten."""
    world = fleet(1)
    supply(world, 1)
    parent = world.submit("a")
    first, second = world.submit("a", parent), world.submit("a", parent)
    assert running(world) == {parent, first}
    world.now_s = LEASE_S + 1.0
    world.feed(ev.Settle(first, Usage(1, 1)))
    assert running(world) == {parent}
    supply(world, 1)
    assert running(world) == {parent, second}


def test_what_was_not_sent_waits_at_its_own_place_and_costs_nothing():
    """It is no attempt, no failure, and its amounts are there again."""
    world = fleet(2, endpoints={"e": EndpointConfig(tpm=6_000, burst_s=60.0)})
    first = world.submit("a", endpoint="e", estimate=Usage(100, 0))
    need = dict(world.kernel.books.tickets[first].need)
    enough = {"e": EndpointSupply(add=need)}
    supply(world, 1, endpoints=enough)
    assert running(world) == {first}
    later = world.submit("b", endpoint="e", estimate=Usage(100, 0))
    world.now_s = LEASE_S + 1.0
    [told] = [e for e in world.feed(ev.Unsent(first)) if isinstance(e, fx.Requeued)]
    assert told.cause == "unsent"
    supply(world, 1, void=True, endpoints=enough)
    assert running(world) == {first}
    endpoint = world.kernel.books.endpoints["e"]
    assert endpoint.failures == endpoint.seen["bad"] == 0
    assert endpoint.seen["sent"]["tokens"] - endpoint.seen["back"]["tokens"] == need["tokens"]
    world.feed(ev.Settle(first, Usage(100, 0)))
    assert world.kernel.books.accounts["default", "a"].input_tokens == 100
    assert later not in running(world)


def test_a_standstill_is_no_service():
    """Nobody was served meanwhile: no level is lost by it, and nothing is learnt from it."""
    world = fleet()
    supply(world, 1)
    call = world.submit("a")
    world.now_s = 50.0
    world.feed(ev.Unsent(call))
    account = world.kernel.books.accounts["default", "a"]
    assert (account.attained_s, account.level) == (0.0, 0)
    supply(world, 1, void=True)
    assert running(world) == {call}
    world.now_s += 2.0
    world.feed(ev.Settle(call, Usage()))
    assert account.attained_s == 2.0
    assert world.kernel.books.scheduler.level(account, world.now_s) == 0


def test_a_call_that_does_not_run_any_more_is_not_sent_back():
    """It was reaped, or ended, meanwhile: there is nothing to do."""
    world = fleet()
    supply(world, 1)
    call = world.submit("a")
    supply(world, 0, lost={"l": 1})
    assert running(world) == set()
    assert world.feed(ev.Unsent(call)) == []
    assert world.feed(ev.Unsent(99)) == []
