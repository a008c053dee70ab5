"""``AgentRM(monitor=True)``: the local socket, who may use it and what it answers."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentrm_plugins import AgentRM, Call, ConfigError, EndpointConfig
from agentrm_plugins.events import kind_of
from agentrm_plugins.telemetry import connect, monitors
from agentrm_plugins.telemetry.answers import answer
from agentrm_plugins.telemetry.socket_folder import runtime_folder, sweep

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder of this test alone; its path is short, as those of sockets must be."""
    with tempfile.TemporaryDirectory() as base:
        monkeypatch.setenv("XDG_RUNTIME_DIR", base)
        yield Path(base) / "agentrm"


def test_cores_are_listed_while_they_run(folder: Path) -> None:
    """Each by its process; none after it was closed, and dead sockets are swept away."""
    assert monitors() == []
    with AgentRM(lanes=3, monitor=True), AgentRM(lanes=2, monitor=True):
        found = monitors()
        assert [one.pid for one in found] == [os.getpid()] * 2
        assert sorted(one.hello["lanes"] for one in found) == [2, 3]
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.iterdir()) == []
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "1-1.sock"))
    assert monitors() == []
    assert list(folder.iterdir()) == []


def test_it_answers_and_acts() -> None:
    """Statistics, stories, and control: the same as in the process itself."""
    with AgentRM(lanes=1, monitor=True) as rm, connect(monitors()[0]) as client:
        host = rm._core.host
        running, waiting = host.submit(Call("ada", "acme")), host.submit(Call("bob"))
        seen = client.ask("statistics", agents=1)
        assert (seen["running"], seen["waiting"], len(seen["agents"])) == (1, 1, 1)
        assert [e["kind"] for e in client.ask("story", ticket=2)] == ["submitted", "queued"]
        assert client.ask("config")["lanes"] == 1
        client.ask("update", lanes=2, endpoints={"h/*": {"rpm": 60}})
        assert waiting.decided
        assert rm.config.endpoints["h/*"].rpm == 60
        client.ask("prioritise", agent="ada", tenant="acme", priority="batch")
        client.ask("drain", agent="bob")
        host.submit(Call("bob"))
        assert rm.statistics().refused == {"agent_drained": 1}
        third = host.submit(Call("cyd"))
        client.ask("end", agent="cyd")
        assert rm.statistics().refused == {"agent_drained": 1, "agent_ended": 1}
        for lease in (running, waiting):
            lease.settle()
        third.withdraw()


def test_events_come_as_they_happen() -> None:
    """All, or the chosen kinds; and they stop when nobody wants them any more."""
    with AgentRM(lanes=1, monitor=True) as rm, connect(monitors()[0]) as client:
        client.ask("events", kinds=["granted", "settled"])
        with rm.slot(agent="ada"):
            pass
        told: list = []
        while len(told) < 2:
            told += client.events(timeout_s=10)
        assert [kind_of(event) for event in told] == ["granted", "settled"]
        assert told[0].wall_s is not None
        client.ask("quiet")
        with rm.slot(agent="ada"):
            pass
        assert client.events(timeout_s=0.3) == []


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"do": "fly"}, "use one of"),
        ({"do": "statistics", "agents": -1}, "agents"),
        ({"do": "story", "ticket": "x"}, "ticket"),
        ({"do": "end"}, "agent"),
        ({"do": "prioritise", "agent": "a"}, "interactive"),
        ({"do": "update", "lanes": 0}, "lanes"),
        ({"do": "update", "lane": 3}, "lane"),
        ({"do": "update", "endpoints": {"x": {"rmp": 3}}}, "rmp"),
        ({"do": "events", "kinds": ["grant"]}, "grant"),
    ],
)
def test_a_request_that_cannot_be_is_told_why(request_: dict, message: str) -> None:
    """The connection stays, and nothing has changed."""
    with AgentRM(lanes=1, monitor=True) as rm, connect(monitors()[0]) as client:
        do = request_.pop("do")
        with pytest.raises(ConfigError, match=message):
            client.ask(do, **request_)
        assert client.ask("statistics")["lanes"] == rm.config.lanes == 1


