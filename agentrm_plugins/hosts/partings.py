"""The last words of attempts that are to be cut: an answer that is on its way was paid for.

Law: an attempt's connection is closed in our direction first. A server that is at work on it sees
that its caller has gone, as ever, and closes too; what it had written before that comes. So there
comes an answer, which is charged by what it says, or the end, and nothing was made. Whoever has
said nothing after `LAST_S` is cut.

Regimes: only where a transport of ours knows that the whole request was sent, over a connection
that carries no other (not HTTP/2), and not of a stream, of which it is known what came. Else it is
cut at once. Threads wait for that, and so does a task whose own attempt is cut; attempts in tasks
of their own part alone.

Limits: a server that does not look whether its caller is there may still write an answer after
`LAST_S`, and bill it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentrm_plugins.hosts.lease import HostLease
    from agentrm_plugins.hosts.race import Runner

__all__ = ["LAST_S", "Partings", "is_hurried"]

LAST_S = 0.2
"""Guessed: a way to a distant provider and back. A call that is cut has waited for a second."""


def is_hurried(lease: HostLease) -> bool:
    """Have the server say at once what it has to say to this call, or that it is nothing.

    Returns:
        Whether that may bring an answer: its request was sent, and nothing else is.
    """
    if lease.asked is not True or lease.call.streaming:
        return False
    carrier = None if lease.carrier is None else lease.carrier()
    return carrier is None or carrier.hurry()  # without one it is being read already


class Partings:
    """Attempts of one race that have their last words."""

    __slots__ = ("_until_s",)

    def __init__(self) -> None:
        self._until_s: dict[Runner, float] = {}

    def begin(self, runner: Runner) -> bool:
        """Have one say its last words. False: there is nothing to wait for."""
        if runner.over or not is_hurried(runner.attempt.lease):
            return False
        self._until_s[runner] = time.monotonic() + LAST_S
        return True

    def ended(self, *, now: bool = False) -> list[Runner]:
        """Those that are back, or whose time is over (`now`: all), each once."""
        if not self._until_s:
            return []
        now_s = time.monotonic()
        found = [
            one for one, until_s in self._until_s.items() if now or one.over or until_s <= now_s
        ]
        for runner in found:
            del self._until_s[runner]
        return found

    @property
    def are_waited_for(self) -> bool:
        """Whether one is made where the caller himself is, or where nobody would see to its end."""
        return any(not runner.attempt.apart for runner in self._until_s)

    @property
    def wait_s(self) -> float:
        """Seconds until somebody has to look again; -1: nobody has to."""
        if not self._until_s:
            return -1.0
        return max(0.0, min(self._until_s.values()) - time.monotonic())
