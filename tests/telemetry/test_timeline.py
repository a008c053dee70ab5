from __future__ import annotations

import json
import random
from math import exp, inf, nan

import pytest

from agentrm_plugins.sim.crowd import Crowd
from agentrm_plugins.telemetry.timeline import Timeline, snapshot
from agentrm_plugins.telemetry.timeline.bins import Bins, Series, later, total
from agentrm_plugins.telemetry.timeline.tallies import Pressure, Waits


def told(name: str, at_s: float, ticket: int = 0, agent: str = "", **more) -> dict:
    return {"event": name, "at_s": at_s, "ticket": ticket, "agent": agent, "cause": "", **more}


def call(ticket: int, agent: str, asked: float, got: float, ended: float, **more) -> list[dict]:
    """A call that went well."""
    return [
        told("Submitted", asked, ticket, agent, **more),
        told("Granted", got, ticket, agent, group="model", waited_s=got - asked, **more),
        told("Settled", ended, ticket, agent, cause="ok", held_s=ended - got, **more),
    ]


def folded(*events: dict, **settings) -> Timeline:
    timeline = Timeline(**settings)
    timeline.fold(*sorted(events, key=lambda event: event["at_s"]))
    return timeline


def test_a_call_becomes_a_span_a_wait_and_a_story() -> None:
    """From asking to the end: the lane it held, how long it waited, and its story in order."""
    timeline = folded(*call(1, "ada", 0.0, 2.0, 5.0, priority="batch"))
    [span] = timeline.spans.kept
    assert (span.row, span.begin_s, span.end_s, span.agent, span.kind) == (
        *("model 1", 2.0, 5.0, "ada", "ok"),
    )
    assert timeline.waits["batch"].quantile(0.5) == 2.0
    [row] = timeline.slowest.rows()
    assert row["story"][0][1].startswith("asked for a lane")
    assert row["took"] == 5.0
    assert not timeline.open


def test_an_open_call_has_waited_and_held_until_now() -> None:
    """One that waits has not waited for no time, one that runs not held for none."""
    timeline = folded(
        told("Submitted", 0.0, 1, "ada"),
        told("Queued", 0.0, 1, "ada", cause="lanes", level=0, waiting=1),
        told("Submitted", 1.0, 2, "bob"),
        told("Queued", 1.0, 2, "bob", cause="lanes", level=0, waiting=2),
        told("Granted", 3.0, 1, "ada", group="model", waited_s=3.0),
        told("Beaten", 10.0, 1, "ada"),
    )
    rows = {row["ticket"]: row for row in snapshot(timeline)["oldest"]}
    assert (rows[1]["waited"], rows[1]["held"], rows[1]["took"]) == (3.0, 7.0, 10.0)
    assert (rows[2]["waited"], rows[2]["held"], rows[2]["took"]) == (9.0, 0.0, 9.0)


def test_pressure_is_told_as_of_the_last_event() -> None:
    """Though who waits and for what has not changed for long before it; to look changes nothing."""
    timeline = folded(
        told("Submitted", 0.0, 1, "ada"),
        told("Queued", 0.0, 1, "ada", cause="lanes", level=0, waiting=1),
        told("Boosted", 60.0),
    )
    first = snapshot(timeline)["pressure"]
    assert first["lanes"] == [round(1 - exp(-60 / over_s), 4) for over_s in (10, 60, 300)]
    assert first["rate"] == first["context"] == [0.0] * 3
    assert snapshot(timeline)["pressure"] == first
    timeline.fold(told("Boosted", 120.0))
    later = snapshot(timeline)["pressure"]["lanes"]
    assert later[2] == pytest.approx(1 - exp(-120 / 300), abs=1e-4)


def test_lanes_are_drawn_in_the_lowest_free_row() -> None:
    """Two at once take two rows; who comes after the first has ended takes the first row again."""
    timeline = folded(*call(1, "a", 0, 0, 4), *call(2, "b", 1, 1, 9), *call(3, "c", 4.5, 4.5, 6))
    assert {span.ticket: span.row for span in timeline.spans.kept} == {
        1: "model 1",
        2: "model 2",
        3: "model 1",
    }


