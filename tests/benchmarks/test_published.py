"""The published experiments run, and the pages say what their results say."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from agentrm_plugins.sim import SCENARIOS, Model
from benchmarks import published
from benchmarks.published import (
    ablation,
    crowds,
    hivemind,
    mixes,
    paper,
    readme,
    refusals,
    report,
    scale,
    story,
    worlds,
)

ROOT = Path(__file__).parents[2]
GENERATED = {"docs/results.md", "docs/scheduling.md", "docs/versions.md", "docs/compatibility.md"}
PAGES = [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "guides").glob("*.md")]
WRITTEN = sorted(
    {"README.md", "SECURITY.md", "examples/README.md", "CONTRIBUTING.md"}
    | {str(page.relative_to(ROOT)) for page in PAGES} - GENERATED
)
TEMPLATES = sorted(
    f"benchmarks/published/{name}" for name in (*story.PAGES.values(), "readme.md.in")
)
"""What is written by hand of the pages that are generated."""
BESIDE = (
    *("benchmarks/congestion/README.md", "cassettes/README.md", "requirements/README.md"),
    "examples/ci_replay/README.md",
)
SETTINGS = {
    # What the papers claim, and the width of an interval.
    "benchmarks/published/results.md.in": (
        *("95 %", "86 %", "96 %", "168 %", "562.8", "77.5", "4.1", "11.0"),
        *("49.6 %", "93.8 %", "68 %", "6.7 %", "2604.17111"),
    ),
    "benchmarks/published/scheduling.md.in": ("1.5", "1.4"),  # constants of the order
    # Waits of the workload and of the SDK.
    "benchmarks/congestion/README.md": ("0.5", "0.3", "0.8", "0.02", "0.1", "0.4"),
    "CONTRIBUTING.md": ("100 %",),  # coverage that is asked for
    "docs/congestion.md": ("5 %",),  # tokens that second attempts may waste: `policy/endpoint`
    "docs/context.md": ("1.3",),  # what a foreign tokenizer's count is multiplied by
    # Intervals and shares of the code, versions of servers, and when to look.
    "docs/fleet.md": ("0.1", "0.2", "0.25", "0.4", "0.9", "1 %", "7.0", "9.1", "5.7", "3.0"),
    "docs/langchain.md": ("1.1",),  # HTTP/1.1
    "docs/metrics.md": ("0.66",),  # a version
    "docs/monitor.md": ("4.8", "0.8"),  # MB of plotly's script; seconds between two states
}
"""What stands on a page and was not measured."""


@pytest.mark.parametrize("page", story.PAGES)
def test_pages_come_from_the_results(page: str) -> None:
    """Every number of docs/results.md and docs/scheduling.md stands in a results file."""
    assert (ROOT / "docs" / page).read_text(encoding="utf-8") == story.render()[page]


@pytest.mark.parametrize("path", story.FILLED)
def test_blocks_say_what_the_results_say(path: str) -> None:
    """README and docs/numbers.md: what stands between the marks is written from the results."""
    text = (ROOT / path).read_text(encoding="utf-8")
    assert readme.BLOCK.search(text)
    assert text == story.filled(path)


@pytest.mark.parametrize("path", [*WRITTEN, *TEMPLATES, *BESIDE])
def test_no_measured_number_stands_outside_of_the_blocks(path: str) -> None:
    """Percentages, multiples and decimals come from results files alone, or are settings."""
    text = readme.BLOCK.sub("", (ROOT / path).read_text(encoding="utf-8"))
    text = re.sub(
        r"```.*?```|`[^`]*`|^ {4}[^\n]*$|\]\([^)]*\)", "", text, flags=re.DOTALL | re.MULTILINE
    )
    text = re.sub(r"Python 3\.1\d|3\.1\d|\d+\.\d+\.\d+", "", text)
    found = re.findall(r"\d+(?:\.\d+)? ?%|\d+ of \d+|\d+\.\d+|\d+x\b|\d+ times", text)
    assert sorted(set(found) - set(SETTINGS.get(path, ()))) == []


def test_interval_of_a_median_is_the_binomials() -> None:
    """Of a hundred values the 40th and the 61st, or wider."""
    middle, low, high = worlds.interval([float(n) for n in range(1, 101)])
    assert middle == 50.5
    assert 38 <= low <= 41
    assert 60 <= high <= 63


def test_experiments_run_and_write_three_files(tmp_path, monkeypatch) -> None:
    """One seed of the paper's experiment in two scenarios gives JSON and Markdown, and a page."""
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    for name, few in (("SCENARIO_NAMES", ("normal",)), ("ALL", ("normal",)), ("SWEEP_SEEDS", 1)):
        monkeypatch.setattr(paper, name, few)
    monkeypatch.setattr(paper, "_sweeps", lambda span: ({}, []))
    monkeypatch.setattr(crowds, "MODELS", {"ours": Model(hints=False)})
    monkeypatch.setattr(mixes, "MIXES", {"light": mixes.MIXES["light"]})
    published.run("paper", 1)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"paper.json", "paper.md"} <= names <= {"paper.json", "paper.md", "paper.html"}


