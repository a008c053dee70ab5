"""From the endpoints' state to the frozen statistics, and how near each limit is."""

from __future__ import annotations

from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING

from agentrm_plugins.types.statistics import EndpointStatistics, RateStatistics

if TYPE_CHECKING:
    from agentrm_plugins.kernel.kernel import Kernel
    from agentrm_plugins.kernel.site import Site

__all__ = ["observe_endpoints"]

_PER_MIN = 60.0


def observe_endpoints(kernel: Kernel) -> dict[str, EndpointStatistics]:
    """Every endpoint that was ever called."""
    waiting = dict.fromkeys(kernel.congestion.sites, 0)
    for line in kernel.room.lines.values():
        if line.site is not None:
            waiting[line.site.name] += line.waiting
    for ticket in kernel.room.asleep.values():
        if ticket.site is not None:
            waiting[ticket.site.name] += 1
    return {
        name: _endpoint(site, waiting[name], kernel.now_s)
        for name, site in kernel.congestion.sites.items()
    }


def _endpoint(site: Site, waiting: int, now_s: float) -> EndpointStatistics:
    endpoint = site.endpoint
    concurrency = endpoint.concurrency.limit
    return EndpointStatistics(
        rates=MappingProxyType({name: _rate(site, name, now_s) for name in endpoint.meters}),
        concurrency=None if concurrency == inf else concurrency,
        in_flight=len(endpoint.in_flight),
        waiting=waiting,
        sent=site.sent,
        limit_hits=site.limit_hits,
        requeues=site.requeues,
        failures=site.failures,
        breaker=site.breaker.value,
        closed_for_s=max(0.0, site.closed_until_s - now_s),
        first_token_timeout_s=site.pulse.allowed("first"),
        cost=site.cost,
    )


def _rate(site: Site, name: str, now_s: float) -> RateStatistics:
    meter = site.endpoint.meters[name]
    controller, bucket = meter.controller, meter.bucket
    limit = controller.limit_per_s
    proximity, binds_in_s = 0.0, None
    if bucket is not None:
        left = bucket.level(now_s)
        proximity = min(1.0, max(0.0, 1.0 - left / bucket.capacity))
        drain_per_s = site.used[name].per_s(now_s)[1] - bucket.rate_per_s
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
