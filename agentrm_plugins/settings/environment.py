"""The environment as a layer: ``AGENTRM_LANES=4``, ``AGENTRM_LEASES__SILENCE_TIMEOUT_S=30``.

A double underscore goes one table down. Tables by name and arrays are JSON, for an endpoint's name
cannot be part of a variable's: ``AGENTRM_ENDPOINTS='{"api.openai.com/*": {"rpm": 500}}'``. An empty
variable says nothing, but for ``AGENTRM_COORDINATION``, where it says that this process is alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.redaction import HIDDEN
from agentrm_plugins.settings.layers import Layer, layer_of, refused
from agentrm_plugins.settings.schema import (
    LISTS,
    SECTIONS,
    TABLES,
    Path,
    kind_of,
    names_at,
    placed,
)
from agentrm_plugins.types.plain import parsed

__all__ = ["CONFIG", "PREFIX", "environment_layer"]

PREFIX = "AGENTRM_"
CONFIG = "AGENTRM_CONFIG"
"""Names the file."""
_OTHERS = {CONFIG}  # ours, and no settings
_OTHER_PREFIXES = ("AGENTRM_TEST_",)  # of this project's own tests
_YES, _NO = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
_NONE = {"none", "null"}
_DEPTH = 2


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """The layer of the variables that begin with ``AGENTRM_``.

    Raises:
        ConfigError: A variable that is no setting, or one that is said twice.
    """
    layer = Layer("environment")
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable in _OTHERS:
            continue
        if variable.startswith(_OTHER_PREFIXES):
            continue
        text = environ[variable]
        if text or variable == "AGENTRM_COORDINATION":
            _put(layer, variable, text)
    return layer


def _put(layer: Layer, variable: str, text: str) -> None:
    parts = variable.removeprefix(PREFIX).lower().split("__")
    top = parts[0]
    if top not in names_at(()) or len(parts) > _DEPTH:
        raise _unknown(variable, parts)
    if len(parts) == _DEPTH:
        if top not in SECTIONS and top != "record":
            way = f"give the whole of it as JSON in {PREFIX}{top.upper()}"
            raise ConfigError.of_kind(variable, text, way)
        if parts[1] not in names_at((top,)):
            raise _unknown(variable, parts)
        plain: dict[str, Any] = {top: {parts[1]: _value(tuple(parts), text)}}
    elif top in TABLES or top in LISTS or top in SECTIONS or top == "record":
        plain = {top: _table(top, text, variable)}
    else:
        plain = {top: _value(placed(top), text)}
    given = layer_of("environment", plain, lambda _: variable)
    for path, value in given.values.items():
        layer.put(path, value, variable)


def _unknown(variable: str, parts: list[str]) -> ConfigError:
    """The error for a variable that is no setting. Its value is not shown: it may be a secret."""
    known = {*names_at(()), CONFIG.removeprefix(PREFIX).lower()}
    for section in (*SECTIONS, "record"):
        known |= {f"{section}__{name}" for name in names_at((section,))}
    near = get_close_matches("__".join(parts), sorted(known), 1, 0.7)
    way = "the reference of the configuration lists them all"
    if near:
        way = f"did you mean {PREFIX + near[0].upper()!r}?"
    error = ConfigError(variable, HIDDEN, f"there is no such setting; {way}")
    error.args = (f"{variable}: {error.remedy}",)
    return error


def _table(top: str, text: str, variable: str) -> Any:
    """JSON, or the one text that stands for the whole."""
    if top in {"coordination", "record"} and not text.lstrip().startswith("{"):
        return text
    try:
        return parsed(text)
    except ValueError as error:
        kind = "array of objects" if top in LISTS else "object"
        told = getattr(error, "msg", "it cannot be read")
        way = f"give a JSON {kind}: {told}"
        raise refused((top,), "(not shown)", way, variable) from None


def _value(path: Path, text: str) -> Any:
    """The value that a text stands for, by the type of its setting; the text itself if none."""
    kind = kind_of(path)
    word = text.strip().lower()
    if "None" in kind and word in _NONE:
        return None
    if "bool" in kind and word in _YES | _NO:
        return word in _YES
    if kind.startswith(("tuple", "Mapping")):
        return _collection(kind, text)
    if "int" in kind or "float" in kind:
        return _number(text)
    return text


def _number(text: str) -> Any:
    for make in (int, float):
        try:
            return make(text)
        except ValueError:
            continue
    return text


def _collection(kind: str, text: str) -> Any:
    try:
        return parsed(text)
    except ValueError:
        if kind.startswith("tuple"):
            numbers = "float" in kind
            return [_number(part) if numbers else part.strip() for part in text.split(",")]
        return text
