"""Look at a project and print the few lines that would manage it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentrm_plugins.cli.advice import advice

__all__ = ["register"]

_Folder = Annotated[Path, typer.Argument(help="The project's folder.", show_default="here")]


def init(folder: _Folder = Path()) -> None:
    """Look at a project and print the few lines that would manage it. Nothing is changed or run."""
    if not folder.is_dir():
        raise typer.BadParameter(f"{str(folder)!r}: give a folder", param_hint="FOLDER")
    for line in advice(folder):
        typer.echo(line)


def register(app: typer.Typer) -> None:
    """Add `agentrm init`."""
    app.command("init")(init)
