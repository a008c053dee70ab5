"""A cold store in SQLite: one file, write-ahead log, full-text index; threads and processes.

One connection writes, under this process's lock and SQLite's own; readers borrow a connection each
and never wait for the writer. What a method has returned survives the death of
the process (SIGKILL too); with ``durability="power"`` it survives the loss of power as well, at the
price of one sync of the disk for each write.

The full-text index finds the passages and ranks them coarsely over the whole file; the final order
is computed from the session's own numbers, so no other tenant's text has a say in it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from agentrm_plugins.context.notes.text import Passage
from agentrm_plugins.context.recall.rank import Candidate, Corpus, bm25, weights_of
from agentrm_plugins.context.stores.base import Fence, Owned, Row, SessionKey, taken_over, written
from agentrm_plugins.context.stores.connections import Connections
from agentrm_plugins.errors import StoreFenced

__all__ = ["SqliteStore"]

_COARSE_FACTOR = 4
_OWN = "zzsession"
_MOST_SEQ = 2**63 - 1
_AT_ONCE = 500  # SQLite takes 999 parameters everywhere


class SqliteStore:
    """An archive in one SQLite file.

    Args:
        path: The file; its folder must exist. ":memory:" keeps it in memory, for one process.
        busy_timeout_s: Seconds to wait for another process's write. 5 is sqlite3's own default.
        durability: "process" (a killed process loses nothing) or "power" (nor does a power cut).
        max_bytes: The file's largest size, rounded to pages; None for no bound but the disk's.
        clock: Seconds since the epoch, for the leases of owners.

    Raises:
        StoreError: The file cannot be opened, or is not an archive.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        busy_timeout_s: float = 5.0,
        durability: Literal["process", "power"] = "process",
        max_bytes: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._file = Connections(
            path, busy_timeout_s=busy_timeout_s, durability=durability, max_bytes=max_bytes
        )
        self.path = self._file.path
        self._clock = clock

    @staticmethod
    def _id(connection: sqlite3.Connection, key: SessionKey) -> int | None:
        found = connection.execute(
            "SELECT id FROM sessions WHERE tenant=? AND session=?", tuple(key)
        ).fetchone()
        return None if found is None else int(found[0])

    def _made_id(self, connection: sqlite3.Connection, key: SessionKey) -> int:
        known = self._id(connection, key)
        if known is not None:
            return known
        made = connection.execute(
            "INSERT INTO sessions(tenant, session) VALUES (?, ?)", tuple(key)
        ).lastrowid
        return int(made or 0)

    def owned(self, key: SessionKey) -> Owned:
        """Say who has a session."""
        return self._file.read("read", lambda c: _owned(c, key))

    def claim(self, key: SessionKey, owner: str, lease_s: float, seen: str | None = None) -> Owned:
        """Make `owner` the session's owner; give who had it before."""

        def work(connection: sqlite3.Connection) -> Owned:
            before = _owned(connection, key)
            has = taken_over(key, before, (owner, lease_s, seen), self._clock())
            connection.execute(
                "UPDATE sessions SET owner=?, token=?, until_s=? WHERE id=?",
                (has.owner, has.token, has.until_s, self._made_id(connection, key)),
            )
            return before

        return self._file.write("claim", work)

    def _own_id(
        self,
        connection: sqlite3.Connection,
        key: SessionKey,
        fence: Fence | None,
        changes: int = 0,
        back_to: int | None = None,
    ) -> int:
        """The session's number, its lease prolonged; `StoreFenced` where it is another's."""
        session = self._made_id(connection, key)
        has = _owned(connection, key)
        if fence is not None:
            if (has.owner, has.token) != (fence.owner, fence.token):
                whose = has.owner or "nobody"
                raise StoreFenced(f"path={self.path!r}, session={key[1]!r}: it is {whose}'s now")
            gone = None if back_to is None else (back_to, _count(connection, session, back_to))
            has = written(has, fence, self._clock(), gone)
        connection.execute(
            "UPDATE sessions SET until_s=?, notice=?, version=version+? WHERE id=?",
            (has.until_s, has.notice, changes, session),
        )
        return session

    def append(self, key: SessionKey, rows: Sequence[Row], fence: Fence | None = None) -> None:
        """Write messages, all or none."""

        def work(connection: sqlite3.Connection) -> None:
            session = self._own_id(connection, key, fence, 1)
            for row in rows:
                there = connection.execute(
                    "SELECT digest FROM messages WHERE session=? AND seq=? AND live=1",
                    (session, row.seq),
                ).fetchone()
                if there is not None and there[0] == row.digest:
                    continue
                if there is not None:
                    _set_aside(connection, session, row.seq)
                connection.execute(
                    "INSERT INTO messages(session, seq, role, body, digest, tokens, at_s)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (session, row.seq, row.role, row.body, row.digest, row.tokens, row.at_s),
                )

        if rows:
            self._file.write("append", work)

    def read(self, key: SessionKey, seqs: Sequence[int]) -> dict[int, Row]:
        """Read messages by their place."""
        wanted = sorted({seq for seq in seqs if 0 <= seq <= _MOST_SEQ})

        def work(connection: sqlite3.Connection) -> dict[int, Row]:
            session = self._id(connection, key)
            found = {}
            for at in range(0, len(wanted), _AT_ONCE):
                some = wanted[at : at + _AT_ONCE]
                marks = ",".join("?" * len(some))
                sql = (
                    "SELECT seq, role, body, digest, tokens, at_s FROM messages"  # noqa: S608
                    f" WHERE session=? AND live=1 AND seq IN ({marks})"  # question marks only
                )
                for row in connection.execute(sql, (session, *some)):
                    found[row[0]] = Row(*row)
            return {seq: found[seq] for seq in wanted if seq in found}

        return self._file.read("read", work)

    def digests(self, key: SessionKey) -> list[tuple[int, str]]:
        """Give place and digest of all messages, in order."""
        sql = "SELECT seq, digest FROM messages WHERE session=? AND live=1 ORDER BY seq"
        return self._file.read("read", lambda c: c.execute(sql, (self._id(c, key),)).fetchall())

    def index(
        self,
        key: SessionKey,
        passages: Mapping[int, Sequence[Passage]],
        fence: Fence | None = None,
        digests: Mapping[int, str] | None = None,
    ) -> None:
        """Make messages findable."""

        def work(connection: sqlite3.Connection) -> None:
            session = self._own_id(connection, key, fence)
            for seq, pieces in passages.items():
                row = connection.execute(
                    "UPDATE messages SET indexed=1 WHERE session=? AND seq=? AND live=1"
                    " AND indexed=0 AND digest=coalesce(?, digest) RETURNING id, role",
                    (session, seq, (digests or {}).get(seq)),
                ).fetchone()
                if row is not None:
                    _enter(connection, session, (row[0], seq, row[1]), pieces)

        if passages:
            self._file.write("index", work)

    def unindexed(self, key: SessionKey, limit: int = 1000) -> list[int]:
        """Give the places of messages that are not yet findable."""
        sql = (
            "SELECT seq FROM messages WHERE session=? AND live=1 AND indexed=0 ORDER BY seq LIMIT ?"
        )
        rows = self._file.read(
            "read", lambda c: c.execute(sql, (self._id(c, key), limit)).fetchall()
        )
        return [row[0] for row in rows]

    def passages(self, key: SessionKey) -> list[tuple[int, str, list[Passage]]]:
        """Give the passages of all findable messages."""
        sql = "SELECT seq, role, start, stop, terms FROM passages WHERE session=? ORDER BY seq, id"
        found: dict[int, tuple[str, list[Passage]]] = {}
        rows = self._file.read("read", lambda c: c.execute(sql, (self._id(c, key),)).fetchall())
        for seq, role, start, stop, text in rows:
            piece = Passage(start, stop, tuple(text.split(" ")[1:]))
            found.setdefault(seq, (role, []))[1].append(piece)
        return [(seq, role, pieces) for seq, (role, pieces) in found.items()]

    def save_vectors(
        self, key: SessionKey, model: str, made: Mapping[tuple[int, int], bytes]
    ) -> None:
        """Keep the vectors of passages, each replacing the one before."""

        def work(connection: sqlite3.Connection) -> None:
            session = self._made_id(connection, key)
            connection.executemany(
                "INSERT OR REPLACE INTO vectors(session, model, seq, start, vector)"
                " VALUES (?, ?, ?, ?, ?)",
                [(session, model, seq, start, vector) for (seq, start), vector in made.items()],
            )

        self._file.write("index", work)

    def vectors(self, key: SessionKey, model: str) -> dict[tuple[int, int], bytes]:
        """Give the vectors that this model made of a session's passages."""
        sql = "SELECT seq, start, vector FROM vectors WHERE session=? AND model=?"
        rows = self._file.read(
            "read", lambda c: c.execute(sql, (self._id(c, key), model)).fetchall()
        )
        return {(seq, start): vector for seq, start, vector in rows}

    def search(
        self, key: SessionKey, terms: Sequence[str], limit: int, skip: frozenset[int] = frozenset()
    ) -> tuple[list[Candidate], Corpus]:
        """Find the best passages that hold any of the terms."""
        wanted = list(dict.fromkeys(term for term in terms if term.isalnum()))

        def work(connection: sqlite3.Connection) -> tuple[list[Candidate], Corpus]:
            session = self._id(connection, key)
            count, total = connection.execute(
                "SELECT passages, terms FROM sessions WHERE id=?", (session,)
            ).fetchone() or (0, 0)
            if not count or not wanted:
                return [], Corpus(0, 0.0, {})
            containing = {
                term: connection.execute(
                    "SELECT count(*) FROM fts WHERE fts MATCH ?", (f'"{_own(session)}" "{term}"',)
                ).fetchone()[0]
                for term in wanted
            }
            corpus = Corpus(count, total / count, containing)
            asked = " OR ".join(f'"{term}"' for term in wanted if containing[term])
            if not asked:
                return [], corpus
            coarse = connection.execute(
                "SELECT p.seq, p.start, p.stop, p.role, p.terms FROM fts"
                " JOIN passages p ON p.id=fts.rowid WHERE fts MATCH ?"
                " AND p.session=? ORDER BY bm25(fts), p.seq DESC LIMIT ?",
                (f'"{_own(session)}" AND ({asked})', session, limit * _COARSE_FACTOR + len(skip)),
            ).fetchall()
            found = [
                Candidate(seq, start, stop, role, tuple(text.split(" ")[1:]))
                for seq, start, stop, role, text in coarse
                if seq not in skip
            ]
            weights, mean = weights_of(wanted, corpus), corpus.mean_terms
            found.sort(key=lambda c: (-bm25(weights, c, mean)[0], -c.seq, c.start))
            return found[:limit], corpus

        return self._file.read("search", work)

    def rewind(self, key: SessionKey, seq: int, fence: Fence | None = None) -> None:
        """Set aside what follows: kept, and found no more."""
        self._file.write(
            "rewind", lambda c: _set_aside(c, self._own_id(c, key, fence, 1, seq), seq)
        )

    def save_state(self, key: SessionKey, state: bytes, fence: Fence | None = None) -> None:
        """Keep a session's state."""
        sql = "UPDATE sessions SET state=? WHERE id=?"
        self._file.write("save", lambda c: c.execute(sql, (state, self._own_id(c, key, fence))))

    def load_state(self, key: SessionKey) -> bytes | None:
        """Give the state that was saved last."""
        sql = "SELECT state FROM sessions WHERE tenant=? AND session=?"
        row = self._file.read("read", lambda c: c.execute(sql, tuple(key)).fetchone())
        return None if row is None else row[0]

    def sessions(self, tenant: str) -> list[str]:
        """Name a tenant's sessions."""
        sql = "SELECT session FROM sessions WHERE tenant=? ORDER BY session"
        rows = self._file.read("read", lambda c: c.execute(sql, (tenant,)).fetchall())
        return [row[0] for row in rows]

    def forget(self, key: SessionKey) -> None:
        """Delete a session for good."""

        def work(connection: sqlite3.Connection) -> None:
            session = self._id(connection, key)
            if session is not None:
                _set_aside(connection, session, -1)
                connection.execute("DELETE FROM messages WHERE session=?", (session,))
                connection.execute("DELETE FROM sessions WHERE id=?", (session,))

        self._file.write("forget", work)

    def close(self) -> None:
        """Let go of the file. A second time does nothing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _owned(connection: sqlite3.Connection, key: SessionKey) -> Owned:
    found = connection.execute(
        "SELECT owner, token, until_s, CAST(version AS TEXT), notice FROM sessions"
        " WHERE tenant=? AND session=?",
        tuple(key),
    ).fetchone()
    return Owned(*found) if found else Owned()


def _count(connection: sqlite3.Connection, session: int, seq: int) -> int:
    sql = "SELECT count(*) FROM messages WHERE session=? AND seq>=? AND live=1"
    return int(connection.execute(sql, (session, seq)).fetchone()[0])


def _own(session: int | None) -> str:
    """Name the term that every passage of a session has and no other's: ranking stays inside."""
    return f"{_OWN}{session}zz"


