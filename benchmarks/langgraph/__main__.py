"""`python -m benchmarks.langgraph [--quick] [--json PATH]`: measure, print, write both forms."""

from __future__ import annotations

import argparse
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.langgraph import fan_out, hint, overhead

RESULTS = Path(__file__).parent.parent / "results" / "langgraph.json"
PACKAGES = ("langgraph", "langchain-core", "langchain-openai")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.langgraph", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="see that it runs; no real figures")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where to write (and .md)")
    options = parser.parse_args(arguments)
    rounds, branches = (3, 60) if options.quick else (100, 300)
    latency_s = 0.05 if options.quick else 0.3
    # Eight lanes ask 8 / 0.3 s = 27 times a second. The provider lets 1200 a minute through: 20.
    found = {
        "machine": f"{os.cpu_count()} cores, CPython {platform.python_version()}",
        "versions": {name: version(name) for name in PACKAGES},
        "overhead": overhead.measure(rounds),
        "hint": hint.measure(3 if options.quick else 9),
        "within the rate": fan_out.measure(branches, latency_s, None),
        "above the rate": fan_out.measure(branches, latency_s, 40 if not options.quick else None),
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
        "Microseconds of processor time per step of a chain of twenty nodes that do nothing;",
        "medians.",
        "",
        "| step | LangGraph | managed | added | share |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row, seen in found["overhead"].items():
        cells = f"{seen['plain_us']:.0f} | {seen['managed_us']:.0f} | {seen['added_us']:.0f}"
        lines.append(f"| {row} | {cells} | {seen['share']:.0%} |")
    for title in ("within the rate", "above the rate"):
        lines += _table(title, found[title])
    lines += ["", "## A mark on a background branch", ""]
    lines += [
        "Seconds to an answer of six calls, beside a node with two hundred calls; medians.",
        "",
    ]
    lines += ["| mark | to the answer, s |", "| --- | ---: |"]
    lines += [f"| {mark} | {seconds:.2f} |" for mark, seconds in found["hint"].items()]
    return "\n".join(lines) + "\n"


def _table(title: str, rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "",
        f"## A wide fan-out, {title} of the provider",
        "",
        "The person's run makes three calls in a row; five times while the fan-out runs; medians.",
        "",
        "| variant | fan-out, s | person idle, s | person meanwhile, s | ratio | peak | 429s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        times = f"{row['total_s']:.1f} | {row['idle_s']:.2f} | {row['busy_s']:.2f}"
        rest = f"{row['ratio']:.2f} | {row['peak']} | {row['answered_429']}"
        lines.append(f"| {row['variant']} | {times} | {rest} |")
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
