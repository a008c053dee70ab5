"""The benchmark of monitoring runs, measures every way, and says what it leaves out."""

from __future__ import annotations

import json

from benchmarks.monitor.__main__ import main
from benchmarks.monitor.ways import WAYS


def test_it_measures_every_way_and_writes_both_forms(tmp_path):
    """Each way with its times and ratios; a table for people; the targets, of a crowd's too."""
    path = tmp_path / "monitor.json"
    assert main(["--quick", "--json", str(path)]) == 0
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["ways"].keys() == WAYS.keys()
    assert all(value > 0 for way in found["ways"].values() for value in way.values())
    assert len(found["targets"]) == 2
    looks = found["crowd"]["looks"].values()
    assert all(0 < look["median_ms"] <= look["worst_ms"] for look in looks)
    assert found["crowd"]["memory"]["growth"] < 1.5
    text = path.with_suffix(".md").read_text(encoding="utf-8")
    assert all(f"| {name} |" in text for name in WAYS)
    assert "a page of the 100 busiest, 1,000 agents, ms" in text
    assert "no figures to quote" in text
