"""From the endpoints' state to the frozen statistics, and how near each limit is."""

from __future__ import annotations

from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING

from agentrm_plugins.report import EndpointStatistics, RateStatistics

if TYPE_CHECKING:
    from agentrm_plugins.kernel.endpoint import Endpoint, Resource
    from agentrm_plugins.kernel.kernel import Kernel

__all__ = ["observe_endpoints"]

_PER_MIN = 60.0


def observe_endpoints(kernel: Kernel) -> dict[str, EndpointStatistics]:
    """Every endpoint that was ever called."""
    waiting = dict.fromkeys(kernel.congestion.endpoints, 0)
    for line in kernel.room.lines.values():
        if line.endpoint is not None:
            waiting[line.endpoint.name] += line.waiting
    for ticket in kernel.room.asleep.values():
        if ticket.endpoint is not None:
            waiting[ticket.endpoint.name] += 1
    return {
        name: _endpoint(endpoint, waiting[name], kernel.now_s)
        for name, endpoint in kernel.congestion.endpoints.items()
    }


def _endpoint(endpoint: Endpoint, waiting: int, now_s: float) -> EndpointStatistics:
    concurrency = min(endpoint.concurrency.limit, endpoint.window)
    rates = {name: _rate(part, now_s) for name, part in endpoint.resources.items()}
    return EndpointStatistics(
        rates=MappingProxyType(rates),
        concurrency=None if concurrency == inf else concurrency,
        in_flight=endpoint.in_flight,
        waiting=waiting,
        sent=endpoint.sent,
        limit_hits=endpoint.limit_hits,
        requeues=endpoint.requeues,
        failures=endpoint.failures,
        breaker=endpoint.breaker.state.value,
        closed_for_s=max(0.0, endpoint.gate.closed_until_s - now_s),
        first_token_timeout_s=endpoint.pulse.allowed("first"),
        cost=endpoint.cost,
    )


def _rate(resource: Resource, now_s: float) -> RateStatistics:
    controller, bucket = resource.controller, resource.bucket
    limit = controller.limit_per_s
    proximity, binds_in_s = 0.0, None
    if bucket is not None:
        left = bucket.level(now_s)
        proximity = min(1.0, max(0.0, 1.0 - left / bucket.capacity))
        drain_per_s = resource.used.per_s(now_s)[1] - bucket.rate_per_s
        if drain_per_s > 0:
            binds_in_s = max(0.0, left) / drain_per_s
    return RateStatistics(
        allowed_per_min=controller.rate_per_s * _PER_MIN,
        limit_per_min=None if limit is None else limit * _PER_MIN,
        source=controller.source.value,
        proximity=proximity,
        binds_in_s=binds_in_s,
        cuts=controller.cuts,
    )
