"""Which settings there are, and under which path each stands.

A path is a tuple: ``("scheduler", "order")``, ``("endpoints", "api.openai.com/*", "rpm")``. Fields
of the scheduler may stand at the top as well, as they may in ``AgentRM(order=...)``.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from agentrm_plugins.config import (
    BreakerConfig,
    BudgetConfig,
    Config,
    ContextConfig,
    Coordination,
    EndpointConfig,
    LaneGroup,
    LeaseConfig,
    Price,
    RetryConfig,
    SchedulerConfig,
    ShareConfig,
    TenantConfig,
)
from agentrm_plugins.redaction import masked

__all__ = [
    "CODE_ONLY",
    "LISTS",
    "RECORD",
    "SECTIONS",
    "TABLES",
    "TOP",
    "Path",
    "dotted",
    "field_names",
    "is_address",
    "kind_of",
    "names_at",
    "placed",
]

Path = tuple[str, ...]

SECTIONS: dict[str, type[Any]] = {
    "scheduler": SchedulerConfig,
    "leases": LeaseConfig,
    "breaker": BreakerConfig,
    "retry": RetryConfig,
    "context": ContextConfig,
    "coordination": Coordination,
}
"""Tables of one object each. The last three are no part of `Config`."""

TABLES: dict[str, type[Any]] = {
    "tenants": TenantConfig,
    "endpoints": EndpointConfig,
    "prices": Price,
}
"""Tables of objects by name."""

LISTS: dict[str, type[Any]] = {"groups": LaneGroup, "budgets": BudgetConfig, "shares": ShareConfig}
"""Arrays of tables; a higher layer's takes the place of a lower one's as a whole."""

CODE_ONLY = {
    ("providers",): "Provider(...) objects",
    ("context", "embeddings"): "an object that embeds",
    ("clock",): "a Clock",
}
"""What no text can say."""

RECORD = {
    "path": "str | None",
    "max_bytes": "int",
    "parts": "int",
    "flush_s": "float",
    "capacity": "int",
    "sample_s": "float | None",
    "kinds": "tuple[str, ...] | None",
    "fsync": "bool",
}
"""The fields of `Recording`, whose own room is above this one; a test holds the two together."""

_APART = {*SECTIONS, *TABLES, *LISTS, "providers"}
TOP = {
    **{field.name: str(field.type) for field in fields(Config) if field.name not in _APART},
    "monitor": "bool",
}
"""The plain values at the top, with their types."""


def field_names(section: str) -> dict[str, str]:
    """The fields of a section or of an entry of a table or list, with their types."""
    if section == "record":
        return RECORD
    kind = SECTIONS.get(section) or TABLES.get(section) or LISTS[section]
    return {field.name: str(field.type) for field in fields(kind)}


_SCHEDULER = field_names("scheduler")


def names_at(path: Path) -> set[str]:
    """What may stand below a path; () is the top."""
    if not path:
        return {*TOP, *SECTIONS, *TABLES, *LISTS, *_SCHEDULER, "record", "namespace", "providers"}
    return set(field_names(path[0]))


def placed(name: str) -> Path:
    """The path of what stands at the top of a file, or is an argument of `AgentRM`."""
    if name in _SCHEDULER:
        return ("scheduler", name)
    return ("coordination", "namespace") if name == "namespace" else (name,)


def kind_of(path: Path) -> str:
    """The type of the value at a path, as its dataclass writes it; "" where there is none."""
    if len(path) == 1:
        return TOP.get(path[0], "")
    return field_names(path[0]).get(path[-1], "")


def dotted(path: Path) -> str:
    """A path as people write it.

    >>> dotted(("endpoints", "api.openai.com/*", "rpm"))
    'endpoints["api.openai.com/*"].rpm'
    """
    parts = [masked(part) for part in path]
    if len(path) > 1 and path[0] in TABLES:
        return ".".join([f'{parts[0]}["{parts[1]}"]', *parts[2:]])
    return ".".join(parts)


def is_address(path: Path, value: str) -> bool:
    """Whether a text is the address of a server, in which a login may stand."""
    return path == ("coordination", "server") or "//" in value
