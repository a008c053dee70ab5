"""What happens when processes, the server or the way between them fail: the table of docs/fleet.md.

Leases are short so that the tests are quick. In every one: no caller hangs, no lane is lost.
"""

from __future__ import annotations

import time

import pytest

from agentrm_plugins.testing.provider import SimulatedProvider
from benchmarks.fleet.proxy import Proxy
from tests.fleet.processes import Worker, most_at_once

LEASE_S = 1.5
LANES = 4
SHORT = {"coordination": {"lease_s": LEASE_S}, "lanes": LANES}


@pytest.fixture
def fleet(own_server, namespace):
    """Starts workers that share four lanes; ends them all."""
    workers = []

    def start(number=2, server=None, **settings):
        fresh = [
            Worker(server or own_server.url, namespace, **{**SHORT, **settings})
            for _ in range(number)
        ]
        workers.extend(fresh)
        for worker in fresh:
            worker.expect("call", 3)
        return fresh

    yield start
    for worker in workers:
        worker.close()


def all_lanes_are_usable(own_server, namespace, others=()):
    """A process that comes now gets every lane once the others have ended."""
    for worker in others:
        ended = worker.end()
        assert ended["hung"] == 0
    probe = Worker(own_server.url, namespace, hold_s=0.3, threads=LANES * 2, **SHORT)
    try:
        probe.expect("call", LANES * 3)
        probe.end()
        assert most_at_once(probe) == LANES
    finally:
        probe.close()


def test_a_killed_holders_lanes_come_back(own_server, namespace, fleet):
    """SIGKILL: after one lease its lanes are the others', and never more than all are used."""
    victim, other = fleet(2, hold_s=0.2)
    victim.kill()
    killed_s = time.monotonic()
    time.sleep(LEASE_S + 1.0)
    at_s = time.monotonic()
    other.expect("call", other.count("call") + 12)
    assert most_at_once(other, after_s=at_s) == LANES
    assert most_at_once(victim, other, until_s=killed_s) <= LANES
    all_lanes_are_usable(own_server, namespace, [other])


def test_a_stopped_process_is_fenced(own_server, namespace, fleet):
    """SIGSTOP for twice the lease: others take over; on return its calls are given up."""
    sleeper, other = fleet(2, hold_s=0.3)
    sleeper.pause()
    time.sleep(LEASE_S)
    before = other.count("call")
    other.expect("call", before + 2 * LANES)
    time.sleep(LEASE_S)
    sleeper.go_on()
    back_s = time.monotonic()
    calls = sleeper.count("call")
    sleeper.expect("call", calls + 4)
    fresh = [e for e in sleeper.events if e["what"] == "call" and e["at_s"] > back_s]
    first_s = min(event["at_s"] for event in fresh)
    assert first_s >= back_s
    assert most_at_once(sleeper, other, after_s=back_s + 0.5) <= LANES
    all_lanes_are_usable(own_server, namespace, [sleeper, other])


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_request_that_was_granted_before_the_stop_waits_for_its_lane(
    own_server, namespace, fleet, is_async
):
    """SIGSTOP between grant and request: on return it is not sent while another has the lane."""
    with SimulatedProvider(seed=1, time_to_first_token_s=0.3, output_tokens=4) as provider:
        task = {
            "server": own_server.url,
            "namespace": namespace,
            "lease_s": LEASE_S,
            "lanes": 1,
            "url": provider.base_url,
            "is_async": is_async,
        }
        sender = Worker.of("tests/fleet/sender.py", task)
        try:
            sender.expect("about")
            sender.pause()
            [other] = fleet(1, lanes=1, hold_s=0.4, threads=2)
            time.sleep(LEASE_S)
            sender.go_on()
            [ended] = sender.expect("ended")
        finally:
            sender.close()
        [request] = provider.log
        began_s = provider.started_s + request.started_s
        ended_s = provider.started_s + request.finished_s
    other.events.append({"what": "call", "at_s": began_s, "end_s": ended_s})
    assert most_at_once(other) == 1
    assert sender.count("about") == 2  # asked for twice, sent once
    assert ended["requeues"] == 0  # which is no failure


