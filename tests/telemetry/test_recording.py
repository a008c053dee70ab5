"""``AgentRM(record=...)`` and ``read_events``."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agentrm_plugins import (
    AgentRM,
    BudgetConfig,
    Call,
    ConfigError,
    EndpointConfig,
    Usage,
    WaitTimeout,
)
from agentrm_plugins.errors import RecordingError
from agentrm_plugins.events import KINDS, Granted, Queued, Settled, Submitted, kind_of
from agentrm_plugins.hosts.clock import VirtualClock
from agentrm_plugins.telemetry import Recording, read_events
from agentrm_plugins.telemetry import parts as parts_module

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def hints(kind) -> dict[str, str]:
    return {name: hint.__forward_arg__ for name, hint in kind.__annotations__.items()}


def calls(rm: AgentRM, count: int, **named) -> None:
    for number in range(count):
        with rm.slot(**{"agent": f"a{number % 3}", **named}):
            pass


def kinds(events) -> list[str]:
    return [kind_of(event) for event in events]


def test_what_is_read_is_what_a_stream_tells(tmp_path: Path) -> None:
    """Every field of every event comes back as it was, the time on the wall included."""
    clock = VirtualClock(5.0)
    file = tmp_path / "events.jsonl"
    with AgentRM(lanes=1, clock=clock, record=file) as rm, rm.events() as stream:
        with rm.slot(
            agent="ada", tenant="acme", endpoint="h/m", priority="batch", estimate=Usage(7, 3)
        ) as lease:
            lease.beat(2)
            clock.advance(1 / 3)
            with pytest.raises(WaitTimeout):
                rm._core.host.submit(Call("bob", wait_timeout_s=0)).result()
            lease.settle(Usage(10, 5))
        told = stream.drain()
    read = list(read_events(file))
    assert [event._replace(wall_s=None) for event in read][: len(told)] == [
        event._replace(wall_s=None) for event in told
    ]
    for ours, theirs in zip(read, told, strict=False):
        assert ours.wall_s == pytest.approx(theirs.wall_s, abs=1e-5)
    assert {event.tenant for event in read if event.ticket == 1} == {"acme"}
    assert {event.endpoint for event in read if event.ticket == 1} == {"h/m"}


def test_the_wall_clock_is_the_time_of_day(tmp_path: Path) -> None:
    """`wall_s` is Unix time, `at_s` the core's own clock; both go on alike."""
    import time

    before = time.time()
    with AgentRM(lanes=1) as rm, rm.events() as stream:
        calls(rm, 2)
        told = stream.drain()
    assert all(before - 1 <= event.wall_s <= time.time() + 1 for event in told)


def test_the_header_tells_what_wrote_the_file(tmp_path: Path) -> None:
    """Schema, version and the shape of the core stand in the first line."""
    file = tmp_path / "deep" / "events.jsonl"
    with AgentRM(lanes=3, record=str(file)) as rm:
        calls(rm, 1)
    header = read_events(file).header
    assert header["schema"] == "agentrm.events"
    assert header["version"] == 2
    assert (header["lanes"], header["groups"], header["order"]) == (3, {"model": 3}, "mlfq")
    assert file.stat().st_mode & 0o077 == 0


def test_each_file_is_its_owner_s_alone(tmp_path: Path) -> None:
    """Whatever the umask, full parts as well, and where an empty file with other rights stood."""
    file = tmp_path / "events.jsonl"
    file.touch()
    file.chmod(0o644)
    recording = Recording(file, max_bytes=4096, parts=4, sample_s=None)
    with AgentRM(lanes=3, record=recording) as rm:
        for _ in range(4):
            calls(rm, 20)
            rm._recorder.flush()
    parts = read_events(file).parts
    assert len(parts) == 4
    assert [part.stat().st_mode & 0o777 for part in parts] == [0o600] * 4


def test_samples_stand_between_the_events(tmp_path: Path) -> None:
    """The state of the core is written too: queue depths, lanes, endpoints."""
    file = tmp_path / "events.jsonl"
    with AgentRM(lanes=3, record=Recording(file, flush_s=0)) as rm:
        calls(rm, 3)
        rm._recorder.flush()
    samples = list(read_events(file).samples())
    assert samples
    assert samples[0].state["lanes"] == 3
    assert "agents" not in samples[0].state


