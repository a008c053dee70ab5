"""A recording whose process is killed, or whose disk is full: what is lost, and what is not."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from agentrm_plugins import AgentRM, EndpointConfig, LaneGroup
from agentrm_plugins.errors import RecordingError
from agentrm_plugins.events import Settled, Submitted
from agentrm_plugins.telemetry import Recording, read_events
from agentrm_plugins.telemetry import parts as parts_module


def python_calls(of: Callable[[], object]) -> int:
    """How many Python functions are called."""
    seen: list[str] = []
    sys.setprofile(lambda frame, kind, _: seen.append(kind))
    try:
        of()
    finally:
        sys.setprofile(None)
    return seen.count("call")


BUSY = """
import sys, threading
from agentrm_plugins import AgentRM
rm = AgentRM(lanes=2, record=sys.argv[1])
over = threading.Event()
def work():
    while not over.is_set():
        with rm.slot(agent="ada"):
            pass
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
said = 0
while True:
    threading.Event().wait(0.02)
    if rm._recorder.written > said:
        said = rm._recorder.written
        print(said, flush=True)
"""


def test_a_process_that_is_killed_amid_its_calls_loses_the_end_alone(tmp_path: Path) -> None:
    """SIGKILL while two threads call: each event that was written before stands in the file, in
    the order of its time and without a gap, and the last line may be torn.
    """
    file = tmp_path / "events.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, str(file)], stdout=subprocess.PIPE, text=True
    )
    try:
        said = [int(process.stdout.readline()) for _ in range(4)]
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        process.stdout.close()
    recorded = read_events(file)
    events = list(recorded)
    assert len(events) >= said[-1] > 0
    assert recorded.dropped == recorded.skipped == 0
    asked = {event.ticket for event in events if isinstance(event, Submitted)}
    ended = {event.ticket for event in events if isinstance(event, Settled)}
    assert len(set(range(1, max(asked) + 1)) - asked) <= 1  # of two threads, one was a bit later
    assert len(asked - ended) <= 2
    times = [event.at_s for event in events]
    assert times == sorted(times)


SMALL = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from agentrm_plugins import AgentRM
from agentrm_plugins.telemetry import Recording
with AgentRM(lanes=1, record=Recording(sys.argv[1], sample_s=None)) as rm:
    for _ in range(10):
        for _ in range(50):
            with rm.slot(agent="ada"):
                pass
        rm._recorder._retry_s = 0
        rm._recorder.flush()
    seen = rm.statistics()
print(json.dumps({"settled": seen.settled, "lost": rm._recorder.lost,
                  "written": rm._recorder.written}))
"""


def test_a_file_that_may_not_grow_costs_events_and_no_call(tmp_path: Path) -> None:
    """The system itself refuses to write on (RLIMIT_FSIZE, as a full disk does): every call ends,
    what is lost is counted, and what stands in the file are whole lines, in their order.
    """
    pytest.importorskip("resource")
    file = tmp_path / "events.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", SMALL, str(file)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["settled"] == 500
    assert found["written"] + found["lost"] == 1_500
    assert min(found["written"], found["lost"]) > 0
    assert file.stat().st_size <= 20_000
    recorded = read_events(file)
    events = list(recorded)
    assert len(events) == found["written"]
    assert recorded.dropped <= found["lost"]  # the last loss may have had no room to be told
    times = [event.at_s for event in events]
    assert times == sorted(times)
    assert not recorded.torn


def test_closing_waits_for_no_pause(tmp_path: Path) -> None:
    """However long events may wait to be written, the end of the core has them written at once."""
    file = tmp_path / "events.jsonl"
    with AgentRM(lanes=1, record=Recording(file, sample_s=None, flush_s=600.0)) as rm:
        with rm.slot(agent="ada"):
            pass
        recorder = rm._recorder
    assert len(list(read_events(file))) == 3
    recorder._thread.join(30)
    assert not recorder._thread.is_alive()


