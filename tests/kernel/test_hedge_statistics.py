"""What statistics tell of late calls: how many, who won, and what the attempts that lost cost."""

from __future__ import annotations

from agentrm_plugins.config.endpoints import EndpointConfig
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import Outcome, Usage
from agentrm_plugins.types.hedge_statistics import HedgeStatistics
from tests.kernel.dump import dump, load
from tests.kernel.world import World, config

AT, OTHER = "x/m#k", "y/m#k"


def core(lanes=9, **more):
    """A core that knows two endpoints: each has answered forty times in 0.2 s."""
    endpoints = {pattern: EndpointConfig(rpm=1e6, **more) for pattern in ("x/*", "y/*")}
    world = World(config(lanes, "mlfq", endpoints=endpoints))
    for at in (AT, OTHER) * 40:
        number = ask(world, at)
        world.wait(0.2)
        world.feed(ev.Settle(number, Usage(5, 10)))
    world.twin = load(world.config, dump(world.kernel))
    return world


def ask(world, at=AT):
    return world.submit("a", endpoint=at, estimate=Usage(5, 10), max_output_tokens=10)


def end(world, number, tokens, outcome=Outcome.OK, tokens_in=5):
    world.feed(ev.Settle(number, Usage(tokens_in, tokens), outcome))


def seen(world, at=None):
    statistics = world.kernel.statistics()
    return statistics.hedges if at is None else statistics.endpoints[at].hedges


def test_where_nothing_is_late_all_counts_are_zero():
    """Quick calls are no matter of hedging."""
    world = core()
    assert seen(world) == seen(world, AT) == HedgeStatistics()


def test_a_hedge_that_won():
    """The call is counted once as late, the attempt that lost with what it was charged."""
    world = core()
    first = ask(world)
    world.wait(3.0)
    hedge = world.hedge(first)
    end(world, hedge, 10)
    end(world, first, 3, Outcome.SUPERSEDED)
    assert seen(world, AT) == HedgeStatistics(late=1, sent=1, hedge_won=1, lost_tokens=8)
    assert seen(world, OTHER) == HedgeStatistics()
    assert seen(world) == seen(world, AT)


def test_a_first_attempt_that_won():
    """It was slow and not hung: what the hedge cost was wasted."""
    world = core()
    first = ask(world, OTHER)
    world.wait(3.0)
    hedge = world.hedge(first)
    end(world, first, 10)
    end(world, hedge, 0, Outcome.SUPERSEDED)
    expected = HedgeStatistics(late=1, sent=1, first_won=1, lost_tokens=5)
    assert seen(world, OTHER) == seen(world) == expected


def test_a_second_attempt_that_goes_in_place_of_the_first_is_not_beside_it():
    """The first fails while the second waits for a lane: one attempt goes on, and none has won."""
    world = core(lanes=1)
    first, other = ask(world), ask(world)
    world.wait(3.0)
    hedge = world.hedge(first)
    assert hedge not in world.running
    end(world, first, 0, Outcome.ERROR)
    if hedge not in world.running:
        end(world, other, 10)
    assert hedge in world.running
    end(world, hedge, 10)
    assert (seen(world, AT).sent, seen(world, AT).hedge_won) == (0, 0)


def test_attempts_that_gave_way_are_counted_with_what_they_cost():
    """The second is late too and makes room for the third, which is answered."""
    world = core()
    first = ask(world)
    world.wait(3.0)
    second = world.hedge(first)
    world.wait(60.0)
    assert world.state[second] == "zombie"
    end(world, second, 0, Outcome.ERROR)
    third = world.hedge(first)
    end(world, third, 10)
    end(world, first, 0, Outcome.SUPERSEDED)
    expected = HedgeStatistics(late=1, sent=2, hedge_won=1, gave_way=1, lost_tokens=10)
    assert seen(world) == expected


def test_one_that_gave_way_and_whose_caller_never_came_back_is_charged_and_counted():
    """After the time in which idle agents are forgotten its input is known to be lost."""
    world = core()
    first = ask(world)
    world.wait(3.0)
    world.hedge(first)
    world.wait(60.0)
    before = world.kernel.statistics().input_tokens
    end(world, first, 10)
    world.wait(world.config.agent_idle_s + 1.0)
    assert world.kernel.statistics().input_tokens == before + 5 + 5
    assert seen(world).lost_tokens == 5


def test_a_hedge_that_went_on_alone_after_an_error_of_the_first_has_won():
    """There is nothing that it won against any more; the call was answered by it all the same."""
    world = core()
    first = ask(world)
    world.wait(3.0)
    hedge = world.hedge(first)
    world.fail(first)
    end(world, hedge, 10)
    assert seen(world) == HedgeStatistics(late=1, sent=1, hedge_won=1)


def test_a_hedge_that_was_never_sent_is_not_counted():
    """It waited for a lane, and the first was answered: the call was late, and nothing else."""
    world = core(lanes=1)
    first = ask(world)
    world.wait(3.0)
    blocker = world.submit("b")
    hedge = world.hedge(first)
    assert world.state[hedge] == "queued"
    end(world, first, 10)
    world.settle(blocker)
    assert seen(world) == HedgeStatistics(late=1)


def test_what_was_charged_by_estimate_is_corrected_by_the_answer():
    """The answer says what the input is; the attempts that lost, and gave way, had the same."""
    world = core()
    first = ask(world)
    before = world.kernel.statistics().input_tokens
    world.wait(3.0)
    second = world.hedge(first)
    world.wait(60.0)
    end(world, second, 0, Outcome.ERROR)
    third = world.hedge(first)
    end(world, first, 0, Outcome.SUPERSEDED)
    end(world, third, 10, tokens_in=7)
    assert world.kernel.statistics().input_tokens == before + 3 * 7
    assert seen(world).lost_tokens == 2 * 7


def test_counts_of_an_endpoint_that_is_forgotten_stay_in_the_total():
    """It was not called for so long that the core forgets it as soon as another one comes."""
    world = core()
    first = ask(world)
    world.wait(3.0)
    end(world, world.hedge(first), 10)
    end(world, first, 0, Outcome.SUPERSEDED)
    total = seen(world)
    world.wait(world.config.agent_idle_s + 1.0)
    world.submit("a", endpoint="z/m#k")
    assert AT not in world.kernel.statistics().endpoints
    assert seen(world) == total
