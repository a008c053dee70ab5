"""What one provider says in its own words, as a table: statuses, codes, words, headers, times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.types.checks import check_choice, check_name, check_seconds, keep, listed
from agentrm_plugins.types.verdicts import RESOURCES, Kind

__all__ = ["LimitHeaders", "Provider"]

_STATUSES = range(400, 600)
_NOTHING: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class LimitHeaders:
    """The names of the headers that tell of one limit, in any case; "" for one that is not sent.

    Args:
        resource: "requests", "tokens", "input_tokens" or "output_tokens".
        limit: The header with the units per window.
        remaining: With the units left.
        reset: With the time until it is whole again, or that moment.
        window_s: Seconds of the window, where the names say so; None: found out.
    """

    resource: str
    limit: str = ""
    remaining: str = ""
    reset: str = ""
    window_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse what could never be read."""
        check_choice("resource", self.resource, RESOURCES)
        keep(self, check_seconds, "window_s")
        for name in ("limit", "remaining", "reset"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise ConfigError(name, value, "give a header's name, or ''")
            object.__setattr__(self, name, value.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider's, gateway's or library's table. All but its name may be left out.

    A *kind* is "limit", "overloaded", "transient" (again), "permanent" (never again) or "neutral"
    (not the provider's doing).

    Args:
        name: What it is called.
        source: Where this is written.
        statuses: HTTP statuses from 400 to 599, and their kinds.
        codes: The error's ``code``, ``type`` or ``status``, in any case and punctuation.
        names: Names of the classes that its exceptions derive from.
        words: Phrases of its messages, as whole words; "..." stands for up to 40 characters. One
            with "|" offers words in the place of each other, whose rest may be "*".
        billing: Phrases or codes of an account without money: never again.
        quota: Phrases that mean the same, unless a wait is named beside them: then it is a limit.
        too_long: Phrases or codes of a prompt longer than the model's window: never again.
        limits: The headers that tell of its limits: mappings with ``resource``, ``limit``,
            ``remaining``, ``reset`` and ``window_s``, of which all but the first may be left out.
        waits: Headers that tell how long to stay away, beside ``retry-after``; a name that ends in
            "-ms" is read as milliseconds.

    Raises:
        ConfigError: A field that could never fit anything.
    """

    name: str
    source: str = ""
    statuses: Mapping[int, Kind | str] = field(default_factory=lambda: _NOTHING)
    codes: Mapping[str, Kind | str] = field(default_factory=lambda: _NOTHING)
    names: Mapping[str, Kind | str] = field(default_factory=lambda: _NOTHING)
    words: Mapping[str, Kind | str] = field(default_factory=lambda: _NOTHING)
    billing: tuple[str, ...] = ()
    quota: tuple[str, ...] = ()
    too_long: tuple[str, ...] = ()
    limits: tuple[LimitHeaders, ...] = ()
    waits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check each field; the mappings are kept as frozen copies."""
        check_name("name", self.name)
        for name in ("statuses", "codes", "names", "words"):
            object.__setattr__(self, name, self._kinds(name))
        for name in ("billing", "quota", "too_long", "waits"):
            object.__setattr__(self, name, self._phrases(name))
        limits = tuple(_headers(limit) for limit in self._listed("limits"))
        object.__setattr__(self, "limits", limits)

    def _kinds(self, name: str) -> Mapping[Any, Kind]:
        given = getattr(self, name)
        if not isinstance(given, Mapping):
            raise ConfigError(name, given, "give a mapping to kinds")
        found = {}
        for key, kind in given.items():
            if name == "statuses":
                if isinstance(key, bool) or not isinstance(key, int) or key not in _STATUSES:
                    raise ConfigError(name, key, "give HTTP statuses from 400 to 599")
            elif not isinstance(key, str) or not key.strip():
                raise ConfigError(name, key, "give words")
            if kind not in list(Kind):
                raise ConfigError(f"{name}[{key!r}]", kind, f"use one of {listed(Kind)}")
            found[key] = Kind(kind)
        return MappingProxyType(found)

    def _phrases(self, name: str) -> tuple[str, ...]:
        phrases = self._listed(name)
        if [each for each in phrases if not isinstance(each, str) or not each.strip()]:
            raise ConfigError(name, phrases, "give a tuple of words")
        return phrases

    def _listed(self, name: str) -> tuple[Any, ...]:
        given = getattr(self, name)
        if isinstance(given, str):
            raise ConfigError(name, given, "give a tuple of words")
        if isinstance(given, bytes | Mapping) or not isinstance(given, Iterable):
            raise ConfigError.of_kind(name, given, "give a tuple")
        return tuple(given)

    def __reduce__(self) -> tuple[Any, ...]:
        """Mapping proxies cannot be pickled; plain copies can."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        plain = {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in values.items()
        }
        return (_again, (plain,))


def _headers(given: Any) -> LimitHeaders:
    if isinstance(given, LimitHeaders):
        return given
    known = {each.name for each in fields(LimitHeaders)}
    if not isinstance(given, Mapping) or "resource" not in given or not known >= set(given):
        raise ConfigError("limits", given, f"give mappings with {listed(sorted(known))}")
    return LimitHeaders(**given)


def _again(values: dict[str, Any]) -> Provider:
    return Provider(**values)
