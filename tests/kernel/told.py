"""An endpoint alone, for tests of what it decides: what the user said of it, what a refusal cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.config.endpoints import EndpointConfig

if TYPE_CHECKING:
    from agentrm_plugins.policy.endpoint.endpoint import Endpoint
    from agentrm_plugins.types.verdicts import LimitReport

__all__ = ["advanced", "limited", "reported", "told"]


def told(window_s: float = 60.0, **limits: float) -> EndpointConfig:
    """Limits per window, a whole window's worth of which may go at once."""
    calls = {"concurrency": int(limits.pop("concurrency"))} if "concurrency" in limits else {}
    per_min = {name: limit * 60.0 / window_s for name, limit in limits.items()}
    return EndpointConfig(burst_s=window_s, **per_min, **calls)


def limited(endpoint: Endpoint, number: int, report: LimitReport, now_s: float) -> list[str]:
    """The server refused a call for its limits and named them; gives what was cut."""
    sent = endpoint.in_flight.get(number)
    cut = endpoint.refused(number, report, now_s)
    endpoint.reported(report, now_s, None if sent is None else sent.at_s)
    return cut


def reported(
    endpoint: Endpoint, report: LimitReport, now_s: float, sent_s: float | None = None
) -> list[str]:
    """The server named its limits; gives those that are news."""
    endpoint.news.clear()
    endpoint.reported(report, now_s, sent_s)
    return [what for what, _ in endpoint.news]


def advanced(endpoint: Endpoint, now_s: float) -> list[str]:
    """Time passed; gives the resources of which the rate changed."""
    endpoint.news.clear()
    endpoint.advance(now_s)
    return [what for what, _ in endpoint.news]
