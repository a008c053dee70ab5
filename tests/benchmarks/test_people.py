"""People who tell nobody that they wait, in virtual time: they are seen by what they ask for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.congestion.people import ROWS, main, play


@pytest.mark.parametrize("name", ["requests", "capacity", "lanes"])
def test_people_without_hints_wait_hardly_longer(name: str) -> None:
    """At most 1.5 times as long at p95 as with true hints, far less than in order of arrival."""
    for seed in (101, 102):
        hints, none, fifo = (
            play(ROWS[name], way, seed)[0] for way in ("hints", "no hints", "FIFO")
        )
        assert none <= 1.5 * hints
        assert none < 0.6 * fifo


def test_maxima_that_mislead_cost_little() -> None:
    """Where people ask for the most and batch work for the least, it is as if nobody asked."""
    for seed in (101, 102):
        alike = play(ROWS["maxima are alike"], "no hints", seed)[0]
        assert play(ROWS["the wrong way round"], "no hints", seed)[0] <= 1.35 * alike


def test_it_writes_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures as JSON, the table beside it."""
    main(["--seeds", "1", "--row", "tokens", "--out", str(tmp_path)])
    figures = json.loads((tmp_path / "people.json").read_text(encoding="utf-8"))
    assert figures["rows"]["tokens"]["worst"] >= 0.9
    assert (tmp_path / "people.md").read_text(encoding="utf-8") in capsys.readouterr().out
