"""The live display: one picture of a board; and plain lines where there is no terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.columns import Columns
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from agentrm_plugins.demo.board import Board

__all__ = ["line", "picture"]


def _bar(count: int, capacity: int, width: int = 24) -> Text:
    filled = round(width * min(count / capacity, 1.0)) if capacity else 0
    return Text("#" * filled, "green") + Text("." * (width - filled), "dim")


def picture(board: Board) -> RenderableType:
    """The whole board."""
    finished, failed, total = board.progress
    head = Table.grid(padding=(0, 2))
    head.add_row("lanes", _bar(board.in_use, board.lanes), f"{board.in_use} of {board.lanes}")
    for level, depth in enumerate(board.depth):
        name = f"queue {level}" if len(board.depth) > 1 else "queue"
        head.add_row(name, _bar(depth, 40), str(depth))
    head.add_row("turns", _bar(finished, total), f"{finished} of {total}, {failed} failed")
    rates = " / ".join(f"{rate:,.0f}" for rate in board.tokens_per_s)
    head.add_row("tokens/s", Text(rates), "last 1 / 10 / 60 s" if "/" in rates else "last 10 s")
    cells = []
    for agent in board.agents:
        state = board.states.get(agent.name, "")
        style = "green" if "runs" in state else "yellow" if "waits" in state else "dim"
        text = f"{agent.name:15}{agent.finished}/{agent.total} {state}"
        cells.append(Text(f"{text:38}", style))
    parts: list[RenderableType] = [head, Text(), Columns(cells, padding=(0, 1))]
    if board.events.maxlen and hasattr(board, "rm"):
        lines = list(board.events) + [""] * (board.events.maxlen - len(board.events))
        parts += [Text(), Text("\n".join(lines), "cyan", no_wrap=True)]
    return Panel(Group(*parts), title=f"{board.title}   {board.elapsed_s:5.1f} s")


def line(board: Board) -> str:
    """The board in one line."""
    finished, failed, total = board.progress
    return (
        f"  {board.elapsed_s:5.1f} s  lanes {board.in_use}/{board.lanes}  "
        f"queue {'+'.join(map(str, board.depth))}  turns {finished}/{total}, {failed} failed"
    )
