"""Prometheus: what a scrape says, who may scrape, and that no call ever waits for one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import urllib.error
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from starlette.testclient import TestClient

from agentrm_plugins import AgentRM, ConfigError, Usage
from agentrm_plugins.telemetry import AgentRMCollector, asgi_app, serve_metrics
from agentrm_plugins.telemetry.metrics.catalogue import CATALOGUE
from agentrm_plugins.telemetry.metrics.measure import MOST_ENDPOINTS, MOST_TENANTS
from tests.telemetry.export.scraping import (
    ENDPOINT,
    busy,
    fetch,
    samples,
    scraped,
    with_all,
    work,
)

ROOT = Path(__file__).parents[3]
TOKEN = "a token of some length"


def promtool():
    own = ROOT / ".venvs" / "promtool" / "promtool"
    return os.environ.get("PROMTOOL") or shutil.which("promtool") or (own if own.exists() else None)


def test_a_scrape_says_what_happened():
    """Through a real server and Prometheus' own parser: calls, tokens, waits, 429s, context."""
    with busy() as rm:
        seen = samples(scraped(rm))
        told = rm.statistics()
    at = (("endpoint", "api.example/gpt"), ("key_fingerprint", "0123abcd"))
    assert seen["agentrm_calls_submitted_total", ()] == told.submitted == 23
    assert seen["agentrm_tokens_total", (("type", "input"),)] == told.input_tokens
    assert seen["agentrm_endpoint_limit_hits_total", at] == 1
    assert seen["agentrm_endpoint_sent_total", at] == told.endpoints[ENDPOINT].sent
    assert seen["agentrm_calls_retried_total", (("cause", "limit"),)] == 1
    assert seen["agentrm_cost_total", ()] == told.cost > 0
    assert seen["agentrm_context_compactions_total", (("cause", "turn"),)] == 1
    assert seen["agentrm_context_compacted_tokens_total", ()] == 600
    assert seen["agentrm_context_recalled_tokens_total", ()] == 50
    assert seen["agentrm_budget_crossings_total", (("mark", "soft"),)] == 1
    assert seen["agentrm_endpoint_breaker", (*at, ("state", "closed"))] == 1
    requests = (*at, ("resource", "requests"))
    assert seen["agentrm_rate_limit_per_second", requests] == 10.0
    assert 0 < seen["agentrm_rate_proximity_ratio", requests] <= 1
    outcome = ("group", "model"), ("outcome", "error")
    assert seen["agentrm_call_duration_seconds_count", outcome] == 2


def test_waits_are_a_histogram_of_prometheus():
    """Cumulative, with the waits of no time in every bucket, and the bounds are always the same."""
    with busy() as rm:
        text = scraped(rm)
        waits = rm.statistics().groups["model"].waits
    buckets = [
        (labels, value)
        for (name, labels), value in samples(text).items()
        if name == "agentrm_queue_wait_seconds_bucket"
    ]
    counts = [value for _, value in buckets]
    assert len(buckets) == 22
    assert counts == sorted(counts)
    assert counts[-1] == waits.calls
    assert counts[0] >= waits.buckets["0"] > 0


def test_every_name_is_told_and_documented(monkeypatch):
    """All that the table has stands in a scrape, under its name, and nothing else does."""
    with busy() as rm:
        with_all(rm, monkeypatch)
        text = scraped(rm, agents=5)
    told = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert told == {metric.prometheus for metric in CATALOGUE}


