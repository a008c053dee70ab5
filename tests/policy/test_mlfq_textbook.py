"""Levels, quanta and boosts, without a kernel."""

from __future__ import annotations

from typing import Any

import pytest

from agentrm_plugins.config import SchedulerConfig
from agentrm_plugins.policy.order.agent_queue import AgentQueue
from agentrm_plugins.policy.order.mlfq_textbook import MlfqTextbook
from agentrm_plugins.policy.order.tenant_shares import DominantShares
from agentrm_plugins.types.accounts import Account, Tenant
from agentrm_plugins.types.calls import Priority

pytestmark = pytest.mark.lowest


def mlfq(**fields: Any) -> MlfqTextbook:
    return MlfqTextbook(SchedulerConfig(**fields), DominantShares(4, 60.0))


def agent(
    scheduler: MlfqTextbook, name: str, tenant: Tenant, hint: Priority | None = None
) -> Account:
    account = Account(name, tenant, hint, 0.0)
    scheduler.enter(account)
    return account


@pytest.mark.parametrize(
    ("hint", "service_s", "level"),
    [
        (None, 1.0, 0),
        (None, 1.001, 1),
        (None, 3.0, 1),
        (None, 3.001, 2),
        (None, 7.001, 3),
        (None, 1e9, 3),
        (Priority.INTERACTIVE, 0.5, 0),
        (Priority.BATCH, 2.0, 1),
        (Priority.BATCH, 2.001, 2),
        (Priority.BACKGROUND, 4.001, 3),
    ],
)
def test_agent_goes_down_by_its_quanta(hint: Priority, service_s: float, level: int) -> None:
    """More than the quantum of a level sends an agent down; the rest counts in the next one."""
    scheduler = mlfq()
    account = agent(scheduler, "a", Tenant("t"), hint)
    before = account.level
    account.attained_s = service_s
    assert scheduler.charged(account, 0.0) == (level != before)
    assert scheduler.level(account, 0.0) == level
    assert not scheduler.charged(account, 0.0)


def test_service_in_flight_counts() -> None:
    """Nobody has to visit a running agent: its service until now is known."""
    scheduler = mlfq()
    account = agent(scheduler, "a", Tenant("t"))
    account.running, account.since_sum_s = 2, 10.0 + 11.0
    assert not scheduler.charged(account, 11.0)
    assert scheduler.charged(account, 12.0)
    assert account.level == 1


def test_boost_starts_a_round_from_here() -> None:
    """After a boost an agent has its quanta again, whatever it received before."""
    scheduler = mlfq()
    account = agent(scheduler, "a", Tenant("t"))
    account.attained_s = 100.0
    scheduler.charged(account, 0.0)
    scheduler.boost(0.0)
    assert scheduler.level(account, 0.0) == 0
    assert not scheduler.charged(account, 0.0)
    account.attained_s = 101.5
    assert scheduler.charged(account, 0.0)
    assert account.level == 1


@pytest.mark.parametrize("above", [1, 9])
def test_boost_keeps_the_turns(above: int) -> None:
    """A boost merges the levels, the smaller heap into the larger: the oldest turn goes first."""
    scheduler = mlfq()
    queue, tenant, other = scheduler.queue(), Tenant("t", number=1), Tenant("u", number=2)
    order = []
    for turn in range(10):
        account = agent(scheduler, f"a{turn}", tenant)
        account.attained_s = 4.0 if turn >= above else 0.0
        queue.add(AgentQueue(account, None, turn), 0.0)
    late = agent(scheduler, "x", other)
    late.attained_s = 2.0
    queue.add(AgentQueue(late, None, 99), 0.0)
    scheduler.boost(0.0)
    tenant.lanes = other.lanes = 1
    while (bid := queue.best(0.0)) is not None:
        order.append(bid.turn)
        queue.remove(bid)
    assert order == [*range(10), 99]


def test_boost_takes_an_agent_back_to_where_it_started() -> None:
    """A boost does not put work that was declared as batch beside a person's."""
    scheduler = mlfq()
    queue, tenant = scheduler.queue(), Tenant("t")
    accounts = [agent(scheduler, hint, tenant, hint) for hint in reversed(Priority)]
    for turn, account in enumerate(accounts):
        account.attained_s = 100.0
        queue.add(AgentQueue(account, None, turn), 0.0)
    assert [scheduler.level(account, 0.0) for account in accounts] == [3, 3, 3]
    scheduler.boost(0.0)
    assert [scheduler.level(account, 0.0) for account in accounts] == [2, 1, 0]
    order = []
    while (bid := queue.best(0.0)) is not None:
        order.append(bid.account.name)
        queue.remove(bid)
    assert order == ["interactive", "batch", "background"]


def test_agent_in_two_queues_is_moved_in_both() -> None:
    """A demotion that one queue noticed holds in the other one as well."""
    scheduler = mlfq()
    first, second, tenant = scheduler.queue(), scheduler.queue(), Tenant("t")
    greedy, fresh = agent(scheduler, "greedy", tenant), agent(scheduler, "fresh", tenant)
    for turn, queue in enumerate((first, second)):
        queue.add(AgentQueue(greedy, None, turn), 0.0)
    second.add(late := AgentQueue(fresh, None, 2), 0.0)
    greedy.attained_s = 2.0
    assert first.best(0.0).account is greedy
    assert second.best(0.0) is late
    assert scheduler.demoted == [(greedy, 1)]


def test_who_comes_up_while_it_waits_is_found() -> None:
    """Service that is taken back takes an agent up past the level that is being looked at."""
    scheduler = mlfq()
    queue, account = scheduler.queue(), agent(scheduler, "a", Tenant("t"))
    account.attained_s = 5.0
    queue.add(offer := AgentQueue(account, None, 1), 0.0)
    assert offer.level == 2
    account.attained_s = 0.0
    assert queue.best(0.0) is offer
    assert offer.level == 0
