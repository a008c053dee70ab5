"""Print why a call waited: each event of it, and each reason, from a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentrm_plugins.errors import RecordingError

__all__ = ["register"]


def story(
    ticket: Annotated[int, typer.Argument(help="The call's number.", min=1)],
    events: Annotated[
        Path, typer.Option("--events", "-e", help="What AgentRM(record=...) has written.")
    ] = Path("events.jsonl"),
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print why a call waited: each event of it, and each reason, from a recording."""
    from agentrm_plugins.telemetry.reading import read_events
    from agentrm_plugins.telemetry.story import story_of

    try:
        told = story_of(read_events(events, strict=False), ticket)
    except RecordingError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if not told.events:
        typer.echo(f"{events}: nothing is recorded of call {ticket}", err=True)
        raise typer.Exit(1)
    typer.echo(told.to_json(indent=2) if json else str(told))


def register(app: typer.Typer) -> None:
    """Add `agentrm story`."""
    app.command("story")(story)