def test_parts_are_rotated_bounded_and_read_in_order(tmp_path: Path) -> None:
    """However much happens, the files stay below the bound, and what is left is in order."""
    file = tmp_path / "events.jsonl"
    with AgentRM(lanes=3, record=Recording(file, max_bytes=40_000, parts=4)) as rm:
        for _ in range(10):
            calls(rm, 50)
            rm._recorder.flush()
    recorded = read_events(file)
    assert 2 <= len(recorded.parts) <= 4
    assert sum(part.stat().st_size for part in tmp_path.iterdir()) < 40_000 + 4 * 80_000
    tickets = [event.ticket for event in recorded if isinstance(event, Settled)]
    assert tickets == list(range(tickets[0], 501))
    assert json.loads(recorded.parts[-1].read_text().splitlines()[0])["part"] > 4


def test_a_torn_last_line_is_left_out_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    """A crash costs the line that it tears; damage elsewhere is an error with its line."""
    file = tmp_path / "events.jsonl"
    with AgentRM(lanes=3, record=Recording(file, sample_s=None)) as rm:
        calls(rm, 2)
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    torn = read_events(file)
    assert len(list(torn)) == 5
    assert torn.torn
    lines = whole.split(b"\n")
    lines[2] = b'{"kind":"granted","at_s":"soon"}'
    file.write_bytes(b"\n".join(lines))
    with pytest.raises(RecordingError, match=r"line 3: at_s='soon'"):
        list(read_events(file))
    lenient = read_events(file, strict=False)
    assert len(list(lenient)) == 5
    assert lenient.skipped == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello\n", "no recording of AgentRM"),
        (b'{"kind":"granted"}\n', "no recording of AgentRM"),
        (b"\xff\xfe\x00\n", "no recording of AgentRM"),
        (b'{"kind":"header","schema":"agentrm.events","version":99}\n', "upgrade"),
    ],
)
def test_what_is_no_recording_is_said_clearly(tmp_path: Path, content: bytes, message: str) -> None:
    """The error names the file and what it should be."""
    file = tmp_path / "events.jsonl"
    file.write_bytes(content)
    with pytest.raises(RecordingError, match=message):
        read_events(file)
    with pytest.raises(RecordingError, match="no such file"):
        read_events(tmp_path / "other.jsonl")


def test_a_newer_kind_and_newer_fields_are_left_aside(tmp_path: Path) -> None:
    """A file of a later minor version is read as far as it is known."""
    file = tmp_path / "events.jsonl"
    with AgentRM(lanes=1, record=Recording(file, sample_s=None)) as rm:
        calls(rm, 1)
    with file.open("a") as end:
        end.write('{"kind":"teleported","at_s":1.0}\n')
        end.write('{"kind":"boosted","at_s":1.0,"ticket":0,"agent":"","cause":"time","new":[1]}\n')
    recorded = read_events(file)
    assert kinds(recorded)[-1] == "boosted"
    assert recorded.skipped == 1


def test_a_second_run_keeps_the_first_aside(tmp_path: Path) -> None:
    """Recording to the same path again begins anew; what was there can still be read."""
    file = tmp_path / "events.jsonl"
    for agent in ("first", "second"):
        with AgentRM(lanes=1, record=file) as rm:
            calls(rm, 1, agent=agent)
    assert {event.agent for event in read_events(file)} == {"second"}
    assert {event.agent for event in read_events(tmp_path / "events.jsonl.000001")} == {"first"}


def test_two_recorders_never_share_a_file(tmp_path: Path) -> None:
    """Whoever comes second, in this process or another one, writes beside the first."""
    file = tmp_path / "events.jsonl"
    with AgentRM(lanes=1, record=file) as one, AgentRM(lanes=1, record=file) as two:
        with AgentRM(lanes=1, record=file) as three:
            calls(one, 1, agent="one")
            calls(two, 1, agent="two")
            calls(three, 1, agent="three")
            paths = [rm._recorder.path for rm in (one, two, three)]
    assert len(set(paths)) == 3
    assert [{event.agent for event in read_events(path)} for path in paths] == [
        {"one"},
        {"two"},
        {"three"},
    ]


