"""Calls that were let go and are not sent: their process stood still for longer than its lease.

Law: whoever is about to send looks first whether its lane is still its own (`HostLease.is_void`).
If it is not, nothing is sent and the call waits for a lane again, at its own place: the next
exchange with the fleet says whether it has one.

Regimes: looked at where a call leaves its wait, where its work begins, and, below a transport of
ours, before the head and before the body of its request are written. There is no look after that:
what is written cannot be taken back, and a process may be stopped between the last look and the
write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.hosts.lease import HostLease

__all__ = ["NotSent", "is_unsent", "look_again"]

_CAUSES = 8  # how far a chain of causes is followed; an SDK's has three links


class NotSent(Exception):
    """A call must not be sent now. It reaches no user: the call's flow asks for a lane again."""

    def __init__(self, ticket: int) -> None:
        super().__init__("its lane may be another process's by now")
        self.ticket = ticket


def look_again(found: Callable[[], HostLease | None]) -> None:
    """Look whether a call at work may be sent: its lease may have ended, or it was sent already.

    Raises:
        NotSent: It must not.
    """
    lease = found()
    if lease is not None and not lease.asked and not lease.ended and lease.is_void:
        raise NotSent(lease.ticket)


def is_unsent(error: BaseException | None, lease: HostLease) -> bool:
    """Whether `error` came of such a look, whatever an SDK has made of it.

    Or the lane was lost while its transport knew that nothing was sent yet. An interrupt or a
    cancellation is its sender's, whatever it fell into.
    """
    if not isinstance(error, Exception):
        return False
    if lease.asked is False and lease.reap_cause == "lost":
        return True
    for _ in range(_CAUSES):
        if error is None:
            return False
        if isinstance(error, NotSent):
            return error.ticket == lease.ticket
        error = error.__cause__ or error.__context__
    return False
