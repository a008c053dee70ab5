"""`python -m benchmarks.monitor [--quick] [--json PATH]`: measure, print, and write both forms."""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.micro.timing import machine
from benchmarks.monitor.bookkeeping import LEFT_OUT
from benchmarks.monitor.crowd import KEPT_MOST, measure_crowd
from benchmarks.monitor.ways import WAYS, Cost

RESULTS = Path(__file__).parent.parent / "results" / "monitor.json"
BARE, OFF, RECORDED = "no bookkeeping", "exporters off", "recording on"
OFF_MOST, RECORDED_MOST = 1.10, 1.25


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monitor", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="see that it runs; no real figures")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where to write (and .md)")
    options = parser.parse_args(arguments)
    rounds, calls = (3, 50) if options.quick else (21, 3000)
    agents, looks = (1_000, 3) if options.quick else (100_000, 200)
    logging.disable(logging.CRITICAL)  # the dead collector is told of at every export
    try:
        found = measure(rounds, calls)
    finally:
        logging.disable(logging.NOTSET)
    found["crowd"] = measure_crowd(agents, looks)
    found["settings"]["mode"] = "quick: no figures to quote" if options.quick else "full"
    text = render(found)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    options.json.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def measure(rounds: int, calls: int) -> dict[str, Any]:
    """All ways, in turns, beginning with another one in each round."""
    costs: dict[str, list[Cost]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ways = {}
        for number, (name, make) in enumerate(WAYS.items()):
            own = Path(folder, str(number))
            own.mkdir()
            ways[name] = stack.enter_context(make(own))
            ways[name].run(calls)  # warm
        names = list(WAYS)
        for turn in range(rounds):
            for place in range(len(names)):
                name = names[(place + turn) % len(names)]
                costs[name].append(ways[name].run(calls))
    return {
        "settings": {
            "rounds": rounds, "calls": calls, "left out of the first row": ", ".join(LEFT_OUT),
        },
        "machine": machine(),
        "ways": {name: _summary(name, costs, calls) for name in WAYS},
        "targets": _targets(costs),
    }  # fmt: skip


def _summary(name: str, costs: dict[str, list[Cost]], calls: int) -> dict[str, float]:
    own = costs[name]
    to_off = _ratios(own, costs[OFF])
    return {
        "wall_us": statistics.median(cost.wall_s for cost in own) / calls * 1e6,
        "wall_worst_us": max(cost.wall_s for cost in own) / calls * 1e6,
        "cpu_us": statistics.median(cost.cpu_s for cost in own) / calls * 1e6,
        "wall_ratio": statistics.median(wall for wall, _ in to_off),
        "cpu_ratio": statistics.median(cpu for _, cpu in to_off),
        "cpu_ratio_worst": max(cpu for _, cpu in to_off),
    }


def _ratios(own: list[Cost], other: list[Cost]) -> list[tuple[float, float]]:
    """Wall and CPU over the other's, round by round: the machine's moods meet both."""
    return [
        (mine.wall_s / its.wall_s, mine.cpu_s / its.cpu_s)
        for mine, its in zip(own, other, strict=True)
    ]


def _targets(costs: dict[str, list[Cost]]) -> dict[str, dict[str, float]]:
    off = statistics.median(cpu for _, cpu in _ratios(costs[OFF], costs[BARE]))
    recorded = statistics.median(cpu for _, cpu in _ratios(costs[RECORDED], costs[OFF]))
    return {
        "exporters off, over no bookkeeping": {"measured": off, "at_most": OFF_MOST},
        "recording on, over exporters off": {"measured": recorded, "at_most": RECORDED_MOST},
    }


def render(found: dict[str, Any]) -> str:
    """The report as Markdown."""
    settings = found["settings"]
    head = (
        "Written by `python -m benchmarks.monitor`. One caller asks for a free lane and gives it "
        "back; microseconds for a call. Wall is the caller's time. CPU is that of all threads of "
        'the process, with the writing and the export of what happened. Ratios are to "exporters '
        f'off", round by round: the median of {settings["rounds"]} rounds of '
        f"{settings['calls']} calls, and the worst.\n\nThe first row leaves out what is kept for "
        f"people alone, as far as that can be separated: {settings['left out of the first row']}."
    )
    rows = [
        "| way | wall us | worst | CPU us | wall x | CPU x | worst |",
        "|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {name} | {own['wall_us']:.1f} | {own['wall_worst_us']:.1f} | {own['cpu_us']:.1f} "
        f"| {own['wall_ratio']:.2f} | {own['cpu_ratio']:.2f} | {own['cpu_ratio_worst']:.2f} |"
        for name, own in found["ways"].items()
    ]
    targets = ["| target | measured | at most |", "|---|---|---|"]
    targets += [
        f"| {name} | {one['measured']:.2f} | {one['at_most']:.2f} |"
        for name, one in found["targets"].items()
    ]
    targets += [
        f"| {name}, {found['crowd']['agents']:,} agents, ms | {one['median_ms']:.2f} "
        f"(worst {one['worst_ms']:.2f}) | {one['at_most_ms']:.2f} |"
        for name, one in found["crowd"]["looks"].items()
    ]
    kept = found["crowd"]["memory"]
    targets.append(
        f"| memory after five times as many agents as are remembered ({kept['remembered']:,.0f}, "
        f"{kept['mib']:.0f} MiB) | {kept['growth']:.2f} | {KEPT_MOST:.2f} |"
    )
    facts = [f"- {name}: {value}" for name, value in {**found["machine"], **settings}.items()]
    parts = ["# What monitoring costs", head, *map("\n".join, (rows, targets, facts))]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
