"""Look at a running process or a recording, like htop for agents."""

from __future__ import annotations

import sys

import typer

from agentrm_plugins.cli.attach import Process, Replay, Speed, looked_at
from agentrm_plugins.cli.shared import need

__all__ = ["register"]


def top(process: Process = None, replay: Replay = None, speed: Speed = 1.0) -> None:
    """Look at a running process or a recording, like htop for agents. `?` tells the keys."""
    need("top", "textual")
    source, lanes = looked_at(process, replay, speed)
    from agentrm_plugins.telemetry.top.app import TopApp

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        source.close()
        way = "`agentrm dash` shows the same in a browser, `agentrm report` writes a file"
        typer.echo(f"agentrm top needs a terminal; {way}", err=True)
        raise typer.Exit(1)
    try:
        TopApp(source, capacity=lanes).run()
    finally:
        source.close()


def register(app: typer.Typer) -> None:
    """Add `agentrm top`."""
    app.command("top")(top)
