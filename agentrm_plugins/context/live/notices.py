"""What a session does to its tiers, told to whoever listens: prepared, compacted, recalled ..."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from agentrm_plugins.types.effects import Compacted, Hibernated, Prepared, Recalled

__all__ = ["Notice", "Notices"]

Notice = Compacted | Prepared | Recalled | Hibernated
_Told = tuple[Callable[[Notice], None], Callable[[int], None] | None]


class Notices:
    """Who is told, each for as long as its owner lives. False while nobody is. Thread-safe."""

    __slots__ = ("__weakref__", "_lock", "_told")

    def __init__(self) -> None:
        self._told: weakref.WeakKeyDictionary[Any, _Told]
        self._told = weakref.WeakKeyDictionary()
        self.after_fork()
        _NOTICES.add(self)

    def after_fork(self) -> None:
        """In the child: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._told)

    def add(
        self, owner: Any, tell: Callable[[Notice], None], turn: Callable[[int], None] | None = None
    ) -> None:
        """Tell `tell` from now on; an owner that is told already stays with what it has.

        Args:
            owner: While it lives; only weakly held, so `tell` must not hold it either.
            tell: Gets each notice, on any thread, outside the session's lock.
            turn: Called with 1 when a turn begins, and with -1 when it is over.
        """
        with self._lock:
            self._told.setdefault(owner, (tell, turn))

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A turn goes on: a call waits for its request."""
        with self._lock:
            heard = [turn for _, turn in self._told.values() if turn is not None]
        for turn in heard:
            turn(1)
        try:
            yield
        finally:
            for turn in heard:
                turn(-1)

    def tell(self, notice: Notice) -> None:
        """Tell all of it. Whoever fails, such as a core that is closed, hears nothing."""
        with self._lock:
            told = list(self._told.values())
        for tell, _ in told:
            with suppress(Exception):  # a turn does not fail for those who look on
                tell(notice)


_NOTICES: weakref.WeakSet[Notices] = weakref.WeakSet()


def _after_fork() -> None:
    for notices in list(_NOTICES):
        notices.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
