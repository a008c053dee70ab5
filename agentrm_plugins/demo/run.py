"""Both sides at once, with a display, and at the end the table, the report and what to do next."""

from __future__ import annotations

import asyncio
import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from agentrm_plugins.demo.board import Board
from agentrm_plugins.demo.display import line, picture
from agentrm_plugins.demo.settings import DemoSettings
from agentrm_plugins.demo.sides import Side, boards, managed, unmanaged
from agentrm_plugins.demo.words import introduction, table, verdict

__all__ = ["run_demo"]

_LOOK_EVERY_S = 0.15
_LINE_EVERY_S = 2.0
_PICTURE_AT = 0.6  # of the managed side's turns: much has happened, much is still to come
_PICTURE_SIZE = (100, 30)
# As rich's own, without the font that it would fetch from another host.
_SVG = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; line-height:
{line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}"
height="{terminal_height}" /></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


async def run_demo(
    settings: DemoSettings,
    *,
    plain: bool = False,
    json_path: Path | None = None,
    picture_path: Path | None = None,
    report_path: Path | None = None,
    console: Console | None = None,
) -> tuple[Side, Side]:
    """Run both sides at once and print what came of it.

    Args:
        settings: What to run.
        plain: Lines instead of a live display.
        json_path: Where to write the figures as well.
        picture_path: Where to write a picture (SVG) of the display in mid-run.
        report_path: Where to write the report; a temporary file if left out.
        console: Where to print; standard output if left out.
    """
    console = console or Console()
    _say(console, introduction(settings))
    both = boards(settings)
    shot = _Shot(picture_path)
    if plain:
        before, after = await _watched(both, settings, [_plain(console), shot])
    else:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            before, after = await _watched(both, settings, [_live(live, console), shot])
    console.print(table(before, after, settings))
    _say(console, verdict(before, after, settings))
    if json_path is not None:
        _write(json_path, settings, before, after)
    for words in (_report(after, report_path), shot.words(), _next(settings)):
        if words:
            console.print(words, highlight=False, soft_wrap=True)
    return before, after


def _say(console: Console, text: str) -> None:
    """Broken between words on a terminal; whole lines for a file or a pipe."""
    console.print(text, highlight=False, soft_wrap=not console.is_terminal)


async def _watched(
    both: tuple[Any, Any], settings: DemoSettings, looks: list[Callable[[tuple[Any, Any]], None]]
) -> tuple[Side, Side]:
    async def watch() -> None:
        while True:
            for board in both:
                board.refresh()
            for look in looks:
                look(both)
            await asyncio.sleep(_LOOK_EVERY_S)

    watcher = asyncio.create_task(watch())
    try:
        async with asyncio.TaskGroup() as group:
            before = group.create_task(unmanaged(settings, both[0]))
            after = group.create_task(managed(settings, both[1]))
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
    return before.result(), after.result()


def _write(path: Path, settings: DemoSettings, before: Side, after: Side) -> None:
    report = {
        "settings": asdict(settings),
        "unmanaged": before.as_dict(),
        "managed": after.as_dict(),
    }
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _live(live: Live, console: Console) -> Callable[[tuple[Board, Board]], None]:
    def look(both: tuple[Board, Board]) -> None:
        live.update(picture(both, *console.size), refresh=True)

    return look


def _plain(console: Console) -> Callable[[tuple[Board, Board]], None]:
    next_s, told = 0.0, [0.0, 0.0]

    def look(both: tuple[Board, Board]) -> None:
        nonlocal next_s
        now_s = max(board.elapsed_s for board in both)
        if now_s < next_s:
            return
        next_s = now_s + _LINE_EVERY_S
        for number, board in enumerate(both):
            console.print(line(board), highlight=False, soft_wrap=True)
            for at_s, text in [event for event in board.events if event[0] > told[number]][-3:]:
                console.print(f"    {at_s:5.1f} s  {text}", highlight=False, soft_wrap=True)
            told[number] = board.elapsed_s

    return look


class _Shot:
    """Draws the display once, in mid-run."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.done = path, False

    def __call__(self, both: tuple[Board, Board]) -> None:
        board = both[1]
        total = sum(agent.total for agent in board.agents)
        if self.path is None or self.done or board.finished < _PICTURE_AT * total:
            return
        width, height = _PICTURE_SIZE
        paper = Console(record=True, width=width, height=height, file=io.StringIO())
        paper.print(picture(both, width, height))
        svg = paper.export_svg(title="agentrm demo", code_format=_SVG, unique_id="demo")
        self.path.write_text(svg, encoding="utf-8")
        self.done = True

    def words(self) -> str:
        """Where the picture is."""
        return f"Picture: {self.path}" if self.done else ""


def _report(after: Side, path: Path | None) -> str:
    """Write the managed side's report where that part is installed; say where it is."""
    if find_spec("agentrm_plugins.telemetry") is None or find_spec("plotly") is None:
        return ""
    write: Any = getattr(import_module("agentrm_plugins.telemetry"), "write_report", None)
    if write is None:
        return ""
    chosen = path or Path(tempfile.gettempdir()) / "agentrm-demo.html"
    try:
        write(after.effects, chosen, title="AgentRM demo, the managed side")
    except OSError as error:
        return f"No report: {error}"
    return f"Report: {chosen}"


def _next(settings: DemoSettings) -> str:
    """One command to go on with."""
    if settings.scenario == "all":
        return "Next: agentrm init    (the few lines that would manage a project of yours)"
    return "Next: agentrm demo --scenario all"
