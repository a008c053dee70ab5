"""The state of the core as a recording keeps it once a second: few numbers, and no agents."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentrm_plugins.types.statistics import Statistics

__all__ = ["sampled"]

_LEFT_OUT = ("agents", "tenants", "calls", "abandoned")
_MOST_ENDPOINTS = 20


def sampled(seen: Statistics) -> dict[str, Any]:
    """Plain data with the names of `Statistics`; of endpoints the busiest twenty."""
    state = {name: value for name, value in asdict(seen).items() if name not in _LEFT_OUT}
    endpoints = sorted(seen.endpoints, key=lambda name: -seen.endpoints[name].sent)
    state["endpoints"] = {name: state["endpoints"][name] for name in endpoints[:_MOST_ENDPOINTS]}
    return state
