"""The microbenchmark runs and writes what its README promises. Its figures are not tested."""

from __future__ import annotations

import json
import math

import pytest

from benchmarks.micro.__main__ import main
from benchmarks.micro.timing import race, summary

PARTS = {"uncontended", "model", "handover", "throughput", "beats", "waiting", "memory"}


@pytest.mark.slow
def test_quick_mode_writes_json_and_markdown(tmp_path, capsys):
    """Both files hold each part, with machine, versions, settings and targets."""
    path = tmp_path / "new" / "micro.json"
    assert main(["--quick", "--json", str(path)]) == 0
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found.keys() == PARTS | {"machine", "settings", "targets"}
    assert {"python", "processor", "langchain-core"} <= found["machine"].keys()
    assert found["settings"]["mode"].startswith("quick")
    assert found["throughput"]["peak lanes in use"] <= found["throughput"]["lanes"]
    text = path.with_suffix(".md").read_text(encoding="utf-8")
    assert text.strip() == capsys.readouterr().out.strip()
    for name in ("langchain InMemoryRateLimiter", "aiolimiter", "pyrate-limiter", "tenacity"):
        assert name in text
    for order in ("mlfq", "fifo", "round_robin", "priority", "hrrn"):
        assert text.count(f"| {order} |") == 3


def test_contestants_take_turns():
    """Each round begins with another contestant, and each runs once in it."""
    seen: list[str] = []

    def contestant(name: str):
        def run(count: int) -> float:
            seen.append(name)
            return float(count)

        return run

    samples = race({name: contestant(name) for name in "abc"}, rounds=3, operations=10)
    assert "".join(seen) == "abc" + "abc" + "bca" + "cab"
    assert all(math.isclose(sample.median_us, 1e6) for sample in samples.values())


def test_summary_leaves_the_outer_tenths_aside():
    """The median and the middle 80 % of a hundred values."""
    sample = summary([float(number) for number in range(100)])
    assert (sample.median_us, sample.low_us, sample.high_us) == (49.5, 10.0, 89.0)
