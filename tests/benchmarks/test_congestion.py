"""The congestion benchmark runs and writes what its README promises. Its figures are not tested."""

from __future__ import annotations

import json

import pytest

from benchmarks.congestion.__main__ import main
from benchmarks.congestion.measure import best_peer, combine, jain, quantile, storms
from benchmarks.congestion.scenarios import MORE, SUITE, Variant
from benchmarks.congestion.workload import make_agents, reserved_tokens


@pytest.mark.slow
def test_quick_mode_of_one_scenario_writes_all_its_files(tmp_path, capsys):
    """The oracle and a peer finish, and table, numbers and plot are written."""
    path = tmp_path / "new" / "congestion.json"
    arguments = ["--quick", "--scenario", "requests", "--peer", "ours", "--peer", "sdk, 2 retries"]
    assert main([*arguments, "--jobs", "1", "--json", str(path)]) == 0
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["about"]["seeds"] == [1]
    assert {"python", "machine", "versions"} <= found["about"].keys()
    (rows,) = found["variants"].values()
    assert list(rows) == ["oracle", "ours", "sdk, 2 retries"]
    assert rows["oracle"]["finished"] == found["about"]["agents"]
    assert all("skipped" not in row for row in rows.values())
    text = path.with_suffix(".md").read_text(encoding="utf-8")
    assert "| oracle " in text
    assert "| oracle " in capsys.readouterr().out
    assert path.with_suffix(".svg").read_text(encoding="utf-8").count("<polyline") >= 3


def test_the_workload_depends_on_the_seed_alone():
    """Same seed, same prompts and pauses; another seed, others; sizes do not depend on it."""
    first, again, other = (make_agents(seed, ("m",)) for seed in (1, 1, 2))
    assert first == again != other
    assert reserved_tokens(first) == reserved_tokens(other)
    assert len(first) == 38


def test_variants_are_named_by_what_they_are():
    """A name is read back as it was written, short forms take the defaults, errors say why."""
    for variant in SUITE + MORE:
        assert Variant.parse(variant.name) == variant
    assert Variant.parse("tokens").name == "tokens/untold/async/own"
    with pytest.raises(ValueError, match="use one of"):
        Variant.parse("tokens/guessed")


def test_storms_are_bursts_of_rejections():
    """429s with less than a second between them are one storm."""
    log = [[at_s, 0.0, "m", status] for at_s, status in ((1, 429), (1.8, 429), (2, 200), (4, 429))]
    assert storms(log) == 2


def test_statistics_are_those_of_the_textbook():
    """Quantiles are values that occurred; Jain's index is 1 for equals and 1/n for one taker."""
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([], 0.5) is None
    assert jain([2.0, 2.0]) == 1.0
    assert jain([1.0, 0.0]) == 0.5


def test_who_lets_agents_die_is_not_the_best_peer():
    """Ratios are formed run by run, and the best peer is sought among those that finished most."""

    def numbers(finished: int, wall_s: float, p95_s: float) -> dict:
        return {"finished": finished, "wall_s": wall_s, "p95_s": p95_s, "p95_open_s": None}

    runs = {
        "oracle": {1: numbers(9, 2.0, 0.1), 2: numbers(9, 4.0, 0.1)},
        "ours": {1: numbers(9, 3.0, 0.2), 2: numbers(9, 6.0, 0.2)},
        "quick but deadly": {1: numbers(5, 1.0, 0.1), 2: numbers(5, 1.0, 0.1)},
        "slow": {1: numbers(9, 8.0, 0.4), 2: numbers(9, 8.0, 0.4)},
        "absent": {1: {"skipped": "needs a rate"}, 2: {"skipped": "needs a rate"}},
    }
    rows = combine(runs)
    assert best_peer(rows) == "slow"
    assert rows["ours"]["wall_ratio"] == 1.5
    assert rows["ours"]["p95_to_best_peer"] == 0.5
    assert rows["absent"] == {"skipped": "needs a rate"}
