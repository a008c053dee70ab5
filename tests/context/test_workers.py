"""Background work beside hooks that hang: nobody else waits, and nothing is kept alive."""

from __future__ import annotations

import threading

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.live import lifecycle as made
from agentrm_plugins.context.live.workers import Workers
from agentrm_plugins.context.stores import MemoryStore, SessionKey
from tests.hosts.worlds import wait_until

CONFIG = ContextConfig(budget_tokens=1_000, soft_mark=0.6, low_mark=0.3)
WAIT_S = 20


def talk(turns):
    return [{"role": "user", "content": f"item {n} is KX-{n} " + "bla " * 40} for n in range(turns)]


class Hanging:
    """A summariser that answers when it is let go."""

    def __init__(self):
        self.asked = []
        self.gate = threading.Event()

    def summarise(self, request):
        self.asked.append(request)
        self.gate.wait(WAIT_S)
        return "told"


def test_a_hung_hook_holds_up_no_other_session():
    """One session's summariser hangs: others are noted, indexed and told, and turns go on."""
    hook, store = Hanging(), MemoryStore()
    with ContextLifecycle(CONFIG, store=store, summariser=hook) as manager:
        manager.session("hung").prepare(talk(14))
        wait_until(lambda: len(hook.asked) == 1)
        for turns in range(15, 30):
            manager.session("hung").prepare(talk(turns))
        manager.session("other").prepare(talk(14))
        wait_until(lambda: len(hook.asked) == 2)
        assert store.unindexed(SessionKey("default", "other")) == []
        wait_until(lambda: store.unindexed(SessionKey("default", "hung")) == [])
        manager.session("hung").report_usage(500)
        assert manager.session("hung").pressure.messages == 29
        hook.gate.set()


def test_a_hung_hook_is_not_waited_for_at_the_end(monkeypatch):
    """Sessions are hibernated all the same, and what the hook says later changes nothing."""
    monkeypatch.setattr(made, "CLOSE_WAIT_S", 0.01)
    hook, store = Hanging(), MemoryStore()
    manager = ContextLifecycle(CONFIG, store=store, summariser=hook)
    session = manager.session("s")
    session.prepare(talk(14))
    wait_until(lambda: len(hook.asked) == 1)
    manager.hibernate("s")
    asleep = store.load_state(SessionKey("default", "s"))
    assert asleep is not None
    manager.close()
    hook.gate.set()
    wait_until(lambda: not session.busy)
    assert store.load_state(SessionKey("default", "s")) == asleep
    assert store.owned(SessionKey("default", "s")).until_s == 0


def test_workers_run_jobs_side_by_side_up_to_their_number():
    """The first ones wait for one another; with one more than there are threads, it queues."""
    workers, barrier, done = Workers(2), threading.Barrier(2), []
    for name in "ab":
        workers.submit(lambda name=name: (barrier.wait(WAIT_S), done.append(name)))
    for name in "cde":
        workers.submit(lambda name=name: done.append(name))
    assert workers.close(WAIT_S)
    assert sorted(done) == list("abcde")
    with pytest.raises(RuntimeError, match="closed"):
        workers.submit(lambda: None)


def test_what_is_told_while_a_turn_is_taken_counts_in_the_next_one():
    """`report_usage` and `overflowed` never wait: an event loop calls them."""
    config = ContextConfig(budget_tokens=4_000, model="claude-x")
    with ContextLifecycle(config, submit=lambda job: job()) as manager:
        session = manager.session("s")
        before = session.prepare(talk(60)).tokens
        with session._shared.lock:
            teller = threading.Thread(target=session.overflowed, args=(0.5,))
            teller.start()
            teller.join(WAIT_S)
            assert not teller.is_alive()
            looker = threading.Thread(target=lambda: session.pressure)
            looker.start()
            looker.join(WAIT_S)
            assert not looker.is_alive()
        assert session.prepare(talk(61)).tokens <= before // 2


class Slow(MemoryStore):
    """Answers for one session only when it is let go."""

    def __init__(self):
        super().__init__()
        self.asked, self.gate = threading.Event(), threading.Event()

    def load_state(self, key):
        if key.session == "slow":
            self.asked.set()
            self.gate.wait(WAIT_S)
        return super().load_state(key)


def test_a_session_that_is_slow_to_wake_holds_up_no_other_one():
    """Two threads that want it get the same one; others get theirs, and statistics, meanwhile."""
    store, found = Slow(), []
    with ContextLifecycle(CONFIG, store=store) as manager:
        wanting = [
            threading.Thread(target=lambda: found.append(manager.session("slow"))) for _ in range(2)
        ]
        for thread in wanting:
            thread.start()
        assert store.asked.wait(WAIT_S)
        manager.session("quick").prepare(talk(3))
        assert set(manager.statistics()) == {SessionKey("default", "quick")}
        manager.hibernate("quick")
        assert found == []
        store.gate.set()
        for thread in wanting:
            thread.join(WAIT_S)
        assert len(found) == 2
        assert found[0] is found[1] is manager.session("slow")
