"""Several processes on one session: one owner at a time, and nothing set aside in silence.

Two managers stand for two processes: an owner is a manager, not an interpreter.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.stores import MemoryStore, SessionKey, SqliteStore
from agentrm_plugins.context.stores.base import Fence
from agentrm_plugins.errors import BudgetTooSmall, SessionBusy, StoreFenced
from tests.stores.test_stores import on_langgraph, row

KEY = SessionKey("default", "s")
CONFIG = ContextConfig(budget_tokens=2_000)
LEASE_S = 10.0


class Clock:
    """Seconds that pass when they are told to."""

    now_s = 1_000.0

    def __call__(self):
        return self.now_s


def user(text):
    return {"role": "user", "content": text}


def said(text):
    return {"role": "assistant", "content": text}


def talk(name, turns):
    history = []
    for n in range(turns):
        history += [user(f"{name} asks for item {n} of {name}-{n}00."), said(f"ok {name} {n}")]
    return history


class World:
    """One archive, and processes on it."""

    def __init__(self, kind, tmp_path, stack):
        self.clock = Clock()
        self._stack = stack
        self._open = {
            "memory": lambda: self._memory,
            "sqlite": lambda: stack.enter_context(SqliteStore(tmp_path / "a.db", clock=self.clock)),
            "langgraph": lambda: stack.enter_context(
                on_langgraph(clock=self.clock, base=self._base)
            ),
        }[kind]
        self._memory = MemoryStore(self.clock)
        self._base = None
        if kind == "langgraph":
            memory = pytest.importorskip("langgraph.store.memory")
            self._base = memory.InMemoryStore()
        self.store = self._open()

    def process(self, wait_s=0.0, config=CONFIG):
        return ContextLifecycle(
            config, store=self._open(), submit=lambda job: job(), lease_s=LEASE_S, wait_s=wait_s,
            clock=lambda: 5.0,
        )  # fmt: skip


@pytest.fixture(params=["memory", "sqlite", "langgraph"])
def world(request, tmp_path, monkeypatch):
    if request.param == "langgraph":
        cold_store = pytest.importorskip("agentrm_langgraph.cold_store")
        monkeypatch.setattr(cold_store, "SETTLE_S", 0.0)
    with ExitStack() as stack:
        yield World(request.param, tmp_path, stack)


def texts(store):
    there = [seq for seq, _ in store.digests(KEY)]
    assert there == list(range(len(there)))
    return [store.read(KEY, [seq])[seq].body for seq in there]


def test_another_process_is_told_whose_a_session_is(world):
    """Where it is to wait for no time, its turn ends with the owner's name and the time left."""
    one, two = world.process(), world.process()
    one.session("s").prepare(talk("ada", 2))
    with pytest.raises(SessionBusy, match=r"session='s': .* is at work on it, for 10\.0 s") as busy:
        two.session("s").prepare(talk("bob", 1))
    assert 0 < busy.value.left_s <= LEASE_S
    one.session("s").prepare(talk("ada", 3))
    assert len(texts(world.store)) == 6
    assert not any("bob" in text for text in texts(world.store))


def test_who_holds_the_whole_history_takes_a_session_over_at_once(world):
    """Each turn may land in another process: nobody waits, and nothing is archived twice."""
    processes = [world.process() for _ in range(3)]
    history = []
    for turn in range(9):
        history += talk(f"turn{turn}", 1)
        view = processes[turn % 3].session("s").prepare(history)
        assert view.repairs == ()
    assert len(texts(world.store)) == len(history)
    assert "turn4-000" in processes[0].session("s").recall("what did turn4 ask for?")


def test_a_dead_owner_is_succeeded_after_its_lease(world):
    """Nothing that it archived is lost: who has another history goes on after it, and is told."""
    one, two = world.process(), world.process()
    one.session("s").prepare(talk("ada", 3))
    with pytest.raises(SessionBusy):
        two.session("s").prepare(talk("bob", 1))
    world.clock.now_s += LEASE_S + 0.1
    view = two.session("s").prepare(talk("bob", 2))
    assert [m for m in view.messages if "[" not in m["content"]] == talk("bob", 2)
    assert any("6 messages that another process archived" in text for text in view.repairs)
    assert len(texts(world.store)) == 10
    assert "ada-200" in two.session("s").recall("what did ada ask for, item 2?")
    two.session("s").prepare(talk("bob", 3))
    assert len(texts(world.store)) == 12


def test_a_waiting_turn_goes_on_when_the_owner_hands_over(world):
    """It waits in its own thread, then goes on after what the other one archived meanwhile."""
    one, two = world.process(), world.process(wait_s=60.0)
    one.session("s").prepare(talk("ada", 1))
    views = []
    waiting = threading.Thread(
        target=lambda: views.append(two.session("s").prepare(talk("bob", 1)))
    )
    waiting.start()
    one.session("s").prepare(talk("ada", 24))
    one.close()
    waiting.join(60)
    assert len(texts(world.store)) == 50
    assert any("another process archived" in text for text in views[0].repairs)
    assert "ada-1700" in two.session("s").recall("ada's item 17")


