"""From the kernel's state to the frozen statistics."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from agentrm_plugins.kernel.ticket import State
from agentrm_plugins.types.statistics import (
    AgentStatistics,
    EndpointStatistics,
    GroupStatistics,
    RateStatistics,
    RunningCall,
    Statistics,
    TenantStatistics,
    TokenRates,
    agent_key,
)

if TYPE_CHECKING:
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.wait_queue import WaitQueue
    from agentrm_plugins.policy.endpoint.endpoint import Endpoint
    from agentrm_plugins.types.accounts import Account

__all__ = ["observe"]

_PER_MIN = 60.0


def observe(books: Books, queue: WaitQueue, *, agents: bool) -> Statistics:
    """Freeze the state. Costs a look at each agent, and without `agents` at each that waits."""
    counters, pool = books.counters, books.pool
    depth = [0] * books.config.scheduler.num_queues
    for account in books.accounts.values():
        if account.waiting:
            depth[books.scheduler.level(account, books.now_s)] += account.waiting
    groups = {
        name: GroupStatistics(
            group.capacity, group.guaranteed, group.in_use, group.peak, queue.waiting[group]
        )
        for name, group in pool.groups.items()
    }
    return Statistics(
        at_s=books.now_s,
        order=str(books.config.scheduler.order),
        queue_depth=tuple(depth),
        waiting=queue.count,
        running=counters.running,
        zombies=books.zombies,
        lanes=pool.lanes,
        lanes_in_use=pool.in_use,
        lanes_peak=pool.peak,
        groups=groups,
        agents=_agents(books) if agents else {},
        tenants=_tenants(books),
        endpoints=_endpoints(books, queue),
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
        oldest_waiting_s=_oldest_s(books),
        calls=_running(books),
    )


def _oldest_s(books: Books) -> float:
    """The age of the oldest call that waits: tickets are kept in the order of their submission."""
    for ticket in books.tickets.values():
        if ticket.state is State.QUEUED:
            return books.now_s - ticket.submitted_s
    return 0.0


def _running(books: Books) -> tuple[RunningCall, ...]:
    now_s = books.now_s
    running = [ticket for ticket in books.tickets.values() if ticket.state is State.RUNNING]
    running.sort(key=lambda ticket: (ticket.granted_s, ticket.number))
    return tuple(
        RunningCall(
            ticket=ticket.number,
            agent=ticket.call.agent,
            tenant=ticket.call.tenant,
            group=ticket.group.name,
            endpoint=ticket.call.endpoint,
            label=ticket.call.label,
            attempt=ticket.attempts,
            streaming=ticket.call.streaming,
            age_s=now_s - ticket.granted_s,
            silent_s=max(0.0, now_s - ticket.progress_s),
            beats=ticket.beats,
            waited_s=ticket.waited_s,
        )
        for ticket in running
    )


def _agents(books: Books) -> dict[str, AgentStatistics]:
    return {
        agent_key(account.tenant.name, account.name): _agent(books, account)
        for account in books.accounts.values()
    }


def _agent(books: Books, account: Account) -> AgentStatistics:
    return AgentStatistics(
        tenant=account.tenant.name,
        parent=account.parent,
        level=books.scheduler.level(account, books.now_s),
        waiting=account.waiting,
        running=account.running,
        calls=account.calls,
        refused=account.refused,
        zombies=account.zombies,
        service_s=account.service_s(books.now_s),
        waited_s=account.waited_s,
        tokens=account.tokens,
        input_tokens=account.input_tokens,
        output_tokens=account.output_tokens,
        tokens_per_s=account.lately.per_s(books.now_s),
    )


def _tenants(books: Books) -> dict[str, TenantStatistics]:
    return {
        name: TenantStatistics(
            weight=tenant.weight,
            share=books.shares.share(tenant),
            waiting=tenant.waiting,
            lanes=tenant.lanes,
            refused=tenant.refused,
            service_s=tenant.service_s,
            waited_s=tenant.waited_s,
            tokens=tenant.tokens,
            input_tokens=tenant.input_tokens,
            output_tokens=tenant.output_tokens,
            tokens_per_s=tenant.lately.per_s(books.now_s),
        )
        for name, tenant in books.tenants.items()
    }


def _endpoints(books: Books, queue: WaitQueue) -> dict[str, EndpointStatistics]:
    waiting = dict.fromkeys(books.endpoints, 0)
    for name, at in queue.at.items():
        waiting[name] += sum(lanes.waiting for lanes in at.queues)
    for ticket in queue.asleep.values():
        if ticket.endpoint is not None:
            waiting[ticket.endpoint.name] += 1
    return {
        name: _endpoint(endpoint, waiting[name], books.now_s)
        for name, endpoint in books.endpoints.items()
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
        closed_for_s=max(0.0, endpoint.retry_after.closed_until_s - now_s),
        late_after_s=endpoint.times.usual("first" if endpoint.times.usual("first") else "response"),
        cost=endpoint.cost,
    )


def _finite(value: float | None) -> float | None:
    """None for what has no bound: JSON has no word for infinity."""
    return None if value is None or value == inf else value


def _rate(endpoint: Endpoint, name: str, now_s: float) -> RateStatistics:
    meter = endpoint.meters[name]
    controller, bucket = meter.controller, meter.bucket
    limit = controller.limit_per_s
    proximity, binds_in_s = 0.0, None
    if bucket is not None:
        left = bucket.level(now_s)
        proximity = min(1.0, max(0.0, 1.0 - left / bucket.capacity))
        drain_per_s = meter.used.per_s(now_s)[1] - bucket.rate_per_s
        if drain_per_s > 0:
            binds_in_s = max(0.0, left) / drain_per_s
    return RateStatistics(
        allowed_per_min=_finite(controller.rate_per_s * _PER_MIN),
        limit_per_min=None if limit is None else limit * _PER_MIN,
        source=controller.source.value,
        proximity=proximity,
        binds_in_s=binds_in_s,
        cuts=controller.cuts,
    )
