"""The flow of a managed call that may go again, written once for threads and for tasks.

It yields a `Lease` to wait until that is decided, and `Go(lease)` to have the call made in its
lane; what the call gives or raises comes back. A call that failed and goes again holds nothing
meanwhile. The one who makes the call settles the lease when it went well; when it raised, the flow
does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from agentrm_plugins.hosts.drive import park

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from agentrm_plugins.hosts.host import Host
    from agentrm_plugins.hosts.lease import Lease
    from agentrm_plugins.hosts.retry import RetryPolicy
    from agentrm_plugins.types.calls import Call

__all__ = ["Go", "managed_call", "run", "run_async"]


class Go(NamedTuple):
    """Make the call now, in this lease's lane."""

    lease: Lease


def managed_call(
    host: Host, call: Call, parent: int | None, policy: RetryPolicy | None
) -> Generator[Lease | Go, Any, Any]:
    """Ask for a lane, make the call, and again after a failure that the policy would have cured.

    Returns:
        What the call gave.

    Raises:
        CallRefused: The core said no.
        Exception: What the last attempt raised.
    """
    begun_s, attempt = host.clock.now(), 1
    lease = host.submit(call, parent)
    while True:
        if not lease.decided:
            try:
                yield lease
            except BaseException:
                lease.withdraw()
                raise
        if lease.lost:
            lease.settle(outcome="error")
            lease = host.submit(call, parent, lease.ticket)
            continue
        lease.result()
        try:
            return (yield Go(lease))
        except BaseException as error:
            now_s, paced = host.clock.now(), call.endpoint is not None
            wait_s = None
            if policy is not None:
                wait_s = policy.wait_s(error, attempt, begun_s, now_s, paced=paced)
            if wait_s is None:
                if not lease.reaped:
                    lease.fail(error)
                raise
            if lease.reaped:  # Whoever made the call settles it when it is heard of, if ever.
                lease = host.submit(call, parent, lease.ticket)
            else:
                lease.requeue(error, wait_s)
            attempt += 1


def run(flow: Generator[Lease | Go, Any, Any], make: Callable[[Lease], Any]) -> Any:
    """Run a flow in this thread; `make` makes the call."""
    try:
        step = next(flow)
        while True:
            try:
                given = None
                if isinstance(step, Go):
                    given = make(step.lease)
                else:
                    step.park_thread()
            except BaseException as error:  # noqa: BLE001 - the flow decides, Ctrl-C included
                step = flow.throw(error)
            else:
                step = flow.send(given)
    except StopIteration as stop:
        return stop.value


async def run_async(
    flow: Generator[Lease | Go, Any, Any], make: Callable[[Lease], Awaitable[Any]]
) -> Any:
    """Run a flow in this task; `make` makes the call."""
    try:
        step = next(flow)
        while True:
            try:
                given = None
                if isinstance(step, Go):
                    given = await make(step.lease)
                else:
                    await park(step)
            except BaseException as error:  # noqa: BLE001 - the flow decides, cancellation included
                step = flow.throw(error)
            else:
                step = flow.send(given)
    except StopIteration as stop:
        return stop.value
