"""Where a server's silence meets the meters: whether a refusal says nothing, and what was found.

Law: what passes is read (see `silence`) only as long as neither the user nor the server has named
any limit. A window that is believed says the rate of requests, also once it has shown to be none:
so many went in such a time. Where a single call passed some time after another was refused, one
call in that time is the rate, of requests as of tokens, but no less than the minute before shows to
be allowed: an outage, or a window of tokens, is no slow bucket. Limits that the user names later
rule at once, and what passes is read from the beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.policy.endpoint.account import SAID
from agentrm_plugins.policy.endpoint.amounts import Change
from agentrm_plugins.policy.endpoint.rate_search import Source
from agentrm_plugins.types.verdicts import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.policy.endpoint.meter import Meter
    from agentrm_plugins.policy.endpoint.silence import Silence
    from agentrm_plugins.types.verdicts import ServerLimit, Verdict

__all__ = ["begin_anew", "found", "is_silent", "is_word"]


def is_silent(meters: Mapping[str, Meter], said: Mapping[str, ServerLimit]) -> bool:
    """Whether a refusal without a wait has `said` nothing of limits, and nobody ever named one."""
    return not said and not any(meter.controller.source in SAID for meter in meters.values())


def begin_anew(meters: Mapping[str, Meter], now_s: float) -> None:
    """The server has broken its silence: what was found out from that counts no more."""
    for meter in meters.values():
        meter.found(None, now_s)


def found(meters: Mapping[str, Meter], silence: Silence, now_s: float) -> list[Change]:
    """What passes has shown how many requests may go: gives what is news of it."""
    if silence.changed():
        for resource, meter in meters.items():
            meter.found(silence.rate_per_s if resource == "requests" else None, now_s)
        return [Change("requests", "learnt")]
    if silence.gap_s is None:
        return []
    gap_s, silence.gap_s = silence.gap_s, None
    searched = [meter for meter in meters.values() if meter.controller.source is Source.PROBED]
    for meter in searched:  # What came in by these meanwhile did not.
        if gap_s:
            meter.found(meter.controller.mean / gap_s, now_s)
        else:
            meter.empty(now_s)
    return [Change("requests", "learnt")] if gap_s else []


def is_word(verdict: Verdict) -> bool:
    """Whether the server itself said something, be it an error."""
    said = verdict.status is not None or verdict.code or verdict.kind is Kind.OVERLOADED
    return bool(said) or verdict.why not in {"", "unconnected"}
