"""After an exception that came out of nowhere inside the host: Ctrl-C, an alarm's handler.

Python may raise it between any two lines, so in the middle of the kernel as well. What was cut
there is made whole (`kernel.mending`), the event that was being handled is handled again if it was
not over, and every lease is told what it may not have heard.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from agentrm_plugins.kernel.ticket import State
from agentrm_plugins.types.effects import Granted, Reaped, Refused
from agentrm_plugins.types.events import Requeue, Settle, Submit, Tick, Withdraw

if TYPE_CHECKING:
    import weakref
    from _thread import RLock
    from collections import deque
    from collections.abc import MutableMapping
    from types import CodeType, FrameType
    from typing import Any

    from agentrm_plugins.hosts.lease import HostLease
    from agentrm_plugins.kernel import Kernel
    from agentrm_plugins.kernel.ticket import Ticket

    Leases = MutableMapping[int, weakref.ref[HostLease]]

__all__ = ["finish", "give_back", "is_within"]

E = TypeVar("E", Refused, Reaped)


def give_back(mutex: RLock) -> None:
    """Release the mutex if this thread holds it, however often; else do nothing."""
    if mutex.acquire(blocking=False):
        with suppress(RuntimeError):  # it is not held any more
            while True:
                mutex.release()


def is_within(code: CodeType, owner: object, *, anywhere: bool = False) -> bool:
    """Whether whoever called our caller, or any thread, runs that method of that owner."""
    if anywhere:
        return any(_runs(code, owner, frame) for frame in sys._current_frames().values())  # noqa: SLF001
    return _runs(code, owner, sys._getframe(2))  # noqa: SLF001 - Python has no other way


def _runs(code: CodeType, owner: object, frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code is code and frame.f_locals.get("self") is owner:
            return True
        frame = frame.f_back
    return False


def finish(kernel: Kernel, inbox: deque[Any], leases: Leases, called: deque[HostLease]) -> None:
    """Finish what was cut. May itself be cut, and begun again.

    Args:
        kernel: The kernel, which this thread is inside of.
        inbox: The events; the first one was being handled.
        leases: Whom to tell, by ticket.
        called: Those who want to be called back.
    """
    event = inbox[0] if inbox else None
    over = bool(kernel.handled) and kernel.handled[0] is event
    kernel.recount(event.ticket if isinstance(event, Submit) and not over else 0)
    if event is not None and (over or not _is_open(kernel, event)):
        inbox.popleft()
    tickets = kernel.books.tickets
    again = {event.ticket for event in list(inbox) if isinstance(event, Submit | Requeue)}
    for number, reference in list(leases.items()):
        ticket, lease = tickets.get(number), reference()
        if lease is None:
            if ticket is not None:
                inbox.append(Withdraw(number, "abandoned"))
        elif number not in again and _tell(kernel, ticket, lease):
            called.append(lease)
        if ticket is None and number not in again and (lease is None or lease.decided):
            leases.pop(number, None)


def _is_open(kernel: Kernel, event: Any) -> bool:
    """Whether the event that was cut is to be handled again."""
    kind, ticket = event.__class__, kernel.books.tickets.get(getattr(event, "ticket", 0))
    if kind is Submit:
        return ticket is None
    if kind is Requeue:
        return ticket is not None and ticket.state is State.RUNNING
    if kind is Settle or kind is Withdraw:
        return ticket is not None
    return kind is not Tick


def _tell(kernel: Kernel, ticket: Ticket | None, lease: HostLease) -> bool:
    """Tell a lease what has become of its call. Whether somebody wants to be called back."""
    wanted = False
    if ticket is None:
        refused = None if lease.decided else _last(kernel, lease.ticket, Refused)
        if refused is not None:  # else it is about to be submitted
            lease.decide(refused)
    elif ticket.state is State.RUNNING:
        if not lease.decided:
            now_s, agent = kernel.books.now_s, ticket.call.agent
            head = now_s, ticket.number, agent, "order", ticket.group.name
            lease.decide(Granted(*head, ticket.waited_s))
        if ticket.late and not lease.suspected:
            wanted = lease.note_suspected()
    elif ticket.state is State.ZOMBIE and not lease.reaped:
        now_s, agent, held_s = kernel.books.now_s, ticket.call.agent, ticket.granted_s
        reaped = _last(kernel, ticket.number, Reaped)
        wanted = lease.note_reaped(
            reaped or Reaped(now_s, ticket.number, agent, "total", now_s - held_s)
        )
    wake = lease.wake
    if wake is not None and lease.decided:
        with suppress(RuntimeError):  # it was woken before
            wake()
    return wanted


def _last(kernel: Kernel, number: int, kind: type[E]) -> E | None:
    """What last happened to a call of that kind, as far as it is remembered."""
    for effect in (*reversed(kernel.books.out), *reversed(kernel.story(number))):
        if isinstance(effect, kind) and effect.ticket == number:
            return effect
    return None
