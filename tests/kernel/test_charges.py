"""Every attempt that was sent is charged: input always, output by what was seen."""

from __future__ import annotations

import pytest

from agentrm_plugins.config.endpoints import BudgetConfig, Price
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import Outcome, Usage
from agentrm_plugins.types.verdicts import Kind, Verdict
from tests.kernel.world import World, config

AT = "x/m"


def core(**more):
    budgets = (BudgetConfig(1e6, agent="*"), BudgetConfig(1e6, "calls", agent="*"))
    prices = {"*": Price(1e6, 2e6)}  # a unit for each token that is read, two for one that is made
    return World(config(9, budgets=budgets, prices=prices, **more), twin=True)


def ask(world, **more):
    return world.submit("a", endpoint=AT, estimate=Usage(100, 50), streaming=True, **more)


def spent(world):
    """Tokens of the budget, tokens in all, and what the endpoint's calls have cost."""
    ledgers = world.kernel.books.ledgers.ledgers.values()
    tokens = sum(ledger.spent(world.now_s) for ledger in ledgers if ledger.resource == "tokens")
    statistics = world.kernel.statistics()
    total = statistics.input_tokens + statistics.output_tokens
    return tokens, total, statistics.endpoints[AT].cost


@pytest.mark.parametrize("beats", [0, 7])
@pytest.mark.parametrize("how", ["withdrawn", "cancelled", "superseded", "broken"])
def test_an_attempt_that_was_sent_costs_its_input_and_what_was_seen(how, beats):
    """However it ended, and though nobody says what it used."""
    world = core()
    number = ask(world)
    if beats:
        world.beat(number, beats)
    ends = {
        "withdrawn": ev.Withdraw(number),
        "cancelled": ev.Settle(number, None, Outcome.CANCELLED),
        "superseded": ev.Settle(number, None, Outcome.SUPERSEDED),
        "broken": ev.Settle(number, None, Outcome.ERROR, Verdict(Kind.TRANSIENT)),
    }
    world.feed(ends[how])
    assert spent(world) == (100 + beats, 100 + beats, 100 + 2 * beats)


@pytest.mark.parametrize("status", [400, 429, 503, 500])
def test_what_the_server_refused_costs_nothing(status):
    """An error that came as the answer is not billed, unless something was said before it."""
    world = core()
    kind = {429: Kind.LIMIT, 503: Kind.OVERLOADED, 500: Kind.TRANSIENT}.get(status, Kind.PERMANENT)
    world.feed(ev.Settle(ask(world), None, Outcome.ERROR, Verdict(kind, status)))
    assert spent(world) == (0, 0, 0)
    world.wait(10.0)  # the server had asked for some time
    number = ask(world)
    world.beat(number, 4)
    world.feed(ev.Settle(number, None, Outcome.ERROR, Verdict(kind, status)))
    assert spent(world) == (104, 104, 108)


def test_who_gives_up_as_he_gets_his_lane_has_sent_nothing():
    """He still waited: it costs nothing."""
    world = core()
    number = ask(world)
    world.feed(ev.Withdraw(number, unsent=True))
    assert spent(world) == (0, 0, 0)


def test_an_estimate_that_was_too_high_is_given_back_to_the_last_token():
    """Also where the attempts that were cut off were charged more too much than the answer cost."""
    world = core(first_token_timeout_s=5.0)
    number = ask(world)
    for _ in range(4):
        world.wait(5.0)
        world.feed(ev.Settle(number, Usage(100), Outcome.CANCELLED))
        number = ask(world, place_of=number)
    world.feed(ev.Settle(number, Usage(10, 30)))
    assert spent(world) == (5 * 10 + 30, 5 * 10 + 30, 5 * 10 + 60)


def test_each_try_of_a_call_is_charged():
    """Two that broke off after they had begun, and the answer."""
    world = core()
    number = ask(world)
    for _ in range(2):
        world.beat(number, 5)
        world.requeue(number, Kind.TRANSIENT)
    world.feed(ev.Settle(number, Usage(100, 30)))
    assert spent(world) == (2 * 105 + 130, 2 * 105 + 130, 2 * 110 + 160)
    calls = [one for one in world.kernel.books.ledgers.ledgers.values() if one.resource == "calls"]
    assert [one.spent(0.0) for one in calls] == [1.0]


def test_a_call_that_hung_is_charged_once_it_is_heard_of_or_never_is():
    """What it really used replaces what was seen of it."""
    world = core(first_token_timeout_s=5.0, agent_idle_s=50.0)
    heard, never = ask(world), ask(world)
    world.wait(5.0)
    world.feed(ev.Settle(heard, Usage(60, 0), Outcome.CANCELLED))
    assert spent(world)[0] == 160
    world.wait(51.0)
    assert world.kernel.books.tickets.get(never) is None
    assert spent(world) == (160, 160, 160)


def test_both_attempts_of_a_call_are_charged():
    """The one that won, and what the other one had cost by then."""
    world = core(adaptive=True)
    first = ask(world)
    world.wait(61.0)  # nothing was answered yet: a lone call is late by then
    hedge = world.hedge(first)
    world.feed(ev.Settle(hedge, Usage(100, 40)))
    world.feed(ev.Settle(first, Usage(100, 3), Outcome.SUPERSEDED))
    assert spent(world) == (243, 243, 286)


@pytest.mark.parametrize("comes_back", ["before", "after"])
def test_what_a_call_that_hung_was_charged_is_corrected_by_its_answer(comes_back):
    """Two attempts pass their limit and are charged by estimate; the third says what each read."""
    world = core(first_token_timeout_s=5.0)
    number = ask(world)
    for _ in range(2):
        world.wait(5.0)
        assert world.state[number] == "zombie"
        cut = ev.Settle(number, Usage(100), Outcome.CANCELLED)
        if comes_back == "before":
            world.feed(cut)
        number = ask(world, place_of=number)
        if comes_back == "after":
            world.feed(cut)
    world.feed(ev.Settle(number, Usage(70, 30)))
    assert spent(world) == (3 * 70 + 30, 3 * 70 + 30, 3 * 70 + 60)


def test_what_broke_off_without_a_word_is_corrected_by_the_answer():
    """A connection that was reset is charged its input by estimate, until that is known."""
    world = core()
    number = ask(world)
    world.requeue(number, Kind.TRANSIENT)
    assert spent(world)[1] == 100
    world.feed(ev.Settle(number, Usage(70, 30)))
    assert spent(world)[1] == 2 * 70 + 30


@pytest.mark.parametrize("comes_back", ["before", "after"])
@pytest.mark.parametrize("status", [429, 500, None])
def test_what_was_refused_too_late_costs_nothing_then_either(comes_back, status):
    """The attempt passed its limit before the server's error came, or that it cannot be reached."""
    world = core(first_token_timeout_s=5.0)
    number = ask(world)
    kind = Kind.LIMIT if status == 429 else Kind.TRANSIENT
    verdict = Verdict(kind, status, why="" if status else "unconnected")
    world.wait(5.0)
    late = ev.Settle(number, None, Outcome.ERROR, verdict)
    if comes_back == "before":
        world.feed(late)
    again = ask(world, place_of=number)
    if comes_back == "after":
        world.feed(late)
    assert spent(world)[1] == 0
    world.wait(4.0)
    assert world.state[again] == "running"
    world.feed(ev.Settle(again, Usage(70, 30)))
    assert spent(world) == (100, 100, 130)
