"""Endpoints inside the kernel: who may go, what a failure leaves behind, what a pulse tells."""

from __future__ import annotations

import pytest

from agentrm_plugins import effects as fx
from agentrm_plugins.calls import Usage
from agentrm_plugins.config import LaneGroup
from agentrm_plugins.config_endpoints import BudgetConfig, EndpointConfig, ShareConfig
from agentrm_plugins.errors import KernelBug
from agentrm_plugins.kernel import congestion
from agentrm_plugins.kernel.dump import dump, load
from agentrm_plugins.kernel.plain import from_plain, to_plain
from agentrm_plugins.verdicts import Kind, LimitReport, ServerLimit
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
    (ledger,) = world.kernel.congestion.ledgers.ledgers.values()
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


# -- nested calls -------------------------------------------------------------------------------


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
        first = world.kernel.congestion.sites[AT].first
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
    site = world.kernel.congestion.sites[AT]
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
    world = World(config(9, time_quanta_s=(1.0, 2.0, 4.0, 8.0), response_timeout_s=10.0), twin=True)
    hung = world.submit("a")
    world.wait(1.0)
    world.submit("a")
    world.wait(5.0)
    world.settle(world.running[-1])
    account = world.kernel.accounts["default", "a"]
    down = account.level
    world.wait(5.0)
    assert world.state[hung] == "zombie"
    assert account.level < down


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
    used = world.kernel.congestion.sites[AT].used["tokens"].per_s(world.now_s)[1]
    assert used > 100
    assert rate.binds_in_s == pytest.approx(left / (used - 100))
    unknown = world.kernel.statistics().endpoints[AT].rates["output_tokens"]
    assert (unknown.limit_per_min, unknown.source, unknown.proximity) == (None, "unknown", 0.0)


# -- pulses -------------------------------------------------------------------------------------


def answer(world, times, after_s=0.1):
    """So many healthy calls, one after the other."""
    for _ in range(times):
        number = ask(world, "quick", 10)
        world.wait(after_s)
        world.settle(number, tokens=5)


def test_a_hung_call_is_reaped_as_soon_as_the_endpoint_is_known_well_enough():
    """It was silent for longer than healthy calls are: seconds instead of the configured time."""
    world = World(config(9), twin=True)
    hung = ask(world, "hung")
    declared = ask(world, "patient", first_token_timeout_s=60.0, silence_timeout_s=60.0)
    parent = ask(world, "parent")
    world.submit("parent", parent)
    answer(world, 48)
    assert world.state[hung] == "zombie"
    assert world.now_s < 6.0
    assert declared in world.running  # what a call declares stands
    assert parent in world.running  # whoever waits for its own call is not silent


def test_a_slow_healthy_call_is_left_alone():
    """Long answers are compared with long ones; streams by the gaps between their pieces."""
    world = World(config(99))
    for _ in range(40):
        long, short = ask(world, tokens=4000), ask(world, tokens=10)
        world.wait(0.2)
        world.settle(short, tokens=10)
        world.wait(20.0)
        world.settle(long, tokens=4000)
    late, quick = ask(world, tokens=4000), ask(world, tokens=10)
    world.wait(25.0)
    assert late in world.running
    assert world.state[quick] == "zombie"


# -- what is remembered -------------------------------------------------------------------------


def test_places_of_hung_calls_are_not_kept_for_ever(monkeypatch):
    """Of those whose callers never come back the oldest are forgotten."""
    monkeypatch.setattr(congestion, "_PLACES", 2)
    world = World(config(1, response_timeout_s=1.0))
    hung = []
    for _ in range(4):
        hung.append(ask(world))
        world.wait(1.0)
    assert [world.state[number] for number in hung] == ["zombie"] * 4
    assert list(world.kernel.congestion.places) == hung[-2:]


def test_only_what_is_known_is_dumped_and_loaded():
    """A state that was tampered with makes no objects of other classes."""
    assert from_plain([1, [2.5, "x"], None, True]) == [1, [2.5, "x"], None, True]
    assert from_plain(to_plain((1, float("inf")))) == (1, float("inf"))
    with pytest.raises(KernelBug, match="Lock"):
        to_plain(type("Lock", (), {})())
    with pytest.raises(KernelBug, match="Popen"):
        from_plain(["~", "Popen", "ls"])
