from __future__ import annotations

import pytest

from agentrm_plugins.config import Order
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.sim import (
    CLAIRVOYANT,
    SCENARIOS,
    Fate,
    Model,
    Turn,
    Workload,
    comparison,
    engine,
    losses,
    measure,
    run_model,
    scenario,
    simulate,
    table,
)
from agentrm_plugins.sim.engine import HANG_S, REAP_S
from agentrm_plugins.sim.measure import jain, quantile
from agentrm_plugins.types.calls import Priority

pytestmark = pytest.mark.lowest
OK, HANG, ERROR = (Fate.OK,), (Fate.HANG, Fate.OK), (Fate.ERROR, Fate.OK)


def turn(agent, at_s, service_s, fates=OK, kind=Priority.BATCH, **more):
    return Turn(agent, kind, at_s, more.pop("think_s", 0.0), service_s, fates, **more)


def work(*turns, lanes=1):
    return Workload("test", lanes, turns)


def ends(run):
    return [record.ended_s for record in run.records]


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("order", Order)
def test_every_turn_ends_and_lanes_are_never_exceeded(name, order):
    """Whatever the order, each turn finishes or runs out of tries, on at most N lanes."""
    load = SCENARIOS[name].build(3)
    run = simulate(load, order)
    assert run.peak <= load.lanes
    for record in run.records:
        assert record.finished == (Fate.OK in record.turn.fates)
        assert record.tries == len(record.turn.fates)
        assert record.arrived_s <= record.started_s <= record.ended_s


def test_same_seed_same_run():
    """A run is a function of its seed and its order; another seed gives another."""
    first, again, other = (simulate(SCENARIOS["faulty"].build(seed)) for seed in (1, 1, 2))
    assert ends(first) == ends(again) != ends(other)


def test_faults_do_not_depend_on_the_order():
    """Each order meets the same hangs, so waste differs by the reaper alone."""
    rows = comparison(SCENARIOS["cascade"], [1, 2])
    assert len({(row.zombies, row.waste_s, row.failed) for row in rows.values()}) == 1


def test_fifo_by_hand():
    """Two turns on one lane: the second waits for the first."""
    run = simulate(work(turn("a", 0.0, 4.0), turn("b", 1.0, 2.0)), "fifo")
    assert ends(run) == [4.0, 6.0]
    assert [record.waited_s for record in run.records] == [0.0, 3.0]


def test_a_hang_is_reaped_and_tried_again():
    """With the reaper a hang costs its bound; without, as long as it lasts."""
    load = work(turn("a", 0.0, 4.0, HANG))
    assert ends(simulate(load)) == [REAP_S + 4.0]
    run = simulate(load, reaper=False)
    assert ends(run) == [HANG_S + 4.0]
    assert (run.zombies, run.waste_s) == (1, HANG_S)


def test_a_long_healthy_call_is_not_reaped():
    """It beats, so it may take longer than the silence that is allowed."""
    run = simulate(work(turn("a", 0.0, 5 * REAP_S)))
    assert (ends(run), run.zombies) == ([5 * REAP_S], 0)


def test_an_error_frees_the_lane_and_is_tried_again():
    """A failed try costs a moment."""
    run = simulate(work(turn("a", 0.0, 4.0, ERROR)))
    assert ends(run) == [pytest.approx(4.2)]


def test_turns_of_a_chain_follow_each_other():
    """The next arrives its think time after the end of the one before."""
    run = simulate(work(turn("a", 1.0, 4.0), turn("a", None, 2.0, think_s=3.0)))
    assert [record.arrived_s for record in run.records] == [1.0, 8.0]


def test_boosts_can_be_switched_off():
    """The ablation's switch works: a long run boosts, or does not."""
    load = SCENARIOS["greedy"].build(1)
    assert simulate(load, "mlfq_textbook").boosts > 0
    assert simulate(load, "mlfq_textbook", boost=False).boosts == 0
    assert simulate(load).boosts == 0, "what is forgotten needs no boost"


def test_measures_by_hand():
    """Quantiles are values that occurred; Jain's index is 1 for equals and 1/n for one of n."""
    assert quantile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.0
    assert quantile([1.0], 0.95) == 1.0
    assert jain([2.0, 2.0]) == 1.0
    assert jain([1.0, 0.0]) == 0.5
    late = [turn("b", 1.0 + i / 10, 1.0, kind=Priority.INTERACTIVE) for i in range(40)]
    got = measure(simulate(work(turn("a", 0.0, 1.0), turn("a", 0.5, 1.0), *late), "priority"))
    assert got.finished == 42
    assert got.starved == 1, "the batch turn that 40 later ones overtook"
    assert got.per_min == 60.0
    assert got.by_kind["batch"] == (1.0, 41.5)


def test_table_and_losses_name_what_is_better():
    """Below the table stands where the order in question is beaten, with both numbers."""
    rows = comparison(SCENARIOS["high-load"], [1, 2, 3])
    text = table(rows)
    assert len({len(line) for line in text.splitlines()}) == 1
    assert all(order in text for order in Order)
    best = min(rows, key=lambda order: rows[order].by_kind["interactive"][1])
    lines = losses(rows, "fifo")
    assert any("P95 of interactive" in line and f"but {best} " in line for line in lines)
    assert not losses({"mlfq": rows["mlfq"]})


def test_unknown_scenario_and_order_are_named():
    """The error names the value and the way out."""
    with pytest.raises(ConfigError, match=r"scenario='x': use one of normal, .*greedy"):
        scenario("x")
    with pytest.raises(ConfigError, match="order='x'"):
        simulate(work(turn("a", 0.0, 1.0)), "x")


@pytest.mark.parametrize("order", [*Order, CLAIRVOYANT])
def test_no_lane_is_idle_while_somebody_may_run(order, monkeypatch):
    """After every event of a run each invariant holds, and nobody waits who could start."""
    real = engine._Engine.feed

    def feed(self, event):
        real(self, event)
        self.kernel.validate()

    monkeypatch.setattr(engine._Engine, "feed", feed)
    for name in ("burst", "faulty"):
        run = run_model(SCENARIOS[name].build(5), Model(order))
        assert run.peak == run.lanes


def test_clairvoyant_lets_the_shortest_go_first():
    """It is told the true lengths, which no agent's history could tell."""
    turns = [turn(f"a{number}", 1.0, float(5 - number)) for number in range(5)]
    run = run_model(work(turn("first", 0.0, 2.0), *turns), Model(CLAIRVOYANT))
    assert ends(run) == [2.0, 17.0, 12.0, 8.0, 5.0, 3.0]


def test_hints_can_be_lies():
    """What an agent declares may be given turn by turn."""
    said = []

    def hint(one):
        said.append(one.agent)
        return Priority.INTERACTIVE

    run_model(work(turn("a", 0.0, 1.0)), Model(hints=hint))
    assert said == ["a"]


def test_without_a_second_try_a_hang_is_the_end():
    """As the paper's baselines have it: no reaper, no retry."""
    run = run_model(work(turn("a", 0.0, 4.0, HANG)), Model("fifo", None, hang_s=50.0, retry=False))
    assert (ends(run), run.waste_s, run.past_timeout) == ([50.0], 50.0, 1)
    assert not run.records[0].finished
