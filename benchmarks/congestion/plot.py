"""Offered, allowed and achieved rate over time: the saw-tooth of additive increase and cuts.

An SVG is written by hand, so that it needs nothing; an interactive page with plotly, if installed.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.congestion.measure import FAULT, MODEL, RESERVED, STARTED, STATUS
from benchmarks.congestion.scenarios import SCENARIOS, Variant

_BIN_S = 0.25
_COLOURS = {
    "offered": "#999999",
    "achieved": "#2a78b8",
    "allowed": "#d1495b",
    "server's limit": "#222222",
}
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 860, 400, 70, 46, 34

Series = dict[str, list[tuple[float, float]]]


def _binned(times: Iterable[tuple[float, float]], end_s: float) -> list[tuple[float, float]]:
    bins = [0.0] * (int(end_s / _BIN_S) + 1)
    for at_s, amount in times:
        if 0 <= at_s <= end_s:
            bins[int(at_s / _BIN_S)] += amount
    return [(i * _BIN_S, total / _BIN_S) for i, total in enumerate(bins)]


def series_of(variant: Variant, result: dict[str, Any], crowd: float) -> tuple[str, Series]:
    """The unit, and each curve as points of time in seconds and rate per second."""
    scenario = SCENARIOS[variant.scenario]
    limits = scenario.limits.times(crowd)
    log = [row for row in result["log"] if row[MODEL] == scenario.models[0]]
    shift_s = result["start_s"] - result["server_started_s"]
    end_s = result["end_s"] - result["start_s"]
    by_tokens = limits.tpm is not None
    sizes = [row[RESERVED] for row in log if row[RESERVED]]
    mean = sum(sizes) / len(sizes) if sizes and by_tokens else 1.0
    served = [row for row in log if row[STATUS] == 200 or row[FAULT]]
    series: Series = {
        "offered": _binned(((row[STARTED] - shift_s, row[RESERVED] or mean) for row in log), end_s)
        if by_tokens
        else _binned(((row[STARTED] - shift_s, 1.0) for row in log), end_s),
        "achieved": _binned(
            ((row[STARTED] - shift_s, row[RESERVED] if by_tokens else 1.0) for row in served),
            end_s,
        ),
    }
    per_min = limits.tpm if by_tokens else limits.rpm
    if per_min:
        series["server's limit"] = _steps(scenario.schedule, per_min / 60.0, end_s)
    allowed = [
        (event["at_s"] - result["start_s"], float(event["per_s"]))
        for event in result["events"]
        if event["event"] == "LimitChanged"
        and isinstance(event.get("per_s"), int | float)
        and str(event.get("resource", "")) in {"", "tokens" if by_tokens else "requests"}
        and scenario.models[0] in str(event.get("endpoint", scenario.models[0]))
    ]
    if allowed:
        series["allowed"] = _stairs(sorted(allowed), end_s)
    return ("tokens/s" if by_tokens else "requests/s"), series


def _stairs(points: list[tuple[float, float]], end_s: float) -> list[tuple[float, float]]:
    """Points that hold their value until the next."""
    stairs = []
    for index, (at_s, value) in enumerate(points):
        until_s = points[index + 1][0] if index + 1 < len(points) else end_s
        stairs += [(at_s, value), (until_s, value)]
    return stairs


def _steps(schedule: Any, rate: float, end_s: float) -> list[tuple[float, float]]:
    points = [(0.0, rate)]
    for at_s, changes in schedule:
        if "limit_factor" in changes and at_s < end_s:
            points.append((at_s, rate * changes["limit_factor"]))
    return _stairs(points, end_s)


def write_svg(path: Path, title: str, unit: str, series: Series) -> None:
    """A line chart; the legend is at the top."""
    end_s = max((x for points in series.values() for x, _ in points), default=1.0) or 1.0
    # Probing may allow far more than is ever used; the axis follows what is sent.
    top = max((y for n, points in series.items() if n != "allowed" for _, y in points), default=1)
    top = (top or 1.0) * 1.1
    wide, high = _WIDTH - _LEFT - 20, _HEIGHT - _BOTTOM - _TOP

    def place(x: float, y: float) -> str:
        return f"{_LEFT + wide * x / end_s:.1f},{_TOP + high * (1 - min(y, top) / top):.1f}"

    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    parts = [
        f'{head} font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="16" font-size="14">{title}</text>',
    ]
    for i in range(6):
        y = top * i / 5
        left, right = place(0, y), place(end_s, y)
        (x1, y1), (x2, _) = left.split(","), right.split(",")
        parts.append(f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y1}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y1}" text-anchor="end">{y:,.0f}</text>')
    for second in range(int(end_s) + 1):
        x = place(second, 0).split(",")[0]
        parts.append(f'<text x="{x}" y="{_HEIGHT - 28}" text-anchor="middle">{second}</text>')
    parts.append(f'<text x="{_LEFT}" y="{_HEIGHT - 8}">seconds</text>')
    parts.append(f'<text x="6" y="{_TOP - 4}">{unit}</text>')
    for index, (name, points) in enumerate(series.items()):
        colour = _COLOURS[name]
        dash = ' stroke-dasharray="6 4"' if name == "server's limit" else ""
        line = " ".join(place(x, y) for x, y in points)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
        )
        x = _LEFT + 150 + 150 * index
        parts.append(f'<text x="{x}" y="{_HEIGHT - 8}" fill="{colour}">— {name}</text>')
    path.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")


def write_html(path: Path, title: str, unit: str, series: Series) -> bool:
    """The same with plotly; False if that is not installed."""
    try:
        import plotly.graph_objects as go
    except ImportError:
        return False
    figure = go.Figure(layout={"title": title, "template": "plotly_white"})
    figure.update_xaxes(title="seconds")
    figure.update_yaxes(title=unit)
    for name, points in series.items():
        xs, ys = [x for x, _ in points], [y for _, y in points]
        dash = "dash" if name == "server's limit" else "solid"
        line = {"color": _COLOURS[name], "dash": dash}
        figure.add_scatter(x=xs, y=ys, name=name, mode="lines", line=line)
    # The library comes from the network: inline it would be five megabytes in the repository.
    figure.write_html(path, include_plotlyjs="cdn", full_html=True)
    return True
