"""Where a server's silence meets the meters: whether a refusal says nothing, and what was found.

Law: what passes is read (see `silence`) only as long as neither the user nor the server has named
any limit. A window that is believed says the rate of requests, also once it has shown to be none:
so many went in such a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.policy.endpoint.account import SAID
from agentrm_plugins.policy.endpoint.amounts import Change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.policy.endpoint.meter import Meter
    from agentrm_plugins.policy.endpoint.silence import Silence
    from agentrm_plugins.types.verdicts import LimitReport

__all__ = ["found", "is_silent"]


def is_silent(meters: Mapping[str, Meter], report: LimitReport) -> bool:
    """Whether a refusal says nothing, and nobody ever named a limit."""
    if report.retry_after_s is not None or report.resource is not None or report.limits():
        return False
    return not any(meter.controller.source in SAID for meter in meters.values())


def found(meters: Mapping[str, Meter], silence: Silence, now_s: float) -> list[Change]:
    """What passes has shown how many requests may go: gives what is news of it."""
    if not silence.changed():
        return []
    for resource, meter in meters.items():
        meter.found(silence.rate_per_s if resource == "requests" else None, now_s)
    return [Change("requests", "learnt")]
