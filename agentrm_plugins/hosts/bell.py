"""What wakes a thread: a bell, and the pump, which is the thread that rings when a date comes.

A bell may be rung from anywhere, even by a finaliser in the very thread that waits for it.
`threading.Event` will not do: it takes a lock in Python code, and the garbage collector may run in
there. A finaliser that then feeds the core, and so rings the same event, waits for itself for ever,
with the core's mutex in its hand. One bare lock has no such inside.

A host has one pump, from its first date on. It holds the host weakly, so that a core that nobody
closed is collected, and its thread ends. A date that is taken back is kept all the same: calls
that come and go one after the other, each with its own date, would wake the thread for each of
them, and it costs more than the call.
"""

from __future__ import annotations

import threading
import weakref
from _thread import allocate_lock
from typing import TYPE_CHECKING

from agentrm_plugins.hosts.left_streams import LeftStreams

if TYPE_CHECKING:
    from agentrm_plugins.hosts.host import Host

__all__ = ["Bell", "Pump"]


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


_LONGEST_S = 60.0
_SWEEP_S = 1.0
_BUSY_S = 0.001  # somebody else is inside, and sees to what is due
_NEVER = float("inf")


class Pump:
    """Rings `host.tick()` at the host's deadline.

    Args:
        host: Whom to ring.
    """

    def __init__(self, host: Host) -> None:
        self._bell = bell = Bell()
        self._state = {"at_s": _NEVER, "stopped": False}
        reference = weakref.ref(host, lambda _: bell.ring())
        self._thread = threading.Thread(
            target=_run, args=(reference, bell, self._state), name="agentrm-pump", daemon=True
        )
        self._thread.start()

    def ring_at(self, deadline_s: float, now_s: float) -> bool:
        """The deadline is sooner than the thread knew. False: there is no thread any more.

        An interrupt may have ended it. One that looks before the deadline shows by then whether it
        lives, so it is asked only where it does not.
        """
        looks_s = self._state["at_s"]  # infinite while it is about to say so
        if not now_s < looks_s <= deadline_s and not self._thread.is_alive():
            return False
        if deadline_s < looks_s:
            self._bell.ring()
        return True

    def stop(self) -> None:
        """End the thread; waits for it unless it is the caller."""
        self._state["stopped"] = True
        self._bell.ring()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5.0)


def _run(reference: weakref.ref[Host], bell: Bell, state: dict[str, float | bool]) -> None:
    kept_s, swept_s, left = _NEVER, -_NEVER, LeftStreams()
    while not state["stopped"]:
        host = reference()
        if host is None:
            return
        state["at_s"] = _NEVER  # whoever sets a date from here on rings the bell
        now_s = host.clock.now()
        at_s = host.deadline_s
        if at_s <= now_s:
            host.tick()
            at_s = host.deadline_s
        longest_s = _SWEEP_S if host.is_used else _LONGEST_S
        if now_s >= swept_s + _SWEEP_S:
            host.sweep()
            left.look(host)
            swept_s = now_s
        del host
        if now_s < kept_s < at_s:
            at_s = kept_s
        state["at_s"] = kept_s = at_s
        bell.wait(min(max(at_s - now_s, _BUSY_S), longest_s))
