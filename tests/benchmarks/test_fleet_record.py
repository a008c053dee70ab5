"""What fleets did for real becomes a record: rows of several files, in the table's order."""

from __future__ import annotations

import json

import pytest

from benchmarks.fleet import record as module
from benchmarks.fleet.scene import LANES, recovered_s
from benchmarks.published import figures, report


def row(fault, *, traffic):
    return {
        "fault": fault, "traffic": traffic, "times": 20, "over": 0, "over_aside": 0,
        "lost_lanes": 0, "hung": 0, "lost_calls": 0, "recovery_median_s": 0.9,
        "recovery_worst_s": 1.2, "never_recovered": 0, "load": [1.5, 1.0, 1.0], "bound_s": 2.0,
    }  # fmt: skip


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr(figures, "RESULTS", tmp_path)

    def write(*files):
        paths = [tmp_path / f"in{number}.json" for number in range(len(files))]
        for path, rows in zip(paths, files, strict=True):
            path.write_text(json.dumps(rows), encoding="utf-8")
        return paths

    return write


def test_rows_of_several_files_are_one_table(written):
    """In the table's order, with the load beside them; the page shows the same."""
    late, early = row("FLUSHALL", traffic=False), row("SIGKILL of a holder", traffic=True)
    assert "No run" in figures.fleet_faults()
    module.record("faults", written([late], [early]))
    lines = figures.fleet_faults().splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| SIGKILL of a holder", "| FLUSHALL"]
    assert "0.9 (1.2) | 1.5" in lines[2]


def test_a_row_that_is_there_twice(written):
    """Two runs of one row are not mixed up."""
    with pytest.raises(SystemExit, match="twice"):
        module.record("faults", written([row("FLUSHALL", traffic=True)] * 2))


def test_recovered_is_with_all_lanes_at_once():
    """A lane that is missing is no recovery, however busy the others are."""
    three = [(0.1 * step, 0.1 * step + 0.09) for step in range(40) for _ in range(LANES - 1)]
    assert recovered_s(three, LANES - 1.0, 1.0, 4.0) is None
    fourth = [*three, (2.52, 2.55)]
    assert recovered_s(fourth, LANES - 1.0, 1.0, 4.0) == pytest.approx(1.05, abs=0.1)
