"""What a managed context tells its core: tiers, recalls, and that somebody waits for a request."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref

import pytest

from agentrm_plugins import AgentRM, ContextConfig, ContextLifecycle
from agentrm_plugins.events import Compacted, Hibernated, Prepared, Recalled
from agentrm_plugins.integration import core_of
from agentrm_plugins.telemetry.timeline import Timeline, snapshot

SMALL = ContextConfig(budget_tokens=600)


def talk(turns, word="apple"):
    messages = [{"role": "system", "content": "You help."}]
    for at in range(turns):
        text = f"Fact {at}: the {word} number {at} weighs {at * 7} grams. " * 4
        messages += [{"role": "user", "content": text}, {"role": "assistant", "content": "Noted."}]
    return [*messages, {"role": "user", "content": f"What does {word} number 1 weigh?"}]


@pytest.fixture
def rm():
    with AgentRM(lanes=2) as core:
        yield core


@pytest.fixture
def context(rm):
    with ContextLifecycle(SMALL, submit=lambda _: None) as manager:
        core_of(rm).watch(manager, rm)
        yield manager


def test_statistics_know_each_sessions_tiers(rm, context):
    """Hot, warm and cold tokens are those of the last request, within its budget."""
    view = context.session("thread-1", tenant="acme").prepare(talk(1))
    before = rm.statistics(agents=False).sessions["acme/thread-1"]
    assert (before.warm_tokens, before.cold_tokens, before.archived) == (0, 0, 0)
    assert before.used_tokens == view.pressure.used_tokens

    view = context.session("thread-1", tenant="acme").prepare(talk(12))
    seen = rm.statistics(agents=False).sessions["acme/thread-1"]
    assert seen.tenant == "acme"
    assert seen.used_tokens == view.pressure.used_tokens
    assert seen.budget_tokens == 600
    assert seen.utilisation == pytest.approx(view.pressure.utilisation)
    assert seen.archived == view.pressure.archived > 0
    assert seen.compactions == view.pressure.compactions > 0
    assert seen.cold_tokens > seen.hot_tokens
    assert 0 < seen.hot_tokens + seen.warm_tokens <= seen.used_tokens
    assert seen.messages == view.pressure.messages


def test_recalls_are_counted_by_session_and_in_all(rm, context):
    """What the model asks for with the tool counts, and what a turn recalls by itself."""
    session = context.session("thread-1")
    session.prepare(talk(12))
    first = rm.statistics(agents=False)
    session.recall("apple number 2")
    second = rm.statistics(agents=False)
    assert second.recalls == first.recalls + 1
    assert second.sessions["thread-1"].recalls == first.sessions["thread-1"].recalls + 1


def test_a_session_that_sleeps_is_no_longer_listed(rm, context):
    """Nothing of it is in memory; the totals stay."""
    context.session("thread-1").prepare(talk(12))
    context.session("thread-1").recall("apple")
    recalls = rm.statistics(agents=False).recalls
    context.hibernate("thread-1")
    seen = rm.statistics(agents=False)
    assert seen.sessions == {}
    assert seen.recalls == recalls > 0


def test_memory_is_bounded(rm, context):
    """Of very many sessions the thousand used last are listed."""
    for at in range(1_100):
        core_of(rm).note(Prepared(0.0, 0, f"t{at}", "turn", f"t{at}", 1, 10, 1, 0, 0, 1, 0, 0))
    found = rm.statistics(agents=False).sessions
    assert len(found) == 1_000
    assert list(found)[-1] == "t1099"


def test_each_request_is_an_event_with_its_tiers(rm, context):
    """A page or a recording that folds the events has the tiers exactly."""
    with rm.events() as stream:
        context.session("thread-1").prepare(talk(1))
        context.session("thread-1").prepare(talk(12))
        context.hibernate("thread-1")
        told = [e for e in stream if isinstance(e, Prepared | Compacted | Recalled | Hibernated)]
    kinds = [type(event).__name__ for event in told]
    assert kinds[0] == "Prepared"
    assert kinds[-2:] == ["Prepared", "Hibernated"]
    timeline = Timeline()
    timeline.fold(*told[:-1])
    [row] = snapshot(timeline)["sessions"]
    last = told[-2]
    assert (row["hot"], row["warm"], row["cold"]) == (
        last.hot_tokens, last.warm_tokens, last.cold_tokens,
    )  # fmt: skip
    assert row["compactions"] == last.compactions


def test_a_rewound_history_is_counted_anew(rm, context):
    """Cold tokens follow the transcript when a user goes back and asks differently."""
    context.session("thread-1").prepare(talk(12))
    context.session("thread-1").prepare(talk(12, word="pear"))
    seen = rm.statistics(agents=False).sessions["thread-1"]
    state = context.session("thread-1")._shared.transcript
    counted = sum(entry.tokens for entry in state.entries[: state.first_hot])
    assert seen.cold_tokens == state.charged(counted) > 0


def test_pressure_of_context_is_time_in_which_a_request_is_put_together():
    """While a turn waits for its session the core is under pressure of context; afterwards not."""
    with AgentRM(lanes=1) as rm, ContextLifecycle(SMALL, submit=lambda _: None) as context:
        core_of(rm).watch(context, rm)
        session = context.session("thread-1")
        assert rm.statistics(agents=False).pressure.context.total_s == 0
        with session._shared.lock:
            turn = threading.Thread(target=session.prepare, args=(talk(1),))
            turn.start()
            end_s = time.monotonic() + 30
            while not rm.statistics(agents=False).pressure.context.total_s:
                assert time.monotonic() < end_s
            during = rm.statistics(agents=False).pressure.context
        turn.join()
        after = rm.statistics(agents=False).pressure.context
        later = rm.statistics(agents=False).pressure.context
    assert during.last_10_s > 0
    assert after.total_s >= during.total_s
    assert later.total_s == after.total_s


def test_watching_keeps_no_core_alive():
    """A context that outlives its core lets go of it."""
    with ContextLifecycle(SMALL) as context:
        rm = AgentRM(lanes=1)
        core_of(rm).watch(context, rm)
        core_of(rm).watch(context, rm)
        rm.close()
        gone = weakref.ref(rm)
        del rm
        gc.collect()
        assert gone() is None
        context.session("thread-1").prepare(talk(1))


def test_drained_agents_are_marked(rm):
    """In statistics, in the events, and in what a display folds of them."""
    with rm.events() as stream:
        with rm.slot(agent="ada", tenant="acme"):
            pass
        rm.drain("ada", tenant="acme")
        assert rm.statistics().agent("ada", tenant="acme").drained
        timeline = Timeline()
        timeline.fold(*stream.drain())
        [row] = snapshot(timeline)["agents"]
        assert row["drained"]
        adopted = Timeline()
        adopted.adopt(rm.statistics().to_dict())
        assert snapshot(adopted)["agents"][0]["drained"]
        rm.drain("ada", tenant="acme", drain=False)
        timeline.fold(*stream.drain())
        assert not snapshot(timeline)["agents"][0]["drained"]
    assert not rm.statistics().agent("ada", tenant="acme").drained


FORKED = """
import os, signal, threading
from agentrm_plugins.context.live.notices import Notices
notices, told = Notices(), []
owner = type("Owner", (), {})()
notices.add(owner, told.append)
held, go = threading.Event(), threading.Event()
def hold():
    with notices._lock:
        held.set()
        go.wait(30)
thread = threading.Thread(target=hold)
thread.start()
held.wait(30)
child = os.fork()
if child == 0:
    signal.alarm(20)
    notices.tell("a turn")
    with notices.turn():
        pass
    os._exit(0 if told == ["a turn"] else 3)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
go.set()
thread.join()
raise SystemExit(abs(code))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_in_the_middle_of_a_notice_leaves_the_child_whole():
    """Another thread of the parent held the lock: the child's turns do not wait for it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED], timeout=60, check=False
    )
    assert done.returncode == 0