def test_hangs_retries_and_late_calls_are_told_apart() -> None:
    """A reaped call is a hang, one that failed and goes again a retry, and late has its moment."""
    timeline = folded(
        told("Submitted", 0, 1, "ada", endpoint="h/m"),
        told("Granted", 0, 1, "ada", group="model", waited_s=0.0, endpoint="h/m"),
        told("Requeued", 1, 1, "ada", cause="limit", held_s=1.0, until_s=3.0, endpoint="h/m"),
        told("Granted", 3, 1, "ada", group="model", waited_s=2.0, endpoint="h/m"),
        told("Suspected", 8, 1, "ada", silent_s=5.0),
        told("Reaped", 13, 1, "ada", cause="silence", held_s=10.0),
        told("Settled", 14, 1, "ada", cause="late", held_s=11.0),
    )
    assert [(span.kind, span.attempt, span.late_s) for span in timeline.spans.kept] == [
        ("retry", 1, None),
        ("hang", 2, 8.0),
    ]
    ada = timeline.agents.of("ada")
    assert (ada.retries, ada.zombies, ada.running, ada.waiting) == (1, 1, 0, 0)
    assert timeline.endpoints.found["h/m"].limit_hits == 1
    assert sum(value or 0 for value in timeline.hits.found["h/m"].dense()) == 1
    assert timeline.slowest.rows()[0]["kind"] == "hang"


def test_waiting_calls_move_with_their_agents_level() -> None:
    """A demoted agent's waiting calls wait in its new level; a boost brings all of them up."""
    asks = [told("Submitted", 0, n, "ada") for n in (1, 2)]
    timeline = folded(*asks, told("Demoted", 1, 0, "ada", level=2))
    assert timeline.depth == [0, 0, 2]
    timeline.fold(told("Boosted", 2))
    assert timeline.depth == [2, 0, 0]


def test_what_waits_for_a_rate_presses_there() -> None:
    """Pressure tells who waits for lanes from who waits for an endpoint's rate."""
    timeline = folded(
        told("Submitted", 0, 1, "ada"), told("Throttled", 0, 1, "ada", cause="tokens", for_s=20.0)
    )
    timeline.look(20.0)
    assert timeline.pressure["rate"].shares[0] > 0.8
    assert timeline.pressure["lanes"].shares[0] == 0.0


def test_the_saw_tooth_is_per_minute_and_holds_between_changes() -> None:
    """What was allowed is a level: it holds until it changes. What was used is a rate."""
    changes = [(0.0, 2.0, 4.0), (10.0, 1.0, 4.0)]
    timeline = folded(
        *(
            told("LimitChanged", at, endpoint="h/m", resource="requests", per_s=per_s,
                 limit_per_s=limit, source="probed")
            for at, per_s, limit in changes
        ),
        *call(1, "ada", 12.0, 12.0, 19.9, endpoint="h/m"),
    )  # fmt: skip
    [rate] = snapshot(timeline)["rates"]
    assert rate["allowed"][0] == 120.0
    assert rate["allowed"][39] == 120.0
    assert rate["allowed"][-1] == 60.0
    assert rate["limit"][-1] == 240.0
    assert max(rate["used"]) == pytest.approx(60.0 / 5.0)


def test_context_tiers_follow_compactions() -> None:
    """What a compaction leaves is hot and warm, what it takes away is cold; a session sleeps."""
    timeline = folded(
        told("Compacted", 0, 0, "ada", session="thread-7", before_tokens=9000, after_tokens=3000,
             warm_tokens=500, budget_tokens=10_000),
        told("Recalled", 1, 0, "ada", session="thread-7", tokens=200),
        told("Hibernated", 2, 0, "ada", session="thread-7"),
    )  # fmt: skip
    [row] = snapshot(timeline)["sessions"]
    assert (row["hot"], row["warm"], row["cold"]) == (2500, 500, 6000)
    assert (row["recalls"], row["asleep"], row["window"]) == (1, True, 10_000)


def test_tenants_agents_of_one_name_are_two() -> None:
    """The same name in two tenants is two rows."""
    timeline = folded(told("Submitted", 0, 1, "ada"), told("Submitted", 0, 2, "ada", tenant="acme"))
    assert {row["name"] for row in snapshot(timeline)["agents"]} == {"ada", "acme/ada"}


@pytest.mark.parametrize("window_s", [None, 60.0])
def test_a_whole_crowd_adds_up(window_s: float | None) -> None:
    """After the last call nothing waits or runs; each grant is a span; each bar fits its row."""
    events = list(Crowd(agents=60, lanes=6, seconds=200, rpm=90).run())
    timeline = Timeline(window_s=window_s)
    timeline.fold(*events)
    assert not timeline.open
    assert set(timeline.depth) == {0}
    assert all(row.idle for row in timeline.agents)
    assert timeline.spans.seen == timeline.counts["Granted"]
    ends: dict[str, float] = {}
    for span in sorted(timeline.spans.kept, key=lambda span: span.begin_s):
        assert span.begin_s >= ends.get(span.row, 0.0) - 1e-9
        ends[span.row] = span.end_s
    json.dumps(snapshot(timeline), allow_nan=False)


