"""From merged plain values to the frozen objects; an error names the value's origin as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from agentrm_plugins.config import Config
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.settings.layers import Layer, refused, told
from agentrm_plugins.settings.schema import LISTS, SECTIONS, TABLES, TOP, Path, dotted, kind_of

__all__ = ["Merged", "config_of", "object_of", "section_of"]

T = TypeVar("T")
_TYPES = (("bool", bool, "True or False"), ("str", str, "a text"))


class Merged:
    """All layers on top of each other, the highest last."""

    def __init__(self, layers: list[Layer]) -> None:
        self.values: dict[Path, Any] = {}
        self.origins: dict[Path, str] = {}
        self._entries: dict[str, list[str]] = {}
        for layer in layers:
            for path in layer.whole:
                for below in [old for old in self.values if old[: len(path)] == path]:
                    del self.values[below], self.origins[below]
            self.values |= layer.values
            self.origins |= layer.origins
            for table in TABLES:
                self._order(table, layer)

    def _order(self, table: str, layer: Layer) -> None:
        """An entry that a higher layer adds comes first: of patterns the first that fits counts."""
        known = self._entries.setdefault(table, [])
        names = [path[1] for path in layer.values if path[0] == table and len(path) > 1]
        known[:0] = [name for name in dict.fromkeys(names) if name not in known]

    def entries(self, table: str) -> list[str]:
        """The names in a table, in the order in which they count."""
        return list(self._entries.get(table, ()))

    def below(self, *path: str) -> dict[Path, Any]:
        """The values below a path, by what remains of theirs."""
        return {
            whole[len(path) :]: value
            for whole, value in self.values.items()
            if whole[: len(path)] == path
        }

    def origin(self, path: Path) -> str:
        """Who says the value; "" if nobody does."""
        return self.origins.get(path, "")


def object_of(merged: Merged, kind: Callable[..., T], path: Path, given: Mapping[str, Any]) -> T:
    """An object of its fields; what it refuses is told with path and origin."""
    for name, value in given.items():
        _check_type(merged, (*path, name), value)
    try:
        return kind(**given)
    except ConfigError as error:
        name = error.field.partition("[")[0]
        whole = (*path, name)
        origin = merged.origin(whole) or merged.origin(path) or _any_origin(merged, path)
        field = dotted((*path, error.field)) if path else error.field
        where = f" (from {origin})" if origin else ""
        raise ConfigError(field, told(whole, error.value), f"{error.remedy}{where}") from None
    except TypeError:
        missing = [name for name in _needed(kind) if name not in given]
        way = f"give {', '.join(missing)}" if missing else "give what its fields take"
        raise refused(path, "", way, _any_origin(merged, path)) from None


def _any_origin(merged: Merged, path: Path) -> str:
    return next(
        (merged.origins[whole] for whole in merged.values if whole[: len(path)] == path), ""
    )


def _needed(kind: Any) -> list[str]:
    return [
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING
    ]


def _check_type(merged: Merged, path: Path, value: Any) -> None:
    """Refuse what a dataclass would not look at: a text for a switch, a number for a name."""
    kind = kind_of(path)
    if value is None and "None" in kind:
        return
    for word, wanted, way in _TYPES:
        if kind.split(" |")[0] == word and not isinstance(value, wanted):
            raise refused(path, value, f"give {way}", merged.origin(path))
    if kind.startswith("Mapping") and not isinstance(value, Mapping):
        raise refused(path, value, "give a table", merged.origin(path))
    if kind.startswith("tuple") and isinstance(value, str | int | float | Mapping):
        raise refused(path, value, "give an array", merged.origin(path))


def section_of(merged: Merged, section: str) -> Any:
    """The object of a section, such as "context"; of its defaults where nothing is said."""
    given = {path[0]: value for path, value in merged.below(section).items()}
    return object_of(merged, SECTIONS[section], (section,), given)


def config_of(merged: Merged) -> Config:
    """The core's own configuration."""
    parts: dict[str, Any] = {name: section_of(merged, name) for name in _OWN}
    for name, kind in TABLES.items():
        parts[name] = _table(merged, name, kind)
    for name, kind in LISTS.items():
        parts[name] = _list(merged, name, kind)
    with suppress(KeyError):
        parts["providers"] = merged.values["providers",]
    for name in TOP:
        if (name,) in merged.values and name != "monitor":
            parts[name] = merged.values[name,]
    return object_of(merged, Config, (), parts)


_OWN = ("scheduler", "leases", "breaker")


def _table(merged: Merged, name: str, kind: Any) -> dict[str, Any]:
    whole = merged.values.get((name,))
    if whole is not None:  # of code: objects
        made: dict[str, Any] = dict(whole)
        return made
    entries: dict[str, dict[str, Any]] = {key: {} for key in merged.entries(name)}
    for path, value in merged.below(name).items():
        if len(path) > 1:
            entries[path[0]][path[1]] = value
    return {key: object_of(merged, kind, (name, key), given) for key, given in entries.items()}


def _list(merged: Merged, name: str, kind: Any) -> tuple[Any, ...]:
    path = (name,)
    given = merged.values.get(path, ())
    made = []
    for at, entry in enumerate(given):
        if not isinstance(entry, Mapping):  # of code: an object
            made.append(entry)
            continue
        for field, value in entry.items():
            _check_type(merged, (name, str(at), field), value)
        try:
            made.append(kind(**entry))
        except ConfigError as error:
            where = f"{name}[{at}].{error.field}"
            way = f"{error.remedy} (from {merged.origin(path)})"
            raise ConfigError(where, error.value, way) from None
        except TypeError:
            missing = ", ".join(name for name in _needed(kind) if name not in entry)
            raise refused(path, f"[{at}]", f"give {missing}", merged.origin(path)) from None
    return tuple(made)
