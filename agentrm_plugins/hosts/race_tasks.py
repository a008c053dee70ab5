"""The race in a task: the first attempt runs in the caller's own task, the next in one of its own.

So a call that is never late costs no task. When another attempt wins, the caller's task is
cancelled out of its wait, and that cancellation is taken back.
"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from agentrm_plugins.hosts.guards import ReapGuard
from agentrm_plugins.hosts.race import Race
from agentrm_plugins.types.calls import Outcome
from agentrm_plugins.types.identity import ACTIVE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentrm_plugins.hosts.attempt import Attempt
    from agentrm_plugins.hosts.lease import HostLease

    Fork = Callable[[Attempt], Callable[[], Awaitable[Any]]]

__all__ = ["TaskRun"]

_LEFT: set[asyncio.Task[Any]] = set()  # cancelled ones, until they have ended


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