@pytest.mark.parametrize("first", [True, False])
def test_a_part_whose_header_the_disk_refused_begins_with_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    """Whether it is the first part or a later one: what comes when there is room can be read."""
    file = tmp_path / "events.jsonl"
    real, full = os.write, threading.Event()

    def write(descriptor: int, data: bytes) -> int:
        if full.is_set() and data.startswith(b'{"kind": "header"'):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(parts_module.os, "write", write)
    if first:
        full.set()
    with AgentRM(lanes=1, record=Recording(file, sample_s=None)) as rm:
        if not first:
            with rm.slot(agent="ada"):
                pass
            rm._recorder.flush()
            rm._recorder._parts._size = 1 << 40  # it is time for the next part
            full.set()
        with rm.slot(agent="lost"):
            pass
        rm._recorder.flush()
        full.clear()
        rm._recorder._retry_s = 0.0
        with rm.slot(agent="eve"):
            pass
    recorded = read_events(file)
    agents = {event.agent for event in recorded if isinstance(event, Submitted)}
    assert agents == ({"eve"} if first else {"ada", "eve"})
    assert recorded.dropped == 3


def test_groups_and_endpoints_that_hold_secrets_are_hidden_in_header_and_samples(
    tmp_path: Path,
) -> None:
    """A key in an endpoint's address or a group's name stands in no line at all."""
    file = tmp_path / "events.jsonl"
    key = "sk-" + "proj-abcdefghijklmnopqrstuvwx"
    groups = [LaneGroup("model", 1), LaneGroup(f"of {key}", 1)]
    address = f"https://ada:geheim123@api.test/{key}"
    told = {"endpoints": {address: EndpointConfig(rpm=60)}, "lanes": 2, "groups": groups}
    with AgentRM(record=Recording(file, flush_s=0.0), **told) as rm:
        with rm.slot(agent="ada", endpoint=address):
            rm._recorder._sampled_s = float("-inf")
            rm._recorder.flush()
    assert any(sample.state["endpoints"] for sample in read_events(file).samples())
    text = file.read_text()
    assert key not in text
    assert "geheim123" not in text


def test_a_sample_costs_the_same_however_many_tenants_there_are(tmp_path: Path) -> None:
    """It keeps none of them, and none of the endpoints beyond twenty: they are not looked at."""
    spent = []
    with AgentRM(lanes=8, record=Recording(tmp_path / "events.jsonl", sample_s=None)) as rm:
        for tenants in (30, 600):
            for number in range(tenants):
                told = {"tenant": f"t{number}", "endpoint": f"h{number % 30}/m"}
                with rm.slot(agent="ada", **told):
                    pass
            rm.statistics()  # whatever is made once is made
            rm._recorder._sample()
            spent.append(python_calls(rm._recorder._sample))
        sample = rm._recorder._sample()
        assert len(rm.statistics(agents=False).tenants) == 600
    assert spent[1] < 1.5 * spent[0]  # 570 more: one alone costs more than ten calls
    assert not sample.keys() & {"tenants", "agents", "calls"}
    assert len(sample["endpoints"]) == 20
    assert sample["submitted"] == 630


@pytest.mark.parametrize(
    "line",
    [
        '{"kind": "clock", "offset_ns": 1e400}',
        '{"kind": "gap", "dropped": 1e400}',
        f'{{"kind": "sample", "wall_s": 1, "at_s": {"9" * 400}}}',
        f'{{"kind": "settled", "unix_ns": {"9" * 400}}}',
    ],
)
def test_a_number_that_is_too_large_damages_its_own_line_alone(tmp_path: Path, line: str) -> None:
    file = tmp_path / "events.jsonl"
    with AgentRM(lanes=1, record=file) as rm, rm.slot(agent="ada"):
        pass
    file.write_text(file.read_text() + line + "\n")
    recorded = read_events(file, strict=False)
    assert isinstance(next(iter(recorded)), Submitted)
    assert len(list(recorded)) == 3
    assert recorded.skipped == 1
    with pytest.raises(RecordingError, match="line"):
        list(read_events(file))