async def test_an_asynchronous_turn_waits_without_the_loop(world):
    """The same on an event loop."""
    one, two = world.process(), world.process(wait_s=0.05)
    await one.session("s").aprepare(talk("ada", 1))
    with pytest.raises(SessionBusy):
        await two.session("s").aprepare(talk("bob", 1))
    one.hibernate("s")
    assert (await two.session("s").aprepare(talk("ada", 2))).repairs == ()


def test_an_edit_after_a_hand_over_takes_the_history_back_and_says_so(world):
    """The owner had hibernated the session before: a shorter history is its user's wish."""
    one, two = world.process(), world.process()
    one.session("s").prepare(talk("ada", 3))
    one.hibernate("s")
    view = two.session("s").prepare([*talk("ada", 2), user("ada asks for something else.")])
    assert any("taken back to message 4; 2 archived" in text for text in view.repairs)
    assert len(texts(world.store)) == 5


def test_what_a_killed_process_took_back_is_told_by_the_next_one(world):
    """It set messages aside and died before anybody was told: the next turn tells it."""
    one, three = world.process(), world.process()
    two = world.process(config=ContextConfig(budget_tokens=200))
    one.session("s").prepare(talk("ada", 3))
    one.hibernate("s")
    edited = [*talk("ada", 2), user("something else " * 200)]
    for _ in range(2):
        with pytest.raises(BudgetTooSmall):
            two.session("s").prepare(edited)
    view = three.session("s").prepare(edited)
    assert [text for text in view.repairs if "taken back to message 4; 2 archived" in text]
    view = three.session("s").prepare([*edited, said("ok")])
    assert view.repairs == ()
    assert world.store.owned(KEY).notice == ""


def test_a_turn_that_failed_is_told_by_the_next_one(world):
    """What was set aside in a turn whose view did not fit stands in the next view."""
    one = world.process(config=ContextConfig(budget_tokens=200))
    one.session("s").prepare(talk("ada", 3))
    with pytest.raises(BudgetTooSmall):
        one.session("s").prepare([*talk("ada", 2), user("word " * 500)])
    view = one.session("s").prepare([*talk("ada", 2), user("word")])
    assert any("taken back to message 4; 2 archived" in text for text in view.repairs)


def test_another_conversation_after_a_hand_over_takes_nothing_back(world):
    """What shares little with the archive is no edit of it: all of it stays, and is found."""
    one, two = world.process(), world.process()
    one.session("s").prepare(talk("ada", 6))
    one.close()
    view = two.session("s").prepare([*talk("ada", 2), *talk("bob", 2)])
    assert any("8 messages that another process archived" in text for text in view.repairs)
    assert "ada-400" in two.session("s").recall("ada item 4")
    assert len(texts(world.store)) == 12 + 8


def test_the_first_owner_comes_back_to_what_others_wrote(world):
    """Its session is read again; a history that lacks their messages goes on after them."""
    one, two = world.process(), world.process()
    first = one.session("s")
    first.prepare(talk("ada", 2))
    two.session("s").prepare([*talk("ada", 2), *talk("bob", 2)])
    with pytest.raises(SessionBusy):
        first.prepare(talk("ada", 3))
    world.clock.now_s += LEASE_S + 0.1
    view = first.prepare(talk("ada", 3))
    assert any("4 messages that another process archived" in text for text in view.repairs)
    assert [m for m in view.messages if "[" not in m["content"]] == talk("ada", 3)
    found = " ".join(texts(world.store))
    assert all(f"{name} {n}" in found for name in ("ada", "bob") for n in range(2))
    assert "bob-100" in first.recall("what did bob ask for, item 1?")


def test_recall_sees_what_another_process_archived(world):
    """A session that only looks reads what is there now, also after the other one went back."""
    one, two = world.process(), world.process()
    one.session("s").prepare(talk("ada", 2))
    looking = two.session("s")
    assert "ada-100" in looking.recall("ada item 1")
    one.session("s").prepare(talk("ada", 6))
    assert "ada-500" in looking.recall("ada item 5")
    one.session("s").prepare(talk("ada", 1))
    assert "ada-500" not in looking.recall("ada item 5")
    assert looking.read(9) == "There is no message 9."
    assert len(texts(world.store)) == 2


def test_who_only_looks_finds_what_its_owner_had_no_time_to_index(world):
    """The owner was killed between archiving and indexing: the next look finds it all the same."""
    one, two = world.process(), world.process()
    one.session("s")._upkeep.after_turn = lambda *_, **__: None
    one.session("s").prepare(talk("ada", 3))
    assert world.store.unindexed(KEY)
    assert "ada-200" in two.session("s").recall("ada item 2")
    assert world.store.unindexed(KEY) == []
    assert world.store.owned(KEY).token == 1


