"""One attempt of a call in its lane, the same for every adapter and in each of the worlds.

`here` runs the work on the caller's thread, `on_worker` on a thread that can be left behind,
`in_task` awaits it, `in_thread` lets a task wait for a worker; `hosts.chunks` has the two kinds of
stream. In each of them the work runs inside its lease (what it calls counts as nested), and this is
how it ends:

- well: `settle`, which the adapter gives, charges what the provider counted;
- with an error: the lease is left to the flow, which may let the call go again. What LangGraph
  raises to steer a graph is no failure;
- reaped: the caller gets `CallReaped`, at once where it can be left or cancelled, else when the
  work ends. `CancelledError` is never born inside the work;
- late: a worker that was left behind settles with what it brings.
"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from agentrm_plugins.errors import CallReaped
from agentrm_plugins.hosts.guards import ReapGuard, outcome_of
from agentrm_plugins.hosts.workers import Job, hand_off
from agentrm_plugins.types.calls import Outcome
from agentrm_plugins.types.identity import ACTIVE, active_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Context

    from agentrm_plugins.hosts.lease import Lease

__all__ = ["Attempt"]

T = TypeVar("T")


class Attempt:
    """One attempt.

    Args:
        core: The number of the core.
        lease: The lane.
        settle: Told the lease and what the work gave: settles with what that used. None: it used
            nothing that anybody counts.
    """

    __slots__ = ("_settle", "active", "lease")

    def __init__(
        self, core: int, lease: Lease, settle: Callable[[Lease, Any], None] | None = None
    ) -> None:
        self.lease = lease
        self.active = active_in(core, lease.ticket, lease.call)
        self._settle = settle

    # -- sync -------------------------------------------------------------------------------

    def here(self, work: Callable[[], T]) -> T:
        """Run `work` on this thread.

        Raises:
            CallReaped: The lane was lost meanwhile.
            Exception: What the work raised.
        """
        try:
            result = self.inside(work)
        except BaseException as error:
            self.failed(error)
            raise
        return self.ended(result)

    def on_worker(
        self,
        work: Callable[[], T],
        context: Context | None = None,
        late: Callable[[Any, BaseException | None], None] | None = None,
    ) -> T:
        """Run `work` on a worker thread, and leave it behind if the lane is lost.

        Args:
            work: What to do.
            context: The contextvars that it sees; None: a copy of this code's.
            late: Told what a worker that was left behind brings; None: `late`.

        Raises:
            CallReaped: The lane was lost; at that moment.
            Exception: What the work raised.
        """
        job = Job(context or copy_context(), work, late or self.late, inside=self.inside)
        self.lease.on_reap(job.abandon)
        hand_off(job)
        job.wait()
        result: T = self._taken(job)
        return result

    # -- async ------------------------------------------------------------------------------

    async def in_task(self, work: Callable[[], Awaitable[T]]) -> T:
        """Await `work()` in this task.

        Raises:
            CallReaped: The lane was lost; the work was cancelled at that moment.
            Exception: What the work raised.
        """
        lease = self.lease
        guard = ReapGuard(lease)
        token = ACTIVE.set(self.active)
        try:
            result = await work()
        except BaseException as error:
            reaped = guard.convert(error)
            if reaped is not None:
                lease.settle(outcome=Outcome.ERROR)
                raise reaped from error
            self.failed(error)
            raise
        finally:
            ACTIVE.reset(token)
        reaped = guard.convert(None)
        return self.ended(result)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Let a worker run `work`, and this task wait for it.

        The loop's own executor has few threads, and one that hangs there is lost to everybody.

        Raises:
            CallReaped: The lane was lost; at that moment.
            Exception: What the work raised.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def done() -> None:
            try:
                loop.call_soon_threadsafe(_ring, future)
            except RuntimeError:  # the loop is closed: nobody waits
                self.lease.settle(outcome=Outcome.CANCELLED)

        job = Job(copy_context(), work, self.late, done, inside=self.inside)
        self.lease.on_reap(job.abandon)
        hand_off(job)
        try:
            await future
        except BaseException:
            job.abandon()
            raise
        result: T = self._taken(job)
        return result

    # -- what they share --------------------------------------------------------------------

    def inside(self, work: Callable[[], T]) -> T:
        """Run `work` inside the lease."""
        token = ACTIVE.set(self.active)
        try:
            return work()
        finally:
            ACTIVE.reset(token)

    def ended(self, result: T) -> T:
        """The work went well.

        Raises:
            CallReaped: The lane was lost meanwhile.
        """
        if self._settle is None:
            self.lease.settle()
        else:
            self._settle(self.lease, result)
        self.lease.raise_if_reaped()
        return result

    def failed(self, error: BaseException) -> None:
        """The work is back with an error; one that was reaped, perhaps because it was woken.

        Raises:
            CallReaped: The lane was lost, and the error was an ordinary one.
        """
        lease, outcome = self.lease, outcome_of(error.__class__)
        if not lease.reaped:
            if outcome is Outcome.OK:
                lease.settle()
            return
        lease.settle(outcome=outcome)
        if isinstance(error, Exception) and not isinstance(error, CallReaped):
            try:
                lease.raise_if_reaped()
            except CallReaped as reaped:
                raise reaped from error

    def late(self, result: Any, error: BaseException | None) -> None:
        """A worker is back after its caller went: charge what it brings."""
        if error is None and self._settle is not None:
            self._settle(self.lease, result)
        self.lease.settle(outcome=outcome_of(None if error is None else error.__class__))

    def _taken(self, job: Job) -> Any:
        if job.abandoned:
            self.lease.raise_if_reaped()
        try:
            result = job.take()
        except BaseException as error:
            self.failed(error)
            raise
        return self.ended(result)


def _ring(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
