"""`python -m benchmarks.micro [--quick] [--json PATH]`: measure, print, and write both forms."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from benchmarks.micro import contended, model, uncontended, waiting
from benchmarks.micro.report import render
from benchmarks.micro.timing import Effort, machine

RESULTS = Path(__file__).parent.parent / "results" / "micro.json"
SYNC_US, ASYNC_US, FLAT = 15.0, 35.0, 2.0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.micro", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="see that it runs; no real figures")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where to write (and .md)")
    options = parser.parse_args(arguments)
    found = measure(Effort.quick() if options.quick else Effort.full(), quick=options.quick)
    text = render(found)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    options.json.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def measure(effort: Effort, *, quick: bool) -> dict[str, Any]:
    """All figures, as plain values."""
    found: dict[str, Any] = {"settings": _settings(effort, quick=quick)}
    steps = {
        "uncontended": uncontended.measure,
        "model": model.measure,
        "handover": contended.measure_handover,
        "throughput": contended.measure_throughput,
        "beats": contended.measure_beats,
        "waiting": waiting.measure,
        "memory": waiting.measure_memory,
    }
    for name, step in steps.items():
        print(f"measuring: {name}", file=sys.stderr)
        found[name] = _plain(step(effort))
    found["machine"] = machine()
    found["targets"] = _targets(found)
    return found


def _settings(effort: Effort, *, quick: bool) -> dict[str, str]:
    return {
        "mode": "quick: these are no figures to quote" if quick else "full",
        "effort": f"{effort.rounds} rounds of {effort.operations} operations, in turns",
        "chance": "none: nothing here is drawn, so there is no seed",
    }


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return value


def _targets(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    def median(*path: str) -> float:
        value: Any = found
        for name in path:
            value = value[name]
        return float(value["median_us"])

    measured = {
        "sync admit + settle, us": (
            SYNC_US,
            median("uncontended", "sync", "AgentRM admit + settle"),
        ),
        "async admit + settle, us": (
            ASYNC_US,
            median("uncontended", "async", "AgentRM admit + settle"),
        ),
        "100,000 waiting against 100, the worst order": (FLAT, _worst_growth(found["waiting"])),
    }
    for way in found["model"]:
        bare = median("model", way, "bare")
        measured[f"{way}: managed over bare, us (at most one async handler's)"] = (
            median("model", way, "one async handler") - bare,
            median("model", way, "managed model") - bare,
        )
    return {
        name: {"at_most": round(bound, 2), "measured": round(value, 2), "met": value <= bound}
        for name, (bound, value) in measured.items()
    }


def _worst_growth(scenarios: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> float:
    ratios = []
    for orders in scenarios.values():
        for samples in orders.values():
            medians = [sample["median_us"] for sample in samples.values()]
            ratios.append(medians[-1] / medians[0])
    return max(ratios)


if __name__ == "__main__":
    sys.exit(main())
