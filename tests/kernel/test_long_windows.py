"""A limit in a long window that the server names is told, probed and doubted like a closure."""

from __future__ import annotations

import pytest

from agentrm_plugins.config.endpoints import EndpointConfig
from agentrm_plugins.types.verdicts import Kind, LimitReport, ServerLimit
from tests.kernel.test_closed import AT, DAY_S, ask, core, refusal

ABSURD = {"requests": ServerLimit(1.0, 0.0, 999_999_999.0, per_s=999_999_999.0)}
SHORT_RESET = {"requests": ServerLimit(1.0, 0.0, 5.0, per_s=999_999_999.0)}
A_DAY = {"requests": ServerLimit(2.0, 0.0, DAY_S, per_s=DAY_S)}
TOKENS = {"tokens": ServerLimit(120.0, 0.0, DAY_S, per_s=DAY_S)}


def answered(world, said, agent="a"):
    """A call is answered, and its headers name a limit."""
    number = ask(world, agent)
    assert number in world.running
    world.settle(number, tokens=50)
    world.observe(AT, LimitReport(**said))


@pytest.mark.parametrize("said", [ABSURD, A_DAY, TOKENS])
def test_nobody_waits_for_longer_than_his_patience(said):
    """Which limit of whom, until when: the second, the tenth and ten at once hear it at once."""
    world = core(agent_idle_s=1e6)
    answered(world, said)
    (resource, limit) = next(iter(said.items()))
    for number in [ask(world, f"a{n}") for n in range(10)]:
        cause, detail = refusal(world, number)
        assert cause == "endpoint_closed"
        for word in (
            AT,
            resource,
            "as its server said",
            f"in {limit.per_s:.0f} s",
            "patience: 120",
        ):
            assert word in detail


def test_who_waits_already_is_told_when_it_is_said():
    world = core(lanes=1)
    first, waits = ask(world), ask(world, "b")
    assert world.waiting == [waits]
    world.observe(AT, LimitReport(**ABSURD))
    world.settle(first, tokens=50)
    assert refusal(world, waits)[0] == "endpoint_closed"


@pytest.mark.parametrize("said", [ABSURD, A_DAY, TOKENS])
def test_a_probe_goes_after_a_minute_and_opens_the_way(said):
    """It is served, and nothing more is said of a limit: all may go again."""
    world = core(agent_idle_s=1e6)
    answered(world, said)
    world.wait(61.0)
    probe, other = ask(world), ask(world, "b")
    assert probe in world.running
    assert refusal(world, other)[0] == "endpoint_closed"
    world.settle(probe, tokens=10)
    for name in "cde":
        number = ask(world, name)
        assert number in world.running
        world.settle(number, tokens=10)


def test_who_has_the_patience_goes_as_the_probe():
    world = core(agent_idle_s=1e6)
    answered(world, ABSURD)
    number = ask(world, "b", wait_timeout_s=2e9)
    assert number in world.waiting
    world.wait(61.0)
    assert number in world.running


def test_an_absurd_limit_that_every_answer_names_is_not_believed_for_ever():
    """Each probe is served though nothing was left: the second time the limit is none."""
    world = core(agent_idle_s=1e6)
    answered(world, ABSURD)
    for wait_s in (61.0, 121.0):
        world.wait(wait_s)
        answered(world, ABSURD)
    for name in "bcd":
        answered(world, ABSURD, name)


def test_probes_that_are_refused_become_rare():
    """A day of one call a minute: some dozens are sent, and none waits."""
    world = core(agent_idle_s=1e6)
    world.twin = None
    answered(world, A_DAY)
    sent = 0
    for _ in range(600):
        world.wait(60.0)
        number = ask(world)
        if number in world.running:
            sent += 1
            world.fail(number, Kind.LIMIT, LimitReport(**A_DAY))
        assert number not in world.waiting
    assert 20 <= sent <= 60


def test_what_is_back_by_the_end_of_the_window_may_go():
    """Two an hour: the next is there after half an hour."""
    world = core(agent_idle_s=1e6)
    answered(world, {"requests": ServerLimit(2.0, 0.0, 3600.0, per_s=3600.0)})
    assert refusal(world, ask(world))[0] == "endpoint_closed"
    world.wait(3700.0)
    assert ask(world, "b") in world.running


def test_a_small_call_goes_where_a_large_one_is_told():
    """Some tokens of a day are left."""
    world = core(agent_idle_s=1e6)
    answered(world, {"tokens": ServerLimit(1000.0, 20.0, DAY_S, per_s=DAY_S)})
    assert refusal(world, ask(world, "b", tokens=500))[0] == "endpoint_closed"
    assert ask(world, "c", tokens=10) in world.running


def test_what_the_user_says_is_waited_for():
    """And a server's limit per minute is: its next call goes within a minute."""
    world = core(endpoints={"x/*": EndpointConfig(rpm=1.0)}, agent_idle_s=1e6)
    first, *others = [ask(world, name) for name in "abcdef"]
    assert first in world.running
    assert world.waiting == others
    world = core()
    answered(world, {"requests": ServerLimit(1.0, 0.0, 60.0, per_s=60.0)})
    assert ask(world) in world.waiting


@pytest.mark.parametrize("said", [ABSURD, A_DAY])
def test_a_request_that_is_none_of_ours_is_not_the_probe(said):
    """Its refusal is heard late, and tells of its own time: our own probe goes all the same."""
    world = core(agent_idle_s=1e6)
    answered(world, said)
    sent_s = world.now_s
    world.wait(61.0)
    world.observe(AT, LimitReport(**said), Kind.LIMIT, sent_s=sent_s)
    world.wait(9.0)  # the back-off of a refusal without a time
    assert ask(world) in world.running
