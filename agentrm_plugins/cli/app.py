"""Typer's application, with every command in it."""

from __future__ import annotations

from typing import Annotated

import typer

from agentrm_plugins.cli.main import own_version
from agentrm_plugins.cli.registry import register_all

__all__ = ["app"]

app = typer.Typer(
    help="AgentRM: a resource manager for LLM agents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(value: bool) -> None:
    if value:
        typer.echo(f"agentrm {own_version()}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """AgentRM: a resource manager for LLM agents."""


register_all(app)
