"""An attempt in a task: what that gets when its lane is lost, and the race with further attempts.

The first attempt runs in the caller's own task, the next in one of its own.
So a call that is never late costs no task. When another attempt wins, the caller's task is
cancelled out of its wait, and that cancellation is taken back.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from agentrm_plugins.errors import AgentRMError, CallReaped
from agentrm_plugins.hosts.judgement import judge
from agentrm_plugins.hosts.partings import LAST_S, is_hurried
from agentrm_plugins.hosts.race import Race
from agentrm_plugins.types.calls import Outcome
from agentrm_plugins.types.identity import ACTIVE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentrm_plugins.hosts.attempt import Attempt
    from agentrm_plugins.hosts.chunk_stream import ChunkStream
    from agentrm_plugins.hosts.lease import HostLease

    Fork = Callable[[Attempt], Callable[[], Awaitable[Any]]]

__all__ = ["ReapGuard", "TaskRun", "shut"]

_TASKS: set[asyncio.Task[Any]] = set()  # of further attempts, until they have ended


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

    __slots__ = (
        *("_context", "_end", "_fork", "_parts", "_result"),
        *("attempt", "error", "left", "over", "race"),
    )

    def __init__(self, attempt: Attempt, fork: Fork) -> None:
        super().__init__(attempt.lease)
        self.attempt = attempt
        self.race: Race | None = None
        self.over = self.left = self._parts = False
        self.error: BaseException | None = None
        self._result: Any = None
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
        if race is None:
            return
        decided, wait_s = race.step(), race.wait_s
        if wait_s >= 0.0:
            self._loop.call_later(wait_s, self._step)
        if decided and self._end is not None and not self._end.done():
            self._end.set_result(None)

    def _cancel(self) -> None:
        """It lost its lane. If that was only to make room, an answer on its way is still read."""
        lease = self.attempt.lease
        if lease.reap_cause == "gave_way" and not self._parts and not self._over:
            self._parts = is_hurried(lease)
            if self._parts:
                self._loop.call_later(LAST_S, super()._cancel)
                return
        super()._cancel()

    def _start(self, lease: HostLease) -> _Further:
        attempt = self.attempt.again(lease)
        run = _Further(attempt, self._fork(attempt), self._loop, self._context.copy())
        lease.on_reap(lambda _: self._ring())
        run.task.add_done_callback(lambda _: self._step())
        return run

    def convert(self, error: BaseException | None) -> CallReaped | None:
        """As of any guard; what its last words broke off with is no error of the server's."""
        reaped = super().convert(error)
        if reaped is None and self._parts and isinstance(error, Exception):
            lease = self.attempt.lease
            return self._error if judge(error, lease.tables)[0].status is None else None
        return reaped

    def leave(self) -> None:
        """Cancel the caller's task out of its wait."""
        super()._cancel()

    def take(self) -> Any:
        """The error that it met, or a result that is not the call's."""
        if self._result is not None:
            return self._result
        if self.error is None or isinstance(self.error, asyncio.CancelledError):
            self.attempt.lease.raise_if_reaped()
        assert self.error is not None  # noqa: S101 - a result is returned where it came
        raise self.error

    # -- in the task ------------------------------------------------------------------------

    def came(self, result: Any) -> bool:
        """The work went well. Whether its result is the call's.

        It is not if it came after its cancellation, which the work swallowed.
        """
        self._over = self.over = True
        if self._error is not None and self.attempt.lease.reap_cause != "gave_way":
            self.error = self._error  # an answer that came too late is none
        race = self.race
        if race is not None:
            if race.winner is None:
                self._result = result
                if self.error is not None:
                    self.attempt.brought(result, self.attempt.lease)
                race.step()
                self._result = None
            if race.winner is not self:
                return False
        if self._cancelled:  # it lost its lane, and swallowed that
            self._task.uncancel()
        return True

    async def others(self, error: BaseException | None) -> Any:
        """The work is back while the race is on, or was lost: what the call comes to.

        Args:
            error: What the work raised; None: it gave a result, too late.

        Raises:
            Exception: What the last attempt met.
            asyncio.CancelledError: The caller was cancelled.
        """
        race = self.race
        assert race is not None  # noqa: S101 - the caller looked
        cancelled = isinstance(error, asyncio.CancelledError)
        by_us = self._cancelled
        reaped = self.convert(error)
        ours = cancelled and by_us and self.taken_back
        if error is not None and not (ours or isinstance(error, Exception)):
            race.abort(error)
            raise error
        try:
            if error is None:  # else its work has shut what it had begun
                await shut(self.attempt)
            self.error, self.over = reaped or error, True
            if race.winner is None and not race.step():
                self._end = self._loop.create_future()
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
        try:
            return winner.attempt.ended(result)
        except CallReaped:
            winner.leave()
            raise


class _Further:
    """A further attempt, in a task of its own, which tells no loop of its error."""

    __slots__ = (
        *("_context", "_dropped", "_error", "_loop", "_result", "_shuts"),
        *("attempt", "left", "task"),
    )

    def __init__(
        self,
        attempt: Attempt,
        work: Callable[[], Awaitable[Any]],
        loop: asyncio.AbstractEventLoop,
        context: Any,
    ) -> None:
        self.attempt = attempt
        attempt.apart = True
        self.left = self._dropped = self._shuts = False
        self._loop = loop
        self._context = context
        self._result: Any = None
        self._error: BaseException | None = None
        self.task = _task(loop, self._run(work), context)

    async def _run(self, work: Callable[[], Awaitable[Any]]) -> None:
        ACTIVE.set(self.attempt.active)
        try:
            self.attempt.begin()
            self._result = await work()
        except Exception as error:  # noqa: BLE001 - raised again where the caller waits
            self._error = error
        if self._dropped:  # it swallowed its cancellation
            self._shuts = True
            await shut(self.attempt)
            self._result = self._error = None

    @property
    def over(self) -> bool:
        """Whether its task has ended."""
        return self.task.done()

    @property
    def error(self) -> BaseException | None:
        """What its work ended with."""
        if self.task.cancelled():
            return asyncio.CancelledError()
        return self.task.exception() if self._error is None else self._error

    def take(self) -> Any:
        """The result, or the error raised; once, so that no frame keeps its own error alive."""
        if self.attempt.lease.reaped and (not self.over or self.task.cancelled()):
            self.leave()
            self.attempt.lease.settle(self.attempt.spent(), outcome=Outcome.ERROR)
            self.attempt.lease.raise_if_reaped()
        self.task.result()
        error, self._error = self._error, None
        if error is None:
            return self._result
        try:
            raise error
        finally:
            del error

    def leave(self) -> None:
        """Cancel it; its end is nobody's business."""
        self._dropped = True
        if not self.task.done():
            if not self._shuts:
                self.task.cancel()
            return
        stream = self.attempt.stream()
        if stream is not None:
            _task(self._loop, _shutting(stream), self._context)
        self._result = self._error = None


def _task(loop: asyncio.AbstractEventLoop, work: Any, context: Any = None) -> asyncio.Task[Any]:
    task = loop.create_task(work, context=context)
    _TASKS.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _TASKS.discard(task)
    if not task.cancelled():
        task.exception()  # seen: the race asks for it, or nobody


async def shut(attempt: Attempt) -> None:
    """Shut the stream that an attempt brought for nobody, if it brought one.

    Call it in the task or in the context that opened it: what stands in a generator's `finally`
    may take back what it had set there.
    """
    stream = attempt.stream()
    if stream is not None:
        await _shutting(stream)


async def _shutting(stream: ChunkStream) -> None:
    with suppress(Exception):  # nobody waits for it
        await stream.shut()
