"""The kernel as a dialogue: an event goes in, effects come out."""

from __future__ import annotations

import pytest

from agentrm_plugins.config import LaneGroup
from agentrm_plugins.errors import ConfigError, KernelBug
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import Call, Usage
from tests.kernel.world import World, config, said

pytestmark = pytest.mark.lowest


def test_free_lane_is_granted_at_once() -> None:
    """A call that finds a lane free has it in the same breath, and its end frees it."""
    world = World(config(1))
    effects = world.kernel.handle(1.0, ev.Submit(7, Call("a", label="plan")))
    assert said(effects) == [("Submitted", 7, "plan"), ("Granted", 7, "free")]
    effects = world.kernel.handle(3.0, ev.Settle(7, Usage(10, 5)))
    assert said(effects) == [("Settled", 7, "ok")]
    assert effects[0].held_s == 2.0
    assert effects[0].usage == Usage(10, 5)
    world.kernel.validate()


def test_waiting_call_follows_the_one_that_ends() -> None:
    """With all lanes taken a call waits, for nothing longer than until one comes back."""
    world = World(config(1))
    first, second = world.submit("a"), world.submit("b")
    assert world.waiting == [second]
    world.now_s = 2.5
    effects = world.settle(first)
    assert said(effects) == [("Settled", first, "ok"), ("Granted", second, "order")]
    assert effects[1].waited_s == 2.5


def test_withdraw_is_total() -> None:
    """Queued, running, reaped, over or unknown: the kernel knows what to do, twice as well."""
    world = World(config(1, response_timeout_s=5.0))
    first, second, third = world.submit("a"), world.submit("b"), world.submit("c")
    assert said(world.withdraw(second)) == [("Refused", second, "cancelled")]
    assert world.withdraw(second, 99) == []
    effects = world.withdraw(first)
    assert said(effects) == [("Settled", first, "cancelled"), ("Granted", third, "order")]
    world.wait(5.0)
    assert world.state[third] == "zombie"
    assert said(world.withdraw(third)) == [("Settled", third, "late")]


def test_withdraw_says_why() -> None:
    """The cause that the host gives is the cause that people read."""
    world = World(config(1))
    world.submit("a")
    number = world.submit("b")
    effects = world.feed(ev.Withdraw(number, "client_gone"))
    assert said(effects) == [("Refused", number, "client_gone")]
    assert world.kernel.statistics().refused == {"client_gone": 1}


def test_queue_is_bounded() -> None:
    """A call beyond `max_waiting` is refused, and so is an agent's beyond its own bound."""
    world = World(config(1, max_waiting=2, max_waiting_per_agent=1))
    world.submit("a")
    world.submit("a")
    number = world.submit("a")
    assert world.state[number] == "gone"
    assert world.kernel.statistics().refused == {"agent_queue_full": 1}
    world.submit("b")
    world.submit("c")
    assert world.kernel.statistics().refused == {"agent_queue_full": 1, "queue_full": 1}


def test_no_queue_still_lends_free_lanes() -> None:
    """`max_waiting=0` and `wait_timeout_s=0` mean now or never: a free lane is now."""
    world = World(config(2, "mlfq", LaneGroup("model", 2, per_tenant=1), max_waiting=0))
    first = world.submit("a", tenant="x")
    second = world.submit("b", tenant="y", wait_timeout_s=0)
    third = world.submit("c", tenant="z", wait_timeout_s=0)
    assert world.running == [first, second]
    assert world.state[third] == "gone"


def test_now_or_never_is_not_kept_from_a_lane_that_others_may_not_use() -> None:
    """Calls of a tenant at its ceiling wait; another tenant's call passes them at once."""
    world = World(config(2, "mlfq", LaneGroup("model", 2, per_tenant=1)))
    world.submit("a", tenant="x")
    waiting = world.submit("b", tenant="x")
    number = world.submit("c", tenant="y", wait_timeout_s=0)
    assert world.running == [1, number]
    assert world.waiting == [waiting]


