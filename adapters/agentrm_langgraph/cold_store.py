"""The cold tier on any LangGraph store: in memory, SQLite, Postgres, Redis.

One session is a namespace ``(*root, tenant, session)``, its names encoded so that no two can meet;
below it stand "rows", "passages", "aside", "state" and "head". Prefixes are patterns to some
stores, so what a search brings of another namespace is dropped here, always.

`BaseStore` has no full-text search. Each session that is in use has an index in memory (places,
digests and terms, no texts), which ranks as the other stores do. It is read from the store once,
and again when "head" tells that another process has written.
"""

from __future__ import annotations

import base64
import re
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from langgraph.store.base import BaseStore, GetOp, Op, PutOp, SearchOp

from agentrm_plugins import AgentRMError, ConfigError
from agentrm_plugins.integration import (
    Candidate,
    Corpus,
    MemoryStore,
    Passage,
    Row,
    SessionKey,
    StoreError,
    StoreLocked,
)

__all__ = ["LangGraphColdStore"]

_PAGE = 1_000
_ASYNC_ONLY = (
    "this LangGraph store is for async code only, and was used from the thread of its event loop; "
    "use the async ways (ainvoke, aprepare), or give the sync store of the same database"
)


class LangGraphColdStore:
    """An archive on a `BaseStore`, for `ContextLifecycle(store=...)`. Thread-safe if the store is.

    Args:
        store: Any LangGraph store. It is not closed here.
        namespace: Under which all that is archived stands.
        live: Sessions whose index is kept in memory.

    Raises:
        ConfigError: A value that cannot be.
    """

    def __init__(
        self, store: BaseStore, namespace: tuple[str, ...] = ("agentrm",), *, live: int = 256
    ) -> None:
        if not isinstance(store, BaseStore):
            way = "give a LangGraph store (a BaseStore), such as InMemoryStore()"
            raise ConfigError("store", type(store).__name__, way)
        if not namespace or not all(isinstance(n, str) and n and "." not in n for n in namespace):
            way = "give a tuple of names that are not empty and have no dot"
            raise ConfigError("namespace", namespace, way)
        if live < 1:
            raise ConfigError("live", live, "give a whole number, 1 or more")
        self.store = store
        self._root = tuple(namespace)
        self._live = live
        self._indexes: OrderedDict[SessionKey, tuple[str, MemoryStore]] = OrderedDict()
        self._lock = threading.RLock()

    # -- messages ---------------------------------------------------------------------------

    def append(self, key: SessionKey, rows: Sequence[Row]) -> None:
        """Write messages, all or none. A row that is there with the same digest is left alone."""
        if not rows:
            return
        with self._index(key) as index:
            known = dict(index.digests(key))
            ops: list[PutOp] = []
            for row in rows:
                there = known.get(row.seq)
                if there == row.digest:
                    continue
                if there is not None:
                    ops += self._set_aside(key, [s for s in known if s >= row.seq])
                    known = {s: digest for s, digest in known.items() if s < row.seq}
                known[row.seq] = row.digest
                ops.append(self._put(key, "rows", _name(row.seq), asdict(row)))
            if ops:
                self._write(key, ops)
                index.append(key, [replace(row, body="") for row in rows])

    def read(self, key: SessionKey, seqs: Sequence[int]) -> dict[int, Row]:
        """Read messages by their place; those not there are left out."""
        place = self._place(key, "rows")
        found = self._do([GetOp(place, _name(seq), refresh_ttl=False) for seq in seqs])
        items = [item.value for item in found if item is not None]
        return {value["seq"]: Row(**value) for value in items}

    def digests(self, key: SessionKey) -> list[tuple[int, str]]:
        """Give place and digest of all messages of the session, in order."""
        with self._index(key) as index:
            return index.digests(key)

    def rewind(self, key: SessionKey, seq: int) -> None:
        """Take the session back to before `seq`: what follows is kept, and is found no more."""
        with self._index(key) as index:
            gone = [place for place, _ in index.digests(key) if place >= seq]
            if gone:
                self._write(key, self._set_aside(key, gone))
                index.rewind(key, seq)

    def _set_aside(self, key: SessionKey, seqs: Sequence[int]) -> list[PutOp]:
        when = uuid.uuid4().hex
        ops = []
        for seq, row in self.read(key, seqs).items():
            ops.append(self._put(key, "aside", f"{when}-{_name(seq)}", asdict(row)))
            ops.append(self._put(key, "rows", _name(seq), None))
            ops.append(self._put(key, "passages", _name(seq), None))
        return ops

    # -- search -----------------------------------------------------------------------------

    def index(self, key: SessionKey, passages: Mapping[int, Sequence[Passage]]) -> None:
        """Make messages findable: their passages by place. A second time changes nothing."""
        with self._index(key) as index:
            open_places = set(index.unindexed(key, 1 << 30))
            fresh = {seq: pieces for seq, pieces in passages.items() if seq in open_places}
            if fresh:
                self._write(key, [
                    self._put(key, "passages", _name(seq), {
                        "seq": seq,
                        "pieces": [[p.start, p.stop, " ".join(p.terms)] for p in pieces],
                    })
                    for seq, pieces in fresh.items()
                ])  # fmt: skip
                index.index(key, fresh)

    def unindexed(self, key: SessionKey, limit: int = 1000) -> list[int]:
        """Give the places of messages that are archived and not yet findable."""
        with self._index(key) as index:
            return index.unindexed(key, limit)

    def passages(self, key: SessionKey) -> list[tuple[int, str, list[Passage]]]:
        """Give the passages of all findable messages: (place, role, passages), in order."""
        with self._index(key) as index:
            return index.passages(key)

    def search(
        self, key: SessionKey, terms: Sequence[str], limit: int, skip: frozenset[int] = frozenset()
    ) -> tuple[list[Candidate], Corpus]:
        """Find the best passages of the session that hold any of the terms."""
        with self._index(key) as index:
            return index.search(key, terms, limit, skip)

    # -- state ------------------------------------------------------------------------------

    def save_state(self, key: SessionKey, state: bytes) -> None:
        """Keep a session's state, replacing the one before, all or nothing."""
        value = {"state": base64.b64encode(state).decode("ascii")}
        self._do([self._put(key, "state", "state", value)])

    def load_state(self, key: SessionKey) -> bytes | None:
        """Give the state that was saved last, or None."""
        (item,) = self._do([GetOp(self._place(key, "state"), "state", refresh_ttl=False)])
        return None if item is None else base64.b64decode(item.value["state"])

    def sessions(self, tenant: str) -> list[str]:
        """Name a tenant's sessions."""
        above = (*self._root, _encoded(tenant))
        found = set()
        at = 0
        while True:
            with _clear():
                names = self.store.list_namespaces(prefix=above, limit=_PAGE, offset=at)
            found |= {
                _decoded(name[len(above)])
                for name in names
                if len(name) == len(above) + 2 and name[: len(above)] == above
            }
            at += len(names)
            if len(names) < _PAGE:
                return sorted(found)

    def forget(self, key: SessionKey) -> None:
        """Delete a session for good."""
        with self._lock:
            self._indexes.pop(SessionKey(*key), None)
            for kind in ("passages", "rows", "aside", "state", "head"):
                ops = [self._put(key, kind, item.key, None) for item in self._all(key, kind)]
                self._do(ops)

    def close(self) -> None:
        """Let go of the indexes; the LangGraph store is its owner's to close."""
        with self._lock:
            self._indexes.clear()

    # -- the LangGraph store ----------------------------------------------------------------

    @contextmanager
    def _index(self, key: SessionKey) -> Iterator[MemoryStore]:
        """The session's index, as new as the store."""
        key = SessionKey(*key)
        with self._lock:
            version = self._version(key)
            found = self._indexes.get(key)
            if found is None or found[0] != version:
                found = self._indexes[key] = (version, self._loaded(key))
            self._indexes.move_to_end(key)
            while len(self._indexes) > self._live:
                self._indexes.popitem(last=False)
            try:
                yield found[1]
            except StoreError:
                self._indexes.pop(key, None)  # it may be ahead of the store, or behind
                raise

    def _version(self, key: SessionKey) -> str:
        (item,) = self._do([GetOp(self._place(key, "head"), "head", refresh_ttl=False)])
        return "" if item is None else str(item.value["version"])

    def _loaded(self, key: SessionKey) -> MemoryStore:
        index = MemoryStore()
        rows = [Row(**{**item.value, "body": ""}) for item in self._all(key, "rows")]
        index.append(key, sorted(rows, key=lambda row: row.seq))
        passages = {
            item.value["seq"]: [
                Passage(start, stop, tuple(terms.split(" ")) if terms else ())
                for start, stop, terms in item.value["pieces"]
            ]
            for item in self._all(key, "passages")
        }
        index.index(key, dict(sorted(passages.items())))
        return index

    def _write(self, key: SessionKey, ops: Sequence[PutOp]) -> None:
        """Write all or none, and tell other processes of it."""
        key = SessionKey(*key)
        version = uuid.uuid4().hex
        self._do([*ops, self._put(key, "head", "head", {"version": version})])
        self._indexes[key] = (version, self._indexes[key][1])

    def _all(self, key: SessionKey, kind: str) -> list[Any]:
        place = self._place(key, kind)
        found: dict[str, Any] = {}
        at = 0
        while True:
            (page,) = self._do([SearchOp(place, None, _PAGE, at, refresh_ttl=False)])
            found.update({item.key: item for item in page if tuple(item.namespace) == place})
            at += len(page)
            if len(page) < _PAGE:
                return list(found.values())

    def _put(self, key: SessionKey, kind: str, name: str, value: dict[str, Any] | None) -> PutOp:
        return PutOp(self._place(key, kind), name, value, index=False)

    def _place(self, key: SessionKey, kind: str) -> tuple[str, ...]:
        tenant, session = key
        return (*self._root, _encoded(tenant), _encoded(session), kind)

    def _do(self, ops: Iterable[Op]) -> list[Any]:
        listed = list(ops)
        if not listed:
            return []
        with _clear():
            return list(self.store.batch(listed))


@contextmanager
def _clear() -> Iterator[None]:
    """Say in our terms what a store refuses."""
    try:
        yield
    except (AgentRMError, AssertionError):
        raise
    except NotImplementedError as error:
        raise StoreError(_ASYNC_ONLY) from error
    except Exception as error:
        kind = type(error).__name__
        if kind == "InvalidStateError":
            raise StoreError(_ASYNC_ONLY) from error
        fault = StoreLocked if "locked" in str(error) else StoreError
        # A driver's text may hold the address of the database, so only its kind is repeated.
        raise fault(f"the LangGraph store refused ({kind}); see the cause") from error


def _name(seq: int) -> str:
    return f"{seq:010d}"


def _encoded(name: str) -> str:
    """A label that no store takes for a pattern or a path, and that only this name gives."""
    return "".join(
        char if re.fullmatch(r"[a-z0-9-]", char) else "".join(f"={b:02X}" for b in char.encode())
        for char in name
    )


def _decoded(label: str) -> str:
    raw = re.sub(rb"=([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]), label.encode("ascii"))
    return raw.decode("utf-8")
