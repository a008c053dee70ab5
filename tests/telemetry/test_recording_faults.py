"""A recording whose process is killed, or whose disk is full: what is lost, and what is not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agentrm_plugins import AgentRM
from agentrm_plugins.events import Settled, Submitted
from agentrm_plugins.telemetry import Recording, read_events

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
