"""What an operator must know is logged, once per event, and no handler ever slows a call."""

from __future__ import annotations

import contextvars
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agentrm_plugins import AgentRM, BudgetConfig, CallRefused, EndpointConfig, LeaseConfig, Usage
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.hosts.journal import JOURNAL, Journal
from agentrm_plugins.hosts.notable import EventJournal
from agentrm_plugins.integration import core_of
from agentrm_plugins.types.calls import Call
from agentrm_plugins.types.effects import Granted, LimitChanged, Reaped
from agentrm_plugins.types.verdicts import Kind, LimitReport, Verdict

ROOT = Path(__file__).parents[2]
KEY = f"sk-{'proj'}-abcdefghijklmnopqrstuvwxyz0123456789"


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def kept():
    handler, logger = Kept(), logging.getLogger("agentrm")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


def told(kept, event):
    assert JOURNAL.flush(10)
    return [one for one in kept.records if getattr(one, "agentrm_event", "") == event]


def test_a_reaped_call_is_a_warning_with_its_fields(kept):
    """Who, which call, which limit, and who set it; once."""
    clock = VirtualClock()
    leases = LeaseConfig(response_timeout_s=5.0)
    with AgentRM(lanes=1, leases=leases, clock=clock, adaptive=False) as rm:
        lease = core_of(rm).admit(Call("ada", "acme", endpoint="host/model"))
        clock.advance(6.0)
        lease.settle(Usage())
    [record] = told(kept, "reaped")
    assert record.levelno == logging.WARNING
    assert record.name == "agentrm.calls"
    assert (record.agentrm_agent, record.agentrm_tenant) == ("ada", "acme")
    assert record.agentrm_endpoint == "host/model"
    assert record.agentrm_cause == "response"
    assert "ada was reaped after 5.0 s" in record.getMessage()


def test_what_goes_well_is_not_logged(kept):
    """Thousands of calls, not a line."""
    with AgentRM(lanes=2) as rm:
        for _ in range(500):
            with rm.slot(agent="ada", endpoint="host/model"):
                pass
    assert JOURNAL.flush(10)
    assert kept.records == []


def test_limits_that_are_found_and_cut_are_logged(kept):
    """Learnt at INFO, cut at WARNING; that a search goes on is no news."""
    clock = VirtualClock()
    with AgentRM(lanes=4, clock=clock, endpoints={"*": EndpointConfig(rpm=60)}) as rm:
        for _ in range(3):
            lease = core_of(rm).admit(Call("ada", endpoint="host/model"))
            lease.fail(RuntimeError("429"), judged=(Verdict(Kind.LIMIT, 429), LimitReport()))
            clock.advance(2.0)
    levels = {(one.agentrm_cause, one.levelname) for one in told(kept, "limit")}
    assert ("cut", "WARNING") in levels
    assert all(cause != "grown" for cause, _ in levels)
    assert "host/model" in told(kept, "limit")[0].getMessage()


def test_budgets_and_refusals_are_logged(kept):
    """A budget that is used up, and the call that it refused."""
    budgets = [BudgetConfig(1, resource="calls", agent="*")]
    with AgentRM(lanes=1, budgets=budgets) as rm:
        with rm.slot(agent="ada"):
            pass
        with pytest.raises(CallRefused), rm.slot(agent="ada"):
            pass
        rm.drain("bob")
    [hard] = told(kept, "budget")
    assert (hard.levelno, hard.agentrm_cause) == (logging.WARNING, "hard")
    [refused] = told(kept, "refused")
    assert "a call of ada was refused" in refused.getMessage()
    assert told(kept, "drained")[0].agentrm_agent == "bob"


def test_an_agent_that_starves_is_told_once_in_ten_minutes(kept):
    """The first call that waited for more than a minute, not each of them."""
    notes = EventJournal()
    for at in range(100):
        notes.note(Granted(float(at), at, "ada", "oldest", "model", 61.0))
    notes.note(Granted(700.0, 101, "ada", "oldest", "model", 61.0))
    notes.note(Granted(701.0, 102, "bob", "oldest", "model", 61.0))
    assert [one.agentrm_agent for one in told(kept, "starved")] == ["ada", "ada", "bob"]


