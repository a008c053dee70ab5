"""One layer: plain values by path, each with where it comes from.

Law: a value of a higher layer takes the place of the lower one's at the same path. Tables are
joined entry by entry and field by field, arrays are not. A name that does not exist is an error
that says which one was probably meant; a value is looked at where the whole is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.redaction import HIDDEN, without_login
from agentrm_plugins.settings.schema import (
    CODE_ONLY,
    LISTS,
    SECTIONS,
    TABLES,
    Path,
    dotted,
    is_address,
    names_at,
    placed,
)

__all__ = ["Layer", "layer_of", "refused", "told", "unknown"]

_NAMELESS = {"coordination": "server", "record": "path"}  # what one text stands for


@dataclass(slots=True)
class Layer:
    """Values and their origins, by path.

    Attributes:
        name: What it is: "file", "environment" or "code".
        values: As plain data.
        origins: Where each is said: "agentrm.toml:3", "AGENTRM_LANES", "code".
        whole: Paths below which nothing of lower layers remains.
    """

    name: str
    values: dict[Path, Any] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)
    whole: set[Path] = field(default_factory=set)

    def put(self, path: Path, value: Any, origin: str) -> None:
        """Say a value.

        Raises:
            ConfigError: The layer says it already, under another spelling.
        """
        if path in self.values:
            way = f"it is said twice, in {self.origins[path]} and in {origin}; leave one out"
            raise ConfigError(dotted(path), told(path, value), way)
        self.values[path] = value
        self.origins[path] = origin


def told(path: Path, value: Any) -> Any:
    """What an error may show of a value."""
    if isinstance(value, str):
        return without_login(value) if is_address(path, value) else value
    return value if value is None or isinstance(value, int | float) else type(value).__name__


def refused(path: Path, value: Any, way: str, origin: str) -> ConfigError:
    """The error for a value, which says where it comes from."""
    where = f" (from {origin})" if origin else ""
    return ConfigError(dotted(path), told(path, value), f"{way}{where}")


def unknown(name: str, known: set[str], origin: str, above: Path = ()) -> ConfigError:
    """The error for a name that does not exist. Its value is not shown: it may be a secret."""
    near = get_close_matches(name.lower(), sorted(known), 1)
    way = f"did you mean {near[0]!r}?" if near else f"it can be {', '.join(sorted(known))}"
    error = ConfigError(dotted((*above, name)), HIDDEN, f"there is no such setting; {way}")
    error.args = (f"{dotted((*above, name))}: {error.remedy} (from {origin})",)
    return error


def layer_of(name: str, plain: Mapping[str, Any], origin: Callable[[Path], str]) -> Layer:
    """The layer of a nested mapping, such as a TOML file gives.

    Args:
        name: The layer's.
        plain: The mapping.
        origin: Where the value at a path (as the mapping has it) is said.

    Raises:
        ConfigError: A setting that does not exist, or one in the wrong place.
    """
    layer = Layer(name)
    for key, value in plain.items():
        if key not in names_at(()):
            if (key,) in CODE_ONLY:
                _code_only((key,), origin((key,)))
            raise unknown(key, names_at(()), origin((key,)))
        _put(layer, key, value, origin)
    return layer


def _put(layer: Layer, key: str, value: Any, origin: Callable[[Path], str]) -> None:
    here = (key,)
    if here in CODE_ONLY:
        _code_only(here, origin(here))
    if key in _NAMELESS and not isinstance(value, Mapping):
        layer.put((key, _NAMELESS[key]), value, origin(here))
    elif key in SECTIONS or key == "record":
        _fields(layer, here, here, _table(here, value, origin), origin)
    elif key in TABLES:
        for name, entry in _table(here, value, origin).items():
            _fields(layer, here, (key, name), _table((key, name), entry, origin), origin)
            if not entry:
                layer.put((key, name), {}, origin((key, name)))
    elif key in LISTS:
        _check_list(here, value, origin)
        layer.put(here, value, origin(here))
    else:
        layer.put(placed(key), value, origin(here))


def _fields(
    layer: Layer, kind: Path, path: Path, table: Mapping[str, Any], origin: Callable[[Path], str]
) -> None:
    for name, value in table.items():
        whole = (*path, name)
        if name not in names_at(kind):
            raise unknown(name, names_at(kind), origin(whole), path)
        if whole in CODE_ONLY:
            _code_only(whole, origin(whole))
        layer.put(whole, value, origin(whole))


def _table(path: Path, value: Any, origin: Callable[[Path], str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise refused(path, value, f"give a table, [{dotted(path)}]", origin(path))
    return value


def _check_list(path: Path, value: Any, origin: Callable[[Path], str]) -> None:
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        way = f"give an array of tables, [[{path[0]}]]"
        raise refused(path, value, way, origin(path))
    for at, entry in enumerate(value):
        for name in entry:
            if name not in names_at(path):
                raise unknown(name, names_at(path), origin((*path, str(at), name)), path)


def _code_only(path: Path, origin: str) -> None:
    way = f"only code can give it: {CODE_ONLY[path]}, to AgentRM or ContextConfig (from {origin})"
    raise ConfigError(dotted(path), HIDDEN, way)
