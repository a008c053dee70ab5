"""Order, limits and what is learnt hold across processes."""

from __future__ import annotations

import threading
import time

import pytest

from agentrm_plugins import (
    AgentRM,
    BreakerConfig,
    Coordination,
    EndpointConfig,
    EndpointUnavailable,
    LaneGroup,
    Usage,
)
from agentrm_plugins.integration import core_of, wire
from agentrm_plugins.types.calls import Call, Outcome
from agentrm_plugins.types.events import Settle
from agentrm_plugins.types.verdicts import Kind, ServerLimit
from tests.hosts.worlds import wait_until

PATIENCE_S = 30.0


class Fleet:
    """Several cores of one namespace, in this process: each is a member of its own."""

    def __init__(self, server, namespace):
        self.terms = Coordination(server.url, namespace)
        self.cores = []
        self.threads = []

    def join(self, number=2, **settings):
        fresh = [AgentRM(coordination=self.terms, **settings) for _ in range(number)]
        self.cores += fresh
        wait_until(
            lambda: all(c._fleet.statistics().members == len(self.cores) for c in fresh[-1:])
        )
        return fresh

    def go(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments)
        self.threads.append(thread)
        thread.start()
        return thread

    def close(self):
        for thread in self.threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "somebody hangs"
        for core in self.cores:
            core._host.read(lambda kernel: kernel.validate())
            core.close()


@pytest.fixture
def fleet(server, namespace):
    made = Fleet(server, namespace)
    yield made
    made.close()


