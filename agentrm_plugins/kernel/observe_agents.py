"""From the kernel's agents to their frozen statistics: all of them, or a page of the busiest."""

from __future__ import annotations

from heapq import nlargest
from itertools import islice
from typing import TYPE_CHECKING

from agentrm_plugins.types.agent_key import agent_key
from agentrm_plugins.types.histogram import bound_s
from agentrm_plugins.types.statistics import (
    AgentStatistics,
    TokenRates,
    WaitStatistics,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.types.accounts import Account
    from agentrm_plugins.types.histogram import Histogram

__all__ = ["agents_of", "busiest", "depths", "waits_of"]

_LOOKED_AT = 1000
"""Waiting agents that a look tells apart. Of more than that the rest count in the level of those:
a look at a hundred thousand of them would hold the core up for longer than it may."""


def busiest(books: Books, idle: dict[tuple[str, str], None], most: int) -> list[Account]:
    """So many agents: who runs or waits, by how much; then who called last."""
    accounts = books.accounts
    if most >= len(accounts):
        return list(accounts.values())
    if not most:
        return []
    active: dict[Account, None] = {}
    for ticket in books.gauges.running.values():
        active[ticket.account] = None
    active.update(dict.fromkeys(islice(books.gauges.waiting, max(most, _LOOKED_AT))))
    found = nlargest(most, active, key=lambda one: (one.running, one.waiting, one.tokens))
    for key in islice(reversed(idle), most - len(found)):
        found.append(accounts[key])
    return found


def depths(books: Books) -> tuple[int, ...]:
    """Waiting calls in each level, the top one first."""
    depth = [0] * books.config.scheduler.num_queues
    waiting, rest = books.gauges.waiting, 0
    for place, account in enumerate(waiting):
        if place >= _LOOKED_AT:
            rest = sum(group.waiting for group in islice(waiting, place, None))
            break
        depth[books.scheduler.level(account, books.now_s)] += account.waiting
    if rest:
        depth[max(range(len(depth)), key=depth.__getitem__)] += rest
    return tuple(depth)


def agents_of(
    books: Books, accounts: Iterable[Account], drained: Collection[tuple[str, str]]
) -> dict[str, AgentStatistics]:
    """Each of them by its key."""
    return {
        agent_key(account.tenant.name, account.name): _agent(books, account, drained)
        for account in accounts
    }


def waits_of(waits: Histogram | None, grants: int, *, shown: bool = False) -> WaitStatistics:
    """How long the owner's calls waited; with the buckets if they are to be shown."""
    if waits is None or not (shown or waits.total):
        return WaitStatistics(calls=grants)
    instant = max(0, grants - waits.total)
    buckets: dict[str, int] = {}
    if shown:
        count = instant
        if instant:
            buckets["0"] = instant
        for bucket in sorted(waits.counts):
            count += waits.counts[bucket]
            buckets[f"{bound_s(bucket):.6g}"] = count
    quantiles = waits.quantiles(instant)
    return WaitStatistics(grants, waits.sum_s, *quantiles, waits.most_s, buckets)


def _agent(books: Books, account: Account, drained: Collection[tuple[str, str]]) -> AgentStatistics:
    now_s = books.now_s
    return AgentStatistics(
        tenant=account.tenant.name,
        parent=account.parent,
        level=books.scheduler.level(account, now_s),
        waiting=account.waiting,
        running=account.running,
        calls=account.calls,
        refused=account.refused,
        zombies=account.zombies,
        service_s=account.service_s(now_s),
        waited_s=account.waited_s,
        tokens=account.tokens,
        input_tokens=account.input_tokens,
        output_tokens=account.output_tokens,
        tokens_per_s=account.recent.faded_per_s(now_s),
        token_rates=TokenRates(*account.recent.per_s(now_s)),
        waits=waits_of(account.waits, account.grants),
        cost=account.cost,
        requeues=account.requeues,
        limit_hits=account.limit_hits,
        recent_service_s=recent_s(account, now_s, books.config.scheduler.service_half_life_s),
        drained=bool(drained) and (account.tenant.name, account.name) in drained,
    )


def recent_s(account: Account, now_s: float, half_life_s: float) -> float:
    """Service that still counts, by the law of `policy.order.mlfq`; what is in flight in full."""
    new_s = account.service_s(now_s) - account.counted_s
    if new_s and not account.running:
        new_s *= 2.0 ** ((max(account.ended_s, account.recent_at_s) - now_s) / half_life_s)
    if account.recent_s:
        new_s += account.recent_s * 2.0 ** ((account.recent_at_s - now_s) / half_life_s)
    return max(0.0, float(new_s))
