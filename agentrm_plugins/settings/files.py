"""Which file the settings stand in, and its text. The only part that touches the disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.settings.environment import CONFIG
from agentrm_plugins.settings.layers import Layer
from agentrm_plugins.settings.toml import has_table, toml_layer

__all__ = ["file_layer"]

_OWN, _PROJECT = "agentrm.toml", "pyproject.toml"
_MOST_BYTES = 1_000_000
"""A larger file is no configuration. Guessed."""


def file_layer(
    path: str | os.PathLike[str] | None, environ: Mapping[str, str], folder: Path
) -> Layer | None:
    """The layer of the file that is named, or else found; None: there is none.

    Looked at are the folder and those above it up to the project's own (the first with a
    pyproject.toml or a .git); outside a project only the folder. An agentrm.toml goes before the
    pyproject.toml beside it. So a file of somebody else, further up, is never taken.

    Args:
        path: The file; None: that of ``AGENTRM_CONFIG``, or the first that is found.
        environ: The environment.
        folder: Where to look.

    Raises:
        ConfigError: The file cannot be read, or says what cannot be.
    """
    named = path if path is not None else environ.get(CONFIG)
    if named is None or named == "":
        found = _found(folder)
        return None if found is None else _layer(found, _shown(found, folder))
    if not isinstance(named, str | os.PathLike):
        raise ConfigError("path", named, "give the path of a TOML file, or None to look for one")
    return _layer(folder / named, str(named))


def _found(folder: Path) -> Path | None:
    candidates = []
    for here in (folder, *folder.parents):
        candidates += [here / _OWN, here / _PROJECT]
        if (here / _PROJECT).is_file() or (here / ".git").exists():
            break
    else:
        candidates = candidates[:2]
    for file in candidates:
        if file.is_file() and (file.name == _OWN or has_table(_text(file, str(file)))):
            return file
    return None


def _shown(file: Path, folder: Path) -> str:
    return file.name if file.parent == folder else str(file)


def _layer(file: Path, name: str) -> Layer:
    return toml_layer(_text(file, name), name, pyproject=file.name == _PROJECT)


def _text(file: Path, name: str) -> str:
    try:
        if file.is_dir():
            raise ConfigError("path", name, "this is a folder; give the path of a TOML file")
        if file.stat().st_size > _MOST_BYTES:
            raise ConfigError("path", name, "more than a megabyte is no settings file")
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError("path", name, "it is not UTF-8, as TOML has to be") from None
    except OSError as error:
        way = f"{error.strerror}; give the path of a TOML file that can be read"
        raise ConfigError("path", name, way) from None
