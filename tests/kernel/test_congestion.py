"""Endpoints inside the kernel: who may go, what a failure leaves behind, what a pulse tells."""

from __future__ import annotations

import pytest

from agentrm_plugins.config import LaneGroup
from agentrm_plugins.config.endpoints import BudgetConfig, EndpointConfig, ShareConfig
from agentrm_plugins.errors import KernelBug
from agentrm_plugins.kernel import requeue
from agentrm_plugins.policy.endpoint.snapshot import from_plain, to_plain
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types.calls import Usage
from agentrm_plugins.types.verdicts import Kind, LimitReport, ServerLimit
from tests.kernel.dump import dump, load
from tests.kernel.world import World, config, said

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


# -- refusals -----------------------------------------------------------------------------------


def test_a_call_larger_than_the_limit_is_refused_at_once():
    """With its need and the limit, in words."""
    world = limited()
    number = ask(world, tokens=7000)
    assert world.state[number] == "gone"
    (effect,) = [one for one in world.kernel.story(number) if isinstance(one, fx.Refused)]
    assert (effect.cause, effect.detail) == (
        "too_large",
        "needs 7000 tokens, the limit is 6000",
    )


def test_a_call_that_goes_again_is_refused_if_the_limit_has_fallen_below_it():
    """It could never go any more: that is said, not waited for."""
    world = limited()
    number = ask(world, tokens=900)
    small = LimitReport(tokens=ServerLimit(600.0, 600.0, None))
    effects = world.requeue(number, Kind.LIMIT, report=small)
    assert ("Refused", number, "too_large") in said(effects)


def test_what_is_not_running_cannot_go_again():
    """A late word on a call that waits, or that is gone, changes nothing."""
    world = limited(lanes=1)
    first, second = ask(world), ask(world, "b")
    assert world.requeue(second, Kind.LIMIT) == []
    world.settle(first)
    assert world.requeue(first, Kind.LIMIT) == []


def test_an_ended_agents_sleepers_go_too():
    """Whether they stand in the queue or sleep until their time; others' stay."""
    world = limited(lanes=3)
    sleeper, other = ask(world, "a"), ask(world, "b")
    for number in (sleeper, other):
        world.requeue(number, Kind.TRANSIENT, 5.0)
    spend(world, 990)
    queued = ask(world, "a", 500)
    assert world.waiting == [sleeper, other, queued]
    world.end("a")
    assert world.waiting == [other]


def test_a_share_refuses_beside_a_budget_that_would_not():
    """Nothing is reserved of the budget then."""
    world = limited(
        budgets=(BudgetConfig(100.0, agent="a"),),
        shares=(ShareConfig(0.1, agent="a", burst_s=1.0, over="refuse"),),
    )
    assert ask(world) in world.running
    assert world.state[ask(world)] == "gone"
    (ledger,) = world.kernel.books.ledgers.ledgers.values()
    assert ledger.reserved == 10.0


def test_a_share_in_debt_follows_the_limit():
    """Owed at the old rate, paid off at the new one."""
    world = limited(shares=(ShareConfig(0.5, agent="a", burst_s=1.0),))
    ask(world, tokens=50)
    world.observe(AT, LimitReport(tokens=ServerLimit(600.0, 500.0, None)))
    late = ask(world, tokens=5)
    assert late in world.waiting
    world.wait(0.9)
    assert late in world.waiting
    world.wait(0.2)
    assert late in world.running


# -- who goes -----------------------------------------------------------------------------------


def test_a_full_endpoint_holds_up_its_own_line_only():
    """It takes one call at a time: nobody else is held up, and nobody looks before that ends."""
    world = limited(endpoint={"concurrency": 1})
    first, second = ask(world), ask(world, "b")
    other = ask(world, "c", endpoint="y/m#k")
    assert world.waiting == [second]
    assert other in world.running
    world.settle(first)
    assert second in world.running


def test_who_has_waited_longest_keeps_its_right_over_a_dump():
    """It is first at its endpoint until it goes; a kernel that was dumped and loaded knows."""
    world = limited(order="mlfq", boost_interval=1)
    spend(world)
    big = ask(world, "big", 900, priority="background")
    for number in range(6):
        ask(world, f"small-{number}", 60, priority="interactive")
    seen = False
    for _ in range(60):
        world.wait(0.25)
        first = world.kernel.queue.at[AT].first if AT in world.kernel.queue.at else None
        seen = seen or (first is not None and first.head.number == big)
        state = dump(world.kernel)
        assert dump(load(world.config, state)) == state
    assert seen
    assert big in world.running


def test_the_right_of_who_has_waited_longest_stays_with_its_agent():
    """Its first call is withdrawn: the next one has the place at the endpoint."""
    world = limited(order="mlfq", boost_interval=1)
    spend(world)
    big, next_ = ask(world, "big", 900), ask(world, "big", 800)
    site = world.kernel.queue.at[AT]
    for number in range(8):
        ask(world, f"small-{number}", 60)
        world.wait(0.25)
    assert site.first is not None
    assert site.first.head.number == big
    world.withdraw(big)
    assert site.first.head.number == next_


