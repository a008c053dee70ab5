"""Look at a project and print the few lines that would manage it."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from agentrm_plugins.cli.advice import advice, told_as_data

__all__ = ["register"]

_Folder = Annotated[Path, typer.Argument(help="The project's folder.", show_default="here")]


def init(
    folder: _Folder = Path(),
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Look at a project and print the few lines that would manage it. Nothing is changed or run.

    Programs and notebooks are read, and imports between them followed. What was not read is named.
    """
    if not folder.is_dir():
        raise typer.BadParameter(f"{str(folder)!r}: give a folder", param_hint="FOLDER")
    if json:
        typer.echo(json_module.dumps(told_as_data(folder), indent=2, ensure_ascii=False))
        return
    for line in advice(folder):
        typer.echo(line)


def register(app: typer.Typer) -> None:
    """Add `agentrm init`."""
    app.command("init")(init)