@pytest.mark.parametrize("how", ["FLUSHALL", "restart without data"])
def test_lost_data_heal(own_server, namespace, fleet, how):
    """The members' own truth makes it good: running calls keep their lanes, no lane is doubled."""
    first, second = fleet(2, hold_s=0.3)
    if how == "FLUSHALL":
        own_server.client().flushall()
    else:
        own_server.stop()
        own_server.start()
    at_s = time.monotonic()
    counts = [first.count("call"), second.count("call")]
    first.expect("call", counts[0] + 6)
    second.expect("call", counts[1] + 6)
    assert most_at_once(first, second) <= LANES
    assert time.monotonic() - at_s < 30
    assert first.count("refused") == second.count("refused") == 0
    all_lanes_are_usable(own_server, namespace, [first, second])


def test_restart_with_its_data(own_server, namespace, fleet):
    """The data are as old as the last write: nothing is doubled."""
    own_server.settings = ("--appendonly", "yes", "--appendfsync", "always")
    own_server.stop()
    own_server.start()
    first, second = fleet(2, hold_s=0.2)
    own_server.stop()
    own_server.start()
    counts = [first.count("call"), second.count("call")]
    first.expect("call", counts[0] + 6)
    second.expect("call", counts[1] + 6)
    assert most_at_once(first, second) <= LANES
    all_lanes_are_usable(own_server, namespace, [first, second])


@pytest.mark.parametrize("rule", ["share", "wait", "refuse"])
def test_an_outage_by_each_rule(own_server, namespace, fleet, rule):
    """Paused for longer than a lease: each goes on with its part, waits, or refuses."""
    terms = {"coordination": {"lease_s": LEASE_S, "on_outage": rule}}
    first, second = fleet(2, hold_s=0.1, **terms)
    own_server.pause()
    time.sleep(LEASE_S + 1.5)
    since_s = time.monotonic()
    time.sleep(1.5)
    calls = [
        event
        for worker in (first, second)
        for event in worker.events
        if event["what"] == "call" and event["at_s"] > since_s
    ]
    refused = first.count("refused") + second.count("refused")
    until_s = time.monotonic()
    own_server.go_on()
    assert most_at_once(first, second, after_s=since_s, until_s=until_s) <= LANES
    assert (bool(calls), bool(refused)) == {
        "share": (True, False),
        "wait": (False, False),
        "refuse": (False, True),
    }[rule]
    counts = [first.count("call"), second.count("call")]
    first.expect("call", counts[0] + 4)
    second.expect("call", counts[1] + 4)
    assert most_at_once(first, second) <= LANES
    all_lanes_are_usable(own_server, namespace, [first, second])


def test_a_short_pause_is_no_outage(own_server, namespace, fleet):
    """Shorter than the lease: what is in hand is used, and no call is given up."""
    first, second = fleet(2, hold_s=0.1)
    own_server.pause()
    time.sleep(LEASE_S / 3)
    own_server.go_on()
    counts = [first.count("call"), second.count("call")]
    first.expect("call", counts[0] + 4)
    second.expect("call", counts[1] + 4)
    for worker in (first, second):
        assert worker.count("reaped") == worker.count("refused") == 0
    all_lanes_are_usable(own_server, namespace, [first, second])


def test_a_cut_way(own_server, namespace, fleet):
    """One process is cut off: it goes on with its part, and comes back to the fleet."""
    with Proxy(own_server.port) as way:
        [cut] = fleet(1, server=f"redis://127.0.0.1:{way.port}", hold_s=0.1)
        [other] = fleet(1, hold_s=0.1)
        way.cut()
        time.sleep(LEASE_S + 1.0)
        before = cut.count("call")
        cut.expect("call", before + 3)
        way.mend()
        time.sleep(1.0)
        since_s = time.monotonic()
        counts = [cut.count("call"), other.count("call")]
        cut.expect("call", counts[0] + 4)
        other.expect("call", counts[1] + 4)
        assert most_at_once(cut, other, after_s=since_s) <= LANES
        all_lanes_are_usable(own_server, namespace, [cut, other])


def test_a_full_server_refuses_whole_exchanges(own_server, namespace, fleet):
    """OOM with noeviction is an outage, and nothing of an exchange has happened by half."""
    first, second = fleet(2, hold_s=0.1)
    client = own_server.client()
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", 1)
    time.sleep(LEASE_S + 1.5)
    since_s = time.monotonic()
    time.sleep(0.5)
    client.config_set("maxmemory", 0)
    assert most_at_once(first, second, after_s=since_s) <= LANES
    counts = [first.count("call"), second.count("call")]
    first.expect("call", counts[0] + 4)
    second.expect("call", counts[1] + 4)
    assert most_at_once(first, second) <= LANES
    all_lanes_are_usable(own_server, namespace, [first, second])
