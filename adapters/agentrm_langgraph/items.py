"""The items of a LangGraph store that an archive is made of: where they stand, read and written.

Prefixes are patterns to some stores, so names are encoded so that no two can meet, and what a
search brings of another namespace is dropped here, always.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from langgraph.store.base import BaseStore, Op, PutOp, SearchOp

from agentrm_plugins import AgentRMError, SessionKey, StoreError, StoreLocked

__all__ = ["Items", "decoded", "encoded"]

_T = TypeVar("_T")
_PAGE = 1_000
_TRIES = 20
"""Of a read. Guessed: a writer's step between two looks is over in microseconds."""
_CHANGED = "changed size during iteration"
"""CPython's words, of a dictionary and of a set."""
_ASYNC_ONLY = (
    "this LangGraph store is for async code only, and was used from the thread of its event loop; "
    "use the async ways (ainvoke, aprepare), or give the sync store of the same database"
)


class Items:
    """The items below one namespace; each session has namespaces of its own, by kind.

    Args:
        store: Any LangGraph store.
        root: Under which all of them stand.
    """

    def __init__(self, store: BaseStore, root: tuple[str, ...]) -> None:
        self.store = store
        self.root = root

    def sessions(self, tenant: str) -> list[str]:
        """Name a tenant's sessions."""
        above = (*self.root, encoded(tenant))
        found = set()
        at = 0
        while True:
            with _clear():
                names = self._read(partial(self._names, above, at))
            found |= {
                decoded(name[len(above)])
                for name in names
                if len(name) == len(above) + 2 and name[: len(above)] == above
            }
            at += len(names)
            if len(names) < _PAGE:
                return sorted(found)

    def _names(self, above: tuple[str, ...], at: int) -> list[tuple[str, ...]]:
        return self.store.list_namespaces(prefix=above, limit=_PAGE, offset=at)

    def all(self, key: SessionKey, kind: str) -> list[Any]:
        """Give all items of one kind."""
        place = self.place(key, kind)
        found: dict[str, Any] = {}
        at = 0
        while True:
            (page,) = self.do([SearchOp(place, None, _PAGE, at, refresh_ttl=False)])
            found.update({item.key: item for item in page if tuple(item.namespace) == place})
            at += len(page)
            if len(page) < _PAGE:
                return list(found.values())

    def put(self, key: SessionKey, kind: str, name: str, value: dict[str, Any] | None) -> PutOp:
        """Make a write; None deletes."""
        return PutOp(self.place(key, kind), name, value, index=False)

    def place(self, key: SessionKey, kind: str) -> tuple[str, ...]:
        """Give the namespace of one kind of a session's items."""
        tenant, session = key
        return (*self.root, encoded(tenant), encoded(session), kind)

    def do(self, ops: Iterable[Op]) -> list[Any]:
        """Read and write, all or none.

        Raises:
            StoreError: The store refused.
        """
        listed = list(ops)
        if not listed:
            return []
        with _clear():
            if any(isinstance(op, PutOp) for op in listed):
                return list(self.store.batch(listed))
            return self._read(lambda: list(self.store.batch(listed)))

    @staticmethod
    def _read(look: Callable[[], _T]) -> _T:
        """Look at the store, again where a store in memory was written to meanwhile.

        `InMemoryStore` goes through its dictionaries without a lock, and the graph's own threads,
        other managers among them, write to it.
        """
        for _ in range(_TRIES):
            try:
                return look()
            except RuntimeError as error:
                if _CHANGED not in str(error):
                    raise
        return look()


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


def encoded(name: str) -> str:
    """A label that no store takes for a pattern or a path, and that only this name gives."""
    return "".join(
        char if re.fullmatch(r"[a-z0-9-]", char) else "".join(f"={b:02X}" for b in char.encode())
        for char in name
    )


def decoded(label: str) -> str:
    """Give the name back that a label was made from."""
    raw = re.sub(rb"=([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]), label.encode("ascii"))
    return raw.decode("utf-8")
