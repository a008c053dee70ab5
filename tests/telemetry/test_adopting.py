"""A display that attaches to a core in the middle of its work: who waits and runs, at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest

from agentrm_plugins import AgentRM, EndpointConfig, SchedulerConfig
from agentrm_plugins.errors import AgentRMError
from agentrm_plugins.telemetry.attached import ProcessSource
from agentrm_plugins.telemetry.page.live import Live
from agentrm_plugins.telemetry.sources import CoreSource
from agentrm_plugins.telemetry.timeline import Timeline, snapshot

ENDPOINT = "api.test/m"


def one_lane(**more) -> AgentRM:
    """One lane, an endpoint with limits far away, and an order that begins each class elsewhere."""
    endpoints = {ENDPOINT: EndpointConfig(rpm=6_000_000)}
    scheduler = SchedulerConfig(order="mlfq_textbook")
    return AgentRM(lanes=1, endpoints=endpoints, scheduler=scheduler, **more)


@contextmanager
def crowd(rm: AgentRM, agents: list[tuple[str, str]]) -> Iterator[SimpleNamespace]:
    """One call runs, and one of each of these (name, priority) waits for its lane in a thread."""
    ends = SimpleNamespace(let=threading.Event(), refused=[], threads=[])

    def ask(agent: str, priority: str) -> None:
        try:
            with rm.slot(agent=agent, priority=priority, endpoint=ENDPOINT, label="chapter"):
                ends.let.wait(30)
        except AgentRMError as error:
            ends.refused.append((agent, type(error).__name__))

    with rm.slot(agent="first", endpoint=ENDPOINT) as ends.first:
        for number, (agent, priority) in enumerate(agents, 1):
            thread = threading.Thread(target=ask, args=(agent, priority))
            thread.start()
            ends.threads.append(thread)
            until(lambda number=number: rm.statistics(agents=False).waiting == number)
        yield ends
    ends.let.set()
    for thread in ends.threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in ends.threads)


def until(look) -> None:
    """Wait until it is so, as long as a loaded machine may take."""
    moment = threading.Event()
    for _ in range(3000):
        if look():
            return
        moment.wait(0.01)
    raise AssertionError(look)


def seen_by(rm: AgentRM, **more) -> tuple[Timeline, CoreSource]:
    source, timeline = CoreSource(rm), Timeline()
    timeline.adopt({**source.state(), **more})
    return timeline, source


TWO = [("ada", "interactive"), ("bob", "batch")]


def test_who_waits_is_seen_before_anything_happens() -> None:
    """Waiting calls with age, level, class and endpoint; the queue, its levels and the pressure."""
    with one_lane() as rm, crowd(rm, TWO):
        timeline, source = seen_by(rm)
        source.close()
        shown = snapshot(timeline)
        told = rm.statistics()
    assert (shown["waiting"], shown["running"]) == (2, 1)
    assert timeline.depth == [1, 1]
    assert shown["depth"]["1"][-1] == 1
    waits = {call.agent: call for call in timeline.open.values() if call.waits}
    assert {name: (call.level, call.kind) for name, call in waits.items()} == {
        "ada": (0, "interactive"),
        "bob": (1, "batch"),
    }
    assert all(call.begun_s < 0 and call.label == "chapter" for call in waits.values())
    assert {row["name"]: row["waiting"] for row in shown["agents"]} == {
        "first": 0,
        "ada": 1,
        "bob": 1,
    }
    [endpoint] = shown["endpoints"]
    assert (endpoint["waiting"], endpoint["running"]) == (2, 1)
    assert 0 < shown["pressure"]["lanes"][0] <= told.pressure.lanes.last_10_s


def test_those_that_waited_leave_as_they_end() -> None:
    """One is refused, one is granted and ends: nobody waits or runs any more, at any level."""
    with one_lane() as rm:
        with crowd(rm, TWO) as ends:
            timeline, source = seen_by(rm)
            rm.end_agent("bob")
            until(lambda: ends.refused)
            timeline.fold(*source.poll())
            assert timeline.depth[:2] == [1, 0]
        timeline.fold(*source.poll())
        source.close()
    assert [name for name, _ in ends.refused] == ["bob"]
    assert not timeline.open
    shown = snapshot(timeline)
    assert (shown["waiting"], shown["running"]) == (0, 0)
    assert {row["name"]: (row["waiting"], row["running"]) for row in shown["agents"]} == {
        "first": (0, 0),
        "ada": (0, 0),
        "bob": (0, 0),
    }
    assert (shown["endpoints"][0]["waiting"], shown["endpoints"][0]["running"]) == (0, 0)


def test_those_that_are_only_counted_leave_too() -> None:
    """Of more waiting calls than are listed the rest is a number, which their ends take away."""
    with one_lane() as rm:
        with crowd(rm, [*TWO, ("eve", "batch"), ("dan", "background")]):
            source, timeline = CoreSource(rm), Timeline()
            seen = rm.statistics(agents=2).to_dict()
            assert [call["agent"] for call in seen["waiters"]] == ["ada", "bob"]
            timeline.adopt(seen)
            assert timeline.depth[:3] == [1, 2, 1]
            assert snapshot(timeline)["endpoints"][0]["waiting"] == 4
        timeline.fold(*source.poll())
        source.close()
    shown = snapshot(timeline)
    assert (shown["waiting"], sum(timeline.strangers.values())) == (0, 0)
    assert not timeline.open
    assert {row["waiting"] for row in shown["agents"]} == {0}
    assert shown["endpoints"][0]["waiting"] == 0


def test_a_boost_brings_up_those_that_are_only_counted() -> None:
    """All wait in the top level after it."""
    seen = {"at_s": 5.0, "waiting": 7, "queue_depth": [1, 2, 4], "agents": {}}
    timeline = Timeline()
    timeline.adopt(seen)
    timeline.fold({"event": "Boosted", "at_s": 6.0, "ticket": 0, "agent": "", "cause": "calls"})
    assert timeline.depth == [7, 0, 0]
    timeline.fold({"event": "Granted", "at_s": 7.0, "ticket": 3, "agent": "a", "waited_s": 1.0})
    assert timeline.depth == [6, 0, 0]
    assert timeline.open[3].begun_s == 1.0


def test_what_a_limit_holds_back_is_told_apart() -> None:
    """A call that waits for the rate is held back by it, and the pressure is the rate's."""
    limit = EndpointConfig(rpm=1)
    with AgentRM(lanes=4, endpoints={ENDPOINT: limit}) as rm:
        with crowd(rm, [("ada", "batch")]):
            timeline, source = seen_by(rm)
            source.close()
            rm.end_agent("ada")
    [call] = [call for call in timeline.open.values() if call.waits]
    assert (call.why, timeline.held_back) == ("requests", 1)
    timeline.look(timeline.begun_s + 10.0)
    shares = timeline.pressure
    assert shares["rate"].shares[0] > 0.5 > shares["lanes"].shares[0]


