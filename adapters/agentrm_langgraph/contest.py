"""Who of several that want a session at one moment gets it, on a store without compare-and-set.

Law: each says that it wants the session, then looks who else does. Whoever sees a name above its
own gives way; whoever sees only names below waits until they are gone. Of two, one has written
before it looked and is seen by the other, so never both go on; and whose name is the highest of
those who wait is given way to by all, so one does. Who goes on looks at the owner once more, for
somebody may have been through already.

Limits: it holds where a read sees every write that was answered before. Who dies in between is
waited for `LONGEST_S` at most.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from agentrm_langgraph.items import Items
from agentrm_plugins import SessionBusy, SessionKey

__all__ = ["LONGEST_S", "contest"]

LONGEST_S = 1.0
"""Guessed: many round trips to a database, of which a claim takes four."""
_LOOK_S = 0.005
_KIND = "claims"


@contextmanager
def contest(items: Items, key: SessionKey, name: str, owner: str) -> Iterator[None]:
    """Inside, nobody else claims the session.

    Args:
        items: The store.
        key: Whose session.
        name: Of this claim: no two are alike, and the highest goes first.
        owner: Who claims.

    Raises:
        SessionBusy: Another one wants it at the same moment, and goes first.
    """
    items.do([items.put(key, _KIND, name, {"owner": owner})])
    try:
        _wait(items, key, name)
        yield
    finally:
        items.do([items.put(key, _KIND, name, None)])


def _wait(items: Items, key: SessionKey, name: str) -> None:
    end_s = time.monotonic() + LONGEST_S
    while True:
        others = {item.key: item.value for item in items.all(key, _KIND) if item.key != name}
        if not others:
            return
        if time.monotonic() > end_s:  # they died in between
            items.do([items.put(key, _KIND, other, None) for other in others])
            return
        if max(others) > name:
            raise SessionBusy(key.session, str(others[max(others)]["owner"]), LONGEST_S)
        time.sleep(_LOOK_S)
