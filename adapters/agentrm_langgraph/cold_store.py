"""The cold tier on any LangGraph store: in memory, SQLite, Postgres, Redis.

One session is a namespace ``(*root, tenant, session)``; below it stand "rows", "passages",
"vectors", "aside", "state", "claims", "owners" and "head".

A session has one owner at a time, as in the other stores. `BaseStore` has no compare-and-set, so
each owner has an item of its own below "owners", of which the highest counts; of several that
claim at one moment one goes on (`contest`); a claim is read back, and each write of an owner is
preceded and followed by a look at them. What an earlier owner writes in between harms nothing: a
row's name holds its writer's, the highest counts, and what was not confirmed is written again. Who
succeeds a living owner waits `SETTLE_S` for its last batch.

`BaseStore` has no full-text search. Each session that is in use has an index in memory (places,
digests and terms, no texts), which ranks as the other stores do. It is read from the store once,
and again when "head" tells that another process has written.
"""

from __future__ import annotations

import base64
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any
from weakref import WeakValueDictionary

from langgraph.store.base import BaseStore, GetOp, PutOp, SearchOp

from agentrm_langgraph.contest import contest
from agentrm_langgraph.index import Index, loaded, signed, token_of
from agentrm_langgraph.items import Items
from agentrm_plugins import (
    ConfigError,
    SessionBusy,
    SessionKey,
    StoreError,
    StoreFenced,
)
from agentrm_plugins.integration import archive

__all__ = ["LangGraphColdStore"]

_PAGE = 1_000
_KINDS = ("passages", "vectors", "rows", "aside", "state", "claims", "owners")
SETTLE_S = 0.05
"""Guessed: several round trips to a database in the same network."""


