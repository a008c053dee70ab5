"""Print why a call waited: each event of it, and each reason, from a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentrm_plugins.errors import RecordingError

__all__ = ["register"]

_SHOWN = 10  # calls, where none is named
_DIGITS = 18  # of a number that some process may have reached

_What = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="recording ticket",
        help="The recording, and the call's number. Without a number: which calls waited longest.",
        show_default=False,
    ),
]


def story(
    what: _What = None,
    events: Annotated[
        Path, typer.Option("--events", "-e", help="The recording, if it is not named first.")
    ] = Path("events.jsonl"),
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print why a call waited: each event of it, and each reason, from a recording.

    agentrm story events.jsonl 17, or without a number to see which calls to ask for.
    """
    path, ticket = _told(what or [], events)
    try:
        lines = _waits(path, json=json) if ticket is None else _story(path, ticket, json=json)
    except RecordingError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(lines)


def _told(what: list[str], path: Path) -> tuple[Path, int | None]:
    """The recording and the number, in either order."""
    digits = [word for word in what if word.isdecimal() and not _is_file(word)]
    paths = [Path(word) for word in what if word not in digits]
    numbers = [int(word) for word in digits if len(word) <= _DIGITS]
    if len(digits) > 1 or len(paths) > 1 or len(numbers) < len(digits) or 0 in numbers:
        way = "give one recording and one number, 1 or more: agentrm story events.jsonl 17"
        raise typer.BadParameter(way, param_hint="TICKET")
    return paths[0] if paths else path, numbers[0] if numbers else None


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except OSError:  # too long a name, say
        return False


def _story(path: Path, ticket: int, *, json: bool) -> str:
    from agentrm_plugins.telemetry.reading import read_events
    from agentrm_plugins.telemetry.story import story_of

    recorded = read_events(path, strict=False)
    told = story_of(recorded, ticket)
    if not told.events:
        typer.echo(recorded.empty or f"{path}: nothing is recorded of call {ticket}", err=True)
        raise typer.Exit(1)
    return told.to_json(indent=2) if json else str(told)


def _waits(path: Path, *, json: bool) -> str:
    """The calls that waited longest in all their attempts, with the number to ask for."""
    from json import dumps

    from agentrm_plugins.telemetry.reading import read_events
    from agentrm_plugins.telemetry.story import waits_of

    recorded = read_events(path, strict=False)
    waits = waits_of(recorded)
    first = sorted(waits.items(), key=lambda item: (-item[1][0], item[0]))[:_SHOWN]
    if json:
        rows = [
            {"ticket": ticket, "waited_s": round(waited_s, 6), "agent": agent}
            for ticket, (waited_s, agent) in first
        ]
        return dumps(rows, indent=2)
    if not first:
        return recorded.empty or f"{path}: no call is recorded"
    lines = ["  call    waited  agent"]
    lines += [f"{ticket:6}{waited_s:8.2f} s  {agent}" for ticket, (waited_s, agent) in first]
    return "\n".join([*lines, "", f"Why one waited:  agentrm story {path} {first[0][0]}"])


def register(app: typer.Typer) -> None:
    """Add `agentrm story`."""
    app.command("story")(story)
