"""The connections to an archive's file: one that writes, one for each reader at a time.

What SQLite refuses is said in our terms: each error names the file, what failed and the way out.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os import getpid
from pathlib import Path
from typing import Literal, TypeVar

from agentrm_plugins.context.stores.schema import GROWN, SCHEMA, SCHEMA_VERSION
from agentrm_plugins.errors import (
    ClosedError,
    ConfigError,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
)

__all__ = ["Connections"]

_T = TypeVar("_T")
_APPLICATION_ID = 0x41524D31
_IN_MEMORY = ":memory:"
_KINDS: tuple[tuple[str, type[StoreError], str], ...] = (
    ("locked", StoreLocked, "another process holds it; raise busy_timeout_s, or use its own file"),
    ("busy", StoreLocked, "another process holds it; raise busy_timeout_s, or use its own file"),
    ("readonly", StoreReadOnly, "give the process the right to write, or another path"),
    ("read-only", StoreReadOnly, "give the process the right to write, or another path"),
    ("unable to open", StoreReadOnly, "the path cannot be opened; check the folder and its rights"),
    ("full", StoreFull, "free some room on the disk, or give another path"),
    ("disk i/o", StoreFull, "the disk refused; check its room and health, or give another path"),
    ("malformed", StoreCorrupt, "the file is damaged; move it away and restore a copy of it"),
    ("not a database", StoreCorrupt, "the file is no SQLite database; give another path"),
    ("no such", StoreCorrupt, "the file lacks a table of the archive; give another path"),
)


class Connections:
    """An SQLite file that holds an archive; the arguments are those of `SqliteStore`."""

    def __init__(
        self,
        path: str | Path,
        *,
        busy_timeout_s: float,
        durability: Literal["process", "power"],
        max_bytes: int | None,
    ) -> None:
        if durability not in {"process", "power"}:
            raise ConfigError("durability", durability, "use 'process' or 'power'")
        if busy_timeout_s < 0:
            raise ConfigError("busy_timeout_s", busy_timeout_s, "give 0 seconds or more")
        self.path = str(path)
        self._busy_timeout_s = busy_timeout_s
        self._durability = durability
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        self._readers: list[sqlite3.Connection] = []
        self._pid = getpid()
        self._closed = False
        self._writer: sqlite3.Connection | None = None
        with self._lock, self._clear("open"):
            _make_private(self.path)
            self._prepare(self._write_connection())
            _keep_private(self.path)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            full = "FULL" if self._durability == "power" else "NORMAL"
            connection.execute(f"PRAGMA synchronous={full}")
            if self._max_bytes is not None:
                size = connection.execute("PRAGMA page_size").fetchone()[0]
                connection.execute(f"PRAGMA max_page_count={max(1, self._max_bytes // size)}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        owner = connection.execute("PRAGMA application_id").fetchone()[0]
        if found == SCHEMA_VERSION and owner == _APPLICATION_ID:
            return
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if owner not in {0, _APPLICATION_ID} or (tables and owner != _APPLICATION_ID):
            way = "it holds another program's tables; give another path"
            raise StoreCorrupt(f"path={self.path!r}: {way}")
        if found > SCHEMA_VERSION:
            way = f"it was written by a newer version (format {found}); update agentrm-plugins"
            raise StoreCorrupt(f"path={self.path!r}: {way}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Asked again: another process may have made the tables in the meantime.
            grown = connection.execute("PRAGMA user_version").fetchone()[0] == 1
            for statement in (*(GROWN if grown else ()), *SCHEMA):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _clear(self, doing: str) -> Iterator[None]:
        """Turn SQLite's errors into ours: each names the file, what failed and the way out."""
        try:
            yield
        except sqlite3.Error as error:
            text = str(error).lower()
            for word, kind, way in _KINDS:
                if word in text:
                    raise kind(f"path={self.path!r}: cannot {doing} ({error}); {way}") from error
            raise StoreError(f"path={self.path!r}: cannot {doing} ({error})") from error

    def _check_owner(self) -> None:
        if self._closed:
            raise ClosedError(f"path={self.path!r}: the store was closed; open a new SqliteStore")
        if self._pid != getpid():
            # A forked child must not touch its parent's connections, not even to close them.
            self._writer, self._readers = None, []
            self._lock, self._pid = threading.RLock(), getpid()

    def _write_connection(self) -> sqlite3.Connection:
        self._check_owner()
        if self._writer is None:
            self._writer = self._connect()
        return self._writer

    def read(self, doing: str, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do work that reads, on a connection of its own."""
        self._check_owner()
        with self._clear(doing):
            if self.path == _IN_MEMORY:
                with self._lock:
                    return _read(self._write_connection(), work)
            try:
                connection = self._readers.pop()
            except IndexError:
                connection = self._connect()
            try:
                return _read(connection, work)
            finally:
                if self._closed:
                    connection.close()
                else:
                    self._readers.append(connection)

    def write(self, doing: str, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do work that writes, all or nothing."""
        self._check_owner()
        with self._lock, self._clear(doing):
            connection = self._write_connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                done = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return done

    def close(self) -> None:
        """Let go of the file. A second time does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._pid == getpid():
                for connection in (*self._readers, self._writer):
                    if connection is not None:
                        connection.close()
            self._readers, self._writer = [], None


def _read(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], _T]) -> _T:
    """Read; where a byte of a text is damaged, a mark stands for it: the others are whole."""
    try:
        return work(connection)
    except sqlite3.OperationalError as error:
        if "decode to UTF-8" not in str(error):
            raise
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        try:
            return work(connection)
        finally:
            connection.text_factory = str


def _make_private(path: str) -> None:
    """Make a new file that nobody but its owner reads, before SQLite makes one for everybody."""
    if path != _IN_MEMORY:
        with suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _keep_private(path: str) -> None:
    """Tighten an archive of earlier, its log and its index; new ones have the file's rights."""
    if path != _IN_MEMORY:
        for ending in ("", "-wal", "-shm"):
            # Another owner's file stays as it is: SQLite says what may be done with it.
            with suppress(OSError):
                Path(path + ending).chmod(0o600)
