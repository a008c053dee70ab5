"""Budgets and shares of a rate, as the kernel keeps them: whose, over what, and what happens."""

from __future__ import annotations

from collections import Counter

import pytest

from agentrm_plugins.config.endpoints import BudgetConfig, EndpointConfig, Price, ShareConfig
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import Call, Usage
from agentrm_plugins.types.verdicts import Kind, LimitReport, ServerLimit
from tests.kernel.world import World, config

AT = "x/m#k"
TEN = Usage(6, 4)  # ten tokens


def budgeted(*budgets, **more):
    return World(config(100, budgets=budgets, prices={"*": Price(1e5, 1e5)}, **more))


def ask(world, agent="a", tenant="default", *, estimate=TEN, parent_agent=None, endpoint=AT):
    """Submit a call; its number, and the refusal's words if it was refused at once."""
    world._number += 1
    number = world._number
    call = Call(
        agent,
        tenant,
        estimate=estimate,
        endpoint=endpoint,
        max_output_tokens=estimate.output_tokens,
        parent_agent=parent_agent,
    )
    world.calls[number] = call
    effects = world.feed(ev.Submit(number, call))
    refused = [effect for effect in effects if isinstance(effect, fx.Refused)]
    return number, refused[0].detail if refused else None


def use(world, number, usage=TEN):
    world.feed(ev.Settle(number, usage))


WHOSE = [
    ({"agent": "a"}, ("a", "default"), ("b", "default"), "agent default/a"),
    ({"agent": "a*"}, ("ab", "t"), ("b", "t"), "agent t/ab"),
    ({"agent": "*"}, ("a", "t"), ("b", "t"), "agent t/a"),
    ({"tenant": "t"}, ("a", "t"), ("a", "u"), "tenant t"),
    ({"tenant": "t*"}, ("a", "t1"), ("a", "t2"), "tenant t1"),
    ({"tenant": "*"}, ("a", "t"), ("a", "default"), "tenant t"),
]
WHAT = [("tokens", 25.0), ("calls", 2.5), ("cost", 2.5)]  # two calls fit, a third does not


@pytest.mark.parametrize("window_s", [None, 60.0])
@pytest.mark.parametrize(("resource", "limit"), WHAT, ids=[name for name, _ in WHAT])
@pytest.mark.parametrize(("whose", "one", "other", "owner"), WHOSE, ids=[w[3] for w in WHOSE])
def test_a_hard_budget_refuses_its_owner_only(whose, one, other, owner, resource, limit, window_s):
    """Of each resource, over a window and in all; by name and by pattern, a ledger for each."""
    world = budgeted(BudgetConfig(limit, resource, window_s=window_s, **whose))
    for _ in range(2):
        number, refusal = ask(world, *one)
        assert refusal is None
        use(world, number)
    _, refusal = ask(world, *one)
    assert refusal is not None
    amount = limit / 2.5
    text = f"budget of {resource} of {owner}: needs {amount:g}, has {amount / 2:g} of {limit:g}"
    assert refusal.startswith(text)
    assert ("room again in 61 s" in refusal) == (window_s is not None)
    assert ask(world, *other)[1] is None
    world.wait(61.0)
    assert (ask(world, *one)[1] is None) == (window_s is not None)


@pytest.mark.parametrize("window_s", [None, 60.0])
@pytest.mark.parametrize(("resource", "limit"), WHAT, ids=[name for name, _ in WHAT])
@pytest.mark.parametrize("whose", [{"agent": "*"}, {"tenant": "default"}])
def test_a_soft_budget_slows_before_it_refuses(whose, resource, limit, window_s):
    """Beyond the mark a call sleeps first; it is not refused, and others are not slowed."""
    world = budgeted(BudgetConfig(limit, resource, soft=0.4, window_s=window_s, **whose))
    assert ask(world)[0] in world.running
    number, refusal = ask(world)
    assert refusal is None
    assert number in world.waiting
    assert ask(world, "b", "u")[0] in world.running
    world.wait(60.0)
    assert number in world.running


@pytest.mark.parametrize(("resource", "limit"), WHAT, ids=[name for name, _ in WHAT])
def test_children_are_charged_to_their_parents(resource, limit):
    """What a child and a grandchild use fills their parent's ledger, though not theirs."""
    world = budgeted(BudgetConfig(limit, resource, agent="boss"))
    use(world, ask(world, "child", parent_agent="boss")[0])
    use(world, ask(world, "grandchild", parent_agent="child")[0])
    for agent in ("boss", "child", "grandchild"):
        assert ask(world, agent)[1].startswith(f"budget of {resource} of agent default/boss")
    assert ask(world, "stranger")[1] is None


