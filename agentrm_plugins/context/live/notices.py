"""What a session does to its tiers, told to whoever listens: compacted, recalled, hibernated."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from agentrm_plugins.types.effects import Compacted, Hibernated, Recalled

__all__ = ["Notice", "Notices"]

Notice = Compacted | Recalled | Hibernated


class Notices:
    """Who is told, each for as long as its owner lives. False while nobody is. Thread-safe."""

    __slots__ = ("_lock", "_told")

    def __init__(self) -> None:
        self._told: weakref.WeakKeyDictionary[Any, Callable[[Notice], None]]
        self._told = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._told)

    def add(self, owner: Any, tell: Callable[[Notice], None]) -> None:
        """Tell `tell` from now on; an owner that is told already stays with what it has.

        Args:
            owner: While it lives; only weakly held, so `tell` must not hold it either.
            tell: Gets each notice, on any thread, outside the session's lock.
        """
        with self._lock:
            self._told.setdefault(owner, tell)

    def tell(self, notice: Notice) -> None:
        """Tell all of it. Whoever fails, such as a core that is closed, hears nothing."""
        with self._lock:
            told = list(self._told.values())
        for tell in told:
            with suppress(Exception):  # a turn does not fail for those who look on
                tell(notice)
