"""The microbenchmark runs and writes what its README promises. Its figures are not tested."""

from __future__ import annotations

import json
import math
import threading

import pytest

from benchmarks.micro import ratios
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


def test_steps_are_the_same_each_time_and_those_of_threads_count():
    """What is counted are instructions, not time: twice the same, and twice the work twice them."""

    def work(times: int):
        def use() -> None:
            for _ in range(times):
                len("a")

        return ratios.repeated(use)

    def elsewhere(count: int) -> None:
        thread = threading.Thread(target=work(100), args=(count,))
        thread.start()
        thread.join()

    one = ratios.steps_of(work(100))
    assert one == ratios.steps_of(work(100)) > 100
    assert 1.9 < ratios.steps_of(work(200)) / one < 2.1
    assert ratios.steps_of(elsewhere) > one


def test_a_table_quotes_the_median_of_the_runs_and_the_worst():
    """CPU as the median and the worst, steps beside them, one pair of columns per checkout."""
    ways = {
        way: {"bare": [100.0, 50.0], "managed": [2.0, 1.5], "told": [3.0, 2.5]}
        for way in ratios.GOALS
    }
    runs = [
        {**ways, "slot": {"managed": [time, 4000.0], "told": [2.0, 1.5]}}
        for time in (10.0, 30.0, 20.0)
    ]
    table = ratios.render({"before": runs, "after": runs})
    assert "| before, CPU | before, steps | after, CPU | after, steps |" in table
    assert "| slot, managed | 20.00 us (worst 30.00 us) | 4,000 |" in table
    assert "| ainvoke, told | 3.00x (worst 3.00x) | 2.50x |" in table
