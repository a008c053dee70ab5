"""Two thin drivers for the flows that wait: each flow is one generator, written once.

A flow yields a `Lease` to wait until it is decided, and returns its result.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from agentrm_plugins.calls import Call
    from agentrm_plugins.hosts.host import Host
    from agentrm_plugins.hosts.lease import Lease

__all__ = ["admission", "drive", "drive_async"]

T = TypeVar("T")


def admission(host: Host, call: Call, parent: int | None) -> Generator[Lease, None, Lease]:
    """Ask for a lane and wait for it.

    Raises:
        CallRefused: The core said no.
        ClosedError: The core is closed.
    """
    lease = host.submit(call, parent)
    if not lease.decided:
        try:
            yield lease
        except BaseException:
            lease.withdraw()
            raise
    return lease.result()


def drive(flow: Generator[Lease, None, T]) -> T:
    """Run a flow in this thread, which blocks while it waits."""
    try:
        lease = next(flow)
        while True:
            try:
                lease.park_thread()
            except BaseException as error:  # noqa: BLE001 - the flow decides, Ctrl-C included
                lease = flow.throw(error)
            else:
                lease = next(flow)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def drive_async(flow: Generator[Lease, None, T]) -> T:
    """Run a flow in this task, which is suspended while it waits."""
    try:
        lease = next(flow)
        while True:
            try:
                await lease.park_task()
            except BaseException as error:  # noqa: BLE001 - the flow decides, cancellation included
                lease = flow.throw(error)
            else:
                lease = next(flow)
    except StopIteration as stop:
        result: T = stop.value
        return result
