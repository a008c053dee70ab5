"""From the figures of all runs to the document and its table: the median, and the worst."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from statistics import median
from typing import Any

from benchmarks.congestion.pool import versions
from benchmarks.liveness.bounds import judged
from benchmarks.liveness.work import SITUATIONS

__all__ = ["about", "document", "table"]

_PACKAGES = ("agentrm-plugins", "openai", "tenacity", "httpx2", "httpx")
_HEAD = (
    *("situation", "way", "wall s", "x clairvoyant", "failed", "requests a call", "at most"),
    *("p95 s", "excess tokens %", "charged - billed"),
)
_BOUND_HEAD = ("what must hold of ours", "at most", "worst row", "where", "met")
_LEGEND = """\
The median of the runs, and the worst in brackets. *Failed*: calls of all runs that ended with an
error. *Requests a call*: without those that were never answered, the mean of a run; *at most*: of
one call. *p95*: of calls that are not slow. *Charged - billed*: tokens, of the run that is furthest
off. What must hold is judged by the medians, and by the row that is worst."""


def about(orders: list[dict[str, Any]], load_before: float, seconds: float) -> dict[str, Any]:
    """When, where and how it was measured."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "python": platform.python_version(),
        "versions": versions(_PACKAGES),
        "seeds": sorted({order["seed"] for order in orders}),
        "calls": max(order["calls"] for order in orders),
        "timeout_s": max(order["s"] for order in orders),
        "load_before": round(load_before, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "minutes": round(seconds / 60.0, 1),
    }


def document(told: dict[str, Any], runs: list[dict[str, Any]]) -> dict[str, Any]:
    """All of it: each run's figures, and those of each situation and way together."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in runs:
        groups.setdefault((one["situation"], one["way"]), []).append(one)
    rows = [
        {"situation": situation, "way": way, **_together([one["figures"] for one in found])}
        for (situation, way), found in groups.items()
    ]
    return {"about": told, "bounds": list(judged(rows)), "rows": rows, "runs": runs}


def _together(figures: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("wall_s", "x_clairvoyant", "requests_mean", "p95_s", "excess_percent"):
        values = [one[name] for one in figures if one[name] is not None]
        found[name] = [median(values), max(values)] if values else None
    found["failed"] = sum(one["failed"] for one in figures)
    found["requests_max"] = max(one["requests_max"] for one in figures)
    money = [one["charged_less_billed"] for one in figures]
    known = [one for one in money if one is not None]
    found["charged_less_billed"] = max(known, key=abs) if known else None
    found["unseen"] = sum(one["unseen"] for one in figures)
    first, hedge = (
        sum(one["hedges"].get(name, 0) for one in figures) for name in ("first_won", "hedge_won")
    )
    found["mostly_lost"] = first > hedge
    return found


def table(document: dict[str, Any]) -> str:
    """In Markdown."""
    told = document["about"]
    versions = ", ".join(f"{name} {number}" for name, number in told["versions"].items())
    head = (
        f"# Liveness over HTTP\n\n{told['date']}, {told['minutes']} minutes, load "
        f"{told['load_before']} before and {told['load_after']} after. {told['machine']}; Python "
        f"{told['python']}; {versions}.\n\n"
        f"Seeds {told['seeds']}, {told['calls']} calls a run, 16 agents on 8 lanes; the peers' "
        f"timeout is {told['timeout_s']:g} s.\n\n{_LEGEND}\n"
    )
    bounds = [_line(_BOUND_HEAD), _line(["---"] * len(_BOUND_HEAD))]
    bounds += map(_bound, document["bounds"])
    lines = [*bounds, "", _line(_HEAD), _line(["---"] * len(_HEAD)), *map(_row, document["rows"])]
    return "\n".join([head, *lines])


def _bound(found: dict[str, Any]) -> str:
    """One bound: met in so many rows, or missed in these situations."""
    met = f"yes, in {found['rows']} rows" if found["met"] else "**no**: "
    met += ", ".join(SITUATIONS[name].title for name in found["missed_in"])
    where = f"{SITUATIONS[found['situation']].title}; {found['way']}"
    return _line((found["bound"], f"{found['most']:g}", f"{found['worst']:.3g}", where, met))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _row(row: dict[str, Any]) -> str:
    def both(name: str, form: str) -> str:
        pair = row[name]
        return "" if pair is None else f"{pair[0]:{form}} ({pair[1]:{form}})"

    money = row["charged_less_billed"]
    told: Callable[[int], str] = "{:+d}".format
    unseen = f" ({row['unseen']} requests never arrived)" if row["unseen"] else ""
    return _line(
        (
            *(SITUATIONS[row["situation"]].title, row["way"], both("wall_s", ".1f")),
            *(both("x_clairvoyant", ".2f"), str(row["failed"]), both("requests_mean", ".3f")),
            *(str(row["requests_max"]), both("p95_s", ".1f"), both("excess_percent", ".1f")),
            "" if money is None else f"{told(money)}{unseen}",
        )
    )