def test_a_refused_call_takes_nothing_of_any_ledger():
    """All or nothing: the budget that had room is as it was."""
    world = budgeted(BudgetConfig(30.0, agent="*"), BudgetConfig(1.0, "calls", tenant="default"))
    use(world, ask(world, "a")[0], Usage(5, 5))
    assert ask(world, "a")[1] is not None
    ledgers = world.kernel.books.ledgers.ledgers
    assert ledgers[0, "agent default/a"].spent(0.0) == 10.0


# -- shares of a rate ---------------------------------------------------------------------------


def shared(*shares, rpm=600.0, tpm=6000.0, lanes=100, **more):
    """An endpoint of 10 calls and 100 tokens a second, with these shares of it."""
    endpoint = EndpointConfig(rpm=rpm, tpm=tpm, burst_s=60.0)
    return World(config(lanes, shares=shares, endpoints={"x/*": endpoint}, **more))


SHARES = [
    ({"agent": "a"}, ("a", "default"), ("b", "default")),
    ({"agent": "a*"}, ("ab", "t"), ("b", "t")),
    ({"agent": "*"}, ("a", "t"), ("b", "t")),
    ({"tenant": "t"}, ("a", "t"), ("a", "u")),
    ({"tenant": "*"}, ("a", "t"), ("b", "default")),
]


@pytest.mark.parametrize("resource", ["tokens", "calls"])
@pytest.mark.parametrize(("whose", "one", "other"), SHARES)
def test_a_share_paces_its_owner_only(whose, one, other, resource):
    """A fifth of ten calls a second is two a second, in their order; others go at once."""
    world = shared(ShareConfig(0.2, resource, burst_s=0.5, **whose))
    numbers = [ask(world, *one)[0] for _ in range(9)]
    assert world.running == numbers[:1]
    assert ask(world, *other)[0] in world.running
    for gone in range(2, 10):
        world.wait(0.5)
        assert [number for number in numbers if number in world.running] == numbers[:gone]


def test_a_share_that_refuses_says_when_there_is_room():
    """Hard: the call is refused with what it needs, what there is, and when to come again."""
    world = shared(ShareConfig(0.2, agent="a", burst_s=0.5, over="refuse"))
    assert ask(world)[1] is None
    refusal = ask(world, estimate=Usage(399, 1))[1]
    assert refusal == (
        "rate share of tokens of agent default/a at x/m#k: "
        "needs 400, has 0 of 1200 a minute; room again in 0.5 s"
    )
    world.wait(0.5)
    assert ask(world, estimate=Usage(399, 1))[1] is None


def test_a_share_counts_children_and_is_settled_with_the_truth():
    """A child's calls fill its parent's share; what was not used is given back at the end."""
    world = shared(ShareConfig(0.1, agent="boss", burst_s=1.0))
    number, _ = ask(world, "child", parent_agent="boss", estimate=Usage(6, 94))
    late, _ = ask(world, "boss", estimate=Usage(9, 1))
    assert late in world.waiting
    use(world, number, Usage(5, 0))
    after, _ = ask(world, "boss", estimate=Usage(0, 1))
    assert after in world.waiting  # 100 taken, 95 back, 10 taken: 5 of debt
    world.wait(0.6)
    assert after in world.running


def test_a_share_follows_the_limit_and_waits_for_one():
    """Not known: nothing is held back. Then it rises and falls with what the server says."""
    world = World(config(100, shares=(ShareConfig(0.5, "calls", agent="a", burst_s=0.01),)))
    for _ in range(8):
        assert ask(world)[0] in world.running
    for per_min, seconds in ((1200.0, 0.1), (240.0, 0.5), (1200.0, 0.1)):
        world.observe(AT, LimitReport(requests=ServerLimit(per_min, per_min - 20, 1.0)))
        world.wait(5.0)
        first, second = ask(world)[0], ask(world)[0]
        assert first in world.running
        assert second in world.waiting
        world.wait(0.9 * seconds)
        assert second in world.waiting
        world.wait(0.2 * seconds)
        assert second in world.running


