"""What somebody asks a running core to change, as plain data: the arguments of `AgentRM.update`.

Law: the names are those of the configuration. `arguments` makes its objects; what is given takes
the place of what was. With the configuration that holds it is laid over that instead: of a table
(endpoints, tenants, prices) only the entries that are named change, of an entry or a section only
the fields that are named. An entry that is new stands first: of patterns the first that fits
counts. Arrays (groups, budgets, shares) and plain values are given whole.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from agentrm_plugins.config import (
    BreakerConfig,
    BudgetConfig,
    Config,
    EndpointConfig,
    LaneGroup,
    LeaseConfig,
    Price,
    ShareConfig,
    TenantConfig,
)
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.types.arguments import no_such_argument

__all__ = ["ACTIONS", "about", "arguments", "typed"]

ACTIONS = frozenset({"end", "drain", "let_in", "prioritise", "change"})
"""What can be done to a core that runs."""
_LONGEST = 10_000
"""Characters of a line that somebody types. Python's reader of TOML takes seconds over dotted names
of ten times that."""

_TABLES: dict[str, type[Any]] = {
    "endpoints": EndpointConfig,
    "tenants": TenantConfig,
    "prices": Price,
}
_LISTS: dict[str, type[Any]] = {"groups": LaneGroup, "budgets": BudgetConfig, "shares": ShareConfig}
_SECTIONS: dict[str, type[Any]] = {"leases": LeaseConfig, "breaker": BreakerConfig}


def about(what: str, agent: str, tenant: str, priority: str = "") -> dict[str, Any]:
    """Make the request of the monitor's socket that does something about an agent.

    >>> about("let_in", "ada", "default")
    {'do': 'drain', 'agent': 'ada', 'tenant': 'default', 'drain': False}
    """
    who = {"do": what, "agent": agent, "tenant": tenant}
    if what == "let_in":
        return who | {"do": "drain", "drain": False}
    return who | ({"priority": priority} if priority else {})


def typed(text: str) -> dict[str, Any]:
    """Read a line of settings as they stand in a TOML file, with commas between them.

    Raises:
        ConfigError: It is none.

    >>> typed('lanes = 8, endpoints."api.test/*".rpm = 60')
    {'lanes': 8, 'endpoints': {'api.test/*': {'rpm': 60}}}
    """
    way = 'write it as in agentrm.toml: lanes = 8, endpoints."api.test/*".rpm = 60'
    if not text.strip() or "\n" in text or len(text) > _LONGEST:
        raise ConfigError("change", text, way)
    try:
        found: dict[str, Any] = tomllib.loads(f"change = {{ {text} }}")["change"]
    except (tomllib.TOMLDecodeError, RecursionError):
        raise ConfigError("change", text, way) from None
    return found


def arguments(plain: Mapping[str, Any], over: Config | None = None) -> dict[str, Any]:
    """The arguments of `AgentRM.update`.

    Args:
        plain: Plain data with the configuration's names.
        over: What it is laid over; None: what is given is all that there is.

    Raises:
        ConfigError: A field does not exist, or something is not what it should be.
    """
    given = dict(plain)
    for name, value in plain.items():
        old = None if over is None else getattr(over, name, None)
        if name in _TABLES:
            given[name] = _table(name, value, old or {})
        elif name in _LISTS:
            if not isinstance(value, list):
                raise ConfigError(name, value, "give an array of objects")
            given[name] = [_one(_LISTS[name], name, one, None) for one in value]
        elif name in _SECTIONS:
            given[name] = _one(_SECTIONS[name], name, value, old)
    return given


def _table(name: str, value: Any, old: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(name, value, "give an object with an object for each entry")
    made = {
        key: _one(_TABLES[name], f"{name}.{key}", entry, old.get(key))
        for key, entry in value.items()
    }
    first = {key: one for key, one in made.items() if key not in old}
    return first | {key: made.get(key, one) for key, one in old.items()}


def _one(kind: type[Any], where: str, value: Any, old: Any) -> Any:
    if not isinstance(value, Mapping):
        raise ConfigError(where, value, "give an object with the fields of it")
    known = [field.name for field in fields(kind)]
    for name in value:
        if name not in known:
            raise no_such_argument(name, value[name], known)
    try:
        return kind(**value) if old is None else replace(old, **value)
    except TypeError as error:
        raise ConfigError(where, value, f"give all the fields that it needs ({error})") from None