def test_who_has_waited_longest_may_go_before_a_head_that_waits():
    """Not the small call that the order would have let through, which came later."""
    world = limited(order="mlfq", boost_interval=1)
    spend(world)
    old = ask(world, "old", 30, priority="background")
    head = ask(world, "head", 800, priority="interactive")
    small = ask(world, "small", 30, priority="interactive")
    world.wait(0.35)
    assert world.waiting == [head, small]
    assert old in world.running


def test_silence_was_no_service():
    """An agent went down for a call that turns out to have hung: it comes back up."""
    quanta = {"time_quanta_s": (1.0, 2.0, 4.0, 8.0)}
    world = World(config(9, "mlfq_textbook", response_timeout_s=10.0, **quanta), twin=True)
    hung = world.submit("a")
    world.wait(1.0)
    world.submit("a")
    world.wait(5.0)
    world.settle(world.running[-1])
    down = world.kernel.statistics().agents["a"].level
    world.wait(5.0)
    assert world.state[hung] == "zombie"
    assert world.kernel.statistics().agents["a"].level < down


def test_two_groups_wait_for_one_endpoint():
    """It has one head, whatever the kind of lane; a group without lanes is not asked."""
    groups = (LaneGroup("model", 2), LaneGroup("tool", 1))
    world = limited(3, "mlfq", *groups, boost_interval=1)
    spend(world)
    blocker = world.submit("z", group="tool")
    calls = [ask(world, "a", 200), ask(world, "b", 150, group="tool"), ask(world, "c", 30)]
    world.wait(1.0)
    world.settle(blocker)
    for _ in range(30):
        world.wait(0.25)
    assert not world.waiting
    assert {world.state[number] for number in calls} == {"running"}


def test_a_call_that_goes_again_while_its_agent_is_at_its_ceiling_is_parked():
    """It stands at its place, and is on offer when a lane of the agent comes back."""
    world = limited(9, "fifo", LaneGroup("model", 9, per_agent=1))
    first, second = ask(world), ask(world)
    world.requeue(first, Kind.TRANSIENT, 1.0)
    assert world.running == [second]
    world.wait(2.0)
    assert world.waiting == [first]
    world.settle(second)
    assert world.running == [first]


# -- the monitor --------------------------------------------------------------------------------


def test_the_monitor_says_how_near_a_limit_is_and_when_it_will_bind():
    """Of each resource: what is allowed, what is known and by whom, the share gone, the time."""
    world = limited()
    for _ in range(4):
        ask(world, tokens=150)
    rate = world.kernel.statistics().endpoints[AT].rates["tokens"]
    assert (rate.allowed_per_min, rate.limit_per_min, rate.source) == (6000.0, 6000.0, "told")
    assert rate.proximity == pytest.approx(0.6)
    assert rate.binds_in_s is None  # 60 a second over the last ten, of 100 that flow in
    for _ in range(6):
        ask(world, tokens=100)
    world.wait(0.0)
    rate = world.kernel.statistics().endpoints[AT].rates["tokens"]
    assert rate.proximity == pytest.approx(1.0)
    late = world.waiting
    assert late
    world.wait(5.0)
    for _ in range(9):
        ask(world, tokens=10)
    rate = world.kernel.statistics().endpoints[AT].rates["tokens"]
    left = 1000 * (1 - rate.proximity)
    used = world.kernel.books.endpoints[AT].meters["tokens"].used.per_s(world.now_s)[1]
    assert used > 100
    assert rate.binds_in_s == pytest.approx(left / (used - 100))
    unknown = world.kernel.statistics().endpoints[AT].rates["output_tokens"]
    assert (unknown.limit_per_min, unknown.source, unknown.proximity) == (None, "unknown", 0.0)


# -- what is remembered -------------------------------------------------------------------------


def test_places_of_hung_calls_are_not_kept_for_ever(monkeypatch):
    """Of those whose callers never come back the oldest are forgotten."""
    monkeypatch.setattr(requeue, "_PLACES", 2)
    world = World(config(1, response_timeout_s=1.0))
    hung = []
    for _ in range(4):
        hung.append(ask(world))
        world.wait(1.0)
    assert [world.state[number] for number in hung] == ["zombie"] * 4
    assert list(world.kernel.requeue.places) == hung[-2:]


def test_only_what_is_known_is_dumped_and_loaded():
    """A state that was tampered with makes no objects of other classes."""
    assert from_plain([1, [2.5, "x"], None, True]) == [1, [2.5, "x"], None, True]
    assert from_plain(to_plain((1, float("inf")))) == (1, float("inf"))
    with pytest.raises(KernelBug, match="Lock"):
        to_plain(type("Lock", (), {})())
    with pytest.raises(KernelBug, match="Popen"):
        from_plain(["~", "Popen", "ls"])
