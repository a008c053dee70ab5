"""What the commands share: errors that name the option, extras that are missing, files to write."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import typer

from agentrm_plugins.errors import ConfigError

__all__ = ["INTERRUPTED", "MOST_SEEDS", "check_seeds", "checked", "need", "writable"]

T = TypeVar("T")
INTERRUPTED = 130  # the shell's code for a program ended by Ctrl-C
MOST_SEEDS = 1000


def checked(make: Callable[[], T], names: Mapping[str, str] | None = None) -> T:
    """Turn a bad value into the command's own kind of error, which names the option.

    Args:
        make: What may raise `ConfigError`.
        names: The option of a field whose name differs, as `{"header_style": "--headers"}`;
            `enforce_s` is `--enforce-s` by itself.
    """
    try:
        return make()
    except ConfigError as error:
        field = error.field
        dashed = field if field.startswith("-") else f"--{field.replace('_', '-')}"
        raise typer.BadParameter(
            f"{error.value!r}: {error.remedy}", param_hint=(names or {}).get(field, dashed)
        ) from error


def need(extra: str, *modules: str) -> None:
    """End with the way out if an optional requirement is not there."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        way = f"pip install 'agentrm-plugins[{extra}]'"
        typer.echo(f"This needs {', '.join(missing)}: {way}", err=True)
        raise typer.Exit(1)


def check_seeds(seeds: int | None) -> None:
    """Refuse a number of seeds that cannot be."""
    if seeds is not None and not 1 <= seeds <= MOST_SEEDS:
        raise typer.BadParameter(
            f"{seeds}: give a whole number from 1 to {MOST_SEEDS}", param_hint="--seeds"
        )


def writable(path: Path | None, option: str) -> None:
    """Refuse a file that could not be written, before any work is done for it."""
    if path is None:
        return
    folder = path.absolute().parent
    if path.is_dir():
        way = "is a folder; give a file's path"
    elif not folder.is_dir():
        way = "its folder does not exist; make it, or give another path"
    elif not os.access(path if path.exists() else folder, os.W_OK):
        way = "may not be written; give another path"
    else:
        return
    raise typer.BadParameter(f"{str(path)!r}: {way}", param_hint=option)
