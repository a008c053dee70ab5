"""The archive's tables. `live=0` marks a branch that the conversation was taken back from.

A session's row says who may write to it (`owner`, `token`, until when), how often its messages were
written (`version`), and what was taken back and perhaps told to nobody yet (`notice`).
AUTOINCREMENT: the number of a deleted session is never given to another, whoever still holds it.
"""

from __future__ import annotations

__all__ = ["GROWN", "SCHEMA", "SCHEMA_VERSION"]

SCHEMA_VERSION = 3
"""2: owners of sessions. 3: vectors of passages, which is a table of its own."""

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS sessions(
        id INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, session TEXT NOT NULL,
        passages INTEGER NOT NULL DEFAULT 0, terms INTEGER NOT NULL DEFAULT 0, state BLOB,
        owner TEXT NOT NULL DEFAULT '', token INTEGER NOT NULL DEFAULT 0,
        until_s REAL NOT NULL DEFAULT 0, version INTEGER NOT NULL DEFAULT 0,
        notice TEXT NOT NULL DEFAULT '',
        UNIQUE(tenant, session))""",
    """CREATE TABLE IF NOT EXISTS messages(
        id INTEGER PRIMARY KEY, session INTEGER NOT NULL, seq INTEGER NOT NULL, role TEXT NOT NULL,
        body TEXT NOT NULL, digest TEXT NOT NULL, tokens INTEGER NOT NULL, at_s REAL NOT NULL,
        live INTEGER NOT NULL DEFAULT 1, indexed INTEGER NOT NULL DEFAULT 0)""",
    """CREATE UNIQUE INDEX IF NOT EXISTS messages_live
        ON messages(session, seq) WHERE live=1""",
    """CREATE INDEX IF NOT EXISTS messages_unindexed
        ON messages(session, seq) WHERE live=1 AND indexed=0""",
    """CREATE TABLE IF NOT EXISTS passages(
        id INTEGER PRIMARY KEY, session INTEGER NOT NULL, message INTEGER NOT NULL,
        seq INTEGER NOT NULL, role TEXT NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL,
        terms TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS passages_place ON passages(session, seq)",
    """CREATE TABLE IF NOT EXISTS vectors(
        session INTEGER NOT NULL, model TEXT NOT NULL, seq INTEGER NOT NULL,
        start INTEGER NOT NULL, vector BLOB NOT NULL,
        PRIMARY KEY(session, model, seq, start)) WITHOUT ROWID""",
    """CREATE VIRTUAL TABLE IF NOT EXISTS fts USING fts5(
        terms, content='passages', content_rowid='id', tokenize="unicode61 remove_diacritics 0")""",
)

GROWN = (
    "ALTER TABLE sessions ADD COLUMN owner TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE sessions ADD COLUMN token INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE sessions ADD COLUMN until_s REAL NOT NULL DEFAULT 0",
    "ALTER TABLE sessions ADD COLUMN version INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE sessions ADD COLUMN notice TEXT NOT NULL DEFAULT ''",
)
"""What an archive of format 1 lacks."""
