"""Look at a running process or a recording, like htop for agents."""

from __future__ import annotations

import typer

from agentrm_plugins.cli.attach import Replay, Speed, replayed
from agentrm_plugins.cli.shared import need

__all__ = ["register"]


def top(replay: Replay = None, speed: Speed = 1.0) -> None:
    """Look at a running process or a recording, like htop for agents. `?` tells the keys."""
    need("top", "textual")
    if replay is None:
        raise typer.BadParameter("name a recording", param_hint="--replay")
    source, lanes = replayed(replay, speed)
    from agentrm_plugins.telemetry.top.app import TopApp

    TopApp(source, capacity=lanes).run()


def register(app: typer.Typer) -> None:
    """Add `agentrm top`."""
    app.command("top")(top)