def _enter(
    connection: sqlite3.Connection,
    session: int,
    message: tuple[int, int, str],
    pieces: Sequence[Passage],
) -> None:
    first = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM passages").fetchone()[0]
    own = _own(session)
    rows = []
    total = 0
    for at, piece in enumerate(pieces, start=first):
        # Nobody's words may look like another session's name.
        said = [term for term in piece.terms if _OWN not in term]
        total += len(said)
        rows.append((at, session, *message, piece.start, piece.stop, " ".join((own, *said))))
    connection.executemany(
        "INSERT INTO passages(id, session, message, seq, role, start, stop, terms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    connection.executemany(
        "INSERT INTO fts(rowid, terms) VALUES (?, ?)", ((row[0], row[-1]) for row in rows)
    )
    connection.execute(
        "UPDATE sessions SET passages=passages+?, terms=terms+? WHERE id=?",
        (len(pieces), total, session),
    )


def _set_aside(connection: sqlite3.Connection, session: int, seq: int) -> None:
    """Keep the messages from `seq` on as a dead branch, and take their passages out of search."""
    connection.execute(
        "UPDATE messages SET live=0, indexed=0 WHERE session=? AND seq>=? AND live=1",
        (session, seq),
    )
    gone = connection.execute(
        "SELECT id, terms FROM passages WHERE session=? AND seq>=?", (session, seq)
    ).fetchall()
    for identity, text in gone:
        connection.execute(
            "INSERT INTO fts(fts, rowid, terms) VALUES ('delete', ?, ?)", (identity, text)
        )
        connection.execute("DELETE FROM passages WHERE id=?", (identity,))
    connection.execute("DELETE FROM vectors WHERE session=? AND seq>=?", (session, seq))
    connection.execute(
        "UPDATE sessions SET passages=passages-?, terms=terms-? WHERE id=?",
        (len(gone), sum(text.count(" ") for _, text in gone), session),
    )
