"""One side after the other, with a display, and the table at the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from agentrm_plugins.demo.board import Board
from agentrm_plugins.demo.display import line, picture
from agentrm_plugins.demo.settings import RETRIES, DemoSettings
from agentrm_plugins.demo.sides import Side, managed, unmanaged

__all__ = ["run_demo"]

_LINE_EVERY_S = 2.0


def _introduction(settings: DemoSettings) -> str:
    scale = settings.time_scale
    return (
        f"{settings.interactive} interactive and {settings.batch} batch LangChain agents share "
        f"{settings.lanes} lanes to a simulated provider\n(real HTTP on loopback; "
        f"{settings.hang_rate:.0%} of the batch agents' calls hang; seed {settings.seed}). "
        f"Model time runs {1 / scale:g} times faster.\n"
        f"  Unmanaged: ChatOpenAI(timeout={settings.timeout_s:g} s, max_retries={RETRIES}) behind "
        f"asyncio.Semaphore({settings.lanes}), held per model call.\n"
        f"  Managed:   the same ChatOpenAI in wrap_chat_model, order {settings.order}, first token "
        f"within {settings.first_token_timeout_s:g} s, then\n             no silence over 30 s, "
        f"{RETRIES} retries of a reaped call, agents declare interactive or batch.\n"
        "  These timeouts are in model seconds. Both sides meet the same provider: same seed, same "
        "fate per agent and request."
    )


async def run_demo(
    settings: DemoSettings,
    *,
    plain: bool = False,
    json_path: Path | None = None,
    console: Console | None = None,
) -> tuple[Side, Side]:
    """Run both sides and print what came of it.

    Args:
        settings: What to run.
        plain: Lines instead of a live display.
        json_path: Where to write the figures as well.
        console: Where to print; standard output if left out.
    """
    console = console or Console()
    console.print(_introduction(settings), highlight=False, soft_wrap=True)
    sides = []
    for title, side in (("Unmanaged", unmanaged), ("Managed", managed)):
        if plain:
            console.print(f"{title}:", highlight=False)
            sides.append(await side(settings, _plain(console)))
        else:
            with Live(console=console, auto_refresh=False, transient=True) as live:
                sides.append(await side(settings, _live(live)))
    before, after = sides
    console.print(_table(before, after))
    console.print(_verdict(before, after, settings), highlight=False, soft_wrap=True)
    if json_path is not None:
        _write(json_path, settings, before, after)
    return before, after


def _write(path: Path, settings: DemoSettings, before: Side, after: Side) -> None:
    report = {
        "settings": asdict(settings),
        "unmanaged": before.as_dict(),
        "managed": after.as_dict(),
    }
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _live(live: Live) -> Callable[[Board], None]:
    def look(board: Board) -> None:
        live.update(picture(board), refresh=True)

    return look


def _plain(console: Console) -> Callable[[Board], None]:
    next_s = 0.0

    def look(board: Board) -> None:
        nonlocal next_s
        if board.elapsed_s >= next_s:
            next_s = board.elapsed_s + _LINE_EVERY_S
            console.print(line(board), highlight=False)

    return look


def _seconds(pair: tuple[float, float] | None, index: int) -> str:
    return "-" if pair is None else f"{pair[index]:.2f} s"


def _table(before: Side, after: Side) -> Table:
    table = Table("", before.title, after.title, title="Unmanaged and managed, in real seconds")
    table.caption = "A reaped call's connection closes a moment after its lane is given on."
    for column in table.columns[1:]:
        column.justify = "right"

    def row(name: str, of: Callable[[Side], Any]) -> None:
        table.add_row(name, str(of(before)), str(of(after)))

    row("turns finished", lambda side: side.finished)
    row("turns failed", lambda side: side.failed)
    for kind in ("interactive", "batch"):
        for index, name in enumerate(("p50", "p95")):
            cells = (_seconds(side.quantiles_s[kind], index) for side in (before, after))
            table.add_row(f"{kind} turn {name}", *cells)
    row("model calls sent", lambda side: side.calls)
    row("zombies (calls that hung)", lambda side: side.zombies)
    row("lane waste (held by them)", lambda side: f"{side.waste_s:.1f} s")
    row("most requests at once", lambda side: side.peak)
    row("wall time", lambda side: f"{side.wall_s:.1f} s")
    return table


def _verdict(before: Side, after: Side, settings: DemoSettings) -> str:
    """One honest line on what differed, and why."""
    parts = []
    for kind in ("interactive", "batch"):
        old, new = before.quantiles_s[kind], after.quantiles_s[kind]
        if old is not None and new is not None:
            parts.append(f"{kind} p95 {old[1]:.2f} -> {new[1]:.2f} s")
    parts.append(f"lane waste {before.waste_s:.1f} -> {after.waste_s:.1f} s")
    parts.append(f"failed {before.failed} -> {after.failed}")
    return (
        f"What differed: {'; '.join(parts)}. The waste follows from the shorter bound on silence "
        f"({settings.first_token_timeout_s:g} s against {settings.timeout_s:g} s: try --timeout "
        f"{settings.first_token_timeout_s:g}), the interactive turns mostly from the order (try "
        "--order fifo); one run of a simulation."
    )
