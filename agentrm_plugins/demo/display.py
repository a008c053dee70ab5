"""The live display: both boards side by side over one log; plain lines where no terminal is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from agentrm_plugins.demo.board import Board

__all__ = ["line", "picture"]

_BLOCKS = " ▁▂▃▄▅▆▇█"
_CELL = 10  # columns of one agent: "b01 waits "
_ROWS_BESIDE = 13  # lines that are no agents: heads, bars, borders and the shortest log
_LEAST_LOG = 4
_MANY_REFUSALS = 50  # a full bar
_ORDER = ("HUNG", "DIED", "runs", "waits")
_STYLES = {"HUNG": "bold red", "DIED": "red", "runs": "green", "waits": "yellow"}


def _bar(count: float, capacity: float, width: int, style: str = "green") -> Text:
    filled = round(width * min(count / capacity, 1.0)) if capacity else 0
    return Text("━" * filled, style) + Text("─" * (width - filled), "dim")


def _curve(values: Sequence[float], width: int, most: float) -> Text:
    """The newest values as blocks; a value of `most` is a full one."""
    if not values:
        return Text("none yet", "dim")
    step = max(1, -(-len(values) // width))
    shown = list(values)[::-step][:width][::-1]
    return Text(
        "".join(_BLOCKS[min(8, max(1, round(8 * value / most)))] for value in shown), "cyan"
    )


def _head(board: Board, width: int) -> Table:
    """The bars: lanes, turns, what was lost, and the rate."""
    total = sum(agent.total for agent in board.agents)
    bar = max(6, width - 26)
    head = Table.grid(padding=(0, 1))
    head.add_column(width=6)
    head.add_column(width=bar, no_wrap=True)
    head.add_column(no_wrap=True)
    lanes, limit = board.settings.lanes, board.settings.limit
    head.add_row(
        "lanes", _bar(board.in_use, lanes, bar), f"{board.in_use}/{lanes}, wait {board.waiting}"
    )
    head.add_row("turns", _bar(board.finished, total, bar), f"{board.finished}/{total}")
    lost = Text(f"{board.died}", "bold red" if board.died else "dim")
    hung = Text(f", hung {board.hung}", "bold red" if board.hung else "dim")
    head.add_row("died", _bar(board.died, len(board.agents), bar, "red"), lost + hung)
    if limit is not None:
        rate = f"{board.rates[-1]:,.0f}/min" if board.rates else ""
        head.add_row("tokens", _curve(board.rates, bar, 1.6 * limit), rate)
        words = f"{board.refusals} (limit {limit:,.0f})"
        head.add_row("429s", _bar(board.refusals, _MANY_REFUSALS, bar, "red"), words)
    return head


def _agents(board: Board, width: int, rows: int) -> Text:
    """One cell for each agent; where there is no room for all, those in trouble come first."""
    columns = max(1, width // _CELL)
    agents = list(board.agents)
    states = {agent.name: board.states.get(agent.name, agent.state) for agent in agents}
    left = len(agents) - columns * rows
    if left > 0:

        def trouble(agent_name: str) -> int:
            state = states[agent_name]
            return _ORDER.index(state) if state in _ORDER else len(_ORDER)

        agents = sorted(agents, key=lambda agent: trouble(agent.name))[: columns * rows - 1]
    text = Text(no_wrap=True)
    for number, agent in enumerate(agents):
        state = states[agent.name]
        cell = f"{agent.name} {state}"[: _CELL - 1]
        text.append(f"{cell:{_CELL}}", _STYLES.get(state, "dim"))
        if number % columns == columns - 1:
            text.append("\n")
    if left > 0:
        text.append(f"+{left + 1} more", "dim")
    return text


def _log(boards: Sequence[Board], rows: int, width: int) -> Text:
    found = sorted(
        (at_s, board.title.split()[0], text) for board in boards for at_s, text in board.events
    )
    text = Text(no_wrap=True, overflow="ellipsis")
    shown = found[-rows:]
    for at_s, who, words in shown:
        style = "cyan" if who == "Managed" else "magenta"
        text.append(f"{at_s:5.1f} s ", "dim").append(f"{who:9} ", style)
        text.append(words[: max(10, width - 24)] + "\n")
    text.append("\n" * max(0, rows - len(shown) - (not shown)))
    text.rstrip()
    return text


def picture(boards: Sequence[Board], width: int = 80, height: int = 24) -> RenderableType:
    """Both boards and the log, in exactly so many columns and at most so many lines."""
    inner = width // 2 - 4
    columns = max(1, inner // _CELL)
    limited = boards[0].settings.limit is not None
    fixed = _ROWS_BESIDE + (2 if limited else 0)
    wanted = -(-len(boards[0].agents) // columns)
    rows = max(1, min(wanted, height - 1 - fixed))
    log_rows = max(_LEAST_LOG, height - 1 - fixed - rows + _LEAST_LOG)
    panels = Table.grid(expand=True)
    panels.add_column(ratio=1)
    panels.add_column(ratio=1)
    panels.add_row(
        *(
            Panel(
                Group(_head(board, inner), _agents(board, inner, rows)),
                title=f"{board.title}  {board.elapsed_s:.0f} s{', done' if board.ended else ''}",
                border_style="green" if board.title.startswith("Managed") else "magenta",
                height=5 + rows + (2 if limited else 0),
            )
            for board in boards
        )
    )
    log = Panel(
        _log(boards, min(log_rows, 12), width),
        title="what matters: reaped, cut, hedged, compacted, recalled, died",
        border_style="dim",
    )
    return Group(panels, log)


def line(board: Board) -> str:
    """The board in one line."""
    total = sum(agent.total for agent in board.agents)
    return (
        f"  {board.elapsed_s:5.1f} s  {board.title.split()[0]:9}  lanes {board.in_use}/"
        f"{board.settings.lanes}, {board.waiting} wait  turns {board.finished}/{total}  "
        f"died {board.died}, hung {board.hung}, 429s {board.refusals}"
    )
