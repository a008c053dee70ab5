"""Do a published experiment again (in a clone of the project)."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from agentrm_plugins.cli.shared import INTERRUPTED, check_seeds

__all__ = ["register"]


def bench(
    name: Annotated[
        str, typer.Argument(help="paper, hivemind, ablation, scale, demo, or story (the pages).")
    ],
    seeds: Annotated[
        int | None, typer.Option(help="How many seeds, where an experiment has any.")
    ] = None,
) -> None:
    """Do a published experiment again; writes benchmarks/results/NAME.{json,md,html}.

    Runs in a clone of the project, whose benchmarks no package ships.
    """
    sys.path.insert(0, str(Path.cwd()))
    if find_spec("benchmarks") is None or find_spec("benchmarks.published") is None:
        typer.echo("This needs a clone of the project: run it there, or `make bench`.", err=True)
        raise typer.Exit(1)
    published = import_module("benchmarks.published")
    if name not in published.EXPERIMENTS:
        way = f"{name!r}: use one of {', '.join(published.EXPERIMENTS)}"
        raise typer.BadParameter(way, param_hint="NAME")
    check_seeds(seeds)
    try:
        published.run(name, seeds)
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        raise typer.Exit(INTERRUPTED) from None


def register(app: typer.Typer) -> None:
    """Add `agentrm bench`."""
    app.command("bench")(bench)
