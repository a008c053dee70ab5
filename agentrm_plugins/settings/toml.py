"""A TOML file as a layer: `agentrm.toml`, or ``[tool.agentrm]`` of a pyproject.toml.

The standard library's parser gives no lines; so they are looked up afterwards, by the headers and
keys that the text has. What is written in an unusual way is told by its table's line.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.settings.layers import Layer, layer_of
from agentrm_plugins.settings.schema import Path

__all__ = ["has_table", "lines_of", "toml_layer"]

_PYPROJECT = ("tool", "agentrm")
_HEADER = re.compile(r"\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(
    r"""\s*((?:[\w-]+|"(?:[^"\\]|\\.)*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_OURS = re.compile(r"^[ \t]*\[{1,2}[ \t]*tool[ \t]*\.[ \t]*agentrm\b", re.MULTILINE)
_MOST_DOTS = 1000
_QUOTED = re.compile(r"[\"'#]")
_PART = re.compile(r"""[\w-]+|"((?:[^"\\]|\\.)*)"|'([^']*)'""")


def _loaded(text: str) -> dict[str, Any]:
    """Read TOML.

    Raises:
        ValueError: It is none, or has a key of more than `_MOST_DOTS` parts: the time that Python's
            parser takes for one grows with the square of them.
    """
    for line in text.splitlines():
        if (
            line.count(".") > _MOST_DOTS
            and _QUOTED.split(line, maxsplit=1)[0].count(".") > _MOST_DOTS
        ):
            raise ValueError(f"a key of more than {_MOST_DOTS} parts")
    return tomllib.loads(text)


def _parsed(text: str, name: str) -> dict[str, Any]:
    try:
        return _loaded(text)
    except (ValueError, RecursionError) as error:  # of the parser, of a number, of the depth
        told = str(error).split("\n", 1)[0]
        raise ConfigError("path", name, f"this is no valid TOML: {told}") from None


def _inner(plain: Mapping[str, Any], name: str, *, pyproject: bool) -> Any:
    if not pyproject:
        return plain
    tool = plain.get("tool", {})
    inner = tool.get("agentrm", {}) if isinstance(tool, Mapping) else {}
    if not isinstance(inner, Mapping):
        raise ConfigError.of_kind("tool.agentrm", inner, f"give a table (from {name})")
    return inner


def has_table(text: str) -> bool:
    """Whether a pyproject.toml has a table for us; of one that is no TOML, whether it looks so."""
    try:
        plain = _loaded(text)
    except (ValueError, RecursionError):
        return _OURS.search(text) is not None
    tool = plain.get("tool")
    return isinstance(tool, Mapping) and "agentrm" in tool


def toml_layer(text: str, name: str, *, pyproject: bool = False) -> Layer:
    """The layer of a file's text.

    Args:
        text: Of the file.
        name: Its path, for errors and origins.
        pyproject: Whether only its table ``[tool.agentrm]`` is ours.

    Raises:
        ConfigError: It is no TOML, or has a setting that does not exist.
    """
    lines = lines_of(text)
    prefix = _PYPROJECT if pyproject else ()

    def origin(path: Path) -> str:
        whole = (*prefix, *path)
        while whole and whole not in lines:
            whole = whole[:-1]
        return f"{name}:{lines[whole]}" if whole else name

    return layer_of("file", _inner(_parsed(text, name), name, pyproject=pyproject), origin)


def lines_of(text: str) -> dict[Path, int]:
    r"""The line on which each table and key begins; entries of arrays have their number as a part.

    >>> lines_of("lanes = 3\n[scheduler]\norder = 'fifo'\n")[("scheduler", "order")]
    3
    """
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header is not None and "=" not in header[2].split('"')[0]:
            table = _parts(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                found.setdefault(table, number)
                table = (*table, str(counts[table]))
            found.setdefault(table, number)
            continue
        key = _KEY.match(line)
        if key is not None:
            path = (*table, *_parts(key[1]))
            for least in range(len(table) + 1, len(path) + 1):
                found.setdefault(path[:least], number)
    return found


def _parts(text: str) -> Path:
    return tuple(
        next((group for group in part.groups() if group is not None), part[0])
        for part in _PART.finditer(text)
    )
