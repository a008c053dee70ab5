"""A table that is sorted by any column and draws only the lines that are seen.

Textual's own `DataTable` lays out every cell again: with 500 agents that took 0.4 s each second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from agentrm_plugins.telemetry.top.drawing import fitted

__all__ = ["Column", "Grid"]

_HEAD = Style(bold=True, reverse=True)
_CURSOR = Style(bgcolor="#2f4b78", color="#ffffff")


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Args:
        name: Above it; what is too long for `width` is cut.
        width: Cells; 0 takes what the others leave.
        value: What a row is sorted by.
        show: What is shown; None: the value as text.
        right: Whether it stands at the right, as figures do.
        wide: Whether it is shown only where there is much room.
        tail: Whether what is too long is cut in its middle, as names whose end tells them apart.
    """

    name: str
    width: int
    value: Callable[[Any], Any]
    show: Callable[[Any], str | Text] | None = None
    right: bool = True
    wide: bool = False
    tail: bool = False

    def cell(self, row: Any) -> str | Text:
        """What is shown of a row."""
        return str(self.value(row)) if self.show is None else self.show(row)


class Grid(ScrollView, can_focus=True):
    """The table. Its rows are any objects; `key` says which one is which.

    Args:
        columns: From left to right.
        key: What a row is known by when the rows are given anew.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "move(-10)", "Page up", show=False),
        Binding("pagedown", "move(10)", "Page down", show=False),
        Binding("home", "move(-1000000)", "First", show=False),
        Binding("end", "move(1000000)", "Last", show=False),
        Binding("enter", "choose", "Story", show=False),
    ]
    DEFAULT_CSS = "Grid { height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; }"

    class Chosen(Message):
        """A row was chosen with Enter or a second click."""

        def __init__(self, grid: Grid, row: Any) -> None:
            super().__init__()
            self.grid, self.row = grid, row

    def __init__(
        self, columns: Sequence[Column], key: Callable[[Any], Any], *, name: str, empty: str
    ) -> None:
        super().__init__(id=name)
        self.columns, self._key, self._empty = list(columns), key, empty
        self.rows: list[Any] = []
        self.cursor = 0
        self.sort_by: Column | None = None
        self.down = True

    @property
    def row(self) -> Any | None:
        """The row below the cursor."""
        return self.rows[self.cursor] if self.rows else None

    def show_rows(self, rows: Sequence[Any]) -> None:
        """Show these rows; the cursor stays with its row. Unsorted, they keep their order."""
        kept = self._key(self.row) if self.cursor else None  # the top stays the top
        self.rows = list(rows)
        if self.sort_by is not None:
            self.rows.sort(key=self.sort_by.value, reverse=self.down)
        keys = {self._key(row): at for at, row in enumerate(self.rows)}
        self.cursor = keys.get(kept, min(self.cursor, max(0, len(self.rows) - 1)))
        self.virtual_size = Size(self.size.width, len(self.rows) + 1)
        self.refresh()

    def sort(self, column: Column) -> None:
        """Sort by a column; a second time the other way round."""
        self.down = not self.down if self.sort_by is column else column.right
        self.sort_by = column
        self.show_rows(self.rows)

    def sort_next(self, step: int) -> None:
        """Sort by the column beside this one."""
        shown = [column for column, _ in self._laid_out()]
        at = shown.index(self.sort_by) if self.sort_by in shown else (-1 if step > 0 else 0)
        self.sort_by = None
        self.sort(shown[(at + step) % len(shown)])

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self.cursor = max(0, min(len(self.rows) - 1, self.cursor + by))
        top, room = round(self.scroll_y), max(1, self.size.height - 1)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + room:
            self.scroll_to(y=self.cursor - room + 1, animate=False)
        self.refresh()

    def action_choose(self) -> None:
        """Choose the row below the cursor."""
        if self.row is not None:
            self.post_message(self.Chosen(self, self.row))

    def on_click(self, click: events.Click) -> None:
        """A click on the head sorts, one on a row moves the cursor, a second one chooses."""
        if click.y == 0:
            x = click.x
            for column, width in self._laid_out():
                if x < width:
                    self.sort(column)
                    return
                x -= width + 1
            return
        at = round(self.scroll_y) + click.y - 1
        if 0 <= at < len(self.rows):
            again = at == self.cursor and click.chain > 1
            self.cursor = at
            self.refresh()
            if again:
                self.action_choose()

    def _laid_out(self) -> list[tuple[Column, int]]:
        """The columns that there is room for, with their widths."""
        room = max(10, self.size.width - 1)
        wide = room >= 110  # noqa: PLR2004 - a terminal that is wider than the classic one
        shown = [column for column in self.columns if wide or not column.wide]
        fixed = sum(column.width + 1 for column in shown if column.width)
        open_ = [column for column in shown if not column.width]
        each = max(8, (room - fixed - len(open_) + 1) // max(1, len(open_)))
        found = []
        for column in shown:
            width = min(column.width or each, room)
            if width <= 0:
                break
            found.append((column, width))
            room -= width + 1
        return found

    def render_line(self, y: int) -> Strip:
        """One line: the head, which never scrolls, or a row."""
        width, laid_out = self.size.width, self._laid_out()
        if y == 0:
            return self._strip([self._head(column, size) for column, size in laid_out], _HEAD)
        at = round(self.scroll_y) + y - 1
        if at >= len(self.rows):
            text = self._empty if not self.rows and y == 2 else ""  # noqa: PLR2004 - a line below
            return Strip([Segment(fitted(f"  {text}", width), Style(dim=True))], width)
        row = self.rows[at]
        cells = [_cell(column, size, row) for column, size in laid_out]
        return self._strip(cells, _CURSOR if at == self.cursor and self.has_focus else Style())

    def _head(self, column: Column, width: int) -> Text:
        mark = ("▼" if self.down else "▲") if column is self.sort_by else ""
        return Text(fitted(column.name + mark, width, right=column.right))

    def _strip(self, cells: Sequence[Text], style: Style) -> Strip:
        line = Text(" ").join(cells)
        line.truncate(self.size.width, pad=True)
        console = self.app.console
        segments = [
            Segment(segment.text, (segment.style or Style()) + style)
            for segment in line.render(console)
            if segment.text and segment.text != "\n"
        ]
        return Strip(segments, self.size.width)


def _cell(column: Column, width: int, row: Any) -> Text:
    shown = column.cell(row)
    if isinstance(shown, Text):
        made = shown.copy()
        made.truncate(width, overflow="ellipsis", pad=True)
        return made
    return Text(fitted(shown, width, right=column.right, tail=column.tail))
