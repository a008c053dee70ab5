"""A session of the LangGraph store in memory: what is searched, and what its rows are called."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from agentrm_langgraph.items import Items
from agentrm_plugins import MemoryStore, SessionKey
from agentrm_plugins.integration import archive

__all__ = ["Index", "loaded", "signed", "token_of"]


@dataclass(slots=True)
class Index:
    """What is known of one session in memory: its digests and passages, and its rows' names."""

    version: str
    found: MemoryStore = field(default_factory=MemoryStore)
    names: dict[int, str] = field(default_factory=dict)


def loaded(items: Items, key: SessionKey, version: str) -> Index:
    """Read a session's index from the store, up to where its present owner's messages end."""
    made = Index(version)
    newest = {
        item.value["seq"]: item
        for item in sorted(items.all(key, "rows"), key=lambda item: str(item.key))
    }
    rows: list[archive.Row] = []
    token = 0
    for seq in sorted(newest):
        item = newest[seq]
        written = token_of(item.key.partition("-")[2])
        if seq != len(rows) or written < token:
            break  # what an earlier owner wrote behind the present one's end
        token = written
        made.names[seq] = item.key
        rows.append(archive.Row(**{**item.value, "body": ""}))
    made.found.append(key, rows)
    passages = {
        item.value["seq"]: [
            archive.Passage(start, stop, tuple(terms.split(" ")) if terms else ())
            for start, stop, terms in item.value["pieces"]
        ]
        for item in items.all(key, "passages")
        if made.names.get(item.value["seq"]) == item.key
    }
    made.found.index(key, dict(sorted(passages.items())))
    return made


def signed(token: int, owner: str) -> str:
    """Name an owner so that a later one sorts behind it, and no two are alike."""
    return f"{token:010d}-{hashlib.blake2b(owner.encode(), digest_size=6).hexdigest()}"


def token_of(signed: str) -> int:
    """Give the token in a signed name; 0 without one."""
    return int(signed.partition("-")[0] or 0)