def test_parts_can_be_switched_off() -> None:
    """Each part that the ablation removes makes another run."""
    load = SCENARIOS["greedy"].build
    ours = worlds.many(load, Model(), [1])
    for label in ("without claims", "without weights", "without levels", "without forgetting"):
        assert worlds.many(load, ablation.PARTS[label], [1]) != ours, label


@pytest.mark.parametrize("who", ["no hints", "crowds say interactive"])
def test_crowds_of_short_calls_buy_little(who: str) -> None:
    """Who hides long calls behind short ones: seconds keep most of the harm from the others."""

    def harm(label: str) -> float:
        model, seeds = crowds.MODELS[label], (7001, 7002)
        found = {n: sum(crowds.others(seed, n, model) for seed in seeds) for n in (0, 40)}
        return found[40] / found[0] - 1.0

    assert harm(f"{who}, ours") < 0.4 * harm(f"{who}, ours by calls alone")


def test_refusals_are_met_without_losing_a_turn() -> None:
    """With endpoint control every turn finishes; told the limits, nothing is refused."""
    found = refusals.World(1, "mlfq", managed=True).run().figures()
    told = refusals.World(1, "mlfq", managed=True, told=True).run().figures()
    waves = refusals.World(1, "mlfq", managed=True, told=True, burst_s=None).run().figures()
    for row in (found, told, waves):
        assert row["finished_percent"] == 100.0
    assert told["refused"] == waves["refused"] == 0.0


def test_scale_counts_what_it_does() -> None:
    """Each call is a submission, a grant and an end; memory and rate are told."""
    found = scale.million(50, 500)
    assert found["calls"] == 500
    assert found["events"] >= 3 * 500
    assert found["memory_mib"] > 0


def test_scale_is_judged_by_what_was_promised() -> None:
    """Time, memory, rate and growth of the cost each have a bound, and can miss it."""
    whole = {"seconds": 120.0, "memory_mib": 1024}
    cost = {"mlfq": {"100": 10.0, "100000": 13.0}}
    kept = {"million": whole, "simulated_events_per_s": 40_000, "waiting_us": cost}
    assert [figure <= bound for _, figure, bound in story.scaled(kept)] == [True] * 4
    broken = {
        "million": {"seconds": 120.1, "memory_mib": 1025},
        "simulated_events_per_s": 39_999,
        "waiting_us": {"mlfq": {"100": 10.0, "100000": 13.1}},
    }
    assert [figure > bound for _, figure, bound in story.scaled(broken)] == [True] * 4


@pytest.mark.parametrize("way", ["direct, no retries (as the paper)", *hivemind.OURS])
def test_an_agent_dies_of_its_first_failure_and_ours_does_not(way: str) -> None:
    """Three agents where one request of seven fails: who has no retries loses some, ours none."""
    faults = {"error_rate": 0.15, "error_statuses": (502,)}
    crowd = hivemind.Scenario("crowd", 3, 8, 1000.0, (0.0, 0.0), 0, 0, faults)
    tally = asyncio.run(hivemind.play(crowd, way, seed=1))
    if way in hivemind.OURS:
        assert (tally.failed_agents, tally.answers) == (0, 24)
        assert tally.tokens_wasted == 0
    if way == "direct, no retries (as the paper)":
        assert tally.failed_agents > 0
        assert tally.requests == tally.answers + tally.failed_agents
        assert 0 < tally.tokens_wasted <= tally.tokens