def test_a_hostile_client_harms_nobody() -> None:
    """Noise, a line without end, and a client that never reads: the core and others go on."""
    with AgentRM(lanes=1, monitor=True) as rm:
        path = str(monitors()[0].path)
        with socket.socket(socket.AF_UNIX) as noisy, socket.socket(socket.AF_UNIX) as deaf:
            for one in (noisy, deaf):
                one.connect(path)
            noisy.sendall(b'\xff\x00\n[1]\n"x"\n{"do":\n')
            deaf.sendall(json.dumps({"id": 1, "do": "events"}).encode() + b"\n")
            for _ in range(3000):
                with rm.slot(agent="ada"):
                    pass
            with connect(path) as client:
                assert client.ask("statistics")["settled"] == 3000


def test_a_folder_of_somebody_else_is_refused(folder: Path, tmp_path: Path) -> None:
    """A link in its place is not followed; the error says what to do."""
    folder.symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="XDG_RUNTIME_DIR"):
        AgentRM(lanes=1, monitor=True)


def test_a_brief_look_tells_the_limits_alone() -> None:
    """The same figures as the full one has, of the endpoints only; it lists nothing else."""
    limits = {"h/*": EndpointConfig(rpm=6, burst_s=1000.0)}
    with AgentRM(lanes=4, monitor=True, endpoints=limits) as rm, connect(monitors()[0]) as client:
        lease = rm._core.host.submit(Call("ada", "acme", endpoint="h/m"))
        brief, full = client.ask("statistics", brief=True), client.ask("statistics")
        assert set(brief) == {"at_s", "endpoints"}
        assert brief["endpoints"]["h/m"]["in_flight"] == 1
        assert brief["endpoints"].keys() == full["endpoints"].keys()
        assert brief["endpoints"]["h/m"].keys() == full["endpoints"]["h/m"].keys()
        with pytest.raises(ConfigError, match="brief"):
            client.ask("statistics", brief=1)
        lease.settle()


def test_a_brief_look_costs_the_same_however_many_tenants_there_are() -> None:
    """Nobody is listed for one who watches the limits: not in the process that is watched."""
    with AgentRM(lanes=4) as rm:
        spent = []
        for tenants in (30, 600):
            for number in range(tenants):
                with rm.slot(agent="ada", tenant=f"t{number}", endpoint=f"h{number % 30}/m"):
                    pass
            calls = [0]

            def count(_frame: object, event: str, _: object, calls: list[int] = calls) -> None:
                calls[0] += event == "call"

            answer(rm, {"do": "statistics", "brief": True})
            sys.setprofile(count)
            try:
                found = answer(rm, {"do": "statistics", "agents": 0, "brief": True})
            finally:
                sys.setprofile(None)
            spent.append(calls[0])
        assert len(found["endpoints"]) == 20
    assert spent[1] <= 1.1 * spent[0], spent


@pytest.mark.parametrize(("platform", "stays"), [("linux", False), ("darwin", True)])
def test_where_a_full_queue_refuses_as_well_the_process_has_to_be_gone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, platform: str, stays: bool
) -> None:
    """Off Linux a refusal alone is no proof: a socket of a living process stays."""
    runtime_folder()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(60)
    monkeypatch.setattr(sys, "platform", platform)
    for clear in (monitors, lambda: sweep(folder)):
        for pid in (os.getpid(), ended.pid):
            path = folder / f"{pid}-9.sock"
            path.unlink(missing_ok=True)
            with socket.socket(socket.AF_UNIX) as bound:  # bound, and nobody listens: it refuses
                bound.bind(str(path))
            os.utime(path, (0, 0))  # it is not just being opened
        clear()
        assert [one.name for one in folder.iterdir()] == [f"{os.getpid()}-9.sock"] * stays
