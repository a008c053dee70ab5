"""Results on disk: JSON with all that is needed to run them again, Markdown, and one HTML page."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent.parent / "results"
_WAY = (
    "The page with plots needs plotly: pip install -r requirements/bench.txt. "
    "JSON and Markdown are written without it."
)


def machine() -> dict[str, Any]:
    """Where this ran: nothing that names the machine or its user."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "agentrm_plugins": importlib.metadata.version("agentrm-plugins"),
    }


def today() -> str:
    """The date of a measurement, in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def progress(text: str) -> None:
    """One line that tells how far it is."""
    print(text, file=sys.stderr, flush=True)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table, its first column to the left."""
    lines = [list(head), ["---"] + ["---:"] * (len(head) - 1)]
    lines += [[str(cell) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def number(value: float) -> str:
    """Three figures that count."""
    if value != value:  # noqa: PLR0124 - not a number
        return "-"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(found: Sequence[float]) -> str:
    """A median with its interval."""
    middle, low, high = found
    if number(low) == number(high):
        return number(middle)
    return f"{number(middle)} ({number(low)} to {number(high)})"


def bars(title: str, values: Mapping[str, Sequence[float]], unit: str) -> dict[str, Any]:
    """A plot of medians with their intervals."""
    return {"title": title, "unit": unit, "bars": {k: list(v) for k, v in values.items()}}


def lines(title: str, x: str, y: str, series: Mapping[str, Sequence[Sequence[float]]]) -> Any:
    """A plot of curves: pairs of x and y."""
    return {"title": title, "x": x, "y": y, "lines": {k: list(v) for k, v in series.items()}}


def write(name: str, title: str, data: Mapping[str, Any], text: str, plots: Sequence[Any]) -> None:
    """Write the three files of one experiment."""
    RESULTS.mkdir(exist_ok=True)
    whole = {"experiment": name, "when": today(), "machine": machine(), **data}
    dump = json.dumps(whole, indent=1, sort_keys=False)
    (RESULTS / f"{name}.json").write_text(dump + "\n", encoding="utf-8")
    (RESULTS / f"{name}.md").write_text(f"# {title}\n\n{text.strip()}\n", encoding="utf-8")
    page = _page(title, plots)
    if page is None:
        progress(_WAY)
        return
    (RESULTS / f"{name}.html").write_text(page, encoding="utf-8")


def _page(title: str, plots: Sequence[Any]) -> str | None:
    try:
        import plotly.graph_objects as go  # type: ignore[import-not-found,unused-ignore]
        from plotly.offline import get_plotlyjs  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return None
    parts = [_figure(go, plot).to_html(full_html=False, include_plotlyjs=False) for plot in plots]
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    style = "<style>body{font:16px sans-serif;max-width:70rem;margin:2rem auto}</style>"
    script = f"<script>{get_plotlyjs()}</script>"
    return f"{head}{style}{script}</head><body><h1>{title}</h1>{''.join(parts)}</body></html>\n"


def _figure(go: Any, plot: Mapping[str, Any]) -> Any:
    figure = go.Figure()
    if "bars" in plot:
        found = plot["bars"]
        middle = [entry[0] for entry in found.values()]
        error = {
            "type": "data",
            "array": [entry[2] - entry[0] for entry in found.values()],
            "arrayminus": [entry[0] - entry[1] for entry in found.values()],
        }
        figure.add_bar(x=list(found), y=middle, error_y=error)
        figure.update_layout(title=plot["title"], yaxis_title=plot["unit"], showlegend=False)
        return figure
    for label, points in plot["lines"].items():
        figure.add_scatter(x=[p[0] for p in points], y=[p[1] for p in points], name=label)
    figure.update_layout(title=plot["title"], xaxis_title=plot["x"], yaxis_title=plot["y"])
    return figure
