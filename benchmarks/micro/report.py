"""From figures to text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["ratio_line", "render"]

BARE = "bare"
INTRODUCTION = (
    "Written by `python -m benchmarks.micro`; times in microseconds for one operation: the median "
    "over the rounds and, in brackets, where the middle 80 % of them lie."
)


def render(found: Mapping[str, Any]) -> str:
    """The whole report as Markdown."""
    parts = [
        "# What the core costs",
        INTRODUCTION,
        _facts({**found["machine"], **found["settings"]}),
        "## Uncontended: ask for a lane and give it back",
        *(_table(title, rows) for title, rows in found["uncontended"].items()),
        _targets(found["targets"]),
        "## The managed chat model",
        *(_overheads(title, rows) for title, rows in found["model"].items()),
        "## With many waiting: settle, grant and submit, together",
        *(_waiting(title, orders) for title, orders in found["waiting"].items()),
        "## Memory and joining",
        _memory(found["memory"]),
        "## Contended",
        _table("hand-over of a lane", found["handover"]),
        _facts(found["throughput"]),
        "## Beats",
        _table("100 streams in one event loop", found["beats"]),
    ]
    return "\n\n".join(parts) + "\n"


def ratio_line(ours: float, theirs: float) -> str:
    """How many times as long as ours."""
    return f"{ours / theirs:.2f}"


def _facts(facts: Mapping[str, object]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def _cell(sample: Mapping[str, float]) -> str:
    return f"{sample['median_us']:.1f} ({sample['low_us']:.1f} to {sample['high_us']:.1f})"


def _table(title: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    first = next(iter(rows.values()))["median_us"]
    lines = [f"| {title} | us | as a multiple of the first |", "|---|---:|---:|"]
    for name, sample in rows.items():
        lines.append(f"| {name} | {_cell(sample)} | {ratio_line(sample['median_us'], first)} |")
    return "\n".join(lines)


def _overheads(title: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    bare = rows[BARE]["median_us"]
    lines = [f"| {title} | us | more than bare |", "|---|---:|---:|"]
    for name, sample in rows.items():
        lines.append(f"| {name} | {_cell(sample)} | {sample['median_us'] - bare:+.1f} |")
    return "\n".join(lines)


def _waiting(title: str, orders: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    counts = list(next(iter(orders.values())))
    head = " | ".join(f"{int(count):,} wait" for count in counts)
    lines = [f"| {title} | {head} | last / first |", "|---|" + "---:|" * (len(counts) + 1)]
    for order, samples in orders.items():
        medians = [samples[count]["median_us"] for count in counts]
        cells = " | ".join(f"{median:.1f}" for median in medians)
        lines.append(f"| {order} | {cells} | {ratio_line(medians[-1], medians[0])} |")
    return "\n".join(lines)


def _memory(rows: Mapping[str, Mapping[str, float]]) -> str:
    lines = [
        "| scenario | bytes a waiting call in the kernel | and its caller's lease | us to join |",
        "|---|---:|---:|---:|",
    ]
    for name, row in rows.items():
        cells = f"{row['kernel']:.0f} | {row['kernel and lease']:.0f} | {row['join_us']:.1f}"
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def _targets(targets: Mapping[str, Mapping[str, Any]]) -> str:
    lines = ["| target | at most | measured | |", "|---|---:|---:|---|"]
    for name, target in targets.items():
        word = "met" if target["met"] else "**missed**"
        lines.append(f"| {name} | {target['at_most']:.1f} | {target['measured']:.1f} | {word} |")
    return "\n".join(lines)
