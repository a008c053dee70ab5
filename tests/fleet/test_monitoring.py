"""What top, the page, a recording, the doctor and a scrape show of a real fleet."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from typer.testing import CliRunner

from agentrm_plugins import AgentRM, Coordination, EndpointConfig, LaneGroup
from agentrm_plugins.cli.app import app
from agentrm_plugins.cli.doctor.configured import fleet as doctors
from agentrm_plugins.telemetry import read_events, report_html, serve_metrics
from agentrm_plugins.telemetry.attached import ProcessSource
from agentrm_plugins.telemetry.page.live import Live
from agentrm_plugins.telemetry.socket_folder import socket_path
from agentrm_plugins.telemetry.sources import CoreSource, ReplaySource
from agentrm_plugins.telemetry.timeline.fleet import fleet_line
from agentrm_plugins.telemetry.top.app import TopApp
from agentrm_plugins.types.calls import Usage
from tests.fleet.processes import Worker
from tests.hosts.worlds import wait_until
from tests.telemetry.export.scraping import fetch, samples

ENDPOINT = "api.test/v1#key"


def scrape(url, token):
    status, _, text = fetch(url, token)
    assert status == 200
    return {name: value for (name, _), value in samples(text).items()}


def named_in(command):
    """Every metric of the fleet that the dashboard or the alert rules name."""
    done = CliRunner().invoke(app, [command])
    assert done.exit_code == 0, done.output
    return set(re.findall(r"agentrm_fleet_[a-z_]+", done.output))


def fires(rules, name, seen):
    """Whether a rule on one metric of the fleet holds for a scrape."""
    [rule] = [rule for rule in rules if rule["alert"] == name]
    metric, sign, right = re.fullmatch(r"(\w+) (==|>) (.+)", rule["expr"]).groups()
    bound = 1.0
    for part in right.split(" * "):
        bound *= seen[part] if part in seen else float(part)
    return seen[metric] == bound if sign == "==" else seen[metric] > bound


def test_a_scrape_of_a_real_fleet(own_server, namespace):
    """Two processes: all that dashboard and rules name is there, and outages ring the bell."""
    terms = Coordination(own_server.url, namespace, lease_s=2.0)
    worker = Worker(
        own_server.url, namespace, hold_s=0.2, threads=2, lanes=6, metrics=True,
        coordination={"lease_s": 2.0},
    )  # fmt: skip
    try:
        theirs = worker.expect("joined")[0]
        worker.expect("call", 2)
        with AgentRM(lanes=4, coordination=terms) as rm, serve_metrics(rm, port=0) as server:
            rules = yaml.safe_load(CliRunner().invoke(app, ["alerts"]).output)["groups"][0]["rules"]
            with rm.slot(agent="works"):
                both = [scrape(server.url, server.token), scrape(theirs["url"], theirs["token"])]
            for seen in both:
                assert named_in("dashboard") | named_in("alerts") <= seen.keys()
                assert seen["agentrm_fleet_members"] == 2
                assert not fires(rules, "AgentRMFleetOutage", seen)
            assert both[0]["agentrm_fleet_lanes_in_use"] == 1
            assert sum(seen["agentrm_fleet_lanes_held"] for seen in both) <= 4
            assert not fires(rules, "AgentRMFleetLimitsDiffer", both[0])
            assert fires(rules, "AgentRMFleetLimitsDiffer", both[1])
            own_server.stop()

            def away():
                seen = scrape(server.url, server.token)
                return seen if fires(rules, "AgentRMFleetOutage", seen) else None

            wait_until(away, "the outage in a scrape")
            assert away()["agentrm_fleet_outages_total"] == 1
            wait_until(lambda: fires(rules, "AgentRMFleetSlow", away()), "the slow exchange")
            wait_until(lambda: plain(rm)["lanes_allowed"] == 2, "its part")
            line = fleet_line(plain(rm))
            assert line.alarm
            assert "OUT OF REACH since" in line.text
            assert "2 lanes and 45 % of the rates, as one of 2 processes" in line.text
    finally:
        worker.close()


def plain(rm):
    source = CoreSource(rm)
    source.now_s()
    return source.fleet()


@pytest.fixture
def fleet(server, namespace, tmp_path):
    """Two cores that share; the first is watched, the second holds a lane and spends."""
    terms = Coordination(server.url, namespace)
    settings = {
        "lanes": 4,
        "coordination": terms,
        "groups": [LaneGroup("model", 4), LaneGroup("tools", 2)],
        "endpoints": {"api.test/*": EndpointConfig(rpm=600, tpm=60_000)},
    }
    record = tmp_path / "events.jsonl"
    with (
        AgentRM(monitor=True, record=str(record), **settings) as first,
        AgentRM(**settings) as second,
    ):
        with first.slot(agent="ada", endpoint=ENDPOINT, estimate=Usage(100, 10)):
            pass
        with second.slot(agent="bob", endpoint=ENDPOINT, estimate=Usage(100, 10)):
            yield first, second, terms, record


def whole(seen):
    """Whether a view has both processes, the lane that is held, and the endpoint."""
    return seen and len(seen["peers"]) == 2 and seen["endpoints"] and seen["lanes"]["lanes"]["held"]


def text_of(app):
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_top_shows_the_fleet(fleet, size):
    """A line for all tables, and a table: lanes by group, who holds them, what is left."""
    first, second, _, _ = fleet
    source = ProcessSource(socket_path(first._core.number))
    try:
        wait_until(lambda: whole(source.fleet()), "the other process")
        top = TopApp(source, capacity=4, looking=False)
        async with top.run_test(size=size) as pilot:
            await pilot.pause()
            await pilot.press("6")
            top.look()
            await pilot.pause()
            shown = text_of(top)
        text = "\n".join(shown)
        name = second.statistics().fleet.member
        assert max(map(len, shown)) <= size[0]
        assert re.search(r"joined, 2 processes; lanes \d/4, model \d/4, tools 0/2", text)
        for words in ("all lanes", "group tools", "group model", "requests", "tokens", "process"):
            assert words in text, words
        assert name[-6:] in text
        if size[0] > 100:
            assert "this one" in text
            assert re.search(r"model [12]", text)
    finally:
        source.close()


def test_the_page_a_recording_and_the_doctor_show_it(fleet):
    """The same rows, live, replayed and asked of the server."""
    first, second, terms, record = fleet
    live = Live(CoreSource(first))
    try:
        wait_until(lambda: whole(plain(first)), "the other process")
        wait_until(lambda: rows_of(live), "a state of the page")
        shown = {row["what"] for row in rows_of(live)}
        assert shown == {"lanes", "process", "limit"}
    finally:
        live.close()

    def recorded():
        events = read_events(record)
        return [s.state["fleet"] for s in events.samples() if whole(s.state["fleet"])]

    wait_until(recorded, "a sample of the fleet")
    clock = iter((0.0,))
    replay = ReplaySource(read_events(record).everything(), clock=lambda: next(clock, 1e6))
    assert replay.fleet() is None
    replay.poll()
    assert whole(replay.fleet())
    assert '"what":"process"' in report_html(read_events(record)).replace(" ", "")
    told = [finding.text for finding in doctors(terms)]
    name = second.statistics().fleet.member
    assert any(re.match("all lanes: [1-4] of 4 held", text) for text in told)
    assert any(text.startswith(name) and "(model " in text for text in told)
    assert any("600 requests a minute" in text for text in told)


def rows_of(live):
    found = json.loads(live.text()[1] or "{}").get("fleet")
    return found and found["rows"]
