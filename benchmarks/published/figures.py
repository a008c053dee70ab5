"""What the pages of `docs/` say of single results files: blocks, as in `readme`."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.published.report import RESULTS, table

_FANS = (
    "within the provider's rate",
    "above the provider's rate",
    "above a rate that no header names",
)
_WANTED = 0.15
"""The share of LangGraph's own step that a managed step may add."""


def _load(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def _added(words: str, entry: Any) -> list[str]:
    missed = "missed" if entry["share"] > _WANTED else ""
    return [
        words,
        *(f"{entry[name]:.0f}" for name in ("plain_us", "managed_us")),
        f"{100 * entry['share']:.0f} %",
        missed,
    ]


def langgraph() -> str:
    """What a managed node and a managed call add, and a wide fan-out beside its peers."""
    found = _load("langgraph")
    rows = [_added(words, entry) for words, entry in found["nodes"].items()]
    rows += [_added(f"call: {words}", entry) for words, entry in found["models"].items()]
    head = ("node", "LangGraph, us", "managed, us", "added", f"{100 * _WANTED:.0f} % wanted")
    fans = [
        [
            f"{kind}: {one['variant']}",
            str(one["finished"]),
            f"{one['total_s']:.1f}",
            f"{one['ratio']:.2f}x",
            str(one["peak"]),
            str(one["answered_429"]),
        ]
        for kind in _FANS
        for one in found[kind]
    ]
    above = ("300 branches", "finished", "wall s", "a person's run", "most in flight", "429s")
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return (
        f"Measured on {found['when']}: medians, {found['machine']}; {versions}.\n\n"
        f"{table(head, rows)}\n"
        "A fan-out of 300 branches, and a person's run in its middle, against what that takes "
        f"alone:\n\n{table(above, fans)}"
    )


def fleet_simulated() -> str:
    """How often a fleet exchanges, and what that does to the limit and to people."""
    rows = [
        [
            name,
            f"{one['seconds']:g}",
            f"{one['exchanges_per_s']:,}",
            f"{one['exchanges_per_call']:.1f}",
            f"{one['used_percent']:.0f} %",
            str(one["refused"]),
            f"{one['person_p95_s']:.2f}",
        ]
        for name, one in _load("fleet-simulated")["rows"].items()
    ]
    head = (
        *(
            "processes",
            "seconds",
            "exchanges a second",
            "for each call",
            "of the limit used",
            "429s",
        ),
        "a person's p95, s",
    )
    return table(head, rows)


def fleet_share() -> str:
    """Processes that share one token limit, each way beside one process that knows it alone."""
    rows = _load("fleet-share")["rows"]
    single = next(one for one in rows if one["way"] == "single")
    cells = [
        [
            one["way"],
            str(one["processes"]),
            f"{one['429_percent']:g} %",
            f"{100 * one['goodput_percent'] / single['goodput_percent']:.0f} %",
            f"{one['interactive_p50_s']:.2f} / {one['interactive_p95_s']:.2f}",
            f"{one['interactive_p95_s'] / single['interactive_p95_s']:.2f}",
            f"{one['batch_p95_s']:.1f}",
        ]
        for one in rows
    ]
    head = (
        *("way", "processes", "429s", "goodput, of one process's", "a person's p50 / p95, s"),
        *("p95, of one process's", "batch p95, s"),
    )
    return table(head, cells)


def fleet_rate() -> str:
    """Grants a second, and what one costs."""
    cells = [
        [
            f"{one['lanes']} lanes, calls of {1000 * one['hold_s']:g} ms",
            str(one["processes"]),
            f"{one['grants_per_s']:,}"
            + (f" of {one['ideal_per_s']:,}" if one["ideal_per_s"] else ""),
            str(one["cpu_us_per_grant"]),
            f"{one['exchanges_per_grant']:.3f}",
            f"{one['wait_p50_ms']:g} / {one['wait_p95_ms']:g}",
        ]
        for one in _load("fleet-rate")["rows"]
    ]
    head = (
        *("with", "processes", "grants a second", "CPU a grant, us", "exchanges a grant"),
        "wait p50 / p95, ms",
    )
    return table(head, cells)


def fleet_faults() -> str:
    """The fault table, as it was run for real."""
    if not (RESULTS / "fleet-faults.json").exists():
        return "No run of the whole table is recorded yet.\n"
    rows = [one for one in _load("fleet-faults")["rows"] if "over" in one]
    cells = [
        [
            one["fault"],
            "yes" if one["traffic"] else "no",
            str(one["times"]),
            str(one["over"]) + (f" (+{one['over_aside']} stated)" if one["over_aside"] else ""),
            *(str(one[key]) for key in ("lost_lanes", "hung", "lost_calls")),
            f"{one['recovery_median_s']} ({one['recovery_worst_s']})",
            f"{one['load'][0]:g}",
        ]
        for one in rows
    ]
    head = (
        *("fault", "calls under way", "times", "lanes over", "lost lanes", "hung", "calls lost"),
        *("recovery, s: median (worst)", "load"),
    )
    return table(head, cells)


def windows() -> str:
    """Servers that count by windows: the time against an oracle's, and the refusals."""
    found = _load("windows")
    about = found["about"]
    rows = [
        [
            one["server"],
            one["client"],
            f"{one['finished']} of 20",
            "-" if one["finished"] < 20 else f"{one['ratio']:.2f}x ({one['worst']:.2f}x)",
            str(one["first"]),
            str(one["later"]),
        ]
        for one in found["virtual"]
        if one["client"] != "oracle"
    ]
    head = (
        *("server", "client", "agents that finish", "wall time, mean (worst)"),
        *("429s in the first window", "in any later one"),
    )
    return f"Measured on {about['when']}, {about['seeds']} seeds.\n\n{table(head, rows)}"


def people() -> str:
    """A person's p95 where nobody says who waits, beside true hints and plain orders."""
    found = _load("people")
    rows = [
        [
            name,
            *(f"{seconds:.2f} s" for seconds in row["p95_s"].values()),
            f"{row['ratio']:.2f}x ({row['worst']:.2f}x)",
        ]
        for name, row in found["rows"].items()
    ]
    ways = next(iter(found["rows"].values()))["p95_s"]
    head = ("", *ways, "no hints over hints, median (worst)")
    return f"Measured on {found['when']}, {found['seeds']} seeds, medians.\n\n{table(head, rows)}"
