"""What `top` and `dash` look at: a recording, or a process that runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentrm_plugins.cli.shared import checked
from agentrm_plugins.errors import RecordingError

if TYPE_CHECKING:
    from agentrm_plugins.telemetry.sources import ReplaySource

__all__ = ["Replay", "Speed", "replayed"]

Replay = Annotated[
    Path | None, typer.Option(help="Play what AgentRM(record=...) has written, from its beginning.")
]
Speed = Annotated[float, typer.Option(help="Recorded seconds per second.")]


def replayed(path: Path, speed: float) -> tuple[ReplaySource, int]:
    """A recording to be played, and how many lanes there were; ends with why it cannot be."""
    from agentrm_plugins.telemetry import read_events
    from agentrm_plugins.telemetry.sources import ReplaySource

    try:
        events = read_events(path, strict=False)
        lanes = events.header.get("lanes")
        first = next(iter(events), None)
    except (RecordingError, OSError) as error:
        typer.echo(f"Nothing to play: {error}", err=True)
        raise typer.Exit(1) from None
    if first is None:
        typer.echo(f"Nothing to play: {path} holds no event", err=True)
        raise typer.Exit(1)
    source = checked(lambda: ReplaySource(events, speed=speed, title=path.name))
    return source, lanes if isinstance(lanes, int) else 0