class LangGraphColdStore:
    """An archive on a `BaseStore`, for `ContextLifecycle(store=...)`. Thread-safe if the store is.

    Args:
        store: Any LangGraph store. It is not closed here.
        namespace: Under which all that is archived stands.
        live: Sessions whose index is kept in memory.
        clock: Seconds since the epoch, for the leases of owners. Machines that share a session
            should agree on the time to within a lease.

    Raises:
        ConfigError: A value that cannot be.
    """

    def __init__(
        self,
        store: BaseStore,
        namespace: tuple[str, ...] = ("agentrm",),
        *,
        live: int = 256,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not isinstance(store, BaseStore):
            way = "give a LangGraph store (a BaseStore), such as InMemoryStore()"
            raise ConfigError.of_kind("store", store, way)
        if not namespace or not all(isinstance(n, str) and n and "." not in n for n in namespace):
            way = "give a tuple of names that are not empty and have no dot"
            raise ConfigError("namespace", namespace, way)
        if live < 1:
            raise ConfigError("live", live, "give a whole number, 1 or more")
        self.store = store
        self._items = Items(store, tuple(namespace))
        self._live = live
        self._clock = clock
        self._indexes: OrderedDict[SessionKey, Index] = OrderedDict()
        self._lock = threading.RLock()
        self._claiming: WeakValueDictionary[SessionKey, Any] = WeakValueDictionary()

    # -- messages ---------------------------------------------------------------------------

    def append(
        self, key: SessionKey, rows: Sequence[archive.Row], fence: archive.Fence | None = None
    ) -> None:
        """Write messages, all or none. A row that is there with the same digest is left alone."""
        if not rows:
            return
        with self._index(key) as index:
            known = dict(index.found.digests(key))
            names = dict(index.names)
            ops: list[PutOp] = []
            writer = fence or self.owned(key)
            writer_name = signed(writer.token, writer.owner)
            for row in rows:
                there = known.get(row.seq)
                if there == row.digest:
                    continue
                if there is not None:
                    ops += self._set_aside(key, index, [s for s in known if s >= row.seq])
                    known = {s: digest for s, digest in known.items() if s < row.seq}
                known[row.seq] = row.digest
                names[row.seq] = f"{row.seq:010d}-{writer_name}"
                ops.append(self._items.put(key, "rows", names[row.seq], asdict(row)))
            self._write(key, index, ops, fence)
            if ops:
                index.names = names
                index.found.append(key, [replace(row, body="") for row in rows])

    def read(self, key: SessionKey, seqs: Sequence[int]) -> dict[int, archive.Row]:
        """Read messages by their place; those not there are left out."""
        with self._index(key) as index:
            return self._rows(key, index, seqs)

    def _rows(self, key: SessionKey, index: Index, seqs: Sequence[int]) -> dict[int, archive.Row]:
        place = self._items.place(key, "rows")
        names = [index.names[seq] for seq in seqs if seq in index.names]
        found = self._items.do([GetOp(place, name, refresh_ttl=False) for name in names])
        items = [item.value for item in found if item is not None]
        return {value["seq"]: archive.Row(**value) for value in items}

    def digests(self, key: SessionKey) -> list[tuple[int, str]]:
        """Give place and digest of all messages of the session, in order."""
        with self._index(key) as index:
            return index.found.digests(key)

    def rewind(self, key: SessionKey, seq: int, fence: archive.Fence | None = None) -> None:
        """Take the session back to before `seq`: what follows is kept, and is found no more."""
        with self._index(key) as index:
            gone = [place for place, _ in index.found.digests(key) if place >= seq]
            back_to = (seq, len(gone))
            self._write(key, index, self._set_aside(key, index, gone), fence, back_to)
            index.names = {at: name for at, name in index.names.items() if at < seq}
            index.found.rewind(key, seq)

    def _set_aside(self, key: SessionKey, index: Index, seqs: Sequence[int]) -> list[PutOp]:
        when = uuid.uuid4().hex
        ops = []
        for seq, row in self._rows(key, index, seqs).items():
            ops.append(self._items.put(key, "aside", f"{when}-{seq:010d}", asdict(row)))
            ops.append(self._items.put(key, "rows", index.names[seq], None))
            ops.append(self._items.put(key, "passages", index.names[seq], None))
            ops.append(self._items.put(key, "vectors", index.names[seq], None))
        return ops

    # -- owners -----------------------------------------------------------------------------

    def owned(self, key: SessionKey) -> archive.Owned:
        """Say who has a session."""
        has, version = self._owner(key)
        return replace(has, version=version)

    def _owner(self, key: SessionKey) -> tuple[archive.Owned, str]:
        place = self._items.place(key, "owners")
        head, page = self._items.do([
            GetOp(self._items.place(key, "head"), "head", refresh_ttl=False),
            SearchOp(place, None, _PAGE, 0, refresh_ttl=False),
        ])  # fmt: skip
        names = {item.key: item.value for item in page if tuple(item.namespace) == place}
        has = archive.Owned(**names[max(names)]) if names else archive.Owned()
        return has, "" if head is None else str(head.value["version"])

    def claim(
        self, key: SessionKey, owner: str, lease_s: float, seen: str | None = None
    ) -> archive.Owned:
        """Make `owner` the session's owner; give who had it before."""
        key = SessionKey(*key)
        with self._lock:
            one_by_one = self._claiming.setdefault(key, threading.Lock())
        with one_by_one:  # a contest may take a second: the store's other sessions go on
            before = self.owned(key)
            has = archive.taken_over(key, before, (owner, lease_s, seen), self._clock())
            if before.owner == owner:
                self._enthrone(key, before, has)
                return before
            with contest(self._items, key, signed(has.token, owner), owner):
                now = self.owned(key)
                written_to = seen is not None and now.version != before.version
                if written_to or (now.owner, now.token) != (before.owner, before.token):
                    raise SessionBusy(key.session, now.owner, max(0.0, now.until_s - self._clock()))
                self._enthrone(key, before, has)
        if before.owner not in {"", owner} and before.until_s:
            time.sleep(SETTLE_S)
            before = replace(before, version=self.owned(key).version)
        return before

    def _enthrone(self, key: SessionKey, before: archive.Owned, has: archive.Owned) -> None:
        gone = [
            self._items.put(key, "owners", item.key, None)
            for item in self._items.all(key, "owners")
            if token_of(item.key) < before.token
        ]
        self._items.do([*gone, self._lease(key, has)])
        now = self.owned(key)
        if (now.owner, now.token) != (has.owner, has.token):
            raise SessionBusy(key.session, now.owner, max(0.0, now.until_s - self._clock()))

    def _lease(self, key: SessionKey, has: archive.Owned) -> PutOp:
        value = {"owner": has.owner, "token": has.token, "until_s": has.until_s}
        value["notice"] = has.notice
        return self._items.put(key, "owners", signed(has.token, has.owner), value)

    def _check(self, key: SessionKey, fence: archive.Fence) -> archive.Owned:
        has = self.owned(key)
        if (has.owner, has.token) != (fence.owner, fence.token):
            raise StoreFenced(f"session={key[1]!r}: it is {has.owner or 'nobody'}'s now")
        return has

    # -- search -----------------------------------------------------------------------------

    def index(
        self,
        key: SessionKey,
        passages: Mapping[int, Sequence[archive.Passage]],
        fence: archive.Fence | None = None,
        digests: Mapping[int, str] | None = None,
    ) -> None:
        """Make messages findable: their passages by place. A second time changes nothing."""
        with self._index(key) as index:
            open_places = set(index.found.unindexed(key, 1 << 30))
            if digests is not None:
                now = dict(index.found.digests(key))
                open_places = {s for s in open_places if now[s] == digests.get(s, now[s])}
            fresh = {seq: pieces for seq, pieces in passages.items() if seq in open_places}
            ops = [
                self._items.put(key, "passages", index.names[seq], {
                    "seq": seq,
                    "pieces": [[p.start, p.stop, " ".join(p.terms)] for p in pieces],
                })
                for seq, pieces in fresh.items()
            ]  # fmt: skip
            self._write(key, index, ops, fence)
            if fresh:
                index.found.index(key, fresh)

    def unindexed(self, key: SessionKey, limit: int = 1000) -> list[int]:
        """Give the places of messages that are archived and not yet findable."""
        with self._index(key) as index:
            return index.found.unindexed(key, limit)

    def passages(self, key: SessionKey) -> list[tuple[int, str, list[archive.Passage]]]:
        """Give the passages of all findable messages: (place, role, passages), in order."""
        with self._index(key) as index:
            return index.found.passages(key)

    def search(
        self, key: SessionKey, terms: Sequence[str], limit: int, skip: frozenset[int] = frozenset()
    ) -> tuple[list[archive.Candidate], archive.Corpus]:
        """Find the best passages of the session that hold any of the terms."""
        with self._index(key) as index:
            return index.found.search(key, terms, limit, skip)

    # -- vectors ----------------------------------------------------------------------------

    def save_vectors(
        self, key: SessionKey, model: str, made: Mapping[tuple[int, int], bytes]
    ) -> None:
        """Keep the vectors of passages, each replacing the one before."""
        with self._index(key) as index:
            fresh: dict[int, dict[str, str]] = {}
            for (seq, start), vector in made.items():
                if seq in index.names:
                    packed = base64.b64encode(vector).decode("ascii")
                    fresh.setdefault(seq, {})[str(start)] = packed
            place = self._items.place(key, "vectors")
            names = [index.names[seq] for seq in fresh]
            held = self._items.do([GetOp(place, name, refresh_ttl=False) for name in names])
            ops = []
            for (seq, starts), item in zip(fresh.items(), held, strict=True):
                models = {} if item is None else dict(item.value["models"])
                models[model] = {**models.get(model, {}), **starts}
                value = {"seq": seq, "models": models}
                ops.append(self._items.put(key, "vectors", index.names[seq], value))
            self._items.do(ops)

    def vectors(self, key: SessionKey, model: str) -> dict[tuple[int, int], bytes]:
        """Give the vectors that this model made of a session's passages."""
        with self._index(key) as index:
            return {
                (item.value["seq"], int(start)): base64.b64decode(vector)
                for item in self._items.all(key, "vectors")
                if index.names.get(item.value["seq"]) == item.key
                for start, vector in item.value["models"].get(model, {}).items()
            }

    # -- state ------------------------------------------------------------------------------

    def save_state(self, key: SessionKey, state: bytes, fence: archive.Fence | None = None) -> None:
        """Keep a session's state, replacing the one before, all or nothing."""
        value = {"state": base64.b64encode(state).decode("ascii")}
        self._fenced(key, [self._items.put(key, "state", "state", value)], fence)

    def load_state(self, key: SessionKey) -> bytes | None:
        """Give the state that was saved last, or None."""
        (item,) = self._items.do(
            [GetOp(self._items.place(key, "state"), "state", refresh_ttl=False)]
        )
        return None if item is None else base64.b64decode(item.value["state"])

    def sessions(self, tenant: str) -> list[str]:
        """Name a tenant's sessions."""
        return self._items.sessions(tenant)

    def forget(self, key: SessionKey) -> None:
        """Delete a session for good."""
        with self._lock:
            self._indexes.pop(SessionKey(*key), None)
            for kind in (*_KINDS, "head"):
                ops = [
                    self._items.put(key, kind, item.key, None)
                    for item in self._items.all(key, kind)
                ]
                self._items.do(ops)

    def close(self) -> None:
        """Let go of the indexes; the LangGraph store is its owner's to close."""
        with self._lock:
            self._indexes.clear()

    # -- the LangGraph store ----------------------------------------------------------------

    @contextmanager
    def _index(self, key: SessionKey) -> Iterator[Index]:
        """The session's index, as new as the store."""
        key = SessionKey(*key)
        with self._lock:
            version = self._version(key)
            found = self._indexes.get(key)
            if found is None or found.version != version:
                found = self._indexes[key] = loaded(self._items, key, version)
            self._indexes.move_to_end(key)
            while len(self._indexes) > self._live:
                self._indexes.popitem(last=False)
            try:
                yield found
            except StoreError:
                self._indexes.pop(key, None)  # it may be ahead of the store, or behind
                raise

    def _version(self, key: SessionKey) -> str:
        (item,) = self._items.do([GetOp(self._items.place(key, "head"), "head", refresh_ttl=False)])
        return "" if item is None else str(item.value["version"])

    def _write(
        self,
        key: SessionKey,
        index: Index,
        ops: Sequence[PutOp],
        fence: archive.Fence | None,
        back_to: tuple[int, int] | None = None,
    ) -> None:
        """Write all or none, and tell other processes of it."""
        version = uuid.uuid4().hex
        head = self._items.put(key, "head", "head", {"version": version})
        self._fenced(key, [*ops, head] if ops else [], fence, back_to)
        if ops:
            index.version = version

    def _fenced(
        self,
        key: SessionKey,
        ops: Sequence[PutOp],
        fence: archive.Fence | None,
        back_to: tuple[int, int] | None = None,
    ) -> None:
        """Write as the session's owner and prolong its lease; `StoreFenced` if it is another's."""
        if fence is None:
            self._items.do(ops)
            return
        has = self._check(key, fence)
        self._items.do(
            [*ops, self._lease(key, archive.written(has, fence, self._clock(), back_to))]
        )
        self._check(key, fence)