def test_a_storm_is_told_twenty_times_and_counted(kept):
    """A thousand calls that hang at once do not flood the log."""
    notes = EventJournal()
    for at in range(1_000):
        notes.note(Reaped(1.0, at, f"agent-{at}", "silence", 60.0, 60.0))
    notes.note(Reaped(20.0, 1_001, "later", "silence", 60.0, 60.0))
    records = told(kept, "reaped")
    assert len(records) == 21
    assert "980 more of these were not told" in records[-1].getMessage()


def test_a_storm_at_one_endpoint_hides_no_other(kept):
    """The first cut of another endpoint is told, however many were told of the first."""
    notes = EventJournal()
    for at in range(100):
        notes.note(LimitChanged(1.0, at, "", "cut", "loud/model", "requests", 1.0, None, "found"))
    notes.note(LimitChanged(1.0, 101, "", "cut", "quiet/model", "requests", 1.0, None, "found"))
    where = [one.agentrm_endpoint for one in told(kept, "limit")]
    assert where.count("loud/model") == 20
    assert where.count("quiet/model") == 1


def test_an_agent_that_starves_in_a_storm_is_told_once_that_is_over(kept):
    """What the storm kept back does not count as told."""
    notes = EventJournal()
    for at in range(21):
        notes.note(Granted(1.0, at, f"agent-{at}", "oldest", "model", 61.0))
    notes.note(Granted(20.0, 99, "agent-20", "oldest", "model", 80.0))
    who = [one.agentrm_agent for one in told(kept, "starved")]
    assert len(who) == 21
    assert who[-1] == "agent-20"


def test_an_agent_that_is_never_granted_is_told_once(kept):
    """Its call waits for ever behind others, and no grant nor refusal tells of it."""
    clock = VirtualClock()
    leases = LeaseConfig(response_timeout_s=36_000.0, total_timeout_s=None)
    with AgentRM(lanes=1, clock=clock, leases=leases, adaptive=False) as rm:
        core = core_of(rm)
        first = core.admit(Call("greedy"))
        waits = rm._host.submit(Call("starved", "acme"))
        for _ in range(50):
            clock.advance(5.0)
        [record] = told(kept, "starved")
        assert (record.agentrm_agent, record.agentrm_tenant) == ("starved", "acme")
        assert record.levelno == logging.WARNING
        assert "has none yet" in record.getMessage()
        clock.advance(600.0)
        assert len(told(kept, "starved")) == 2
        assert not waits.granted
        first.settle(Usage())


@pytest.mark.parametrize(
    "name",
    [
        KEY,
        f"Bearer {KEY}",
        "a\nb\x1b[31mred",
        "x" * 5_000,
        "%s %d %(x)s",
        "api_key='hunter2hunter2'",
    ],
)
def test_hostile_names_do_no_harm(kept, name):
    """No key, no line break, no escape code, no format, and not too long."""
    notes = EventJournal()
    notes.note(Reaped(1.0, 1, name, "silence", 60.0, 60.0, name, name, name, name))
    notes.note(LimitChanged(1.0, 0, name, "cut", name, name, 1.0, None, name))
    records = told(kept, "reaped") + told(kept, "limit")
    assert len(records) == 2
    for record in records:
        shown = record.getMessage() + repr(record.__dict__)
        assert KEY not in shown
        assert "hunter2hunter2" not in shown
        assert "\n" not in record.getMessage()
        assert "\x1b" not in record.getMessage()
        assert len(record.getMessage()) < 2_000


class Stuck(logging.Handler):
    """A full disk, a dead collector: it blocks until it is let go."""

    def __init__(self):
        super().__init__()
        self.go, self.count = threading.Event(), 0

    def emit(self, record):
        self.go.wait(60)
        self.count += 1


def test_a_handler_that_blocks_slows_no_call(kept):
    """Calls go on while it is stuck; what it is too slow for is lost and counted."""
    stuck, logger = Stuck(), logging.getLogger("agentrm")
    logger.addHandler(stuck)
    try:
        with AgentRM(lanes=1) as rm:
            for at in range(30):
                rm.drain(f"agent-{at}")  # a line each
            began = time.monotonic()
            for _ in range(200):
                with rm.slot(agent="ada"):
                    pass
            took = time.monotonic() - began
        assert took < 20
        assert stuck.count == 0
    finally:
        stuck.go.set()
        logger.removeHandler(stuck)
    assert JOURNAL.flush(30)


