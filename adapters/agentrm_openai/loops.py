"""Each event loop has connections of its own: those of a closed loop cannot be used, nor closed.

An async client is often shared by several loops (`asyncio.run` in a script's functions, LangChain's
cached clients), while each pooled connection belongs to the loop that opened it: met by another one
it raises ``Event loop is closed``. So the pool serves the loop that was seen first with it, and any
other loop gets a copy of the pool without connections. A pool that has connections of nobody we
know of (a bare client's) is left to that client.
"""

from __future__ import annotations

import asyncio
import copy
import weakref
from typing import Any

__all__ = ["fresh", "inner_for_loop"]

_OWNERS: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
_OTHERS: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def inner_for_loop(inner: Any) -> Any:
    """The transport to use in the running loop: this one, or its twin with its own pool."""
    pool: Any = getattr(inner, "_pool", None)
    if not hasattr(pool, "_connections") or not hasattr(pool, "_requests"):
        return inner  # no pool that we know: a mock, or a transport of the user's own
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # trio
        return inner
    owner = _OWNERS.get(pool)
    if owner is None and not pool._connections:
        _OWNERS[pool] = weakref.ref(loop)
        return inner
    if owner is not None and owner() is loop:
        return inner
    twins = _OTHERS.setdefault(pool, weakref.WeakKeyDictionary())
    twin = twins.get(loop)
    if twin is None:
        twin = twins[loop] = fresh(inner)
    return twin


def fresh(inner: Any) -> Any:
    """A copy of a transport whose pool has no connections; the old one stays as it is."""
    pool = copy.copy(inner._pool)
    pool._connections, pool._requests = [], []
    lock = getattr(pool, "_optional_thread_lock", None)
    if lock is not None:
        pool._optional_thread_lock = type(lock)()  # another thread may hold it
    twin = copy.copy(inner)
    twin._pool = pool
    return twin