def test_memory_and_picture_are_bounded_whatever_comes() -> None:
    """Two hundred thousand calls of as many agents leave as much as the bounds allow, and say so;
    a hang among them is still there.
    """
    timeline = Timeline(most_spans=500, bins=100)
    rng = random.Random(3)
    for number in range(60_000):
        at = number * 0.5
        hang = number == 17
        timeline.fold(
            told("Submitted", at, number + 1, f"agent-{number}"),
            told("Granted", at, number + 1, f"agent-{number}", group="model", waited_s=0.0),
            told("Reaped" if hang else "Settled", at + rng.random() / 3, number + 1,
                 f"agent-{number}", cause="ok", held_s=0.1),
        )  # fmt: skip
    seen = snapshot(timeline)
    assert len(seen["spans"]["row"]) <= 500
    assert "hang" in seen["spans"]["kind"]
    assert seen["left_out"]["spans"] == 60_000 - 500
    assert len(seen["t"]) <= 100
    assert len(seen["agents"]) <= 500
    assert seen["known"] == 60_000
    assert len(timeline.agents) <= 20_000
    assert len(json.dumps(seen)) < 1_000_000


def test_lost_events_and_strange_ones_do_no_harm() -> None:
    """Ends without beginnings, beginnings without ends, unknown kinds, times that go back."""
    events = [told("Settled", 5, 9, "x", cause="ok", held_s=2.0), told("Granted", 4, 8, "y")]
    events += [told("Novelty", 6, 7, "z"), told("Beaten", 1, 3, "q"), told("Requeued", 7, 2, "r")]
    events += [told("LimitChanged", 8), told("Compacted", 9), told("Boosted", 2), {"event": ""}]
    endless = {"endpoint": "h/m", "resource": "tokens", "per_s": inf, "limit_per_s": inf}
    events += [told("LimitChanged", 9, **endless), told("EndpointClosed", nan, until_s=inf)]
    events += [told("EndpointClosed", 9, endpoint="h/m", until_s=inf), told("Granted", inf, 5)]
    events += [told("Granted", 9, 6, "w", waited_s=inf), told("Throttled", 9, 6, for_s=inf)]
    timeline = Timeline()
    timeline.fold(*events)
    json.dumps(snapshot(timeline), allow_nan=False)
    everything = list(Crowd(agents=20, lanes=3, seconds=60, hang_rate=0.2).run())
    random.Random(1).shuffle(everything)
    timeline.fold(*everything[::2])
    json.dumps(snapshot(timeline), allow_nan=False)


def test_bins_merge_by_their_own_law() -> None:
    """When time outgrows the bins they widen: sums add, peaks stay, levels are the later ones."""
    bins = Bins(4, 1.0)
    sums = Series(bins, total, gauge=False)
    peaks, levels = Series(bins, max, gauge=True), Series(bins, later, gauge=True)
    for second, value in enumerate((1, 5, 2, 0)):
        for series in (sums, peaks, levels):
            series.put(second, value)
    bins.at(7.0)
    assert bins.width_s == 2.0
    assert sums.dense() == [6, 2, 0, 0]
    assert peaks.dense() == [5, 5, 0, 0]  # 5 still held when the second began
    assert levels.dense() == [5, 0, 0, 0]


def test_a_rolling_window_forgets_but_keeps_levels() -> None:
    """Old bins go; the level that held when they went still holds."""
    bins = Bins(4, 1.0, rolling=True)
    levels, sums = Series(bins, later, gauge=True), Series(bins, total, gauge=False)
    levels.put(0.0, 7.0)
    sums.put(0.0, 1.0)
    bins.at(100.0)
    assert bins.seconds() == [97.0, 98.0, 99.0, 100.0]
    assert levels.dense() == [7.0] * 4
    assert sums.dense() == [0.0] * 4


def test_quantiles_are_at_most_a_bucket_too_high() -> None:
    """The histogram's quantiles are within 19 % above the true ones, and never above the worst."""
    rng = random.Random(5)
    values = sorted(rng.lognormvariate(0, 2) for _ in range(5000))
    waits = Waits()
    for value in values:
        waits.add(value)
    for share in (0.5, 0.95, 0.99, 1.0):
        true = values[min(len(values) - 1, int(share * len(values)))]
        assert true * 0.98 <= waits.quantile(share) <= max(true * 1.2, 0.0)
    assert Waits().quantile(0.5) == 0.0


def test_pressure_follows_psi() -> None:
    """Waiting all the time tends to 1 with the time constant, and half the time to a half."""
    always, half = Pressure(), Pressure()
    for second in range(600):
        always.see(second, waits=True)
        half.see(second + 0.5 * 0, waits=second % 2 == 0)
    assert always.shares[0] > 0.99
    assert always.shares[2] == pytest.approx(0.86, abs=0.02)
    assert half.shares[1] == pytest.approx(0.5, abs=0.02)
