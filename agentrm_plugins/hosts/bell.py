"""A bell that may be rung from anywhere, even by a finaliser in the very thread that waits for it.

`threading.Event` will not do: it takes a lock in Python code, and the garbage collector may run in
there. A finaliser that then feeds the core, and so rings the same event, waits for itself for ever,
with the core's mutex in its hand. One bare lock has no such inside.
"""

from __future__ import annotations

from _thread import allocate_lock

__all__ = ["Bell"]


class Bell:
    """One ring wakes one wait, now or later; further rings until then are the same one."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake whoever waits, or will wait. Never blocks."""
        try:
            self._lock.release()
        except RuntimeError:  # it rings already
            return

    def wait(self, timeout_s: float = -1.0) -> bool:
        """Block until it rings, at most `timeout_s` seconds (-1: for ever). Whether it rang."""
        return self._lock.acquire(timeout=timeout_s)
