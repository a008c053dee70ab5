"""Tables of measures in Markdown, and the honest lines below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentrm_plugins.config import Order
from agentrm_plugins.sim.engine import simulate
from agentrm_plugins.sim.measure import Measures, measure, median
from agentrm_plugins.sim.scenarios import Scenario

__all__ = ["comparison", "losses", "table"]

_MARGIN = 0.02  # a difference below 2 % is called none
_BETTER_LOW = (
    ("p50_s", "P50 response", " s"),
    ("p95_s", "P95 response", " s"),
    ("slowdown", "mean slowdown", ""),
    ("worst_slowdown", "largest slowdown", ""),
    ("waste_s", "lane waste", " s"),
    ("starved", "starved", ""),
    ("lags", "lags > 30 s", ""),
    ("failed", "failed", ""),
)


def comparison(
    chosen: Scenario,
    seeds: Sequence[int],
    orders: Sequence[Order | str] = tuple(Order),
    *,
    reaper: bool = True,
    boost: bool = True,
    hints: bool = True,
) -> dict[str, Measures]:
    """Run a scenario with each order on the same seeds; medians over the seeds."""
    return {
        str(order): median(
            [
                measure(simulate(load, order, reaper=reaper, boost=boost, hints=hints))
                for load in map(chosen.build, seeds)
            ]
        )
        for order in orders
    }


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def table(rows: Mapping[str, Measures]) -> str:
    """The measures, one row each, as a Markdown table with aligned columns."""
    kinds = sorted({kind for row in rows.values() for kind in row.by_kind})
    kinds.sort(key=["interactive", "batch", "background"].index)
    head = ["order", "P50 s", "P95 s", *(f"{kind} P50/P95 s" for kind in kinds), "turns/min"]
    head += [
        "slowdown",
        "worst",
        "failed",
        "zombies",
        "waste s",
        "recovered",
        "starved",
        "lags >30 s",
        "Jain",
    ]
    lines = [head, []]
    for name, row in rows.items():
        cells = [name, _seconds(row.p50_s), _seconds(row.p95_s)]
        cells += [" / ".join(map(_seconds, row.by_kind.get(kind, ()))) for kind in kinds]
        cells += [f"{row.per_min:.1f}", f"{row.slowdown:.1f}", f"{row.worst_slowdown:.0f}"]
        cells += [f"{row.failed:g}", f"{row.zombies:g}"]
        cells += [f"{row.waste_s:.0f}", f"{row.recovered:g}", f"{row.starved:g}"]
        cells += [f"{row.lags:g}", f"{row.jain:.3f}"]
        lines.append(cells)
    widths = [max(len(line[i]) for line in lines if line) for i in range(len(head))]
    lines[1] = [
        "-" * width if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths)
    ]
    return "\n".join(
        "| "
        + " | ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in lines
    )


def losses(rows: Mapping[str, Measures], subject: str = "mlfq") -> list[str]:
    """Each measure in which another order is better than `subject` by more than 2 %."""
    own = rows[subject]
    found = []
    others = {name: row for name, row in rows.items() if name != subject}
    for field, words, unit in _BETTER_LOW:
        values = {name: getattr(row, field) for name, row in others.items()}
        found += _lost(words, unit, getattr(own, field), values, lower=True)
    for kind, pair in own.by_kind.items():
        for index, words in enumerate(("P50", "P95")):
            values = {
                name: row.by_kind[kind][index]
                for name, row in others.items()
                if kind in row.by_kind
            }
            found += _lost(f"{words} of {kind}", " s", pair[index], values, lower=True)
    for field, words in (("per_min", "turns per minute"), ("jain", "Jain's index")):
        values = {name: getattr(row, field) for name, row in others.items()}
        found += _lost(words, "", getattr(own, field), values, lower=False)
    return found


def _lost(
    words: str, unit: str, own: float, others: Mapping[str, float], *, lower: bool
) -> list[str]:
    if not others:
        return []
    pick = min if lower else max
    name = pick(others, key=lambda other: others[other])
    best = others[name]
    worse = own - best if lower else best - own
    if not worse > _MARGIN * max(abs(own), abs(best)):
        return []
    return [f"{words}: {own:.4g}{unit}, but {name} {best:.4g}{unit}"]
