"""What `top` and `dash` look at: a recording, or a process that runs."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentrm_plugins.cli.shared import checked
from agentrm_plugins.errors import RecordingError

if TYPE_CHECKING:
    from agentrm_plugins.telemetry.attached import ProcessSource
    from agentrm_plugins.telemetry.sources import Source

__all__ = ["Process", "Replay", "Speed", "looked_at"]

Process = Annotated[
    str | None,
    typer.Argument(help="A process: its number, name or socket. The only one if left out."),
]
Replay = Annotated[
    Path | None, typer.Option(help="Play what AgentRM(record=...) has written, from its beginning.")
]
Speed = Annotated[float, typer.Option(help="Recorded seconds per second.")]


def looked_at(process: str | None, replay: Path | None, speed: float) -> tuple[Source, int]:
    """What to look at, and how many lanes there are; ends with what is the matter."""
    if replay is not None:
        if process is not None:
            raise typer.BadParameter("give a process or --replay, not both", param_hint="process")
        return _replayed(replay, speed)
    from agentrm_plugins.telemetry.attached import AttachError

    try:
        source = _chosen() if process is None else _named(process)
    except AttachError as error:
        typer.echo(f"Nothing to look at: {error}", err=True)
        raise typer.Exit(1) from None
    return source, source.lanes


def _answering() -> list[ProcessSource]:
    """The processes that answer."""
    from agentrm_plugins.telemetry.attached import AttachError, ProcessSource, running

    found = []
    for path in running():
        with suppress(AttachError):
            found.append(ProcessSource(path))
    return found


def _named(process: str) -> ProcessSource:
    from agentrm_plugins.telemetry.attached import AttachError, ProcessSource

    if Path(process).is_socket():
        return ProcessSource(Path(process))
    found = _answering()
    fits = [
        one for one in found if process in {str(one.hello.get("pid")), str(one.hello.get("name"))}
    ]
    for other in found:
        if other not in fits[:1]:
            other.close()
    if not fits:
        raise AttachError(f"no process {process!r} answers; agentrm top alone lists them")
    return fits[0]


def _chosen() -> ProcessSource:
    """The only one, or the one that is chosen from a list."""
    from agentrm_plugins.telemetry.attached import AttachError

    found = _answering()
    if not found:
        way = "make one with AgentRM(monitor=True), or play a file with --replay"
        raise AttachError(f"no process answers; {way}")
    number = 1
    if len(found) > 1:
        for at, one in enumerate(found, 1):
            typer.echo(f"{at:3}  {one.title}, {one.lanes} lanes")
        if not sys.stdin.isatty():
            for one in found:
                one.close()
            raise AttachError("several processes answer; name one by its number (pid)")
        number = 0
        while not 1 <= number <= len(found):
            number = typer.prompt("Which one?", type=int, default=1)
    for at, one in enumerate(found, 1):
        if at != number:
            one.close()
    return found[number - 1]


def _replayed(path: Path, speed: float) -> tuple[Source, int]:
    """A recording to be played, and how many lanes there were."""
    from agentrm_plugins.telemetry import read_events
    from agentrm_plugins.telemetry.sources import ReplaySource

    try:
        events = read_events(path, strict=False)
        lanes = events.header.get("lanes")
        empty = events.empty
    except (RecordingError, OSError) as error:
        typer.echo(f"Nothing to play: {error}", err=True)
        raise typer.Exit(1) from None
    if empty:
        typer.echo(f"Nothing to play: {empty}", err=True)
        raise typer.Exit(1)
    source = checked(lambda: ReplaySource(events.everything(), speed=speed, title=path.name))
    return source, lanes if isinstance(lanes, int) else 0
