"""Processes of a fleet that are configured differently: the lowest counts, and all are told."""

from __future__ import annotations

import logging

import pytest

from agentrm_plugins import (
    AgentRM,
    BudgetConfig,
    BudgetExceeded,
    Coordination,
    EndpointConfig,
    ShareConfig,
    Usage,
)
from tests.hosts.worlds import wait_until

NAME = "api/m"


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.WARNING, "agentrm.fleet")
    return lambda: [record.getMessage() for record in caplog.records]


def core(server, namespace, **limits):
    endpoints = {"*": EndpointConfig(**limits)}
    return AgentRM(lanes=4, coordination=Coordination(server.url, namespace), endpoints=endpoints)


def call(rm, tokens=10):
    with rm.slot(agent="a", endpoint=NAME, estimate=Usage(tokens, 0)):
        pass


def rate(rm, resource="tokens"):
    return rm.statistics().endpoints[NAME].rates[resource].limit_per_min


def holds(cores, resource, limit):
    """Wait until all of them go by this limit."""

    def so():
        for one in cores:
            call(one)
        return all(rate(one, resource) == limit for one in cores)

    wait_until(so, f"{resource} {limit}")


def test_the_lowest_limit_of_an_endpoint_counts_for_all(server, namespace, told):
    """Whoever comes first; it counts no longer when whoever was told it has left."""
    with core(server, namespace, tpm=1_200_000, rpm=6_000) as high:
        call(high)
        with core(server, namespace, tpm=600_000) as low:
            holds((high, low), "tokens", 600_000)
            holds((high, low), "requests", 6_000)  # told by one, and so it binds both
            assert high._fleet.statistics().lowered == {f"tpm of endpoint '{NAME}'": 600_000}
            assert not low._fleet.statistics().lowered
            warned = [text for text in told() if "tpm" in text]
            assert len(warned) == 2, warned  # each process once
            assert all("600000 and 1200000" in text for text in warned)
        holds((high,), "tokens", 1_200_000)
        wait_until(lambda: not high._fleet.statistics().lowered, "nobody differs")


def test_calls_in_flight_told_to_some(server, namespace):
    """A limit of calls in flight that only one process was told binds the others as well."""
    with core(server, namespace) as free, core(server, namespace, concurrency=1) as bound:
        call(free)
        wait_until(lambda: call(bound) or "concurrency" in endpoint(free).told, "the limit")
        with bound.slot(agent="a", endpoint=NAME):
            assert free.slot(agent="b", endpoint=NAME, wait_timeout_s=0.2) is not None
            wait_until(lambda: endpoint(free).told["concurrency"] == 1, "one at a time")


def endpoint(rm):
    return rm._host.kernel.books.endpoints[NAME]


def test_after_the_servers_data_is_lost_it_is_said_again(own_server, namespace):
    """The lowest is found anew from what each process says."""
    with core(own_server, namespace, tpm=1_200_000) as high:
        with core(own_server, namespace, tpm=600_000) as low:
            holds((high, low), "tokens", 600_000)
            own_server.client().flushall()
            holds((high, low), "tokens", 600_000)
        holds((high,), "tokens", 1_200_000)


def test_both_are_warned_of_lanes(server, namespace, told):
    """The process with fewer lanes hears of it as well: it may be the one that is wrong."""
    shared = {"coordination": server.url, "namespace": namespace}
    with AgentRM(lanes=8, **shared), AgentRM(lanes=2, **shared):
        wait_until(lambda: sum("lanes: 2 and 8" in text for text in told()) == 2, "two warnings")


def spender(server, namespace, limit, **more):
    budget = BudgetConfig(tenant="acme", resource="calls", limit=limit, **more)
    return AgentRM(lanes=4, coordination=Coordination(server.url, namespace), budgets=[budget])


def spend(rm, most=50):
    """So many calls of the tenant at most; how many went."""
    for number in range(most):
        try:
            with rm.slot(agent="ada", tenant="acme"):
                pass
        except BudgetExceeded:
            return number
    return most


@pytest.mark.parametrize("window_s", [None, 600])
def test_the_lowest_mark_of_a_budget_counts_for_all(server, namespace, told, window_s):
    """Whoever was told more refuses by the lower one, and spends its own once nobody says less."""
    more = {} if window_s is None else {"window_s": window_s}
    same = {} if window_s is None else {"window_s": float(window_s)}  # 600 and 600.0 are one budget
    with spender(server, namespace, 20, **more) as high:
        assert spend(high, 2) == 2
        with spender(server, namespace, 8, **same) as low:
            lowered = high._fleet.statistics
            wait_until(lambda: lowered().lowered, "the lower mark")
            within = "" if window_s is None else " in 600 s"
            assert lowered().lowered == {
                f"limit of the budget of calls of tenant 'acme'{within}": 8
            }
            assert not low._fleet.statistics().lowered
            assert spend(high) == 6
            wait_until(lambda: spend(low) == 0, "what the other has spent")
            warned = [text for text in told() if "different limits" in text]
            assert len(warned) == 2, warned  # each process once
            assert all("8 and 20" in text for text in warned)
        wait_until(lambda: not lowered().lowered, "nobody differs")
        assert spend(high) == 12


def test_the_lowest_soft_mark_and_share_count_as_well(server, namespace):
    """A budget that slows calls earlier, and a share of a rate that is smaller."""

    def core(soft, share):
        return AgentRM(
            lanes=4,
            coordination=Coordination(server.url, namespace),
            budgets=[BudgetConfig(tenant="acme", resource="calls", limit=100, soft=soft)],
            shares=[ShareConfig(share=share, tenant="acme", resource="calls")],
            endpoints={"*": EndpointConfig(rpm=6_000)},
        )

    def bounds(rm):
        with rm.slot(agent="a", tenant="acme", endpoint=NAME, estimate=Usage(1, 0)):
            pass
        ledgers = rm._host.kernel.books.ledgers
        [budget] = ledgers.ledgers.values()
        [bucket] = ledgers.shares.buckets.values()
        return budget.soft, bucket.rate_per_s

    with core(0.9, 0.5) as high, core(0.7, 0.25):
        wait_until(lambda: bounds(high) == (0.7, pytest.approx(25.0)), "the lower marks")