def test_promtool_has_nothing_to_complain_of(monkeypatch):
    """Names, units and suffixes are as Prometheus' own linter wants them."""
    tool = promtool()
    if tool is None:
        pytest.skip("promtool is not installed (Debian's package prometheus)")
    with busy() as rm:
        with_all(rm, monkeypatch)
        text = scraped(rm, agents=5)
    done = subprocess.run(
        [tool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_openmetrics_is_spoken_where_it_is_preferred():
    """And its own, stricter parser takes it."""
    with busy() as rm, serve_metrics(rm, port=0) as server:
        work(rm)
        accept = "application/openmetrics-text; version=1.0.0"
        _, headers, text = fetch(server.url, server.token, Accept=accept)
    assert headers["content-type"].startswith("application/openmetrics-text")
    assert len(list(open_families(text))) > 50


def test_only_who_knows_the_token_and_asks_from_here_may_scrape():
    """The rules of the live page: token, host name, method, path; and the token is nowhere."""
    with AgentRM() as rm, serve_metrics(rm, port=0, token=TOKEN) as server:
        assert fetch(server.url)[0] == 401
        assert fetch(server.url, "wrong" * 5)[0] == 401
        assert fetch(server.url, TOKEN, Host="evil.example")[0] == 403
        assert fetch(server.url, TOKEN, Origin="http://evil.example")[0] == 403
        assert fetch(server.url.replace("/metrics", "/other"), TOKEN)[0] == 404
        assert fetch(f"{server.url}?token={TOKEN.replace(' ', '+')}")[0] == 200
        status, headers, text = fetch(server.url, TOKEN)
        assert status == 200
        assert TOKEN not in text + str(headers) + repr(server) + server.url
        assert server.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"token": "short"}, "at least 16"),
        ({"host": "0.0.0.0"}, "hosts="),
        ({"port": 70_000}, "0 to 65535"),
        ({"agents": -1}, "agents"),
        ({"agents": 1_000_000}, "at most 200"),
    ],
)
def test_what_would_be_unsafe_is_refused_at_once(how, word):
    """With the way out, and without the token in the text."""
    with AgentRM() as rm, pytest.raises(ConfigError, match=word) as caught:
        serve_metrics(rm, **{"port": 0, **how})
    assert "short" not in str(caught.value)


def test_a_port_that_is_taken_is_said():
    """As an error that names it; nothing is left behind."""
    with socket.socket() as taken, AgentRM() as rm:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="port"):
            serve_metrics(rm, port=taken.getsockname()[1])
        assert rm._host.streams.open == ()


def test_the_users_own_registry_takes_it():
    """Beside the user's metrics; registered twice it is refused by the registry, not doubled."""
    registry = CollectorRegistry()
    with AgentRM(lanes=3) as rm:
        registry.register(AgentRMCollector(rm))
        with pytest.raises(ValueError, match="Duplicated"):
            registry.register(AgentRMCollector(rm))
        assert registry.get_sample_value("agentrm_lanes_limit") == 3


def test_two_cores_of_one_process_are_told_apart():
    """By a label with the names that they were given."""
    registry = CollectorRegistry()
    with AgentRM(lanes=3) as web, AgentRM(lanes=4) as batch:
        registry.register(AgentRMCollector({"web": web, "batch": batch}))
        assert registry.get_sample_value("agentrm_lanes_limit", {"core": "web"}) == 3
        assert registry.get_sample_value("agentrm_lanes_limit", {"core": "batch"}) == 4


@pytest.mark.parametrize("cores", [{}, {"": None}, {3: None}, {str(n): None for n in range(21)}])
def test_names_of_cores_are_checked(cores):
    """None, an empty one, a number, and too many."""
    with pytest.raises(ConfigError, match="cores"):
        AgentRMCollector(cores)


def test_the_number_of_series_is_bounded():
    """Agents, tenants and endpoints without end: the last share one series, nothing is lost."""
    with AgentRM(lanes=2) as rm:
        collector = AgentRMCollector(rm, agents=10)
        registry = CollectorRegistry()
        registry.register(collector)
        for number in range(300):
            name = f"n{number}"
            with rm.slot(agent=name, tenant=name, endpoint=f"{name}.example/m") as lease:
                lease.settle(Usage(10, 5))
        seen = samples(generate_latest(registry).decode())
    tokens = {
        labels: value
        for (name, labels), value in seen.items()
        if name == "agentrm_tenant_tokens_total" and ("type", "input") in labels
    }
    assert len(tokens) == MOST_TENANTS + 1
    assert sum(tokens.values()) == 3000
    assert tokens[("tenant", "other"), ("type", "input")] == 10 * (300 - MOST_TENANTS)
    sent = [v for (name, _), v in seen.items() if name == "agentrm_endpoint_sent_total"]
    assert (len(sent), sum(sent)) == (MOST_ENDPOINTS + 1, 300)
    assert sum(name == "agentrm_agent_level" for name, _ in seen) == 10
    assert len(seen) < 8000


