"""After a fork a managed client opens connections of its own.

A child that goes on to use the pooled sockets of its parent reads answers that are its parent's or
its siblings'. So in the child each transport that we observe gets a pool without connections. The
old pool is kept, not closed: to close a connection over TLS would end it for the parent too.
"""

from __future__ import annotations

import copy
import os
import weakref
from typing import Any

__all__ = ["own_connections_after_fork"]

_TRANSPORTS: weakref.WeakSet[Any] = weakref.WeakSet()
_INHERITED: list[Any] = []  # pools of the parent, which this process leaves alone


def own_connections_after_fork(transport: Any) -> None:
    """In a child, let this transport (its `inner` is the library's) have a pool of its own."""
    _TRANSPORTS.add(transport)


def _renew() -> None:
    for transport in list(_TRANSPORTS):
        inner = transport.inner
        pool: Any = getattr(inner, "_pool", None)
        lock = getattr(pool, "_optional_thread_lock", None)
        if not hasattr(pool, "_connections") or not hasattr(pool, "_requests") or lock is None:
            continue  # no pool that we know: a mock, or a transport of the user's own
        _INHERITED.append(pool)
        fresh = copy.copy(pool)
        fresh._connections, fresh._requests = [], []
        fresh._optional_thread_lock = type(lock)()  # another thread may have held it
        # The transport is the bare client's too, which does what it does without us.
        transport.inner = copy.copy(inner)
        transport.inner._pool = fresh


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
