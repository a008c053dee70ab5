"""Print the effective configuration, and where each value comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentrm_plugins.cli.targets import imported
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.manager import AgentRM
from agentrm_plugins.settings import Settings, load
from agentrm_plugins.settings.printing import as_json, as_lines

__all__ = ["register"]

_App = Annotated[
    str | None,
    typer.Argument(help="A core in your program, such as my_app:rm: what code says counts too."),
]
_File = Annotated[
    Path | None,
    typer.Option("--file", "-f", help="The TOML file. Left out: agentrm.toml or pyproject.toml."),
]


def config(
    app: _App = None,
    file: _File = None,
    changed: Annotated[bool, typer.Option("--changed", help="Only what is not a default.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print the effective configuration, and where each value comes from.

    Defaults < agentrm.toml or [tool.agentrm] < AGENTRM_... variables < code. Secrets are hidden.
    A program that is named is imported with recording and monitor off.
    Exit code 1: something in it cannot be; the message says what, where, and the way out.
    """
    if app is not None and file is not None:
        raise typer.BadParameter("give a file or a core, not both", param_hint="--file")
    try:
        found = load(file) if app is None else _of_core(app)
    except ConfigError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    if json:
        typer.echo(as_json(found, changed=changed))
        return
    lines = as_lines(found, changed=changed)
    for line in lines or ["Nothing is configured: all values are defaults."]:
        typer.echo(line)
    if app is None:
        typer.echo("\nA program takes these with AgentRM.from_config().", err=True)


def _of_core(app: str) -> Settings:
    _, found = imported(app)
    if not isinstance(found, AgentRM):
        way = f"this is {type(found).__name__}; name an AgentRM, such as my_app:rm"
        raise typer.BadParameter(f"{app!r}: {way}", param_hint="APP")
    return found.settings


def register(app: typer.Typer) -> None:
    """Add `agentrm config`."""
    app.command("config")(config)
