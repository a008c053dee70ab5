"""What one process of a fleet was told at its beginning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from agentrm_plugins.policy.marks import marks_of

if TYPE_CHECKING:
    from agentrm_plugins.config import Config

__all__ = ["Terms", "guaranteed_of", "limits_of"]


class Terms(NamedTuple):
    """What a member is told at its beginning.

    `limits` are places by name ("l", "g:model") and marks of budgets and shares, `guaranteed` are
    places of groups; `boost` is how many grants lie between two reliefs.
    """

    name: str
    limits: Mapping[str, float]
    guaranteed: Mapping[str, int]
    boost: int
    lease_s: float = 5.0
    on_outage: str = "share"
    outage_share: float = 0.9
    expected: int = 1


def limits_of(config: Config) -> dict[str, float]:
    """All limits that are told once: of places, and marks of budgets and shares."""
    groups = {f"g:{group.name}": group.capacity for group in config.groups}
    return {"l": config.lanes, **groups, **marks_of(config.budgets, config.shares)}


def guaranteed_of(config: Config) -> dict[str, int]:
    """Places that groups are guaranteed."""
    return {f"g:{group.name}": group.guaranteed for group in config.groups if group.guaranteed}
