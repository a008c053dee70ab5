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

__all__ = ["Bell", "Plan", "Pump"]


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


class Plan:
    """What a pump's thread means to do: when it `looks_s` (infinite while it is about to say so).

    And whether it is `stopped`.
    """

    __slots__ = ("looks_s", "stopped")

    def __init__(self) -> None:
        self.looks_s = _NEVER
        self.stopped = False


class Pump:
    """Rings `host.tick()` at the host's deadline.

    Args:
        host: Whom to ring.

    Attributes:
        plan: When it looks at the host in any case.
    """

    def __init__(self, host: Host) -> None:
        self._bell = bell = Bell()
        self.plan = Plan()
        reference = weakref.ref(host, lambda _: bell.ring())
        self._thread = threading.Thread(
            target=_run, args=(reference, bell, self.plan), name="agentrm-pump", daemon=True
        )
        self._thread.start()

    def ring(self) -> bool:
        """There is a deadline before it looks, or it should have looked. False: its thread is gone.

        An interrupt may have ended it. One that looks before the deadline shows by then whether it
        lives, so it is asked only where it does not.
        """
        if not self._thread.is_alive():
            return False
        self._bell.ring()
        return True

    def stop(self) -> None:
        """End the thread; waits for it unless it is the caller."""
        self.plan.stopped = True
        self._bell.ring()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5.0)


def _run(reference: weakref.ref[Host], bell: Bell, plan: Plan) -> None:
    kept_s, swept_s, left = _NEVER, -_NEVER, LeftStreams()
    while not plan.stopped:
        host = reference()
        if host is None:
            return
        plan.looks_s = _NEVER  # whoever sets a date from here on rings the bell
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
        kept_s, wait_s = at_s, min(max(at_s - now_s, _BUSY_S), longest_s)
        plan.looks_s = now_s + wait_s
        bell.wait(wait_s)
