"""The metrics of endpoints: how much goes on there, what fails, and how near the limits are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.telemetry.metrics.naming import clean, endpoint_labels
from agentrm_plugins.telemetry.metrics.values import of_waits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.telemetry.metrics.naming import Bounded
    from agentrm_plugins.telemetry.metrics.values import Values
    from agentrm_plugins.types.hedge_statistics import HedgeStatistics
    from agentrm_plugins.types.statistics import EndpointStatistics, RateStatistics

__all__ = ["put_endpoints", "put_hedges"]

_STATES = ("closed", "half_open", "open")
_PER_MIN = 60.0


def put_endpoints(
    values: Values, endpoints: Mapping[str, EndpointStatistics], names: Bounded
) -> None:
    """The values of every endpoint; those beyond the bound are told together."""
    for name, endpoint in endpoints.items():
        labels = endpoint_labels(names.of(name))
        _put_endpoint(values, endpoint, labels)
        for resource, rate in endpoint.rates.items():
            _put_rate(values, rate, (*labels, clean(resource)))


def _put_endpoint(values: Values, endpoint: EndpointStatistics, at: tuple[str, str]) -> None:
    values.put("agentrm.endpoint.in_flight", endpoint.in_flight, *at)
    values.put("agentrm.endpoint.waiting", endpoint.waiting, *at)
    values.put("agentrm.endpoint.concurrency.limit", endpoint.concurrency, *at)
    values.put("agentrm.endpoint.sent", endpoint.sent, *at)
    values.put("agentrm.endpoint.limit_hits", endpoint.limit_hits, *at)
    values.put("agentrm.endpoint.requeues", endpoint.requeues, *at)
    values.put("agentrm.endpoint.failures", endpoint.failures, *at)
    values.put("agentrm.endpoint.cost", endpoint.cost, *at)
    values.put("agentrm.endpoint.tokens", endpoint.token_rates.last_60_s, *at)
    values.put("agentrm.endpoint.closed", endpoint.closed_for_s, *at)
    values.put("agentrm.endpoint.late_after", endpoint.late_after_s, *at)
    values.put("agentrm.endpoint.wait", of_waits(endpoint.waits), *at)
    put_hedges(values, endpoint.hedges, "agentrm.endpoint", "agentrm.endpoint", *at)
    for state in _STATES:
        values.put("agentrm.endpoint.breaker", float(endpoint.breaker == state), *at, state)


def put_hedges(values: Values, hedges: HedgeStatistics, calls: str, whole: str, *at: str) -> None:
    """The values of late calls: under `calls` how many, under `whole` what became of them."""
    values.put(f"{calls}.late", hedges.late, *at)
    values.put(f"{calls}.hedged", hedges.sent, *at)
    values.put(f"{whole}.hedges.answered", hedges.first_won, *at, "first")
    values.put(f"{whole}.hedges.answered", hedges.hedge_won, *at, "hedge")
    values.put(f"{whole}.hedges.gave_way", hedges.gave_way, *at)
    values.put(f"{whole}.hedges.lost_tokens", hedges.lost_tokens, *at)


def _put_rate(values: Values, rate: RateStatistics, of: tuple[str, str, str]) -> None:
    values.put("agentrm.rate.allowed", _per_s(rate.allowed_per_min), *of)
    values.put("agentrm.rate.limit", _per_s(rate.limit_per_min), *of)
    values.put("agentrm.rate.used", _per_s(rate.used_per_min), *of)
    values.put("agentrm.rate.proximity", rate.proximity, *of)
    values.put("agentrm.rate.binds_in", rate.binds_in_s, *of)
    values.put("agentrm.rate.cuts", rate.cuts, *of)


def _per_s(per_min: float | None) -> float | None:
    return None if per_min is None else per_min / _PER_MIN
