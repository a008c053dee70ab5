"""Clocks: the machine's, and one that stands still until it is told to go on."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.hosts.host import Host

__all__ = ["Clock", "MonotonicClock", "SleepAwareClock", "VirtualClock"]


class Clock(Protocol):
    """Tells the time, and says whether somebody has to wake the host when a date comes."""

    now: Callable[[], float]
    real: bool

    def attach(self, host: Host) -> None:
        """A host reads this clock."""


class MonotonicClock:
    """The machine's monotonic clock, in seconds."""

    real = True

    def __init__(self) -> None:
        self.now = time.monotonic

    def attach(self, host: Host) -> None:
        """A host's own pump wakes it."""


class SleepAwareClock(MonotonicClock):
    """The machine's clock that goes on while it sleeps: what a lease with others goes by."""

    def __init__(self) -> None:
        super().__init__()
        boot = getattr(time, "CLOCK_BOOTTIME", None)
        if boot is not None:
            self.now = partial(time.clock_gettime, boot)


class VirtualClock:
    """A clock for tests: time passes only in `advance`, which wakes each host at each date.

    Args:
        start_s: The time at which it begins, in seconds.
    """

    real = False

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s
        self._hosts: list[Host] = []

    def now(self) -> float:
        """The time in seconds."""
        return self._now_s

    def attach(self, host: Host) -> None:
        """Wake this host too when a date comes."""
        self._hosts.append(host)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, stopping at each host's deadlines on the way.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            msg = f"seconds={seconds!r}: time does not run backwards; give 0 or more"
            raise ValueError(msg)
        end_s = self._now_s + seconds
        while (next_s := min((host.deadline_s for host in self._hosts), default=end_s)) < end_s:
            self._now_s = max(next_s, self._now_s)
            self._tick()
        self._now_s = end_s
        self._tick()

    def _tick(self) -> None:
        for host in self._hosts:
            host.tick()
