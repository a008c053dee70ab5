from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from agentrm_plugins.context.notes.text import passages
from agentrm_plugins.context.stores import ColdStore, MemoryStore, Row, SessionKey, SqliteStore
from agentrm_plugins.errors import (
    ClosedError,
    ConfigError,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
)

A, B = SessionKey("acme", "s1"), SessionKey("umbrella", "s1")


def row(seq: int, text: str, role: str = "user") -> Row:
    return Row(seq, role, text, f"digest-{text}", 3, 1.0)


@contextmanager
def on_langgraph(path=None, base=None, **settings):
    """An archive on LangGraph's store in memory or in a file."""
    pytest.importorskip("langgraph.store")
    from agentrm_langgraph import LangGraphColdStore

    if path is None:
        from langgraph.store.memory import InMemoryStore

        yield LangGraphColdStore(base or InMemoryStore(), **settings)
        return
    theirs = pytest.importorskip("langgraph.store.sqlite")
    with theirs.SqliteStore.from_conn_string(str(path)) as made:
        made.setup()
        yield LangGraphColdStore(made)


@pytest.fixture(params=["memory", "sqlite", "sqlite-memory", "langgraph", "langgraph-sqlite"])
def store(request, tmp_path):
    with ExitStack() as stack:
        made = {
            "memory": MemoryStore,
            "sqlite": lambda: SqliteStore(tmp_path / "a.db"),
            "sqlite-memory": lambda: SqliteStore(":memory:"),
            "langgraph": lambda: stack.enter_context(on_langgraph()),
            "langgraph-sqlite": lambda: stack.enter_context(on_langgraph(tmp_path / "a.db")),
        }[request.param]()
        yield made
        made.close()


def put(store, key, *texts):
    store.append(key, [row(seq, text) for seq, text in enumerate(texts)])
    store.index(key, {seq: passages(text) for seq, text in enumerate(texts)})


def test_what_was_written_is_read_word_for_word(store):
    """Bodies, order and digests come back as they were; a second write changes nothing."""
    assert isinstance(store, ColdStore)
    put(store, A, "one", "zwei 深圳", "three")
    put(store, A, "one", "zwei 深圳", "three")
    assert [store.read(A, [n])[n].body for n in range(3)] == ["one", "zwei 深圳", "three"]
    assert [seq for seq, _ in store.digests(A)] == [0, 1, 2]
    assert store.read(A, [7]) == {}


def test_search_finds_by_words_numbers_and_scripts(store):
    """Identifiers, amounts, dates and Chinese text are found however they are asked for."""
    put(store, A, "the invoice INV-2231 is late", "we owe 14,200 EUR on 4 March 2026", "端口是8080")
    for terms, seq in ((["inv2231"], 0), (["14200"], 1), (["d20260304"], 1), (["端口"], 2)):
        found, corpus = store.search(A, terms, 5)
        assert [c.seq for c in found] == [seq]
        assert corpus.passages == 3


def test_a_tenant_never_sees_anothers_text(store):
    """The same session id of another tenant is another session."""
    put(store, A, "the secret word is marzipan")
    put(store, B, "nothing here")
    assert store.search(B, ["marzip"], 5)[0] == []
    assert store.read(B, [0])[0].body == "nothing here"
    assert store.sessions("acme") == ["s1"]
    assert store.sessions("nobody") == []


def test_rewinding_takes_messages_out_of_reading_and_search(store):
    """A branch that was left is found no more, and the place can be written again."""
    put(store, A, "keep this", "leave that")
    store.rewind(A, 1)
    assert store.search(A, ["leav"], 5)[0] == []
    store.append(A, [row(1, "other")])
    assert store.unindexed(A) == [1]
    assert store.read(A, [1])[1].body == "other"


def test_state_is_kept_and_forgotten_with_the_session(store):
    """The last state wins; forgetting leaves nothing."""
    assert store.load_state(A) is None
    put(store, A, "x")
    store.save_state(A, b"1")
    store.save_state(A, b"2")
    assert store.load_state(A) == b"2"
    store.forget(A)
    assert store.load_state(A) is None
    assert store.digests(A) == []
    assert store.search(A, ["x"], 5)[0] == []


def test_both_stores_rank_alike(tmp_path):
    """The full-text index and the pure ranking give the same passages in the same order."""
    texts = [f"report {n % 7} about topic {n % 11} and value {n * 37}" for n in range(80)]
    memory, sqlite = MemoryStore(), SqliteStore(tmp_path / "a.db")
    for one in (memory, sqlite):
        put(one, A, *texts)
        put(one, B, *(f"report {n}" for n in range(50)))
    for asked in (["report", "topic", "3"], ["valu", "37"], ["6", "10"]):
        ours, theirs = memory.search(A, asked, 10), sqlite.search(A, asked, 10)
        assert [(c.seq, c.start) for c in ours[0]] == [(c.seq, c.start) for c in theirs[0]]
        assert ours[1] == theirs[1]
    sqlite.close()


def test_threads_share_one_file(tmp_path):
    """Eight threads write and read at once; every message arrives once."""
    store = SqliteStore(tmp_path / "a.db")
    failed = []

    def work(number: int) -> None:
        key = SessionKey("t", f"s{number % 4}-{number}")
        try:
            for seq in range(20):
                store.append(key, [row(seq, f"text {seq}")])
                store.index(key, {seq: passages(f"text {seq}")})
                assert store.search(key, ["text"], 3)[0]
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert sum(len(store.digests(SessionKey("t", f"s{n % 4}-{n}"))) for n in range(8)) == 160
    store.close()


