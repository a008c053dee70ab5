"""A core in which everything that has a metric has happened, and its scrape over real HTTP."""

from __future__ import annotations

import urllib.request
from contextlib import contextmanager
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from agentrm_plugins import AgentRM, BudgetConfig, EndpointConfig, Price, TenantConfig
from agentrm_plugins.hosts.clock import VirtualClock
from agentrm_plugins.telemetry import serve_metrics
from agentrm_plugins.types.calls import Call, Usage
from agentrm_plugins.types.effects import Compacted, Hibernated, Recalled
from agentrm_plugins.types.fleet_statistics import FleetStatistics
from agentrm_plugins.types.statistics import SessionStatistics
from agentrm_plugins.types.verdicts import Kind, LimitReport, Verdict

ENDPOINT = "api.example/gpt#0123abcd"
FLEET = FleetStatistics(
    namespace="shop",
    member="box-1",
    state="joined",
    members=3,
    lease_age_s=1.5,
    lease_s=10.0,
    exchange_age_s=0.4,
    lanes_held=2,
    lanes_used=1,
    amounts={},
    others_wait=True,
    exchanges=40,
    slowest_exchange_s=0.02,
    fenced=1,
    outages=2,
    lowered={"x": 1.0},
    error="",
)
SESSION = SessionStatistics("default", 900, 1000, 0.9, 700, 200, 30, 20, 2, 3)


@contextmanager
def busy(**config):
    """Calls that went well, failed, were refused and wait; a session that was compacted."""
    with AgentRM(
        lanes=2,
        clock=VirtualClock(),
        endpoints={ENDPOINT: EndpointConfig(rpm=600, tpm=6000, concurrency=4, burst_s=2.0)},
        tenants={"acme": TenantConfig(weight=2.0)},
        prices={ENDPOINT: Price(1.0, 2.0)},
        budgets=[BudgetConfig(3000, tenant="acme", soft=0.5)],
        **config,
    ) as rm:
        yield rm


def work(rm):
    """Some of everything."""
    core, host = rm._core, rm._host

    def admit(call):
        lease = host.submit(call)
        while not lease.granted:
            host.clock.advance(0.05)
        return lease

    call = Call("ada", "acme", endpoint=ENDPOINT, estimate=Usage(100, 10))
    for _ in range(20):
        admit(replace(call, endpoint="b.example/mini")).settle(Usage(10, 5))
    admit(call).fail(ValueError("no"))
    lease = admit(call)
    refused = Verdict(Kind.LIMIT, status=429), LimitReport(retry_after_s=0.001)
    lease.requeue(refused)
    rm.end_agent("ada", tenant="acme")
    admit(replace(call, agent="bo", estimate=Usage(1900, 10))).settle(Usage(1900, 20))
    for effect in (
        Compacted(0.0, 0, "ada", "turn", "s", 900, 300, 20, 30, 1000),
        Recalled(0.0, 0, "ada", "task", "s", 50),
        Hibernated(0.0, 0, "ada", "idle", "s", 30),
    ):
        core.note(effect)


def with_all(rm, monkeypatch):
    """Its statistics have a fleet and a session as well, which a single process has not."""
    told = rm.statistics

    def statistics(**how):
        return replace(told(**how), fleet=FLEET, sessions={"s": SESSION})

    monkeypatch.setattr(rm, "statistics", statistics)


def fetch(url, token=None, **headers):
    """Status, headers and text of a real request."""
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.headers, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


def scraped(rm, **how):
    """The text of one scrape, by the real server and a real client."""
    with serve_metrics(rm, port=0, **how) as server:
        work(rm)
        status, _, text = fetch(server.url, server.token)
    assert status == 200
    return text


def samples(text):
    """Every sample by name and labels, as Prometheus' own parser reads them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
