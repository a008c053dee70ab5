"""The effective configuration for people and programs: each value with who says it, no secret."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from agentrm_plugins.config import Config
from agentrm_plugins.redaction import HIDDEN, masked, names_a_secret, without_login
from agentrm_plugins.settings.schema import LISTS, TABLES, is_address

if TYPE_CHECKING:
    from agentrm_plugins.settings.loading import Settings
    from agentrm_plugins.settings.schema import Path

__all__ = ["DEFAULT", "Setting", "as_json", "as_lines", "rows"]

DEFAULT = "default"
_WIDEST = 60


class Setting(NamedTuple):
    """One value: its name, itself as plain data, and who says it."""

    name: str
    value: Any
    source: str

    @property
    def layer(self) -> str:
        """The layer: "default", "file", "environment" or "code"."""
        if self.source in {DEFAULT, "code"}:
            return self.source
        return "environment" if self.source.startswith("AGENTRM_") else "file"


def rows(settings: Settings) -> list[Setting]:
    """All values, in the order of the reference."""
    return list(_rows(settings))


def _rows(settings: Settings) -> Iterator[Setting]:
    origins = settings.origins
    for field in fields(Config):
        yield from _below(origins, (field.name,), getattr(settings.config, field.name))
    yield from _below(origins, ("retry",), settings.retry)
    yield from _below(origins, ("context",), settings.context)
    yield from _below(origins, ("coordination",), settings.coordination)
    if settings.record:
        for name, value in settings.record.items():
            yield _setting(origins, ("record", name), value)
    else:
        yield _setting(origins, ("record",), None)
    yield _setting(origins, ("monitor",), settings.monitor)


def _below(origins: Mapping[Path, str], path: Path, value: Any) -> Iterator[Setting]:
    if is_dataclass(value) and path[0] != "providers":
        for field in fields(value):
            yield from _below(origins, (*path, field.name), getattr(value, field.name))
    elif len(path) == 1 and path[0] in TABLES and value:
        for key, entry in value.items():
            yield from _below(origins, (*path, key), entry)
    elif len(path) == 1 and path[0] in LISTS and value:
        for at, entry in enumerate(value):
            yield from _below(origins, (*path, str(at)), entry)
    else:
        yield _setting(origins, path, value)


def _setting(origins: Mapping[Path, str], path: Path, value: Any) -> Setting:
    source = DEFAULT
    for end in range(len(path), 0, -1):
        if path[:end] in origins:
            source = origins[path[:end]]
            break
    return Setting(_name(path), _plain(path, value), source)


def _name(path: Path) -> str:
    text = path[0]
    for part in path[1:]:
        if part.isdigit() and path[0] in LISTS:
            text += f"[{part}]"
        elif part.isidentifier():
            text += f".{part}"
        else:
            text += f".{json.dumps(masked(part), ensure_ascii=False)}"
    return text


def _plain(path: Path, value: Any) -> Any:
    """As JSON takes it; what is an object is told by its type, and a secret not at all."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, str):
        if names_a_secret(path[-1]):
            return HIDDEN
        return masked(without_login(value) if is_address(path, value) else value)
    if isinstance(value, Mapping):
        return {str(key): _plain((*path, str(key)), one) for key, one in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        return [_plain(path, one) for one in value]
    return f"<{type(value).__name__}>"


def as_lines(settings: Settings, *, changed: bool = False) -> list[str]:
    """Columns: name = value, and who says it."""
    shown = [row for row in rows(settings) if not changed or row.source != DEFAULT]
    texts = [f"{row.name} = {json.dumps(row.value, ensure_ascii=False)}" for row in shown]
    width = min(max(map(len, texts), default=0), _WIDEST)
    return [f"{text:{width}}  {row.source}" for text, row in zip(texts, shown, strict=True)]


def as_json(settings: Settings, *, changed: bool = False) -> str:
    """An object of all values by name, each with its value, source and layer."""
    told = {
        row.name: {"value": row.value, "source": row.source, "layer": row.layer}
        for row in rows(settings)
        if not changed or row.source != DEFAULT
    }
    return json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False)