def test_a_late_write_of_an_earlier_owner_is_refused(world):
    """Whatever it had in hand: messages, passages, going back, its state."""
    one, two = world.process(), world.process()
    one.session("s").prepare(talk("ada", 2))
    has = world.store.owned(KEY)
    late = {"fence": Fence(has.owner, has.token, LEASE_S)}
    two.session("s").prepare(talk("ada", 3))
    for write in (
        lambda: world.store.append(KEY, [row(4, "late")], **late),
        lambda: world.store.index(KEY, {4: []}, **late),
        lambda: world.store.rewind(KEY, 0, **late),
        lambda: world.store.save_state(KEY, b"late", **late),
    ):
        with pytest.raises(StoreFenced, match="session='s'"):
            write()
    assert len(texts(world.store)) == 6
    one.hibernate("s")
    one.close()
    assert len(texts(world.store)) == 6


def test_a_claim_gives_way_only_to_who_has_seen_everything(world):
    """The version of one write ago is not everything."""
    store = world.store
    store.claim(KEY, "one", LEASE_S)
    mine = {"fence": Fence("one", 1, LEASE_S)}
    store.append(KEY, [row(0, "x")], **mine)
    seen = store.owned(KEY).version
    store.append(KEY, [row(1, "y")], **mine)
    with pytest.raises(SessionBusy):
        store.claim(KEY, "two", LEASE_S, seen)
    assert store.claim(KEY, "two", LEASE_S, store.owned(KEY).version).token == 1
    assert store.owned(KEY).owner == "two"
    assert store.owned(KEY).token == 2


def test_passages_of_a_message_that_was_replaced_are_not_entered(world):
    """Background work that read a message which is another one by now makes nothing findable."""
    from agentrm_plugins.context.notes.text import passages

    store = world.store
    store.append(KEY, [row(0, "old words")])
    store.append(KEY, [row(0, "new words")])
    store.index(KEY, {0: passages("old words")}, digests={0: "digest-old words"})
    assert store.unindexed(KEY) == [0]
    store.index(KEY, {0: passages("new words")}, digests={0: "digest-new words"})
    assert store.unindexed(KEY) == []
    assert store.search(KEY, ["old"], 5)[0] == []


def test_a_history_taken_back_under_a_lock_sleeps_at_its_new_length(tmp_path):
    """What the store refused to set aside is set aside before the session is hibernated."""
    import sqlite3

    with SqliteStore(tmp_path / "a.db", busy_timeout_s=0.01) as store:
        manager = ContextLifecycle(CONFIG, store=store, submit=lambda job: job())
        manager.session("s").prepare(talk("ada", 5))
        other = sqlite3.connect(store.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        view = manager.session("s").prepare(talk("ada", 2))
        assert any("tried again" in text for text in view.repairs)
        assert not any("set aside" in text for text in view.repairs)
        other.execute("ROLLBACK")
        other.close()
        manager.hibernate("s")
        assert manager.session("s").pressure.messages == 4
        assert len(texts(store)) == 4
        manager.close()


def test_what_is_set_aside_late_is_told_when_it_is(tmp_path):
    """A history taken back while the store is locked: nothing is set aside, then it is told."""
    import sqlite3

    with SqliteStore(tmp_path / "a.db", busy_timeout_s=0.01) as store:
        manager = ContextLifecycle(CONFIG, store=store, submit=lambda job: job())
        manager.session("s").prepare(talk("ada", 5))
        other = sqlite3.connect(store.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        manager.session("s").prepare(talk("ada", 2))
        assert len(texts(store)) == 10
        other.execute("ROLLBACK")
        other.close()
        view = manager.session("s").prepare(talk("ada", 3))
        told = "the history was taken back to message 4; 6 archived messages after it are set aside"
        assert any(told in text for text in view.repairs)
        assert len(texts(store)) == 6
        manager.close()


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
def test_a_session_that_its_owner_changes_all_the_time_is_busy(world):
    """It cannot be read in one piece: the turn waits or says whose it is, and nothing is begun."""
    from agentrm_plugins.errors import StoreLocked

    one, two = world.process(), world.process()
    two.session("s")
    one.session("s").prepare(talk("ada", 2))
    read, two.store.digests = two.store.digests, _raising(StoreLocked("changed again and again"))
    with pytest.raises(SessionBusy, match="is at work on it"):
        two.session("s").prepare(talk("bob", 1))
    two.store.digests = read
    one.close()
    view = two.session("s").prepare(talk("bob", 1))
    assert not any("set aside" in text for text in view.repairs)
    assert len(texts(world.store)) == 6


def _raising(error):
    def refuse(*_args):
        raise error

    return refuse


def test_waking_while_another_process_goes_back_gives_one_or_the_other(world):
    """Between two looks a message goes away: it is read again until all of it fits together."""
    one, two = world.process(), world.process()
    one.session("s").prepare(talk("ada", 5))
    store = two.store
    looked, digests = [], store.digests

    def and_then_back(key):
        found = digests(key)
        if not looked:
            looked.append(True)
            one.session("s").prepare(talk("ada", 2))
        return found

    store.digests = and_then_back
    assert two.session("s").pressure.messages == 4
    assert looked