@pytest.mark.parametrize("record", [3, "", b"events.jsonl", Path("/"), "/proc/none/events.jsonl"])
def test_a_path_that_cannot_be_is_refused_at_once(record: object) -> None:
    """What cannot be written is said when the core is made, not when it is too late."""
    with pytest.raises(ConfigError):
        AgentRM(lanes=1, record=record)


@pytest.mark.parametrize(
    "fields",
    [{"parts": 1}, {"max_bytes": 10}, {"flush_s": -1}, {"capacity": 0}, {"sample_s": 0},
     {"kinds": ["grant"]}],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(fields: dict[str, object]) -> None:
    """Each is named."""
    with pytest.raises(ConfigError, match=next(iter(fields))):
        Recording("events.jsonl", **fields)


def test_only_the_chosen_kinds_are_written(tmp_path: Path) -> None:
    """`kinds` keeps the file small where beats or samples are too many."""
    file = tmp_path / "events.jsonl"
    with AgentRM(lanes=1, record=Recording(file, kinds={"settled"}, sample_s=None)) as rm:
        calls(rm, 3)
    assert kinds(read_events(file)) == ["settled"] * 3


def test_names_that_hold_secrets_are_hidden_and_long_ones_cut(tmp_path: Path) -> None:
    """Whatever somebody calls an agent, no key stands in the file, and every line stays a line."""
    file = tmp_path / "events.jsonl"
    key = "sk-" + "proj-abcdefghijklmnopqrstuvwx"
    with AgentRM(lanes=1, record=file) as rm:
        for agent in (key, "x" * 5000, 'a"\n\u2028b', "日本"):
            with rm.slot(agent=agent, label=f"Authorization: Bearer {key}"):
                pass
    text = file.read_text()
    assert key not in text
    assert max(map(len, text.splitlines())) < 6000
    agents = {event.agent for event in read_events(file) if isinstance(event, Granted)}
    assert 'a"\n\u2028b' in agents
    assert "日本" in agents


# -- nothing slows a call ----------------------------------------------------------------------


def test_a_full_disk_costs_events_and_no_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The loss is counted, said once, and told in the file when there is room again."""
    file = tmp_path / "events.jsonl"
    real, full = os.write, threading.Event()

    def write(descriptor: int, data: bytes) -> int:
        if full.is_set() and b'"kind"' in data:
            if len(data) > 20:
                real(descriptor, data[:20])  # a part of it fits
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(parts_module.os, "write", write)
    caplog.set_level(logging.INFO, "agentrm")
    with AgentRM(lanes=1, record=Recording(file, sample_s=None)) as rm:
        calls(rm, 1)
        rm._recorder.flush()
        full.set()
        for _ in range(3):
            calls(rm, 2)
            rm._recorder._retry_s = 0
            rm._recorder.flush()
        full.clear()
        rm._recorder._retry_s = 0
        calls(rm, 1)
        assert rm._recorder.lost == 18
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    recorded = read_events(file)
    assert len(list(recorded)) == 6
    assert recorded.dropped == 18
    assert not recorded.torn


def test_a_stuck_recorder_costs_events_and_no_call(tmp_path: Path) -> None:
    """While the disk hangs, calls go on and the newest events are kept, within the bound."""
    file = tmp_path / "events.jsonl"
    with AgentRM(lanes=1, record=Recording(file, capacity=30, sample_s=None)) as rm:
        with rm._recorder._flushing:  # as a write that does not return
            calls(rm, 100)
            assert rm.statistics().events_dropped == 270
    recorded = read_events(file)
    assert [event.ticket for event in recorded if isinstance(event, Settled)] == [*range(91, 101)]
    assert recorded.dropped == 270


def test_a_killed_process_leaves_a_file_that_reads(tmp_path: Path) -> None:
    """What had been flushed is there; nothing needs mending."""
    file = tmp_path / "events.jsonl"
    code = f"""
import os, signal
from agentrm_plugins import AgentRM
rm = AgentRM(lanes=1, record={str(file)!r})
for _ in range(20):
    with rm.slot(agent="ada"):
        pass
rm._recorder.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert kinds(read_events(file)).count("settled") == 20


def test_a_process_that_just_ends_has_written_all(tmp_path: Path) -> None:
    """Nobody has to close the core."""
    file = tmp_path / "events.jsonl"
    code = f"""
from agentrm_plugins import AgentRM
rm = AgentRM(lanes=1, record={str(file)!r})
for _ in range(20):
    with rm.slot(agent="ada"):
        pass
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert kinds(read_events(file)).count("settled") == 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_a_file_of_its_own(tmp_path: Path) -> None:
    """The parent's file is not touched by the child, and a child that calls nothing makes none."""
    file = tmp_path / "events.jsonl"
    with AgentRM(lanes=1, record=Recording(file, sample_s=None)) as rm:
        calls(rm, 1, agent="parent")
        children = []
        for count in (3, 0):
            pid = os.fork()
            if not pid:
                calls(rm, count, agent="child")
                rm.close()
                os._exit(0)
            children.append(pid)
            os.waitpid(pid, 0)
        calls(rm, 1, agent="parent")
    assert {event.agent for event in read_events(file)} == {"parent"}
    own = tmp_path / f"events-{children[0]}.jsonl"
    assert [event.agent for event in read_events(own)] == ["child"] * 9
    assert sorted(tmp_path.iterdir()) == sorted([file, own])


def test_calls_that_outlive_the_core_are_written(tmp_path: Path) -> None:
    """Closing waits for nobody, and the last call's end stands in the file."""
    file = tmp_path / "events.jsonl"
    rm = AgentRM(lanes=1, record=Recording(file, sample_s=None, flush_s=0))
    with rm.slot(agent="ada"):
        rm.close()
        assert kinds(read_events(file)) == ["submitted", "granted"]
    rm._recorder.join()
    assert kinds(read_events(file)) == ["submitted", "granted", "settled"]


# -- the kinds themselves ----------------------------------------------------------------------


def test_a_call_says_why_it_waits() -> None:
    """For a lane, for its endpoint's rate, or for its budget: each has an event with the cause."""
    clock = VirtualClock()
    rm = AgentRM(
        lanes=1,
        clock=clock,
        endpoints={"h/*": EndpointConfig(rpm=60, burst_s=1)},
        budgets=[BudgetConfig(10, agent="spender", resource="calls", soft=0.1)],
    )
    with rm, rm.events() as stream:
        core = rm._core
        first = core.host.submit(Call("ada", endpoint="h/m"))
        core.host.submit(Call("bob"))
        first.settle()
        core.host.submit(Call("cyd", endpoint="h/m"))
        core.host.submit(Call("spender"))
        core.host.submit(Call("spender"))
        told = [e for e in stream if kind_of(e) in {"queued", "throttled", "budget_crossed"}]
    assert [(kind_of(e), e.agent, e.cause) for e in told][:4] == [
        ("queued", "bob", "lanes"),
        ("throttled", "cyd", "requests"),
        ("throttled", "spender", "budget"),
        ("budget_crossed", "spender", "soft"),
    ]
    waits = told[0]
    assert isinstance(waits, Queued)
    assert (waits.level, waits.waiting, waits.group) == (0, 1, "model")


def test_every_kind_has_a_word_and_survives_its_line() -> None:
    """Whatever the kernel can tell, a file can hold."""
    from agentrm_plugins.telemetry.lines import Encoder, event_of
    from agentrm_plugins.types.calls import Outcome

    example = {
        "int": 3, "float": 1 / 3, "str": "x", "Outcome": Outcome.ERROR, "int | None": None,
        "float | None": 2.5, "str | None": "y", "Usage | None": Usage(5, 2, 1),
    }  # fmt: skip
    for word, kind in KINDS.items():
        event = kind(**{name: example[hint] for name, hint in hints(kind).items()})
        line = Encoder().lines([event], 100.0)[0]
        assert "\n" not in line
        back = event_of(json.loads(line))
        assert back == event._replace(wall_s=back.wall_s), word
        assert kind_of(back) == word
        if word in {"submitted", "granted", "beaten", "settled"}:
            continue  # none of their numbers can be endless
        endless = kind(**{
            name: float("inf") if hint == "float" else example[hint]
            for name, hint in hints(kind).items()
            if name != "at_s"
        }, at_s=0.0)  # fmt: skip
        assert event_of(json.loads(Encoder().lines([endless], 0.0)[0])) == endless._replace(
            wall_s=0.0
        )
    assert isinstance(event_of({"kind": "submitted", "at_s": 1, "ticket": 2, "agent": "a",
                                "cause": ""}), Submitted)  # fmt: skip
