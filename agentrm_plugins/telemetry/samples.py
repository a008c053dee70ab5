"""The state of the core as a recording keeps it once a second: few numbers, and no agents."""

from __future__ import annotations

import weakref
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agentrm_plugins.telemetry.recording import Recorder, recording_of

if TYPE_CHECKING:
    from agentrm_plugins.hosts import Host
    from agentrm_plugins.types.statistics import Statistics

__all__ = ["recorder_of", "sampled"]

_LEFT_OUT = ("agents", "tenants", "calls", "abandoned")
_MOST_ENDPOINTS = 20
_MOST_SESSIONS = 20


def sampled(seen: Statistics) -> dict[str, Any]:
    """Plain data with the names of `Statistics`; twenty endpoints and sessions at most."""
    state = {name: value for name, value in asdict(seen).items() if name not in _LEFT_OUT}
    endpoints = sorted(seen.endpoints, key=lambda name: -seen.endpoints[name].sent)
    state["endpoints"] = {name: state["endpoints"][name] for name in endpoints[:_MOST_ENDPOINTS]}
    state["sessions"] = dict(list(state["sessions"].items())[-_MOST_SESSIONS:])
    return state


def recorder_of(rm: Any, host: Host, given: object) -> Recorder:
    """Records all that happens in a core, as it was asked for, and does not keep the core alive."""
    mine = weakref.ref(rm)

    def sample() -> dict[str, Any]:
        core = mine()
        return {} if core is None else sampled(core.statistics(agents=False))

    return Recorder(host, recording_of(given), sample)
