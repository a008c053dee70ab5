"""Processes of a fleet that are configured differently: the lowest counts, and all are told."""

from __future__ import annotations

import logging

import pytest

from agentrm_plugins import AgentRM, Coordination, EndpointConfig, Usage
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
