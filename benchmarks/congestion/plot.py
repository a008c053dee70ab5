"""Offered, allowed and achieved rate over time: the saw-tooth of additive increase and cuts.

An SVG is written by hand, so that it needs nothing; an interactive page with plotly, if installed.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from math import floor, log10
from pathlib import Path
from typing import Any

from benchmarks.congestion.measure import FAULT, MODEL, RESERVED, STARTED, STATUS
from benchmarks.congestion.scenarios import SCENARIOS, Variant

_BIN_S = 0.5  # the buckets hold two seconds: finer bins show single calls
_COLOURS = {
    "offered": "#bbbbbb",
    "achieved": "#2a78b8",
    "allowed": "#d1495b",
    "server's limit": "#222222",
}
_FILLED = "offered"
_DASHED = "server's limit"
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _BOTTOM, _TOP = 860, 420, 78, 20, 46, 62
_TICKS_X, _TICKS_Y = 14, 6
_ABOVE = 2.0  # what is more than so many times the limit (a full bucket at the start) is cut off

Series = dict[str, list[tuple[float, float]]]


def title_of(name: str) -> str:
    """A variant's name, after what its scenario is."""
    return f"ours: {SCENARIOS[name.partition('/')[0]].title} ({name})"


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


def _step(top: float, most: int) -> float:
    """The distance of ticks: 1, 2 or 5 times a power of ten, so that at most `most` fit."""
    least = top / most
    power = 10.0 ** floor(log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _highest(series: Series) -> tuple[float, bool]:
    """The top of the axis, and whether something is cut off there."""
    # Probing may allow far more than is ever used; the axis follows what is sent.
    top = max((y for n, points in series.items() if n != "allowed" for _, y in points), default=0)
    limit = max((y for _, y in series.get(_DASHED, ())), default=0.0)
    if limit and top > _ABOVE * limit:
        return _ABOVE * limit, True
    return (top or 1.0), False


class _Frame:
    """Where things lie."""

    def __init__(self, end_s: float, top: float) -> None:
        self.end_s, self.top = end_s, top
        self.wide, self.high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _BOTTOM - _TOP

    def x(self, at_s: float) -> float:
        return round(_LEFT + self.wide * at_s / self.end_s, 1)

    def y(self, value: float) -> float:
        return round(_TOP + self.high * (1 - min(value, self.top) / self.top), 1)

    def axes(self, unit: str) -> list[str]:
        """Grid, ticks and what they mean."""
        parts, right = [], _WIDTH - _RIGHT
        step = _step(self.top, _TICKS_Y)
        for i in range(int(self.top / step) + 1):
            y, text = self.y(i * step), f"{i * step:,.10g}"
            parts.append(f'<line x1="{_LEFT}" y1="{y}" x2="{right}" y2="{y}" stroke="#e4e4e4"/>')
            parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{text}</text>')
        step = max(1.0, _step(self.end_s, _TICKS_X))
        for i in range(int(self.end_s / step) + 1):
            x, y = self.x(i * step), _HEIGHT - _BOTTOM + 18
            parts.append(f'<text x="{x}" y="{y}" text-anchor="middle">{i * step:g}</text>')
        middle = _LEFT + self.wide / 2
        parts.append(f'<text x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle">seconds</text>')
        turned = f"translate(16 {_TOP + self.high / 2}) rotate(-90)"
        parts.append(f'<text transform="{turned}" text-anchor="middle">{escape(unit)}</text>')
        return parts

    def curve(self, name: str, points: list[tuple[float, float]]) -> str:
        """One series: a line, or an area below it."""
        line = " ".join(f"{self.x(x)},{self.y(y)}" for x, y in points)
        colour = _COLOURS[name]
        if name == _FILLED:
            ends = f"{self.x(points[0][0])},{self.y(0)} {line} {self.x(points[-1][0])},{self.y(0)}"
            return f'<polygon points="{ends}" fill="{colour}" fill-opacity="0.6"/>'
        dash = ' stroke-dasharray="6 4"' if name == _DASHED else ""
        style = f'fill="none" stroke="{colour}" stroke-width="2"{dash}'
        return f'<polyline points="{line}" {style}/>'


def _legend(names: Iterable[str]) -> list[str]:
    parts, x = [], _LEFT
    for name in names:
        thick, dash = (10 if name == _FILLED else 3), ' stroke-dasharray="6 4"'
        style = f'stroke="{_COLOURS[name]}" stroke-width="{thick}"{dash if name == _DASHED else ""}'
        parts.append(f'<line x1="{x}" y1="42" x2="{x + 26}" y2="42" {style}/>')
        parts.append(f'<text x="{x + 32}" y="46">{escape(name)}</text>')
        x += 32 + 7 * len(name) + 26
    return parts


def write_svg(path: Path, title: str, unit: str, series: Series) -> None:
    """A line chart; the legend is at the top."""
    end_s = max((x for points in series.values() for x, _ in points), default=1.0) or 1.0
    top, cut = _highest(series)
    frame = _Frame(end_s, top * 1.05)
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    font = 'font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {size}'
    shown = [(name, series[name]) for name in _COLOURS if series.get(name)]
    note = "; peaks are cut off" if cut else ""
    parts = [
        f"{head} {font}>",
        f'<rect {size} fill="white"/>',
        f'<text x="{_LEFT}" y="20" font-size="14">{escape(title)}</text>',
        *frame.axes(f"{unit}, means of {_BIN_S:g} s{note}"),
        *(frame.curve(name, points) for name, points in shown),
        *_legend(name for name, _ in shown),
    ]
    path.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")


def write_html(path: Path, title: str, unit: str, series: Series) -> bool:
    """The same with plotly; False if that is not installed."""
    try:
        import plotly.graph_objects as go
    except ImportError:
        return False
    figure = go.Figure(layout={"title": {"text": title}, "template": "plotly_white"})
    figure.update_xaxes(title_text="seconds")
    figure.update_yaxes(title_text=unit, range=[0, _highest(series)[0] * 1.05])
    for name, colour in _COLOURS.items():
        points = series.get(name, [])
        xs, ys = [x for x, _ in points], [y for _, y in points]
        line = {"color": colour, "dash": "dash" if name == _DASHED else "solid"}
        fill = "tozeroy" if name == _FILLED else "none"
        figure.add_scatter(x=xs, y=ys, name=name, mode="lines", line=line, fill=fill)
    # The library comes from the network: inline it would be five megabytes in the repository.
    figure.write_html(path, include_plotlyjs="cdn", full_html=True)
    return True
