"""An attempt in a task: what that gets when its lane is lost, and the race with further attempts.

The first attempt runs in the caller's own task, the next in one of its own.
So a call that is never late costs no task. When another attempt wins, the caller's task is
cancelled out of its wait, and that cancellation is taken back.
"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from agentrm_plugins.errors import AgentRMError, CallReaped
from agentrm_plugins.hosts.race import Race
from agentrm_plugins.hosts.unsent import look
from agentrm_plugins.types.calls import Outcome
from agentrm_plugins.types.identity import ACTIVE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentrm_plugins.hosts.attempt import Attempt
    from agentrm_plugins.hosts.lease import HostLease

    Fork = Callable[[Attempt], Callable[[], Awaitable[Any]]]

__all__ = ["ReapGuard", "TaskRun"]

_LEFT: set[asyncio.Task[Any]] = set()  # cancelled ones, until they have ended


class ReapGuard:
    """Turns a reaped lease into `CallReaped` in the task that holds it.

    When the lease is reaped the task is cancelled; `convert` takes that cancellation back, so that
    an ordinary error comes out. Somebody else's cancellation at the same time stays one (as in
    `asyncio.timeout`).

    Args:
        lease: The lease of the call that this task makes.

    Attributes:
        taken_back: Whether the cancellation that came was ours alone.
    """

    __slots__ = ("_cancelled", "_cancelling", "_error", "_loop", "_over", "_task", "taken_back")

    def __init__(self, lease: HostLease) -> None:
        self._loop = loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            msg = "a lease can be guarded only inside a task"
            raise AgentRMError(msg)
        self._task = task
        self._cancelling = task.cancelling()
        self._error: CallReaped | None = None
        self._cancelled = self.taken_back = False
        self._over = False
        lease.on_reap(self._reaped)

    def _reaped(self, error: CallReaped) -> None:
        self._error = error
        try:
            self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:  # the loop is closed: there is nobody left to tell
            self._over = True

    def _cancel(self) -> None:
        if not self._over and not self._cancelled and not self._task.done():
            self._cancelled = True
            self._task.cancel()

    def convert(self, error: BaseException | None) -> CallReaped | None:
        """The guarded code is over, with `error` or without: what to raise instead, if anything."""
        self._over = True
        if self._cancelled:
            self.taken_back = self._task.uncancel() <= self._cancelling
            if self.taken_back and (error is None or isinstance(error, asyncio.CancelledError)):
                return self._error
            return None
        if self._error is not None and error is None:
            return self._error
        return None


class TaskRun(ReapGuard):
    """The first attempt, in the caller's task, and the race that it may come to.

    Args:
        attempt: The attempt.
        fork: Gives the work of a further attempt.
    """

    __slots__ = ("_context", "_end", "_fork", "_token", "attempt", "error", "left", "over", "race")

    def __init__(self, attempt: Attempt, fork: Fork) -> None:
        super().__init__(attempt.lease)
        self.attempt = attempt
        self.race: Race | None = None
        self.over = self.left = False
        self.error: BaseException | None = None
        self._fork = fork
        self._context = copy_context()
        self._end: asyncio.Future[None] | None = None
        if attempt.lease.call.hedge:
            attempt.lease.on_suspect(self._suspected)

    # -- told from any thread ---------------------------------------------------------------

    def _suspected(self) -> None:
        self._soon(self._late)

    def _ring(self) -> None:
        self._soon(self._step)

    def _soon(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:  # the loop is closed: there is nobody left to tell
            self._over = True

    # -- in the loop ------------------------------------------------------------------------

    def _late(self) -> None:
        if self._over and self._end is None:
            return
        if self.race is None:
            self.race = Race(self, self._start, self._ring)
            self._step()
        else:
            self.race.suspected()

    def _step(self) -> None:
        race = self.race
        if race is None or race.winner is not None or not race.step():
            return
        if self._end is not None and not self._end.done():
            self._end.set_result(None)

    def _start(self, lease: HostLease) -> _Further:
        attempt = self.attempt.again(lease)
        run = _Further(attempt, self._fork(attempt), self._loop, self._context.copy())
        lease.on_reap(lambda _: self._ring())
        run.task.add_done_callback(lambda _: self._step())
        return run

    def leave(self) -> None:
        """Cancel the caller's task out of its wait."""
        self._cancel()

    def take(self) -> Any:
        """The error that it met."""
        assert self.error is not None  # noqa: S101 - a result is returned where it came
        raise self.error

    # -- in the task ------------------------------------------------------------------------

    def came(self) -> None:
        """The work went well: nobody else is waited for."""
        self._over = self.over = True
        if self.race is not None and self.race.winner is None:
            self.race.step()

    async def others(self, error: BaseException) -> Any:
        """The work is back with an error while the race is on: what the call comes to.

        Raises:
            Exception: What the last attempt met.
            asyncio.CancelledError: The caller was cancelled.
        """
        race = self.race
        assert race is not None  # noqa: S101 - the caller looked
        cancelled = isinstance(error, asyncio.CancelledError)
        by_us = self._cancelled
        reaped = self.convert(error)
        if cancelled and not (by_us and self.taken_back):
            race.abort(error)
            raise error
        self.error, self.over = reaped or error, True
        if race.winner is None and not race.step():
            self._end = self._loop.create_future()
            try:
                await self._end
            except BaseException as interrupt:
                race.abort(interrupt)
                raise
        winner = race.winner
        assert winner is not None  # noqa: S101 - that is what was waited for
        try:
            result = winner.take()
        except BaseException as last:
            winner.attempt.failed(last)
            raise
        return winner.attempt.ended(result)


class _Further:
    """A further attempt, in a task of its own."""

    __slots__ = ("attempt", "left", "task")

    def __init__(
        self,
        attempt: Attempt,
        work: Callable[[], Awaitable[Any]],
        loop: asyncio.AbstractEventLoop,
        context: Any,
    ) -> None:
        self.attempt = attempt
        self.left = False
        self.task = loop.create_task(self._run(work), context=context)

    async def _run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        ACTIVE.set(self.attempt.active)
        look(self.attempt.lease)
        return await work()

    @property
    def over(self) -> bool:
        """Whether its task has ended."""
        return self.task.done()

    @property
    def error(self) -> BaseException | None:
        """What its task ended with."""
        if self.task.cancelled():
            return asyncio.CancelledError()
        return self.task.exception()

    def take(self) -> Any:
        """The result, or the error raised."""
        if self.attempt.lease.reaped:
            self.attempt.lease.settle(self.attempt.spent(), outcome=Outcome.ERROR)
            self.attempt.lease.raise_if_reaped()
        return self.task.result()

    def leave(self) -> None:
        """Cancel it; its end is nobody's business."""
        if not self.task.done():
            self.task.cancel()
            _LEFT.add(self.task)
            self.task.add_done_callback(_forget)


def _forget(task: asyncio.Task[Any]) -> None:
    _LEFT.discard(task)
    if not task.cancelled():
        task.exception()  # seen: nobody waits for it
