"""What one process of a fleet was told at its beginning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["Terms"]


class Terms(NamedTuple):
    """What a member is told at its beginning.

    `limits` are places by name ("l", "g:model"), `guaranteed` those of groups; `boost` is how many
    grants lie between two reliefs.
    """

    name: str
    limits: Mapping[str, int]
    guaranteed: Mapping[str, int]
    boost: int
    lease_s: float = 5.0
    on_outage: str = "share"
    outage_share: float = 0.9
    expected: int = 1
