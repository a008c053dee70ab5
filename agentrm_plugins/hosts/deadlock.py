"""Waits that would never end: a thread that blocks its own event loop for what that loop holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.errors import WouldDeadlock

if TYPE_CHECKING:
    import weakref

    from agentrm_plugins.hosts.lease import HostLease
    from agentrm_plugins.kernel import Kernel

__all__ = ["check_loop"]


def check_loop(
    lease: HostLease,
    leases: dict[int, weakref.ref[HostLease]],
    kernel: Kernel,
    *,
    inside: bool,
) -> None:
    """Refuse to block a loop's thread for what only a task of that loop can give back.

    Args:
        lease: What would be waited for.
        leases: All that wait or run, by ticket.
        kernel: Whose they are.
        inside: Whether this thread is in the core itself.

    Raises:
        WouldDeadlock: It would be for ever; the error says what to do.
    """
    if inside:
        raise WouldDeadlock(
            "a finaliser or a signal's handler that interrupted the core cannot wait for a "
            "lane; use admit_nowait, or let a thread or a task make the call"
        )
    loop = lease.loop
    if loop is None or _goes_on_its_parents_lane(lease, kernel):
        return
    within, call = set(), lease.call
    outer = lease.parent
    while outer is not None:  # those wait for this call, not it for them
        within.add(outer)
        reference = leases.get(outer)
        around = None if reference is None else reference()
        outer = None if around is None else around.parent
    # Copied in one go: a list of pairs may set off a collection, whose finalisers end leases.
    for ticket, reference in leases.copy().items():
        other = reference()
        if other is None or other is lease or other.loop is not loop or ticket in within:
            continue
        same = other.call.group == call.group or (
            call.endpoint is not None and other.call.endpoint == call.endpoint
        )
        if same and not other.ended:
            raise WouldDeadlock(
                f"call {lease.ticket} of agent {call.agent!r} would block the event loop whose "
                f"own call {other.ticket} of agent {other.call.agent!r} holds, or waits for, "
                "what it needs; await the async method (ainvoke, astream, AsyncOpenAI, "
                "async with), or make the call in a thread (asyncio.to_thread)"
            )


def _goes_on_its_parents_lane(lease: HostLease, kernel: Kernel) -> bool:
    """Whether a nested call waits for time alone, such as its endpoint's rate.

    The lane of the call that it is nested in is free for it, and its endpoint's places are not used
    up. Looked at without the kernel's mutex: a look that comes a step late says what was true then.
    """
    ticket = kernel.books.tickets.get(lease.ticket)
    parent = None if ticket is None else ticket.parent
    if ticket is None or parent is None or parent.seat is None or parent.rider is not None:
        return False
    endpoint = ticket.endpoint
    room = endpoint is None or endpoint.concurrency.allows(len(endpoint.in_flight))
    return parent.group is ticket.group and room
