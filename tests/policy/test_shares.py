"""Weighted dominant shares against plain fading, and a level's choice among tenants."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.config import SchedulerConfig
from agentrm_plugins.policy.order.agent_queue import AgentQueue
from agentrm_plugins.policy.order.mlfq_textbook import MlfqTextbook
from agentrm_plugins.policy.order.tenant_shares import DominantShares
from agentrm_plugins.types.accounts import Tenant
from tests.effort import effort

pytestmark = pytest.mark.lowest

LANES = 4
HALF_LIFE_S = 2.0


@effort(100)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["charge", "lanes", "forget"]),
            st.integers(0, 3),
            st.integers(0, 1000),
            st.sampled_from([0.0, 0.5, 3.0, 100.0, 600.0]),
        ),
        max_size=60,
    )
)
def test_shares_fade_and_weigh(steps) -> None:
    """The larger of lanes and faded tokens, divided by the weight; across rebasing as well."""
    shares, now_s = DominantShares(LANES, HALF_LIFE_S), 0.0
    tenants = [Tenant(f"t{number}", 1.0 + number, number) for number in range(4)]
    faded, used = [0.0] * 4, False
    for what, number, amount, seconds in steps:
        now_s += seconds
        faded = [tokens * 0.5 ** (seconds / HALF_LIFE_S) for tokens in faded]
        if what == "charge":
            shares.charge(tenants[number], amount, now_s)
            faded[number] += amount
            used = used or amount > 0
        elif what == "lanes":
            tenants[number].lanes = amount % (LANES + 1)
        else:
            shares.forget(tenants[number])
            tenants[number] = Tenant(f"t{number}", 1.0 + number, number)
            faded[number] = 0.0
        total = sum(faded)
        for tenant, tokens in zip(tenants, faded, strict=True):
            part = tokens / total if total > 1e-200 else 0.0
            if total > 1e-200 or not used:  # Below, this model runs out of digits first.
                expected = max(tenant.lanes / LANES, part) / tenant.weight
                assert shares.share(tenant) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@effort(150)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["add", "take", "charge", "lanes", "forget", "boost"]),
            st.integers(0, 5),
            st.integers(1, 3000),
        ),
        min_size=10,
        max_size=120,
    )
)
def test_tenant_with_the_smallest_share_goes_first(steps) -> None:
    """Among those who wait, the choice is at most a tenth above the smallest share, always."""
    shares = DominantShares(LANES, HALF_LIFE_S)
    scheduler = MlfqTextbook(SchedulerConfig(boost_interval=10**9), shares)
    queue, now_s, turn = scheduler.queue(), 0.0, 0
    tenants = [Tenant(f"t{number}", 1.0 + number % 3, number) for number in range(6)]
    waiting: dict[AgentQueue, Tenant] = {}
    for what, number, amount in steps:
        tenant = tenants[number]
        now_s += amount / 1000
        if what == "add":
            turn += 1
            account = SimpleNamespace(
                tenant=tenant,
                hint=None,
                epoch=0,
                level=0,
                level_base_s=0,
                service_s=lambda now_s: 0,
            )
            bid = AgentQueue(account, None, turn)
            scheduler.charged(account, now_s)
            queue.add(bid, now_s)
            waiting[bid] = tenant
        elif what == "take" and waiting:
            bid = queue.best(now_s)
            least = min(shares.share(other) for other in waiting.values())
            assert shares.share(waiting[bid]) <= least * 1.1 + 1e-12
            own = [other for other, who in waiting.items() if who is waiting[bid]]
            assert bid.turn == min(other.turn for other in own)
            queue.remove(bid)
            del waiting[bid]
        elif what == "charge":
            shares.charge(tenant, amount, now_s)
        elif what == "lanes":
            before, tenant.lanes = tenant.lanes, amount % (LANES + 1)
            if tenant.lanes < before:
                queue.reprice(tenant)
        elif what == "forget" and tenant not in waiting.values() and not tenant.lanes:
            shares.forget(tenant)
            tenants[number] = Tenant(tenant.name, tenant.weight, 100 + turn)
            turn += 1
        elif what == "boost":
            scheduler.boost(now_s)
        assert len(queue) == len(waiting)
    while waiting:
        bid = queue.best(now_s)
        queue.remove(bid)
        del waiting[bid]
    assert queue.best(now_s) is None
