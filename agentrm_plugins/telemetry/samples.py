"""The state of the core as a recording keeps it once a second: few numbers, and no agents."""

from __future__ import annotations

import weakref
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from agentrm_plugins.telemetry.recording import Recorder, recording_of
from agentrm_plugins.types.looking import unopened

if TYPE_CHECKING:
    from agentrm_plugins.hosts import Host
    from agentrm_plugins.types.statistics import Statistics

__all__ = ["recorder_of", "sampled"]

_LEFT_OUT = ("agents", "tenants", "calls", "abandoned")
_MOST_SESSIONS = 20


def sampled(seen: Statistics) -> dict[str, Any]:
    """A brief look as plain data with the names of `Statistics`; twenty sessions at most.

    What is left out is no part of a brief look, or is put aside first: to make plain data of it
    would cost more than of all that is kept.
    """
    newest = dict(list(seen.sessions.items())[-_MOST_SESSIONS:])
    kept = replace(seen, sessions=newest, abandoned={})
    return {name: value for name, value in asdict(kept).items() if name not in _LEFT_OUT}


def recorder_of(rm: Any, host: Host, given: object) -> Recorder | None:
    """Records all that happens in a core, as it was asked for, and does not keep the core alive.

    None where the program is only looked at.
    """
    recording, noted = recording_of(given), unopened()
    if noted is not None:
        noted.records.append(str(recording.path))
        return None
    mine = weakref.ref(rm)

    def sample() -> dict[str, Any]:
        core = mine()
        return {} if core is None else sampled(core._look(agents=False, brief=True))  # noqa: SLF001 - of one house

    return Recorder(host, recording, sample)
