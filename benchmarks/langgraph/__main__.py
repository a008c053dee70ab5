"""`python -m benchmarks.langgraph [--quick] [--json PATH]`: measure, print, write both forms."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.langgraph import fan_out, hint, overhead

RESULTS = Path(__file__).parent.parent / "results" / "langgraph.json"
TARGET = 0.15
PACKAGES = ("langgraph", "langchain-core", "langchain-openai")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.langgraph", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="see that it runs; no real figures")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where to write (and .md)")
    options = parser.parse_args(arguments)
    rounds, branches = (3, 60) if options.quick else (100, 300)
    latency_s = 0.05 if options.quick else 0.3
    # Eight lanes ask 8 / 0.3 s = 27 times a second. The provider lets 1200 a minute through: 20.
    rpm = 1200 if not options.quick else 6000
    found = {
        "when": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{os.cpu_count()} cores, CPython {platform.python_version()}",
        "versions": {name: version(name) for name in PACKAGES},
        "nodes": overhead.measure_nodes(rounds),
        "models": overhead.measure_models(rounds),
        "hint": hint.measure(3 if options.quick else 9),
        "within the provider's rate": fan_out.measure(branches, latency_s, None),
        "above the provider's rate": fan_out.measure(branches, latency_s, rpm),
        "above a rate that no header names": fan_out.measure(branches, latency_s, rpm, told=False),
    }
    text = render(found)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    options.json.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def render(found: dict[str, Any]) -> str:
    """The figures as a page."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    lines = [
        "# LangGraph, managed and not",
        "",
        f"{found['machine']}; {versions}. `python -m benchmarks.langgraph` makes this page.",
        "",
        "## What it costs",
        "",
        "Microseconds of processor time per step of a chain of twenty nodes; medians. *Share* is",
        "what is added, of the unmanaged step. The target is 15 %. Nodes do nothing, but for those",
        "of 2 ms.",
        "",
        *_costs("node", found["nodes"]),
        "",
        "An async node that calls a model, graph and model both managed:",
        "",
        *_costs("model", found["models"]),
    ]
    for title, rows in found.items():
        if " rate" in title:
            lines += _table(title, rows)
    lines += [
        "",
        "## A branch that can wait",
        "",
        "Seconds on four lanes with calls of 20 ms; medians. *Mark* is the user's on the branch,",
        '*depth* is `manage_graph(..., hint="depth")`.',
        "",
        "| graph | hint | to the answer, s | to the end of the run, s |",
        "| --- | --- | ---: | ---: |",
    ]
    for row in found["hint"]:
        cells = f"{row['answer_s']:.2f} | {row['end_s']:.2f}"
        lines.append(f"| {row['graph']} | {row['hint']} | {cells} |")
    return "\n".join(lines) + "\n"


def _costs(what: str, rows: dict[str, dict[str, float]]) -> list[str]:
    lines = [f"| {what} | LangGraph | managed | added | share | |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | --- |")
    for row, seen in rows.items():
        cells = f"{seen['plain_us']:.0f} | {seen['managed_us']:.0f} | {seen['added_us']:.0f}"
        verdict = "" if seen["share"] <= TARGET else "**missed**"
        lines.append(f"| {row} | {cells} | {seen['share']:.0%} | {verdict} |")
    return lines


def _table(title: str, rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "",
        f"## A wide fan-out, {title}",
        "",
        "The person's run makes three calls in a row; five times while the fan-out runs; medians.",
        "",
        "| variant | finished | fan-out, s | person idle, s | meanwhile, s | ratio | peak | 429s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        times = f"{row['total_s']:.1f} | {row['idle_s']:.2f} | {row['busy_s']:.2f}"
        rest = f"{row['ratio']:.2f} | {row['peak']} | {row['answered_429']}"
        lines.append(f"| {row['variant']} | {row['finished']} | {times} | {rest} |")
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
