"""The one kind of flow: a managed call, written once as a generator, and its two thin drivers.

A flow yields a lease to wait until that is decided, and `Go(lease)` to have the call made in its
lane; what the call gives or raises comes back. A call that failed and goes again holds nothing
meanwhile; one that must not be sent (`hosts.unsent`) waits again too, which is no attempt. The one
who makes the call settles the lease when it went well; when it raised, the flow does. An error is
judged once; what was found is handed to the retry policy and to the lease.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from agentrm_plugins.errors import CallReaped
from agentrm_plugins.hosts.judgement import judge
from agentrm_plugins.hosts.misses import missed_limit_s
from agentrm_plugins.hosts.parkers import park_task, park_thread
from agentrm_plugins.hosts.sending import may_have_acted
from agentrm_plugins.hosts.unsent import is_unsent
from agentrm_plugins.types.calls import Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from agentrm_plugins.hosts.host import Host
    from agentrm_plugins.hosts.judgement import Judgement
    from agentrm_plugins.hosts.lease import HostLease
    from agentrm_plugins.hosts.retry import RetryPolicy
    from agentrm_plugins.types.calls import Call

__all__ = ["Go", "admitted", "in_lane_of", "managed_call", "run", "run_async"]


class Go(NamedTuple):
    """Make the call now, in this lease's lane."""

    lease: HostLease


def admitted(lease: HostLease, *, again: bool = True) -> Generator[HostLease | Go, Any, HostLease]:
    """Wait for the lane that was asked for: gives the lease that has one.

    Args:
        lease: Asks for it.
        again: Whether it is asked for again if it is lost meanwhile, with another lease; else what
            becomes of that is left to the caller.

    Raises:
        CallRefused: The core said no.
        ClosedError: The core is closed.
    """
    while True:
        if not lease.decided:
            try:
                yield lease
            except BaseException:
                lease.withdraw()
                raise
        if lease.granted:
            if not lease.is_void:
                return lease
            lease.requeue(None)
        elif not lease.lost:
            lease.result()  # raises why not
        elif not again:
            return lease
        else:
            lease.settle(outcome="error")
            lease = lease.anew()


def in_lane_of(lease: HostLease) -> Generator[HostLease | Go, Any, Any]:
    """Make a call in a lane that somebody else took, and settles if it goes well.

    Raises:
        CallReaped: It was lost before anything was sent.
        Exception: What the call raised.
    """
    while True:
        try:
            return (yield Go(lease))
        except BaseException as error:
            while lease.heir is not None:  # what was sent beside it stands for the call
                lease = lease.heir
            if not lease.reaped and lease.ended:
                raise
            if not is_unsent(error, lease):
                if not lease.reaped:
                    lease.fail(error)
                raise
            lease.raise_if_reaped()
        lease.requeue(None)
        yield from admitted(lease, again=False)
        lease.raise_if_reaped()


def managed_call(  # noqa: C901 - one flow, read from the top to the bottom
    host: Host, call: Call, parent: int | None, policy: RetryPolicy | None
) -> Generator[HostLease | Go, Any, Any]:
    """Ask for a lane, make the call, and again after a failure that the policy would have cured.

    Returns:
        What the call gave.

    Raises:
        CallRefused: The core said no.
        Exception: What the last attempt raised.
    """
    begun_s, attempt, in_vain = host.clock.now(), 1, 0
    lease = host.submit(call, parent)
    while True:
        if not lease.granted or lease.is_void:
            lease = yield from admitted(lease)
        try:
            return (yield Go(lease))
        except BaseException as error:
            while lease.heir is not None:  # what was sent beside it stands for the call
                lease = lease.heir
            if not lease.reaped and lease.ended:  # whoever made the call has said how it ended
                raise
            if is_unsent(error, lease):
                lease = _unsent(lease)
                continue
            gave_way = lease.reaped and lease.reap_cause == "gave_way"
            if gave_way and isinstance(error, Exception):
                lease = lease.anew()  # the core asks for another try: no failure
                continue
            judged, wait_s = judge(error, host.tables, lease.told_s), None
            done = call.once and may_have_acted(error, judged[0], asked=lease.asked)
            if policy is not None and not done:
                timed = judged[0].status is None or isinstance(error, CallReaped)
                in_vain = _in_vain(host, call, error, judged, in_vain) if timed else 0
                times, paced = (attempt, begun_s, host.clock.now()), call.endpoint is not None
                wait_s = policy.wait_s(error, judged, *times, paced=paced, in_vain=in_vain)
            if wait_s is None:
                if not lease.reaped:
                    lease.fail(error, Usage() if lease.asked is False else None, judged)
                raise
        attempt += 1
        if lease.reaped:  # Whoever made the call settles it when it is heard of, if ever.
            lease = lease.anew()
        else:
            lease.requeue(judged, wait_s)


def _in_vain(host: Host, call: Call, error: BaseException, judged: Judgement, before: int) -> int:
    """How often in a row the call has by now missed a limit in vain; the last error says so."""
    limit_s = missed_limit_s(host, call, error, judged)
    if limit_s is None or not host.misses.in_vain(host, call, limit_s):
        return 0
    if before:
        error.add_note(
            f"{before + 1} attempts in a row passed the limit of {limit_s:g} s, within which "
            "hardly any answer of this endpoint came: raise it if the endpoint is healthy"
        )
    return before + 1


def _unsent(lease: HostLease) -> HostLease:
    """It waits for a lane again, which is no attempt; if its own is lost by now, as another."""
    if not lease.reaped:
        lease.requeue(None)
        return lease
    lease.settle(Usage(), outcome="error")
    return lease.anew()


def _nobody(lease: HostLease) -> Any:
    raise AssertionError(lease)  # an admission makes no call


def run(
    flow: Generator[HostLease | Go, Any, Any], make: Callable[[HostLease], Any] = _nobody
) -> Any:
    """Run a flow in this thread, which blocks while it waits; `make` makes the call, if any."""
    try:
        step = next(flow)
        while True:
            try:
                given = None
                if step.__class__ is Go:
                    given = make(step.lease)
                else:
                    park_thread(step)  # type: ignore[arg-type] # the only other step
            except BaseException as error:  # noqa: BLE001 - the flow decides, Ctrl-C included
                step = flow.throw(error)
            else:
                step = flow.send(given)
    except StopIteration as stop:
        return stop.value


async def run_async(
    flow: Generator[HostLease | Go, Any, Any], make: Callable[[HostLease], Awaitable[Any]] = _nobody
) -> Any:
    """Run a flow in this task, which is suspended while it waits; `make` makes the call, if any."""
    try:
        step = next(flow)
        while True:
            try:
                given = None
                if step.__class__ is Go:
                    given = await make(step.lease)
                else:
                    await park_task(step)  # type: ignore[arg-type] # the only other step
            except BaseException as error:  # noqa: BLE001 - the flow decides, cancellation included
                step = flow.throw(error)
            else:
                step = flow.send(given)
    except StopIteration as stop:
        return stop.value
