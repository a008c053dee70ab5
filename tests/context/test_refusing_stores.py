"""A store that is locked, read-only, full or damaged under a running session: nothing is lost."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.stores import MemoryStore, SessionKey, SqliteStore
from agentrm_plugins.errors import (
    StoreCorrupt,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
)
from agentrm_plugins.hosts.journal import JOURNAL

CONFIG = ContextConfig(budget_tokens=1_000)
KEY = SessionKey("default", "s")


def talk(turns):
    return [{"role": "user", "content": f"item {n} is KX-{n} " + "bla " * 40} for n in range(turns)]


@contextmanager
def locked(store):
    """Another process writes, and does not end."""
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


@contextmanager
def read_only(store):
    """The right to write is gone: SQLite's own switch for it."""
    store._file._writer.execute("PRAGMA query_only=1")
    yield
    store._file._writer.execute("PRAGMA query_only=0")


@contextmanager
def full(store):
    """No page is left for the file to grow by."""
    pages = store._file._writer.execute("PRAGMA page_count").fetchone()[0]
    store._file._writer.execute(f"PRAGMA max_page_count={pages}")
    yield
    store._file._writer.execute("PRAGMA max_page_count=1000000")


@contextmanager
def damaged(store):
    """A table is gone."""
    store._file._writer.execute("ALTER TABLE messages RENAME TO elsewhere")
    yield
    store._file._writer.execute("ALTER TABLE elsewhere RENAME TO messages")


FAULTS = [(locked, StoreLocked), (read_only, StoreReadOnly), (full, StoreFull),
          (damaged, StoreCorrupt)]  # fmt: skip


@pytest.mark.parametrize(("fault", "error"), FAULTS)
def test_turns_go_on_and_nothing_is_lost(tmp_path, fault, error):
    """The repair names the fault and the way out; later everything is archived, word for word."""
    with SqliteStore(tmp_path / "a.db", busy_timeout_s=0.01) as store:
        with ContextLifecycle(CONFIG, store=store, submit=lambda j: j()) as manager:
            session = manager.session("s")
            session.prepare(talk(3))
            with fault(store):
                for turns in range(20, 60, 10):
                    view = session.prepare(talk(turns))
                    assert view.tokens <= CONFIG.budget_tokens
                    assert any("tried again" in text and "a.db" in text for text in view.repairs)
                    assert talk(turns)[-1] in view.messages
                assert isinstance(session.last_error, error)
                assert session.durable == 3
            session.prepare(talk(60))
            assert session.durable == 60
            assert "KX-31" in session.recall("what is item 31?")
        assert len(store.digests(KEY)) == 60
        assert '"item 31 is KX-31' in store.read(KEY, [31])[31].body


@pytest.mark.parametrize(("fault", "error"), FAULTS)
def test_an_operator_is_told_once_and_again_when_it_is_over(tmp_path, caplog, fault, error):
    """Not at each turn, nor for each session; no word of a message is in it."""
    del error
    caplog.set_level("INFO", "agentrm.context")
    with SqliteStore(tmp_path / "a.db", busy_timeout_s=0.01) as store:
        with ContextLifecycle(CONFIG, store=store, submit=lambda j: j()) as manager:
            for name in ("s", "t"):
                manager.session(name).prepare(talk(3))
            with fault(store):
                for turns in (20, 30):
                    for name in ("s", "t"):
                        manager.session(name).prepare(talk(turns))
            manager.session("s").prepare(talk(31))
            assert JOURNAL.flush(10)
    told = [(one.levelname, one.agentrm_event) for one in caplog.records]
    assert told == [("WARNING", "store_refused"), ("INFO", "store_works")]
    assert "SqliteStore" in caplog.text
    assert "KX-" not in caplog.text


@pytest.mark.parametrize(("fault", "error"), FAULTS)
def test_hibernation_that_is_refused_keeps_the_session_awake(tmp_path, fault, error):
    """The caller gets the store's error, and the session is as it was."""
    with SqliteStore(tmp_path / "a.db", busy_timeout_s=0.01) as store:
        with ContextLifecycle(CONFIG, store=store, submit=lambda j: j()) as manager:
            session = manager.session("s")
            session.prepare(talk(30))
            before = session.dump()
            with fault(store):
                if fault is not damaged:
                    with pytest.raises(error):
                        manager.hibernate("s")
                    assert manager.session("s") is session
                session.prepare(talk(31))
            manager.hibernate("s")
            assert manager.session("s").dump() != before
            assert manager.session("s").pressure.messages == 31


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_no_forged_name_or_query_reaches_another_tenant(tmp_path, kind):
    """Ids with separators, wildcards, SQL and the index's own markers find nothing of others."""
    store = SqliteStore(tmp_path / "a.db") if kind == "sqlite" else MemoryStore()
    with ContextLifecycle(CONFIG, store=store, submit=lambda j: j()) as manager:
        secret = [{"role": "user", "content": "The vault code is MARZIPAN-77."}]
        manager.session("t-1", tenant="acme").prepare(secret)
        names = [("acme", "t-2"), ("acme/t-1", "t-1"), ("acm", "e/t-1"), ("%", "%"), ("*", "t-1"),
                 ("acme' OR '1'='1", "t-1"), ("ACME", "t-1"), ("acme ", "t-1"),
                 ("acme\x00", "t-1"), ("zzsession1zz", "t-1")]  # fmt: skip
        for tenant, name in names:
            forger = manager.session(name, tenant=tenant)
            forger.prepare([{"role": "user", "content": "hello"}])
            asked = (
                "vault code",
                "MARZIPAN-77",
                'zzsession1zz vault" OR "vault',
                "vault*",
                "* OR 1",
            )
            for query in asked:
                found = forger.recall(query)
                assert "vault code is" not in found
            question = [{"role": "user", "content": f"{n} " + "bla " * 60} for n in range(30)]
            question.append({"role": "user", "content": "What is the vault code? zzsession1zz"})
            view = forger.prepare(question)
            assert "MARZIPAN" not in str(view.messages)
            assert forger.call_recall({"message": 0}) != secret[0]["content"]
        assert "MARZIPAN-77" in manager.session("t-1", tenant="acme").recall("vault code")
    store.close()


class _Unindexable(MemoryStore):
    """Takes messages, and refuses to make any more findable."""

    full = False

    def index(self, *given, **fence):
        if self.full:
            raise StoreFull("path='x': cannot index; free some room")
        super().index(*given, **fence)


@pytest.mark.parametrize("way", ["keep", "raise"])
def test_a_search_needs_no_room(way):
    """What was made findable before is found while the store refuses more."""
    store = _Unindexable()
    config = ContextConfig(budget_tokens=1_000, on_store_error=way)
    with ContextLifecycle(config, store=store, submit=lambda _: None) as manager:
        session = manager.session("s")
        session.prepare(talk(20))
        session.maintain()
        store.full = True
        session.prepare([*talk(20), {"role": "assistant", "content": "I see."}])
        if way == "raise":
            with pytest.raises(StoreFull):
                session.recall("item 3")
        else:
            assert "KX-3" in session.recall("item 3")
            assert isinstance(session.last_error, StoreFull)
        store.full = False
