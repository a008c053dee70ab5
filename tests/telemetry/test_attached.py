from __future__ import annotations

import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterable
from contextlib import suppress
from math import inf
from pathlib import Path

import pytest

from agentrm_plugins import AgentRM, Call, EndpointConfig
from agentrm_plugins.telemetry.attached import AttachError, ProcessSource, running
from agentrm_plugins.telemetry.lines import plain_event
from agentrm_plugins.telemetry.reading import Sample
from agentrm_plugins.telemetry.sources import ReplaySource
from agentrm_plugins.telemetry.timeline import Timeline
from agentrm_plugins.types.effects import Granted, Submitted

HELLO = {
    "kind": "hello", "schema": "agentrm.monitor", "version": 1, "pid": 4711, "core": 1,
    "name": "app.py", "lanes": 8, "at_s": 100.0,
}  # fmt: skip
STATE = {
    "at_s": 100.0,
    "agents": {},
    "endpoints": {},
    "calls": [{"ticket": 7, "agent": "early", "tenant": "default", "group": "model",
               "endpoint": None, "label": "", "attempt": 1, "age_s": 5.0, "waited_s": 1.0}],
}  # fmt: skip


class Process:
    """The other end of the socket, which says what it is told to."""

    def __init__(self, path: Path, *, hello: dict | None = None) -> None:
        self.asked: list[dict] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._hello = HELLO if hello is None else hello
        self.connection: socket.socket | None = None
        self.silent = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def say(self, *lines: dict | bytes) -> None:
        for line in lines:
            raw = line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n"
            self.connection.sendall(raw)

    def _serve(self) -> None:
        with suppress(OSError, ValueError):  # whoever asked has gone, or this end was closed
            self.connection, _ = self._listener.accept()
            self.say(self._hello)
            with self.connection.makefile("rb") as lines:
                self._answer(lines)

    def _answer(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            asked = json.loads(line)
            self.asked.append(asked)
            if self.silent:
                continue
            if asked["do"] == "drain":
                self.say({"id": asked["id"], "ok": False, "error": "drain what? name an agent"})
            else:
                result = STATE if asked["do"] == "statistics" else {}
                self.say({"id": asked["id"], "ok": True, "result": result})

    def close(self) -> None:
        for one in (self.connection, self._listener):
            if one is not None:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        self._thread.join(30)


@pytest.fixture
def process(tmp_path: Path):
    made = Process(tmp_path / "s")
    yield made
    made.close()


@pytest.fixture
def source(process: Process, tmp_path: Path):
    made = ProcessSource(tmp_path / "s")
    yield made
    made.close()


def eventually(look) -> None:
    """Wait until it is so, as long as a loaded machine may take."""
    moment = threading.Event()
    for _ in range(600):
        if look():
            return
        moment.wait(0.05)
    raise AssertionError(look)


def test_events_and_gaps_come_as_they_were_told(process: Process, source: ProcessSource) -> None:
    """Events are the core's own records again; a gap is counted; other lines do no harm."""
    event = Submitted(101.0, 8, "ada", "", priority="batch", tenant="acme")
    process.say({"kind": "gap", "dropped": 3}, plain_event(event))
    process.say({"kind": "novelty", "at_s": 1.0}, {"kind": "granted"}, {"id": 99, "ok": True})
    granted = Granted(102.0, 8, "ada", "order", "model", 1.0, tenant="acme")
    process.say(plain_event(granted))
    eventually(lambda: len(source._events) == 2)
    assert source.poll() == [event, granted]
    assert source.dropped == 3
    assert source.title == "app.py (pid 4711)"
    assert source.now_s() >= 102.0


def test_what_went_on_before_is_known(source: ProcessSource) -> None:
    """The state at the beginning: a call that runs has its lane and its age."""
    timeline = Timeline()
    timeline.adopt(source.state())
    assert timeline.open[7].row == "model 1"
    assert timeline.open[7].granted_s == -5.0


def test_actions_are_asked_for_and_refusals_told(process: Process, source: ProcessSource) -> None:
    """What is done about an agent goes over the socket; what is refused says why."""
    source.act("prioritise", agent="ada", tenant="acme", priority="batch")
    asked = process.asked[-1]
    assert {**asked, "id": 0} == {
        "id": 0, "do": "prioritise", "agent": "ada", "tenant": "acme", "priority": "batch",
    }  # fmt: skip
    with pytest.raises(AttachError, match="name an agent"):
        source.act("drain", agent="", tenant="default")


def test_a_process_that_goes_ends_the_source(process: Process, source: ProcessSource) -> None:
    """When the other end closes, whoever waits is told, and the source has ended."""
    process.silent = True
    found: list[str] = []

    def wait() -> None:
        try:
            source.act("end", agent="ada", tenant="default")
        except AttachError as error:
            found.append(str(error))

    waiter = threading.Thread(target=wait)
    waiter.start()
    eventually(lambda: process.asked[-1]["do"] == "end")
    process.close()
    waiter.join(30)
    assert "is gone" in found[0]
    assert source.ended
    assert source.now_s() is None


@pytest.mark.parametrize("hello", [{"kind": "hello", "schema": "other"}, {"kind": "hello"}])
def test_who_speaks_another_language_is_refused(tmp_path: Path, hello: dict) -> None:
    """A socket of something else is no monitor; and where nobody listens that is said."""
    other = Process(tmp_path / "s", hello=hello)
    with pytest.raises(AttachError, match="no monitor"):
        ProcessSource(tmp_path / "s")
    other.close()
    with pytest.raises(AttachError, match="none"):
        ProcessSource(tmp_path / "none")


def test_how_near_the_limits_are_is_asked_for_while_somebody_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The gauge of an endpoint that came after the beginning is the core's own proximity."""
    base = tempfile.mkdtemp()  # short, as a socket's path has to be
    monkeypatch.setenv("XDG_RUNTIME_DIR", base)
    limits = {"h/*": EndpointConfig(rpm=6, burst_s=100.0)}  # ten may go at once
    with AgentRM(lanes=8, monitor=True, endpoints=limits) as rm:
        source = ProcessSource(running()[0])
        try:
            assert source.near() == {}
            for _ in range(5):
                rm._core.host.submit(Call("ada", endpoint="h/m"))
            source._asked_s["statistics"] = -inf  # a second has passed
            source.near()
            eventually(lambda: source.near() != {})
            assert 0.2 < source.near()["h/m|requests"] <= 0.5  # less with each second
        finally:
            source.close()
    shutil.rmtree(base)


def test_only_what_is_looked_at_is_asked_for(process: Process, source: ProcessSource) -> None:
    """Once a second the limits alone: no agents, tenants or calls are listed in the process."""
    source._asked_s["statistics"] = -inf
    source.near()
    eventually(lambda: process.asked[-1].get("brief"))
    assert {**process.asked[-1], "id": 0} == {
        "id": 0, "do": "statistics", "agents": 0, "brief": True,
    }  # fmt: skip


RATES = {"requests": {"proximity": 0.5}, "tokens": {"proximity": None}, "bytes": 3}
FOREIGN = [
    {"endpoints": {"h/m": {"rates": {"requests": {"proximity": None}}}}},
    {"endpoints": {"h/m": {}}},
    {"endpoints": [1, 2]},
    {"endpoints": {"h/m": [1]}, "fleet": [1]},
    {"endpoints": {"h/m": {"rates": [1]}}, "fleet": "x"},
    {"endpoints": {"h/m": {"rates": {"requests": {"proximity": 10**400}}}}, "fleet": {"a": 1}},
    {"endpoints": {"h/m": {"rates": {"requests": {"proximity": True}}}}},
    {"endpoints": {"h/m": {"rates": {"requests": {"proximity": "0.5"}}}}},
]


@pytest.mark.parametrize("result", [*FOREIGN, [1], "x", 7, None])
@pytest.mark.parametrize("what", ["fleet", "statistics"])
def test_an_answer_of_another_release_ends_nothing(
    process: Process, source: ProcessSource, what: str, result: object
) -> None:
    """It is left out, the next is asked for, and events go on to come."""
    source._asked[what] = 77
    process.say({"id": 77, "ok": True, "result": result})
    eventually(lambda: source._asked[what] is None)
    event = Submitted(101.0, 8, "ada", "", tenant="acme")
    process.say({"id": [1]}, {"id": None}, {"kind": "gap", "dropped": "x"}, plain_event(event))
    eventually(lambda: len(source._events) == 1)
    assert source.poll() == [event]
    assert source.near() == {}
    assert source.fleet() is None
    assert source.dropped == 0
    assert not source.ended


def test_whatever_ends_the_reading_is_told(
    process: Process, source: ProcessSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours, too: the screen never stands still without a word."""
    faults: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: faults.append(told.exc_type))
    source._asked["statistics"] = 77

    def broken(_: object) -> dict[str, float]:
        raise RuntimeError

    monkeypatch.setattr("agentrm_plugins.telemetry.attached.nearness", broken)
    process.say({"id": 77, "ok": True, "result": {}})
    eventually(lambda: source.ended)
    source._reader.join(30)
    assert faults == [RuntimeError]


@pytest.mark.parametrize("state", FOREIGN)
def test_a_foreign_recording_plays_to_its_end(state: dict) -> None:
    """What is no number is left out; what is beside it counts."""
    whole = {"endpoints": {"h/m": {"rates": RATES}, "other": None}}
    event = Submitted(2.0, 8, "ada", "", tenant="acme")
    now = [0.0]
    source = ReplaySource(
        [Sample(0.0, 0.0, state), Sample(1.0, 1.0, whole), event], clock=lambda: now[0]
    )
    assert source.poll() == []
    assert (source.near(), source.fleet()) == ({}, None)
    now[0] = 1.0
    assert source.poll() == []
    assert source.near() == {"h/m|requests": 0.5}
    now[0] = 2.0
    assert source.poll() == [event]
    assert source.ended