def test_an_interactive_agent_is_not_starved_by_batch_elsewhere(fleet):
    """One process floods two lanes with long-running agents; a newcomer in another goes first."""
    batch, person = fleet.join(2, lanes=2)
    ending = threading.Event()

    def flood(name):
        while not ending.is_set():
            with batch.slot(agent=name, priority="batch"):
                time.sleep(0.06)

    for number in range(12):
        fleet.go(flood, f"batch-{number}")
    wait_until(lambda: batch.statistics().settled > 60)  # they have gone down a level
    waits = []
    for _ in range(10):
        asked_s = time.monotonic()
        with person.slot(agent="person", priority="interactive"):
            waits.append(time.monotonic() - asked_s)
    ending.set()
    # Twelve agents on two lanes: in their turn it would be 0.36 s each.
    assert sorted(waits)[len(waits) // 2] < 0.25, waits


def test_batch_is_relieved_among_interactive_calls_elsewhere(fleet):
    """Every so many grants of the fleet, whoever has waited longest goes, whatever its level."""
    people, batch = fleet.join(2, lanes=1, boost_interval=10)
    done, ending = [], threading.Event()

    def chat(number):
        turn = 0
        while not ending.is_set():
            turn += 1
            with people.slot(agent=f"new-{number}-{turn}", priority="interactive"):
                time.sleep(0.005)

    def work():
        with batch.slot(agent="heavy", priority="background"):
            time.sleep(0.3)  # service enough for the last level
        with batch.slot(agent="heavy", priority="background"):
            done.append(people.statistics().granted)

    for number in range(6):
        fleet.go(chat, number)
    fleet.go(work).join(PATIENCE_S)
    ending.set()
    assert done


def test_a_guarantee_holds_across_processes(fleet):
    """A group below its guarantee goes first, though another process fills all lanes."""
    groups = (LaneGroup("model", capacity=4), LaneGroup("tool", capacity=4, guaranteed=1))
    greedy, modest = fleet.join(2, lanes=2, groups=groups)
    ending = threading.Event()

    def flood(number):
        while not ending.is_set():
            with greedy.slot(agent=f"a{number}", group="model"):
                time.sleep(0.03)

    for number in range(8):
        fleet.go(flood, number)
    wait_until(lambda: greedy.statistics().settled > 8)
    for _ in range(5):
        asked_s = time.monotonic()
        with modest.slot(agent="b", group="tool"):
            assert time.monotonic() - asked_s < 5.0
    ending.set()


def test_nested_calls_untie_across_processes(fleet):
    """Parents of two processes hold every lane, each waits for a call of its own: no deadlock."""
    first, second = fleet.join(2, lanes=2)
    inside = threading.Barrier(2)

    def parent(core):
        with core.slot(agent="boss"):
            inside.wait(PATIENCE_S)
            with core.slot(agent="boss"):
                with core.slot(agent="boss", parent_agent="boss"):
                    pass

    for core in (first, second):
        fleet.go(parent, core)


def test_nested_calls_of_another_group_untie_across_processes(fleet):
    """Tools that call models and models that call tools, on one lane each for the whole fleet."""
    groups = (LaneGroup("model", capacity=1), LaneGroup("tool", capacity=1))
    first, second = fleet.join(2, lanes=2, groups=groups)
    inside = threading.Barrier(2)

    def parent(core, own, other):
        with core.slot(agent="boss", group=own):
            inside.wait(PATIENCE_S)
            with core.slot(agent="boss", group=other):
                pass

    fleet.go(parent, first, "model", "tool")
    fleet.go(parent, second, "tool", "model")


def test_a_limit_of_tokens_is_the_fleets(fleet):
    """Three processes together use what one may, and nearly all of it."""
    limits = {"*": EndpointConfig(tpm=300_000, burst_s=1.0)}  # 5,000 a second
    cores = fleet.join(3, lanes=30, endpoints=limits)
    lock, used, end_s = threading.Lock(), [], time.monotonic() + 4.0

    def work(core, number):
        while time.monotonic() < end_s:
            with core.slot(agent=f"a{number}", endpoint="api/m", estimate=Usage(90, 10)):
                with lock:
                    used.append(time.monotonic())

    for core in cores:
        for number in range(4):
            fleet.go(work, core, number)
    for thread in fleet.threads:
        thread.join(PATIENCE_S)
    used.sort()
    for start in range(0, len(used), 7):  # in no window more than the burst and the rate
        for stop in range(start + 10, len(used), 41):
            assert (stop - start) * 100 <= 5_000 * (used[stop] - used[start] + 1.0) + 1_500
    passed_s = used[-1] - used[0]
    assert len(used) * 100 >= 0.7 * 5_000 * (passed_s + 1.0)


def test_a_big_call_is_not_overtaken_for_ever(fleet):
    """Small calls of another process do not keep the bucket empty before it."""
    limits = {"*": EndpointConfig(tpm=60_000, burst_s=2.0)}  # 1,000 a second, 2,000 at once
    small, big = fleet.join(2, lanes=20, endpoints=limits)
    ending = threading.Event()

    def drip(number):
        while not ending.is_set():
            with small.slot(agent=f"a{number}", endpoint="api/m", estimate=Usage(40, 10)):
                pass

    for number in range(6):
        fleet.go(drip, number)
    wait_until(lambda: small.statistics().settled > 60)
    with big.slot(agent="big", endpoint="api/m", estimate=Usage(1800, 100), wait_timeout_s=15.0):
        ending.set()


def test_a_refusal_closes_the_endpoint_for_all(fleet):
    """A 429 with a time in one process holds back the other, until that has passed."""
    first, second = fleet.join(2, lanes=4)
    for core in (first, second):
        with core.slot(agent="a", endpoint="api/m", estimate=Usage(5, 5)):
            pass
    refused(first, retry_after_s=1.5)
    said_s = time.monotonic()
    time.sleep(0.4)
    with second.slot(agent="a", endpoint="api/m", estimate=Usage(5, 5)):
        assert time.monotonic() - said_s > 1.2


def refused(core, retry_after_s, limit=None):
    """A call of this core meets a 429."""
    lease = core_of(core).admit(call_of(core))
    told = None if limit is None else ServerLimit(limit=limit, remaining=0.0, reset_s=60.0)
    report = wire.LimitReport(retry_after_s=retry_after_s, requests=told)
    verdict = wire.Verdict(Kind.LIMIT, 429)
    core._host.feed(Settle(lease.ticket, None, Outcome.ERROR, verdict, report))


def call_of(core):
    del core
    return Call("a", endpoint="api/m", estimate=Usage(5, 5))


def test_what_one_learns_all_know(fleet):
    """A limit that the server names to one process is the other's as well."""
    first, second = fleet.join(2, lanes=4)
    for core in (first, second):
        with core.slot(agent="a", endpoint="api/m", estimate=Usage(5, 5)):
            pass
    lease = core_of(first).admit(call_of(first))
    report = wire.LimitReport(requests=ServerLimit(limit=120.0, remaining=100.0, reset_s=10.0))
    first._host.feed(Settle(lease.ticket, Usage(5, 5), report=report))

    def known():
        with second.slot(agent="a", endpoint="api/m", estimate=Usage(5, 5)):
            pass
        return second.statistics().endpoints["api/m"].rates["requests"].limit_per_min == 120.0

    wait_until(known, "the other process to know")


def fail(core):
    """A call of this core ends badly."""
    lease = core_of(core).admit(call_of(core))
    verdict = wire.Verdict(Kind.TRANSIENT, 500)
    core._host.feed(Settle(lease.ticket, None, Outcome.ERROR, verdict))


def fail_until_open(cores):
    """Calls of all fail in turn, of each fewer than it takes, until all know that it is open."""
    for _ in range(5):
        for core in cores:
            fail(core)
    for core in cores:
        wait_until(
            lambda core=core: core.statistics().endpoints["api/m"].breaker == "open",
            "the breaker to open everywhere",
        )


def test_a_breaker_is_the_fleets(fleet):
    """Failures in both count together, and no process lets a call go once it is open."""
    cores = fleet.join(2, lanes=8, breaker=BreakerConfig(least_calls=10, cool_down_s=60.0))
    fail_until_open(cores)
    for core in cores:
        with pytest.raises(EndpointUnavailable):
            core_of(core).admit(call_of(core))


def test_one_probe_of_one_process_tests_it(fleet):
    """Nobody else goes before the probe has ended, or is overdue; all go once it ended well."""
    cool_down_s = 2.0
    cores = fleet.join(2, lanes=8, breaker=BreakerConfig(least_calls=10, cool_down_s=cool_down_s))
    fail_until_open(cores)
    begun, ended, asked_s = [], [], []

    def probe(core):
        while True:
            before_s = time.monotonic()
            try:
                lease = core_of(core).admit(call_of(core))
            except EndpointUnavailable:
                time.sleep(0.02)
            else:
                break
        asked_s.append(before_s)
        begun.append(time.monotonic())
        time.sleep(0.4)
        ended.append(time.monotonic())
        lease.settle(usage=Usage(5, 5))

    for core in cores * 2:
        fleet.go(probe, core)
    for thread in fleet.threads:
        thread.join(PATIENCE_S)
    begun.sort()
    assert len(begun) == 4
    assert begun[1] >= min(ended[0], min(asked_s) + cool_down_s), "one probe for the fleet"


def test_calls_in_flight_are_limited_for_the_fleet(fleet):
    """`concurrency` is the endpoint's, not each process's."""
    cores = fleet.join(2, lanes=16, endpoints={"*": EndpointConfig(concurrency=3)})
    lock, now, most = threading.Lock(), [0], [0]

    def work(core, number):
        for _ in range(6):
            with core.slot(agent=f"a{number}", endpoint="api/m", estimate=Usage(5, 5)):
                with lock:
                    now[0] += 1
                    most[0] = max(most[0], now[0])
                time.sleep(0.02)
                with lock:
                    now[0] -= 1

    for core in cores:
        for number in range(4):
            fleet.go(work, core, number)
    for thread in fleet.threads:
        thread.join(PATIENCE_S)
    assert most[0] == 3