def test_what_a_slow_handler_loses_is_counted():
    """A bounded queue; the next record says how many are missing."""
    handler, logger = Stuck(), logging.getLogger("agentrm.of_this_test")
    kept = Kept()
    logger.addHandler(handler)
    logger.addHandler(kept)
    journal = Journal()
    for at in range(1_200):
        journal.tell("agentrm.of_this_test", logging.WARNING, "line %d", at, extra={})
    assert journal.lost > 0
    handler.go.set()
    assert journal.flush(30)
    logger.removeHandler(handler)
    logger.removeHandler(kept)
    assert any("records were lost" in one.getMessage() for one in kept.records)
    assert len(kept.records) < 1_200


def test_a_handler_that_raises_harms_nobody():
    """The thread goes on with the next record."""

    class Broken(logging.Handler):
        def handle(self, record):
            raise OSError("no space left")

    broken, after = Broken(), Kept()
    logger = logging.getLogger("agentrm.of_this_test")
    journal = Journal()
    logger.addHandler(broken)
    journal.tell("agentrm.of_this_test", logging.WARNING, "one", extra={})
    assert journal.flush(10)
    logger.removeHandler(broken)
    logger.addHandler(after)
    journal.tell("agentrm.of_this_test", logging.WARNING, "two", extra={})
    assert journal.flush(10)
    logger.removeHandler(after)
    assert after.records[0].getMessage().startswith("two")


def test_a_reader_that_loses_events_is_told(kept):
    """Once for a stream."""
    with AgentRM(lanes=1) as rm, rm.events(capacity=2):
        for _ in range(10):
            with rm.slot(agent="ada"):
                pass
    assert len(told(kept, "events_dropped")) == 1


SILENT = """
from agentrm_plugins import AgentRM
with AgentRM(lanes=1) as rm:
    rm.drain("ada")
    try:
        with rm.slot(agent="ada"): pass
    except Exception: pass
"""
CONFIGURED = "import logging; logging.basicConfig(level=logging.INFO)\n" + SILENT


@pytest.mark.parametrize(("program", "lines"), [(SILENT, 0), (CONFIGURED, 2)])
def test_nothing_is_printed_unless_logging_is_configured(program, lines):
    """The convention of libraries; once it is configured, the end of the program loses no line."""
    path = os.pathsep.join((str(ROOT), str(ROOT / "adapters")))
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == lines, done.stderr


def test_a_program_s_record_factory_sees_no_secret(kept):
    """It runs on the log's own thread; the record is of the moment and the thread that told."""
    seen, usual = [], logging.getLogRecordFactory()

    def factory(*args, **more):
        record = usual(*args, **more)
        seen.append((threading.current_thread().name, record.getMessage()))
        return record

    logging.setLogRecordFactory(factory)
    try:
        began = time.time()
        EventJournal().note(Reaped(1.0, 1, KEY, "silence", 60.0, 60.0, KEY, KEY, KEY, KEY))
        told_by = time.time()
        [record] = told(kept, "reaped")
    finally:
        logging.setLogRecordFactory(usual)
    ours = [(thread, text) for thread, text in seen if "was reaped" in text]
    assert [thread for thread, _ in ours] == ["agentrm-journal"]
    assert KEY not in repr(ours)
    assert KEY not in repr(record.__dict__)
    assert began <= record.created <= told_by
    assert record.threadName == threading.current_thread().name


def test_no_record_has_a_strangers_contextvars(kept):
    """A thread inside the core tells of others' calls too: its request's id is not theirs."""
    request, seen = contextvars.ContextVar("request"), []
    usual = logging.getLogRecordFactory()

    def factory(*args, **more):
        seen.append(request.get(None))
        return usual(*args, **more)

    logging.setLogRecordFactory(factory)
    try:
        with AgentRM(lanes=1) as rm:
            contextvars.Context().run(lambda: (request.set("mine"), rm.drain("bob")))
            assert told(kept, "drained")[0].agentrm_agent == "bob"
    finally:
        logging.setLogRecordFactory(usual)
    assert set(seen) == {None}
