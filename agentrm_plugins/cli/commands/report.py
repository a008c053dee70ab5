"""Write a recording as one HTML page: lanes, queues, rates, waits, tiers and stories."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentrm_plugins.cli.shared import need, writable

__all__ = ["register"]

_Recording = Annotated[Path, typer.Argument(help="What AgentRM(record=...) has written.")]
_Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="The page; beside the recording if left out."),
]
_Title = Annotated[str | None, typer.Option(help="What stands above the page.")]


def report(recording: _Recording, output: _Output = None, title: _Title = None) -> None:
    """Write a recording as one HTML page: lanes, queues, rates, waits, tiers and stories.

    The page needs no network. A damaged line is left out, and counted. Where nothing is recorded
    it says so, and where an earlier run is.
    """
    need("report", "plotly")
    from agentrm_plugins.errors import RecordingError
    from agentrm_plugins.telemetry import read_events, write_report

    path = output or recording.with_suffix(".html")
    writable(path, "--output")
    if path.exists() and recording.exists() and path.samefile(recording):
        raise typer.BadParameter(f"{str(path)!r}: this is the recording", param_hint="--output")
    try:
        events = read_events(recording, strict=False)
        written = write_report(events, path, title=title or f"AgentRM: {recording.name}")
    except (RecordingError, OSError) as error:
        typer.echo(f"No report: {error}", err=True)
        raise typer.Exit(1) from None
    if events.skipped:
        typer.echo(f"{events.skipped} lines could not be read and are left out.", err=True)
    if events.empty:
        typer.echo(events.empty, err=True)
    typer.echo(f"The report is in {written}")


def register(app: typer.Typer) -> None:
    """Add `agentrm report`."""
    app.command("report")(report)