WRITER = """
import sys
from agentrm_plugins.context.stores import Row, SessionKey, SqliteStore
store = SqliteStore(sys.argv[1], busy_timeout_s=30)
for seq in range(40):
    store.append(SessionKey("t", sys.argv[2]), [Row(seq, "user", "x", f"d{seq}", 1, 0.0)])
store.close()
"""


def test_processes_share_one_file(tmp_path):
    """Three processes write at once; none is refused and nothing is lost."""
    path = str(tmp_path / "a.db")
    root = str(Path(__file__).parents[2])
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, path, f"s{n}"], cwd=root) for n in range(3)
    ]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    with SqliteStore(path) as store:
        assert [len(store.digests(SessionKey("t", f"s{n}"))) for n in range(3)] == [40, 40, 40]


def test_a_locked_file_is_named(tmp_path):
    """Another writer that holds on for too long gives a clear error; afterwards it works."""
    path = tmp_path / "a.db"
    with SqliteStore(path, busy_timeout_s=0.05) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLocked, match="busy_timeout_s"):
            store.append(A, [row(0, "x")])
        other.execute("ROLLBACK")
        other.close()
        store.append(A, [row(0, "x")])


def test_a_file_that_is_no_archive_is_refused_and_left_alone(tmp_path):
    """Garbage, and another program's database, are named and not touched."""
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"this is no database at all" * 100)
    before = garbage.read_bytes()
    with pytest.raises(StoreCorrupt, match="give another path"):
        SqliteStore(garbage)
    assert garbage.read_bytes() == before
    foreign = sqlite3.connect(tmp_path / "foreign.db")
    foreign.execute("CREATE TABLE theirs(x)")
    foreign.commit()
    foreign.close()
    with pytest.raises(StoreCorrupt, match="another program"):
        SqliteStore(tmp_path / "foreign.db")


def test_a_damaged_archive_is_named(tmp_path):
    """Overwritten pages are an error with a way out, not a silent loss."""
    path = tmp_path / "a.db"
    with SqliteStore(path) as store:
        put(store, A, *(f"text {n} " * 50 for n in range(200)))
    data = bytearray(path.read_bytes())
    data[4096 : len(data) - 4096] = os.urandom(len(data) - 8192)
    path.write_bytes(data)
    with pytest.raises(StoreError), SqliteStore(path) as store:
        store.append(A, [row(n, f"text {n} more") for n in range(200)])
        store.digests(A)


def test_a_full_disk_is_named_and_loses_nothing(tmp_path):
    """At the size limit a write is refused whole; what was there stays readable."""
    with SqliteStore(tmp_path / "a.db", max_bytes=200_000) as store:
        put(store, A, "kept")
        with pytest.raises(StoreFull, match="free some room"):
            store.append(A, [row(n, "y" * 5000 + str(n)) for n in range(1, 100)])
        assert [seq for seq, _ in store.digests(A)] == [0]


def test_a_path_that_cannot_be_opened_is_named(tmp_path):
    """A missing folder is an error that names the path."""
    with pytest.raises(StoreReadOnly, match="missing"):
        SqliteStore(tmp_path / "missing" / "a.db")


def test_a_read_only_archive_is_named(tmp_path):
    """Reading goes on where writing is not allowed."""
    store = SqliteStore(tmp_path / "a.db")
    put(store, A, "there")
    store._file._writer.execute("PRAGMA query_only=1")
    with pytest.raises(StoreReadOnly):
        store.append(A, [row(1, "x")])
    assert store.read(A, [0])[0].body == "there"
    store.close()


def test_a_closed_store_says_so(tmp_path):
    """After close every use is an error that names the way out."""
    store = SqliteStore(tmp_path / "a.db")
    store.close()
    store.close()
    with pytest.raises(ClosedError, match="open a new"):
        store.digests(A)
    with pytest.raises(ConfigError, match="durability"):
        SqliteStore(tmp_path / "b.db", durability="never")


def test_synced_writes_are_offered(tmp_path):
    """With durability="power" each write is synced to the disk."""
    with SqliteStore(tmp_path / "a.db", durability="power") as store:
        put(store, A, "x")
        assert store._file._writer.execute("PRAGMA synchronous").fetchone()[0] == 2


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
@pytest.mark.parametrize("before", [None, 0o644, 0o666])
def test_nobody_else_can_read_an_archive(tmp_path, before):
    """The file, its log and its index are the owner's alone: new ones, and those of earlier."""
    path = tmp_path / "a.db"
    if before is not None:
        with SqliteStore(path) as store:
            put(store, A, "x")
        path.chmod(before)
    held = os.umask(0)
    try:
        with SqliteStore(path) as store:
            put(store, A, "the vault code is 77")
            store.search(A, ["vault"], 3)
            rights = {found.name: found.stat().st_mode & 0o777 for found in tmp_path.iterdir()}
    finally:
        os.umask(held)
    assert set(rights) >= {"a.db", "a.db-wal", "a.db-shm"}
    assert set(rights.values()) == {0o600}


def test_a_store_in_memory_that_is_written_to_meanwhile_is_read_again():
    """LangGraph's `InMemoryStore` has no lock: what its own threads change breaks one look only."""
    pytest.importorskip("langgraph.store")
    from langgraph.store.memory import InMemoryStore

    class Moving(InMemoryStore):
        left = 3

        def batch(self, ops):
            listed = list(ops)
            if self.left and any(type(op).__name__ == "SearchOp" for op in listed):
                self.left -= 1
                grown = {"one": 1}
                for name in grown:
                    grown[name + name] = 1
            return super().batch(listed)

    with on_langgraph(base=Moving()) as store:
        put(store, A, "one", "two")
        assert store.owned(A).owner == ""
        assert [seq for seq, _ in store.digests(A)] == [0, 1]
        assert store.store.left == 0