def test_a_share_where_input_and_output_are_apart():
    """Their sum is the limit; one of them alone says nothing."""
    share = ShareConfig(0.5, agent="*", burst_s=1.0)
    both = EndpointConfig(input_tpm=1200.0, output_tpm=1200.0, burst_s=60.0)
    world = World(config(9, shares=(share,), endpoints={"x*": both, "y*": EndpointConfig()}))
    for endpoint in ("x/m#k", "y/m#k"):
        numbers = [ask(world, estimate=Usage(10, 10), endpoint=endpoint)[0] for _ in range(2)]
        waits = numbers[1] in world.waiting
        assert waits == (endpoint == "x/m#k")
    assert ask(world, endpoint=None)[0] in world.running


def test_shares_of_two_endpoints_are_two_shares():
    """And `endpoint=` says where one holds."""
    everywhere = EndpointConfig(rpm=600.0, burst_s=60.0)
    share = ShareConfig(0.1, "calls", agent="a", endpoint="x/*", burst_s=1.0)
    world = World(config(9, shares=(share,), endpoints={"*": everywhere}))
    for endpoint in ("x/m#k", "x/n#k", "y/m#k"):
        assert ask(world, endpoint=endpoint)[0] in world.running
    assert ask(world, endpoint="x/n#k")[0] in world.waiting
    assert ask(world, endpoint="y/m#k")[0] in world.running


def test_who_never_ran_or_hung_or_is_forgotten_leaves_a_share_right():
    """A withdrawn call gives back all; a hung one keeps what it took until it is heard of."""
    share = ShareConfig(0.1, "calls", agent="a", burst_s=1.0)
    world = shared(share, lanes=1, first_token_timeout_s=1.0, response_timeout_s=1.0)
    blocker, _ = ask(world, "b")
    number, _ = ask(world)
    world.withdraw(number)
    again, _ = ask(world)  # it waits for the lane, not for its share
    use(world, blocker)
    assert again in world.running
    world.wait(1.5)
    assert world.state[again] == "zombie"
    use(world, again)
    for _ in range(3):
        world.wait(2.0)
        number, _ = ask(world, "c")
        use(world, number)
    assert not world.kernel.books.ledgers.shares.buckets
    late, _ = ask(world)
    world.wait(9.0)
    assert world.state[late] == "zombie"
    use(world, ask(world, "d")[0])
    use(world, late)


def test_a_call_that_goes_again_is_charged_to_its_share_once():
    """A refused attempt is not over: its share stays taken, and is not taken twice."""
    world = shared(ShareConfig(0.1, "calls", agent="a", burst_s=1.0))
    number, _ = ask(world)
    world.requeue(number, Kind.TRANSIENT)
    assert number in world.running
    (bucket,) = world.kernel.books.ledgers.shares.buckets.values()
    assert bucket.level(world.now_s) == 0.0
    use(world, number)
    assert bucket.level(world.now_s) == 0.0


def test_under_a_share_a_greedy_agent_leaves_the_rest():
    """Over a minute of 50 callers at once: its tenth of the rate, and the others have theirs."""
    world = shared(ShareConfig(0.1, "calls", agent="greedy", burst_s=1.0), lanes=4)
    for _ in range(200):
        ask(world, "greedy")
    gone = Counter()
    for _ in range(60):
        modest = [ask(world, "modest")[0] for _ in range(5)]
        world.wait(1.0)
        gone["modest"] += sum(number in world.running for number in modest)
        for number in [*world.running]:
            gone[world.calls[number].agent] += 1
            use(world, number)
    assert 55 <= gone["greedy"] <= 65


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"share": 0.0, "agent": "a"}, "share"),
        ({"share": 1.5, "agent": "a"}, "share"),
        ({"share": 0.5}, "agent"),
        ({"share": 0.5, "agent": "a", "tenant": "t"}, "agent"),
        ({"share": 0.5, "agent": "a", "resource": "cost"}, "resource"),
        ({"share": 0.5, "agent": "a", "burst_s": 0}, "burst_s"),
        ({"share": 0.5, "agent": "a", "over": "drop"}, "over"),
    ],
)
def test_a_share_that_cannot_be_is_named(fields, field):
    """At construction, by its field."""
    with pytest.raises(ConfigError) as error:
        ShareConfig(**fields)
    assert error.value.field == field
    with pytest.raises(ConfigError, match="ShareConfig"):
        config(1, shares=("half",))
