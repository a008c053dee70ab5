"""From the kernel's state to the frozen statistics."""

from __future__ import annotations

from heapq import nlargest
from math import inf
from typing import TYPE_CHECKING

from agentrm_plugins.kernel.observe_agents import agents_of, depths, waits_of
from agentrm_plugins.kernel.observe_calls import oldest_s, running, waiters
from agentrm_plugins.policy.endpoint.hedge_tally import HedgeTally
from agentrm_plugins.policy.endpoint.meters import held_for
from agentrm_plugins.types.hedge_statistics import HedgeStatistics
from agentrm_plugins.types.histogram import Histogram
from agentrm_plugins.types.statistics import (
    EndpointStatistics,
    ForgottenAgents,
    GroupStatistics,
    PressureStatistics,
    RateStatistics,
    Stalled,
    Statistics,
    TenantStatistics,
    TokenRates,
    WaitStatistics,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.gauges import Gone
    from agentrm_plugins.kernel.wait_queue import WaitQueue
    from agentrm_plugins.policy.endpoint.endpoint import Endpoint
    from agentrm_plugins.policy.pressure import Stall
    from agentrm_plugins.types.accounts import Account

__all__ = ["BRIEF_ENDPOINTS", "observe"]

BRIEF_ENDPOINTS = 20
"""Those of a brief look, the most used: a recording keeps no more of them once a second."""
_PER_MIN = 60.0


def observe(
    books: Books,
    queue: WaitQueue,
    agents: list[Account],
    drained: Collection[tuple[str, str]],
    most_waiters: int,
    *,
    brief: bool = False,
) -> Statistics:
    """Freeze the state. Costs a look at each of `agents`; a brief one none at each tenant."""
    counters, pool, gauges = books.counters, books.pool, books.gauges
    return Statistics(
        at_s=books.now_s,
        order=str(books.config.scheduler.order),
        queue_depth=depths(books),
        waiting=queue.count,
        running=counters.running,
        zombies=books.zombies,
        lanes=pool.lanes,
        lanes_in_use=pool.in_use,
        lanes_peak=pool.peak,
        groups=_groups(books, queue),
        agents=agents_of(books, agents, drained),
        tenants={} if brief else _tenants(books),
        endpoints=_endpoints(books, queue, BRIEF_ENDPOINTS if brief else None),
        submitted=counters.submitted,
        granted=counters.granted,
        settled=counters.settled,
        reaped=counters.reaped,
        refused=dict(counters.refused),
        demotions=counters.demotions,
        boosts=counters.boosts,
        zombie_lane_s=counters.zombie_lane_s,
        waited_s=counters.waited_s,
        input_tokens=counters.input_tokens,
        output_tokens=counters.output_tokens,
        tokens_per_s=TokenRates(*counters.token_rate.per_s(books.now_s)),
        oldest_waiting_s=oldest_s(books),
        calls=() if brief else running(books),
        waits=_waits(books),
        pressure=PressureStatistics(
            _stalled(gauges.lanes, books.now_s), _stalled(gauges.rate, books.now_s)
        ),
        agents_known=len(books.accounts),
        forgotten=_forgotten(gauges.gone),
        cost=counters.cost,
        hedges=_hedges(books),
        waiters=waiters(books, most_waiters),
    )


def _waits(books: Books) -> WaitStatistics:
    """Those of all groups."""
    waits, grants = Histogram(), 0
    for group in books.pool.groups.values():
        grants += group.grants
        waits.join(group.waits)
    return waits_of(waits, grants, shown=True)


def _forgotten(gone: Gone) -> ForgottenAgents:
    return ForgottenAgents(
        *(gone.agents, gone.calls, gone.refused, gone.service_s, gone.waited_s),
        *(gone.input_tokens, gone.output_tokens, gone.cost),
    )


def _groups(books: Books, queue: WaitQueue) -> dict[str, GroupStatistics]:
    return {
        name: GroupStatistics(
            *(group.capacity, group.guaranteed, group.in_use, group.peak, queue.waiting[group]),
            waits_of(group.waits, group.grants, shown=True),
            TokenRates(*group.recent.per_s(books.now_s)),
        )
        for name, group in books.pool.groups.items()
    }


def _stalled(stall: Stall, now_s: float) -> Stalled:
    return Stalled(*stall.shares(now_s), stall.waited_s(now_s))


def _tenants(books: Books) -> dict[str, TenantStatistics]:
    """Each in turn: there may be very many, and names for the fields double the price of one."""
    share, now_s = books.shares.share, books.now_s
    return {
        name: TenantStatistics(
            *(tenant.weight, share(tenant), tenant.waiting, tenant.lanes, tenant.refused),
            *(tenant.service_s, tenant.waited_s, tenant.input_tokens + tenant.output_tokens),
            *(tenant.input_tokens, tenant.output_tokens, tenant.recent.faded_per_s(now_s)),
            TokenRates(*tenant.recent.per_s(now_s)),
            waits_of(tenant.waits, tenant.grants),
            *(tenant.cost, tenant.requeues, tenant.limit_hits),
        )
        for name, tenant in books.tenants.items()
    }


def _endpoints(books: Books, queue: WaitQueue, most: int | None) -> dict[str, EndpointStatistics]:
    shown = books.endpoints
    if most is not None and len(shown) > most:
        names = nlargest(most, shown, key=lambda name: shown[name].sent_calls)
        shown = {name: shown[name] for name in names}
    waiting = dict.fromkeys(books.endpoints, 0)
    for name, at in queue.at.items():
        waiting[name] += sum(lanes.waiting for lanes in at.queues)
    for ticket in queue.asleep.values():
        if ticket.endpoint is not None:
            waiting[ticket.endpoint.name] += 1
    return {
        name: _endpoint(endpoint, waiting[name], books.now_s) for name, endpoint in shown.items()
    }


def _endpoint(endpoint: Endpoint, waiting: int, now_s: float) -> EndpointStatistics:
    concurrency = endpoint.concurrency.limit
    return EndpointStatistics(
        rates={name: _rate(endpoint, name, now_s) for name in endpoint.meters},
        concurrency=_finite(concurrency),
        in_flight=len(endpoint.in_flight),
        waiting=waiting,
        sent=endpoint.sent_calls,
        limit_hits=endpoint.limit_hits,
        requeues=endpoint.requeues,
        failures=endpoint.failures,
        breaker=endpoint.breaker.state.value,
        closed_for_s=max(
            endpoint.retry_after.closed_until_s - now_s, held_for(endpoint.meters, now_s)
        ),
        late_after_s=endpoint.times.usual("first" if endpoint.times.usual("first") else "response"),
        cost=endpoint.cost,
        waits=waits_of(endpoint.waits, endpoint.sent_calls, shown=True),
        token_rates=TokenRates(*endpoint.recent.per_s(now_s)),
        hedges=_frozen(endpoint.hedging.tally),
    )


def _hedges(books: Books) -> HedgeStatistics:
    """Those of all endpoints, forgotten ones among them."""
    tally = HedgeTally()
    tally.join(books.counters.hedges)
    for endpoint in books.endpoints.values():
        tally.join(endpoint.hedging.tally)
    return _frozen(tally)


def _frozen(tally: HedgeTally) -> HedgeStatistics:
    return HedgeStatistics(
        *(tally.late, tally.sent, tally.first_won, tally.hedge_won),
        *(tally.gave_way, tally.lost_tokens),
    )


def _finite(value: float | None) -> float | None:
    """None for what has no bound: JSON has no word for infinity."""
    return None if value is None or value == inf else value


def _rate(endpoint: Endpoint, name: str, now_s: float) -> RateStatistics:
    meter = endpoint.meters[name]
    controller, bucket = meter.controller, meter.bucket
    limit = controller.limit_per_s
    proximity, binds_in_s, used_per_s = 0.0, None, 0.0
    if bucket is not None:
        left = bucket.level(now_s)
        proximity = min(1.0, max(0.0, 1.0 - left / bucket.capacity))
        used_per_s = meter.used.per_s(now_s)[1]
        drain_per_s = used_per_s - bucket.rate_per_s
        if drain_per_s > 0:
            binds_in_s = max(0.0, left) / drain_per_s
    return RateStatistics(
        allowed_per_min=_finite(controller.rate_per_s * _PER_MIN),
        limit_per_min=None if limit is None else limit * _PER_MIN,
        source=controller.source.value,
        proximity=proximity,
        binds_in_s=binds_in_s,
        cuts=controller.cuts,
        used_per_min=used_per_s * _PER_MIN,
    )
