"""`python -m benchmarks.fleet.record`: let what fleets did for real become a record.

``python -m benchmarks.fleet.record faults a.json b.json ...`` takes the files that
``python -m benchmarks.fleet faults --json`` wrote, which may hold some of the rows each, in any
order; with ``--keep`` all rows that they do not have stay as they were recorded, and the record
says so. ``soak soak.json``, ``share share.json`` and ``rate rate.json`` take one file. They become
``benchmarks/results/fleet-*``; ``python -m benchmarks.published story`` then shows them in
``docs/fleet.md``. The machine's load stands beside each row: times are of a machine that may have
done much else.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.fleet.faults import FAULTS, table
from benchmarks.published import report

__all__ = ["record"]

_SAYS = {
    "faults": ("fleet-faults", "A fleet's faults, tried"),
    "soak": ("fleet-soak", "A fleet for a long time, with kills and losses of data"),
    "share": ("fleet-share", "Processes that share one token limit"),
    "rate": ("fleet-rate", "What a fleet grants, and what a grant costs"),
}


def record(what: str, paths: list[Path], *, keep: bool = False) -> None:
    """Write a record; `keep`: of the fault table, rows that are in none of the files stay.

    Raises:
        SystemExit: A row is there twice, or is none of the fault table's.
    """
    rows: list[dict[str, Any]] = []
    for path in paths:
        rows += json.loads(path.read_text(encoding="utf-8"))
    if what == "faults":
        rows = _in_order(rows + _kept(rows) if keep else rows)
        text = f"{table(rows)}\n\n{_loads(rows)}{_earlier(rows)}"
    else:
        head = list(rows[0])
        text = report.table(head, [[row.get(key, "") for key in head] for row in rows])
    name, title = _SAYS[what]
    way = f"Written by `python -m benchmarks.fleet {what}`, for real.\n\n"
    report.write(name, title, {"rows": rows}, way + text, [])


def _kept(fresh: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is recorded of the other rows, marked as run earlier."""
    known = json.loads((report.RESULTS / "fleet-faults.json").read_text(encoding="utf-8"))["rows"]
    again = {(row["fault"], row["traffic"]) for row in fresh}
    return [
        {**row, "earlier": True} for row in known if (row["fault"], row["traffic"]) not in again
    ]


def _earlier(rows: list[dict[str, Any]]) -> str:
    """Which rows are of a later run than the others, in words."""
    if not any(row.get("earlier") for row in rows):
        return ""
    later = dict.fromkeys(row["fault"] for row in rows if not row.get("earlier"))
    return f"\n\nRun later than all other rows, with later code: {', '.join(later)}."


def _in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    order = [(fault.name, traffic) for fault in FAULTS for traffic in (True, False)]
    found: dict[tuple[str, bool], dict[str, Any]] = {}
    for row in rows:
        key = row["fault"], row["traffic"]
        if key in found or key not in order:
            raise SystemExit(f"a row that is there twice, or is not known: {key}")
        found[key] = row
    return [found[key] for key in order if key in found]


def _loads(rows: list[dict[str, Any]]) -> str:
    """At which load the rows were measured, in words."""
    loads = [row["load"][0] for row in rows if "load" in row]
    if not loads:
        return "The machine's load was not noted."
    least, most = min(loads), max(loads)
    return f"The machine's load at the ends of the rows was {least:g} to {most:g}, on its cores."


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.fleet.record", description=__doc__)
    parser.add_argument("what", choices=tuple(_SAYS))
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--keep", action="store_true", help="rows of faults that are not in PATHS")
    options = parser.parse_args()
    record(options.what, options.paths, keep=options.keep)


if __name__ == "__main__":
    main()
