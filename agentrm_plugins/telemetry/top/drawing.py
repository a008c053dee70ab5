"""Bars, sparklines and lanes as coloured text. Pure; every text fits the width that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.style import Style
from rich.text import Text

__all__ = ["Lane", "bar", "clean", "fitted", "lanes", "sparkline", "style_of"]

_SPARKS = " ▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEAST_CELL = 16
_NAMED = 24  # cells in which a lane's bar has room for the word as well
_COLOURS = {
    "interactive": "#4f8fea",
    "batch": "#d9932b",
    "background": "#a07be0",
    "late": "#e0554c",
    "": "#3fae7a",
}
_BACKS = {
    "interactive": "#23487f",
    "batch": "#7a4d0c",
    "background": "#563a8c",
    "late": "#8a2a24",
    "": "#1f6245",
}
_DIM = Style(dim=True)


class Lane(NamedTuple):
    """A lane and who holds it: nobody, if `agent` is ""."""

    agent: str
    kind: str
    held_s: float
    late: bool


def clean(text: str) -> str:
    """A name as one printable line: what would move the cursor becomes a question mark."""
    return "".join(char if char.isprintable() else "?" for char in text)


def fitted(text: str, width: int, *, right: bool = False, tail: bool = False) -> str:
    """The text in exactly so many cells: padded, or cut at its end, or in its middle (`tail`)."""
    text = clean(text)
    if cell_len(text) > width:
        if width < 1:
            return ""
        end = chop_cells(text[::-1], max(1, (width - 1) // 2))[0][::-1] if tail else ""
        return set_cell_size(text, width - 1 - cell_len(end)) + "…" + end
    pad = " " * (width - cell_len(text))
    return pad + text if right else text + pad


def style_of(kind: str, *, back: bool = False) -> Style:
    """The colour of a class of agents, or "late"."""
    found = (_BACKS if back else _COLOURS).get(kind) or (_BACKS if back else _COLOURS)[""]
    return Style(color="#ffffff", bgcolor=found) if back else Style(color=found)


def bar(share: float, width: int, style: Style) -> Text:
    """A bar that is filled to a share, from 0 to 1, in eighths of a cell."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    drawn = "█" * full + (_EIGHTHS[rest] if rest else "")
    return Text(drawn, style) + Text("░" * (width - len(drawn)), _DIM)


def sparkline(values: Sequence[float | None], width: int) -> str:
    """The last values as so many little columns; the highest one is the full height."""
    shown = list(values)[-width:]
    most = max((value for value in shown if value is not None), default=0.0)
    drawn = "".join(
        " " if not value or not most else _SPARKS[max(1, round(value / most * 8))]
        for value in shown
    )
    return drawn.rjust(width)


def lanes(found: Sequence[Lane], width: int, rows: int) -> Text:
    """Lanes as bars, who holds each and for how long; as single cells where there are many."""
    if not found or width < _LEAST_CELL or rows < 1:
        return Text()
    a_row = width // _LEAST_CELL
    if len(found) > a_row * rows:
        return _cells(found, width, rows)
    columns = min(a_row, -(-len(found) // min(rows, len(found))))
    longest = max(10.0, *(lane.held_s for lane in found))
    made = Text(no_wrap=True)
    for number, lane in enumerate(found):
        if number and number % columns == 0:
            made.append("\n")
        made.append_text(_lane(number + 1, lane, width // columns, longest))
    return made


def _lane(number: int, lane: Lane, width: int, longest: float) -> Text:
    head = f"lane {number:>2}▕" if width >= _NAMED else f"#{number}▕".rjust(4)
    room = width - len(head) - 2
    if not lane.agent:
        return Text(head, _DIM) + Text("·" * room, _DIM) + Text("▏ ", _DIM)
    held = f" {lane.held_s:.1f}s" if lane.held_s < 100 else f" {lane.held_s:.0f}s"  # noqa: PLR2004
    text = fitted(lane.agent, max(0, room - len(held)), tail=True) + held
    filled = max(1, round(room * min(1.0, lane.held_s / longest)))
    kind = "late" if lane.late else lane.kind
    body = Text(text[:room])
    body.stylize(style_of(kind), 0, room)
    body.stylize(style_of(kind, back=True), 0, filled)
    return Text(head, _DIM) + body + Text("▏ ", _DIM)


def _cells(found: Sequence[Lane], width: int, rows: int) -> Text:
    """One cell a lane; what does not fit is counted."""
    most = width * rows - len(f" and {len(found):,} more")
    made = Text(no_wrap=True)
    for number, lane in enumerate(found[:most]):
        if number and number % width == 0:
            made.append("\n")
        if lane.agent:
            made.append("█", style_of("late" if lane.late else lane.kind))
        else:
            made.append("·", _DIM)
    if len(found) > most:
        made.append(f" and {len(found) - most:,} more", _DIM)
    return made
