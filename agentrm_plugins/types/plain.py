"""JSON-like data of any depth and size, read without recursion's end: what models write, and tools.

Law: data is kept as it is down to `DEEPEST` levels; what is nested deeper becomes its JSON text, so
nothing is lost and whatever walks or writes it comes to an end. Python's own decoder and encoder
give up at about a thousand levels, less the depth of whoever calls them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from agentrm_plugins.errors import BadMessage

__all__ = ["DEEPEST", "MOST_VALUES", "is_plain", "json_text", "parsed", "plain", "text_of"]

DEEPEST = 100
"""Levels. Guessed: ten times what providers' own formats and tools' schemas have."""
MOST_VALUES = 1_000_000
"""Values of one message. Guessed: 20 MB of JSON. What holds itself, or one part many times over in
many levels, has no end otherwise."""
_LONG_BITS = 10_000
"""Longer whole numbers are written in hexadecimal digits: Python refuses 4,300 decimal ones."""


def plain(value: Any) -> Any:
    """Copy JSON-like data: mappings and lists are new, leaves are shared.

    Raises:
        BadMessage: More than `MOST_VALUES` values.
    """
    return _copied(value, DEEPEST, [MOST_VALUES])


def is_plain(value: Any, levels: int = DEEPEST) -> bool:
    """Whether data is nested no deeper than `levels`. Texts are not looked at."""
    if isinstance(value, Mapping):
        return levels > 0 and all(is_plain(item, levels - 1) for item in value.values())
    if isinstance(value, list | tuple):
        return levels > 0 and all(is_plain(item, levels - 1) for item in value)
    return not isinstance(value, int) or value.bit_length() <= _LONG_BITS


def parsed(text: str | bytes) -> Any:
    """Read JSON text that others wrote: whoever walks what it gives comes to an end.

    Raises:
        ValueError: It is no JSON, or is nested deeper than `DEEPEST` levels.

    >>> parsed('{"a": [1]}')
    {'a': [1]}
    """
    try:
        value = json.loads(text)
    except RecursionError:
        value = None
        deep = True
    else:
        deep = not is_plain(value)
    if deep:
        raise ValueError(f"JSON nested deeper than {DEEPEST} levels, or with an endless number")
    return value


def _copied(value: Any, levels: int, left: list[int]) -> Any:
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, Mapping | list | tuple):
        left[0] -= 1 + len(value)
        if left[0] < 0:
            raise _too_many()
        if not levels:
            return text_of(value)
        if isinstance(value, Mapping):
            return {_key(key): _copied(item, levels - 1, left) for key, item in value.items()}
        return [_copied(item, levels - 1, left) for item in value]
    return _long(value) if isinstance(value, int) else value


def _key(key: Any) -> Any:
    """A key that JSON takes."""
    return key if isinstance(key, str | int | float | None) else _said(key)


def _long(number: int) -> Any:
    return f"{number:#x}" if number.bit_length() > _LONG_BITS else number


def _said(value: Any) -> str:
    """The text of what is no JSON, whatever its own methods do."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a user's object may raise anything
        return f"<{type(value).__name__}>"


def _too_many() -> BadMessage:
    way = "shorten it, or break it up; data that holds itself has no end"
    return BadMessage(f"a message of more than {MOST_VALUES:,} values: {way}")


def json_text(value: Any, **settings: Any) -> str:
    """Write JSON text of any data; what is no JSON is written as its text.

    Args:
        value: Anything.
        settings: Of `json.dumps`; not-ASCII characters stay as they are unless said otherwise.
    """
    settings = {"ensure_ascii": False, "default": _said, **settings}
    try:
        return json.dumps(value, **settings)
    except (RecursionError, TypeError, ValueError):
        return json.dumps(plain(value), **settings)


def text_of(value: Any) -> str:
    """Write JSON text of data as deep as may be, without recursion.

    Raises:
        BadMessage: More than `MOST_VALUES` values.
    """
    parts: list[str] = []
    left = MOST_VALUES
    waiting: list[Iterator[tuple[str, Any]]] = [iter((("", value),))]
    ends = [""]
    inside: list[int] = [0]
    while waiting:
        found = next(waiting[-1], None)
        if found is None:
            waiting.pop()
            inside.pop()
            parts.append(ends.pop())
            continue
        lead, item = found
        left -= 1
        if left < 0 or (len(inside) > DEEPEST and id(item) in inside):
            raise _too_many()
        parts.append(lead)
        if isinstance(item, Mapping):
            parts.append("{")
            ends.append("}")
            waiting.append(_pairs(item))
            inside.append(id(item))
        elif isinstance(item, list | tuple):
            parts.append("[")
            ends.append("]")
            waiting.append((", " if at else "", part) for at, part in enumerate(item))
            inside.append(id(item))
        else:
            leaf = _long(item) if isinstance(item, int) else item
            parts.append(json.dumps(leaf, ensure_ascii=False, default=_said))
    return "".join(parts)


def _pairs(item: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for at, (key, part) in enumerate(item.items()):
        name = json.dumps(_said(key), ensure_ascii=False)
        yield (", " if at else "") + name + ": ", part
