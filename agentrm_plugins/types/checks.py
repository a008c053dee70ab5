"""Checks of what users give: one set for the whole house, so that every message reads alike.

Each check gives the value back, or raises `ConfigError`, whose text is ``field=value: way out``.
A boolean is no number here, an infinite or undefined number is none, and no number is too large to
be refused politely. What Python takes for an index (an integer of numpy) is a whole number, and a
real number of another library is a number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from math import inf, isfinite
from numbers import Real
from operator import index
from typing import Any, TypeVar, cast

from agentrm_plugins.errors import ConfigError

__all__ = [
    "check_choice",
    "check_group",
    "check_instance",
    "check_known",
    "check_name",
    "check_number",
    "check_seconds",
    "check_share",
    "check_whole",
    "keep",
    "keep_whole",
    "listed",
    "whole_text",
]

T = TypeVar("T")


def listed(words: Iterable[object]) -> str:
    """Give words as a message names them: in quotes, with commas."""
    return ", ".join(repr(str(word)) for word in words)


def _number(value: Any) -> float | None:
    """A finite number as Python's own; None if it is none."""
    if value.__class__ is not float and value.__class__ is not int:
        if isinstance(value, bool) or not isinstance(value, Real):
            return None
        whole = _whole(value)
        value = value if whole is None else whole
    try:
        value = value if value.__class__ is int else float(value)
        return value if isfinite(value) else None
    except OverflowError:  # a number beyond what a float holds
        return None


def _whole(value: Any) -> int | None:
    """A whole number as Python's own; None if it is none."""
    if value.__class__ is int:
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return None
    try:
        return int(index(value))
    except TypeError:  # a truth of numpy, or an array
        return None


def _or_none(way: str, none: bool) -> str:
    return f"{way}, or None" if none else way


def check_whole(
    field: str,
    value: Any,
    least: int = 0,
    most: int | None = None,
    *,
    none: bool = False,
    of: str = "",
) -> Any:
    """Accept a whole number from `least` to `most` (and None, if `none`), and give Python's own.

    Args:
        field: What it is called.
        value: What was given.
        least: The smallest accepted.
        most: The largest accepted; None: any.
        none: Whether None will do.
        of: What is counted, for the message: "tokens".

    Raises:
        ConfigError: Anything else.
    """
    if none and value is None:
        return value
    whole = _whole(value)
    if whole is not None and whole >= least and (most is None or whole <= most):
        return whole
    kind = f"a whole number of {of}" if of else "a whole number"
    bounds = f", {least} or more" if most is None else f" from {least} to {most}"
    raise ConfigError(field, value, _or_none(f"give {kind}{bounds}", none))


def keep_whole(
    owner: object,
    field: str,
    least: int = 0,
    most: int | None = None,
    *,
    none: bool = False,
    of: str = "",
) -> None:
    """`check_whole` for a field of a frozen object, which keeps Python's own number.

    Raises:
        ConfigError: It has no such number.
    """
    keep(owner, check_whole, field, least, most, none=none, of=of)


def keep(owner: object, check: Callable[..., Any], field: str, *bounds: Any, **terms: Any) -> None:
    """Check a field of a frozen object, which keeps what the check gives: Python's own number.

    Args:
        owner: The object.
        check: One of these checks.
        field: Its field.
        bounds: For the check, as `terms`.
        terms: For the check.

    Raises:
        ConfigError: As the check.
    """
    value = getattr(owner, field)
    kept = check(field, value, *bounds, **terms)
    if kept is not value:
        object.__setattr__(owner, field, kept)


def check_number(
    field: str,
    value: Any,
    least: float = 0.0,
    most: float = inf,
    *,
    above: bool = False,
    none: bool = False,
) -> Any:
    """Accept a finite number from `least` (or above it, if `above`) to `most`.

    Args:
        field: What it is called.
        value: What was given.
        least: The smallest accepted, or with `above` the bound below which nothing is.
        most: The largest accepted.
        above: Whether `least` itself is refused.
        none: Whether None will do.

    Raises:
        ConfigError: Anything else.
    """
    if none and value is None:
        return value
    number = _number(value)
    if number is not None and least <= number <= most and not (above and number == least):
        return number
    if most == inf:
        way = "give a finite number" + (f" above {least:g}" if above else f", {least:g} or more")
    else:
        bounds = f"above {least:g}, at most {most:g}" if above else f"from {least:g} to {most:g}"
        way = f"give a number {bounds}"
    raise ConfigError(field, value, _or_none(way, none))