@pytest.mark.parametrize(
    "name",
    ['quote"', "back\\slash", "new\nline", "nul\0", "x" * 5000, "é", "{}", "# HELP"],
)
def test_names_of_users_break_no_scrape(name):
    """Whatever a tenant or an agent is called, the parser takes it, at a bounded length."""
    registry = CollectorRegistry()
    with AgentRM() as rm:
        registry.register(AgentRMCollector(rm, agents=5))
        with rm.slot(agent=name, tenant=name):
            pass
        seen = samples(generate_latest(registry).decode())
    tenants = [dict(labels)["tenant"] for n, labels in seen if n == "agentrm_tenant_lanes"]
    assert len(tenants) == 1
    assert 0 < len(tenants[0]) <= 200


def test_a_scrape_that_fails_costs_only_itself(monkeypatch, caplog):
    """The other metrics of the registry are told, calls go on, and the log says what failed."""
    registry = CollectorRegistry()
    with AgentRM() as rm:
        registry.register(AgentRMCollector(rm))

        def broken(**_):
            raise RuntimeError("broken")

        monkeypatch.setattr(rm, "statistics", broken)
        assert "agentrm" not in generate_latest(registry).decode()
        assert "could not be read" in caplog.text
        with rm.slot(agent="ada"):
            pass


def test_a_closed_core_and_a_closed_server_are_quiet():
    """The last values of a closed core can still be scraped; a server closes twice."""
    with AgentRM(lanes=3) as rm:
        server = serve_metrics(rm, port=0)
    assert "agentrm_lanes_limit 3.0" in fetch(server.url, server.token)[2]
    server.close()
    server.close()
    with pytest.raises(urllib.error.URLError):
        fetch(server.url, server.token)


def test_clients_that_hang_hold_up_neither_scrapes_nor_calls():
    """Twenty connections that say nothing: a scrape is answered, a call is made."""
    with AgentRM() as rm, serve_metrics(rm, port=0) as server:
        hanging = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
        try:
            assert fetch(server.url, server.token)[0] == 200
            with rm.slot(agent="ada"):
                pass
        finally:
            for client in hanging:
                client.close()


def test_scrapes_and_calls_at_once_agree():
    """Eight threads that call while two scrape: what is counted at the end is what was done."""
    registry = CollectorRegistry()
    with AgentRM(lanes=4) as rm:
        registry.register(AgentRMCollector(rm))
        over = threading.Event()

        def scrape():
            while not over.is_set():
                generate_latest(registry)

        def call():
            for _ in range(50):
                with rm.slot(agent="ada"):
                    pass

        scrapers = [threading.Thread(target=scrape) for _ in range(2)]
        callers = [threading.Thread(target=call) for _ in range(8)]
        for thread in [*scrapers, *callers]:
            thread.start()
        for thread in callers:
            thread.join()
        over.set()
        for thread in scrapers:
            thread.join()
        labels = {"group": "model", "outcome": "ok"}
        assert registry.get_sample_value("agentrm_calls_settled_total") == 400
        assert registry.get_sample_value("agentrm_call_duration_seconds_count", labels) == 400


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forks_child_counts_its_own():
    """From nothing on, as its core does."""
    registry = CollectorRegistry()
    with AgentRM() as rm:
        registry.register(AgentRMCollector(rm))
        with rm.slot(agent="ada"):
            pass
        child = os.fork()
        if child == 0:
            with rm.slot(agent="bo"):
                pass
            labels = {"group": "model", "outcome": "ok"}
            count = registry.get_sample_value("agentrm_call_duration_seconds_count", labels)
            os._exit(int(count or 99))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_the_live_page_has_a_route_for_it():
    """By the same token; a page without prometheus-client says how to get it."""
    with AgentRM(lanes=3) as rm:
        page = asgi_app(rm, token=TOKEN)
        with TestClient(page, base_url="http://localhost") as client:
            assert client.get("/metrics").status_code == 401
            found = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        page.close()
    assert found.status_code == 200
    assert "agentrm_lanes_limit 3.0" in found.text
    assert found.headers["content-type"].startswith("text/plain; version=")