def test_waiting_has_a_deadline() -> None:
    """A call waits for its own timeout, or for the configured one, and no longer."""
    world = World(config(1, wait_timeout_s=9.0))
    world.submit("a")
    own, common = world.submit("b", wait_timeout_s=2.0), world.submit("c")
    assert world.kernel.next_deadline() == 2.0
    world.wait(1.9)
    assert world.waiting == [own, common]
    assert said(world.wait(0.2)) == [("Refused", own, "wait_timeout")]
    assert said(world.wait(7.0)) == [("Refused", common, "wait_timeout")]


def test_close_refuses_who_waits_and_lets_the_rest_end() -> None:
    """After `Close` nothing new runs; what runs settles as ever."""
    world = World(config(1, time_quanta_s=(0.1, 1, 1, 1)))
    first = world.submit("a")
    world.submit("a")
    world.submit("a")
    world.now_s = 1.0
    assert ("Refused", 2, "closed") in said(world.close())
    assert said(world.feed(ev.Submit(50, Call("a"))))[1] == ("Refused", 50, "closed")
    assert said(world.settle(first))[0] == ("Settled", first, "ok")
    assert world.kernel.next_deadline() == float("inf")


def test_unknown_group_changes_nothing() -> None:
    """A group that is not configured is the caller's error, and counts as no call."""
    kernel = Kernel(config(1))
    with pytest.raises(ConfigError, match=r"group='gpu': use one of .* 'model'"):
        kernel.handle(0.0, ev.Submit(1, Call("a", group="gpu")))
    kernel.validate()
    assert kernel.statistics().submitted == 0


def test_impossible_events_tell_the_story() -> None:
    """Settling a call that waits, or submitting one twice, is a bug of ours; it says what was."""
    world = World(config(1))
    world.submit("a")
    number = world.submit("b")
    with pytest.raises(KernelBug, match=r"waits and was settled.*Submitted"):
        world.kernel.handle(0.0, ev.Settle(number))
    with pytest.raises(KernelBug, match=r"submitted twice.*Submitted"):
        world.kernel.handle(0.0, ev.Submit(number, Call("b")))
    assert said(world.kernel.story(number)) == [
        ("Submitted", number, ""),
        ("Queued", number, "lanes"),
    ]
    world.kernel.validate()


def test_time_never_runs_backwards() -> None:
    """An event that comes with an earlier time happens at the latest one known."""
    kernel = Kernel(config(1))
    kernel.handle(10.0, ev.Submit(1, Call("a")))
    assert kernel.handle(4.0, ev.Settle(1))[0].at_s == 10.0


def test_unknown_usage_costs_what_came_out() -> None:
    """Where nobody counted, the tokens that were streamed are charged."""
    world = World(config(1))
    number = world.submit("a")
    world.beat(number, 30)
    world.settle(number)
    world.settle(world.submit("a"))
    statistics = world.kernel.statistics()
    assert (statistics.input_tokens, statistics.output_tokens) == (0, 30)
    assert statistics.agents["a"].tokens == 30


def test_tokens_are_counted_once_in_the_rates() -> None:
    """What was beaten is not counted again as it settles; what was not is."""
    world = World(config(1))
    number = world.submit("a")
    world.beat(number, 30)
    world.settle(number, tokens=40)
    number = world.submit("a")
    world.beat(number, 30)
    world.settle(number, tokens=20)
    assert world.kernel.statistics().tokens_per_s.last_1_s == 70.0


def test_statistics_name_agents_by_tenant() -> None:
    """Two tenants may each have an agent of one name; who asks may leave the agents out."""
    world = World(config(2))
    world.submit("a")
    world.submit("a", tenant="t")
    world.submit("a", tenant="t", priority="batch")
    statistics = world.kernel.statistics()
    assert set(statistics.agents) == {"a", "t/a"}
    assert statistics.queue_depth == (1, 0, 0, 0)
    assert statistics.tenants["t"].waiting == 1
    assert world.kernel.statistics(agents=False).agents == {}