def check_seconds(field: str, value: Any, *, zero: bool = False, none: bool = True) -> Any:
    """Accept a finite positive number of seconds (0 as well, if `zero`; None, if `none`).

    Raises:
        ConfigError: Anything else.
    """
    if none and value is None:
        return value
    number = _number(value)
    if number is not None and (number > 0 or (zero and number == 0)):
        return number
    least = "0 or more" if zero else "more than 0"
    way = f"give seconds as a finite number, {least}"
    if value is None:
        way += "; a large number for 'nearly never'"
    raise ConfigError(field, value, _or_none(way, none))


def check_share(field: str, value: Any, *, zero: bool = False, of: str = "") -> Any:
    """Accept a share: above 0 (or 0 as well, if `zero`) and at most 1.

    Raises:
        ConfigError: Anything else.
    """
    number = _number(value)
    if number is not None and 0 <= number <= 1 and (zero or number > 0):
        return number
    bounds = "from 0 to 1" if zero else "above 0 and at most 1"
    raise ConfigError(field, value, f"give a share{of and f' of {of}'}, {bounds}")


def check_name(field: str, value: Any, *, none: bool = False) -> Any:
    """Accept a string that is not empty and that any file can hold (and None, if `none`).

    Raises:
        ConfigError: Anything else.
    """
    way = "give a name that is a string and not empty"
    if (none and value is None) or (isinstance(value, str) and value):
        if value is None or value.isascii() or whole_text(value) == value:
            return value
        way = "give a name without half a surrogate pair, which no file, store or server can hold"
    raise ConfigError(field, value, way + (", or leave it out" if none else ""))


def whole_text(text: str) -> str:
    """The same text, in which half a surrogate pair is written as its escape.

    For names that others gave to what runs (a thread id): they are no argument to be refused.
    """
    return text.encode("utf-8", "backslashreplace").decode()


def check_choice(field: str, value: Any, words: Collection[object], *, none: bool = False) -> Any:
    """Accept one of the words (and None, if `none`).

    Raises:
        ConfigError: Anything else.
    """
    if none and value is None:
        return value
    try:
        found = value in words
    except TypeError:  # no word at all: a list, a dict
        found = False
    if found:
        return value
    way = f"use one of {listed(words)}"
    raise ConfigError(field, value, way + (", or leave it out" if none else ""))


def check_instance(field: str, value: Any, kind: type[T] | tuple[type, ...], way: str = "") -> T:
    """Accept an object of a kind. What else was given is named by its type alone.

    Args:
        field: What it is called.
        value: What was given.
        kind: Its class, or several.
        way: The way out, if there is more to say than to give such an object.

    Raises:
        ConfigError: Anything else.
    """
    if isinstance(value, kind):
        return cast("T", value)
    name = kind.__name__ if isinstance(kind, type) else " or ".join(k.__name__ for k in kind)
    way = way or f"give {'an' if name[0] in 'AEIOU' else 'a'} {name}(...)"
    if value is None or isinstance(value, str | int | float):
        raise ConfigError(field, value, way)
    raise ConfigError.of_kind(field, value, way)


def check_known(names: Iterable[str], known: Collection[str], values: Any = None) -> None:
    """Accept settings only if all their names are known.

    Raises:
        ConfigError: One is not.
    """
    for name in names:
        if name not in known:
            value = values[name] if values is not None else None
            raise ConfigError(name, value, f"no such setting; use one of {listed(sorted(known))}")


def check_group(field: str, value: Any, groups: Iterable[Any], *, none: bool = False) -> Any:
    """Accept the name of one of the core's lane groups (and None, if `none`).

    Args:
        field: What it is called.
        value: What was given.
        groups: The core's `config.groups`.
        none: Whether None will do: no lane.

    Raises:
        ConfigError: Anything else.
    """
    names = sorted(group.name for group in groups)
    if (none and value is None) or (isinstance(value, str) and value in names):
        return value
    way = f"use one of the configured groups: {listed(names)}"
    raise ConfigError(field, value, f"{way}; or add LaneGroup(...)" + (", or None" * none))