def test_events_of_before_are_not_counted_twice() -> None:
    """The source hears of them, and the statistics have them already."""
    with one_lane() as rm:
        source, timeline = CoreSource(rm), Timeline()
        with rm.slot(agent="ada"):
            pass
        timeline.adopt(source.state())
        timeline.fold(*source.poll())
        source.close()
    [row] = timeline.agents
    assert (row.calls, row.running, row.waiting) == (1, 0, 0)


def test_the_live_page_and_an_attached_display_show_it(monkeypatch) -> None:
    """The page of the own process, and whoever attaches over the socket, begin with it."""
    with TemporaryDirectory(prefix="rm") as base:  # short: a socket's path has at most 107 letters
        monkeypatch.setenv("XDG_RUNTIME_DIR", base)
        with one_lane(monitor=True) as rm, crowd(rm, TWO):
            live = Live(CoreSource(rm))
            assert '"waiting":2' in live.text()[1].replace(" ", "")
            live.close()
            [path] = Path(base).rglob("*.sock")
            source, timeline = ProcessSource(path), Timeline()
            timeline.adopt(source.state())
            source.close()
    assert sum(timeline.depth) == 2


@pytest.mark.parametrize(("agents", "listed"), [(False, 0), (1, 1), (True, 2)])
def test_waiting_calls_are_listed_as_agents_are(agents: bool | int, listed: int) -> None:
    """As many as agents were asked for, the oldest first; all are counted."""
    with one_lane() as rm, crowd(rm, TWO):
        seen = rm.statistics(agents=agents)
    assert seen.waiting == 2
    assert [call.agent for call in seen.waiters] == ["ada", "bob"][:listed]
    if listed:
        [one, *_] = seen.waiters
        assert one.age_s == one.waiting_s == pytest.approx(seen.oldest_waiting_s)
        assert (one.held_by, one.attempt, one.waited_s) == ("lanes", 1, 0.0)
