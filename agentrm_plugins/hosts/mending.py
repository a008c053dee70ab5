"""After an exception that came out of nowhere inside the host: Ctrl-C, an alarm's handler.

Python may raise it between any two lines, so in the middle of the kernel as well. What was cut
there is made whole (`kernel.mending`), the event that was being handled is handled again if it was
not over, and every lease is told what it may not have heard.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from agentrm_plugins.kernel.states import State
from agentrm_plugins.types.effects import Granted, Reaped, Refused
from agentrm_plugins.types.events import Requeue, Settle, Submit, Tick, Withdraw

if TYPE_CHECKING:
    import weakref
    from _thread import RLock
    from collections import deque
    from collections.abc import Iterable, MutableMapping
    from typing import Any

    from agentrm_plugins.hosts.lease import Lease
    from agentrm_plugins.kernel import Kernel
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.types.effects import Effect

    Leases = MutableMapping[int, weakref.ref[Lease]]

__all__ = ["finish", "give_back"]


def give_back(mutex: RLock) -> None:
    """Release the mutex if this thread holds it, however often; else do nothing."""
    if mutex.acquire(blocking=False):
        with suppress(RuntimeError):  # it is not held any more
            while True:
                mutex.release()


def finish(kernel: Kernel, inbox: deque[Any], leases: Leases, called: deque[Lease]) -> None:
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
        if ticket is None and number not in again:
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


def _tell(kernel: Kernel, ticket: Ticket | None, lease: Lease) -> bool:
    """Tell a lease what has become of its call. Whether somebody wants to be called back."""
    wanted = False
    if ticket is None:
        if not lease.decided:
            lease.decide(_refused(kernel, lease))
    elif ticket.state is State.RUNNING:
        if not lease.decided:
            now_s, agent = kernel.books.now_s, ticket.call.agent
            head = now_s, ticket.number, agent, "order", ticket.group.name
            lease.decide(Granted(*head, ticket.waited_s))
        if ticket.late and not lease.suspected:
            wanted = lease.note_suspected()
    elif ticket.state is State.ZOMBIE and not lease.reaped:
        wanted = lease.note_reaped(_reaped(kernel, ticket))
    wake = lease.wake
    if wake is not None and lease.decided:
        with suppress(RuntimeError):  # it was woken before
            wake()
    return wanted


def _effects(kernel: Kernel, number: int) -> Iterable[Effect]:
    """What happened to a call lately, the newest first."""
    yield from (effect for effect in reversed(kernel.books.out) if effect.ticket == number)
    yield from reversed(kernel.story(number))


def _refused(kernel: Kernel, lease: Lease) -> Refused:
    for effect in _effects(kernel, lease.ticket):
        if isinstance(effect, Refused):
            return effect
    return Refused(kernel.books.now_s, lease.ticket, lease.call.agent, "failed", 0.0, "interrupt")


def _reaped(kernel: Kernel, ticket: Ticket) -> Reaped:
    for effect in _effects(kernel, ticket.number):
        if isinstance(effect, Reaped):
            return effect
    now_s = kernel.books.now_s
    held_s = now_s - ticket.granted_s
    return Reaped(now_s, ticket.number, ticket.call.agent, "total", held_s, held_s)
