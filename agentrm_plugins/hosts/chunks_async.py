"""A stream in a lane, in async code (`chunk_stream` has what both kinds share)."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Any
from weakref import ref

from agentrm_plugins.hosts.chunk_stream import END, ChunkStream
from agentrm_plugins.hosts.shutting import Shutting
from agentrm_plugins.hosts.within import Within
from agentrm_plugins.types.identity import ACTIVE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from agentrm_plugins.errors import CallReaped
    from agentrm_plugins.hosts.attempt import Attempt
    from agentrm_plugins.hosts.chunk_stream import Reading
    from agentrm_plugins.hosts.lease import HostLease
    from agentrm_plugins.types.identity import Active

__all__ = ["AsyncChunks"]


class AsyncChunks(ChunkStream):
    """A stream in async code. An abandoned stream is closed by its loop, or by its lease.

    Args:
        attempt: The attempt; its lane is held from the first chunk's request to the end.
        work: Gives the framework's own stream.
        reading: How its chunks are read.
    """

    __slots__ = ("_source", "_work")

    def __init__(
        self, attempt: Attempt, work: Callable[[], AsyncIterator[Any]], reading: Reading
    ) -> None:
        super().__init__(attempt, reading)
        self._work = work
        self._source: AsyncIterator[Any] | None = None

    async def begin(self) -> AsyncGenerator[Any, None]:
        """Open the stream in its lane, in this task.

        Raises:
            CallReaped: A limit was passed.
            Exception: What the stream raised; the lease is left to the flow.
        """

        def fork(attempt: Attempt) -> Any:
            return AsyncChunks(attempt, self._work, self._reading).open

        opened: AsyncChunks = await self._attempt.in_task(self.open, fork)
        return opened.rest()

    async def open(self) -> AsyncChunks:
        """Fetch up to the first chunk that says something; what comes of it is this."""
        work, apart = self._work, self._attempt.apart
        self._source = Within(copy_context(), work) if apart else work()
        try:
            while self._keeps(await anext(self._source, END)):
                pass
        except BaseException:
            async with Shutting(self._source):
                raise
        return self

    async def shut(self) -> None:
        """End the source early: nobody reads on."""
        async with Shutting(self._source):
            pass

    async def rest(self) -> AsyncGenerator[Any, None]:
        """Yield all chunks, and settle.

        Raises:
            CallReaped: A limit was passed; at once while waiting for a chunk, or at the next one.
        """
        attempt, source = self._attempt, self._source
        assert source is not None  # noqa: S101 - it was opened
        lease, guard = attempt.lease, _PullGuard(attempt.lease, attempt.active)
        lease.is_read(read=True)
        async with Shutting(source):
            try:
                for chunk in self._first:
                    self._gives_first(chunk)
                    yield chunk
                self._first.clear()
                while True:
                    self._asks()
                    self.pulling = True
                    guard.enter()
                    try:
                        chunk = await anext(source, END)
                    except BaseException as error:
                        guard.leave(error)
                        raise
                    guard.leave(None)
                    self.pulling = False
                    if chunk is END:
                        break
                    self._gives(chunk)
                    yield chunk
            except BaseException as error:
                self._broken(error)
                raise
            else:
                self._ended()
            finally:
                lease.is_read(read=False)


class _PullGuard:
    """`ReapGuard` for a stream, whose chunks different tasks may wait for, one after the other.

    Enter it for each wait: what runs inside is inside the call; if the lease is reaped meanwhile,
    that task is cancelled, and its cancellation turned into `CallReaped` when it is left.

    Args:
        lease: The lease of the call that streams.
        active: The call, as those see it who run inside.
    """

    __slots__ = (
        *("_active", "_cancelling", "_error", "_lease", "_loop", "_ours", "_reader", "_task"),
        "_token",
    )

    def __init__(self, lease: HostLease, active: Active) -> None:
        self._active = active
        self._token: Any = None
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._ours = False
        self._error: CallReaped | None = None
        self._lease, self._reader = ref(lease), id(asyncio.current_task(self._loop))
        lease.on_reap(self._reaped)

    def _reaped(self, error: CallReaped) -> None:
        self._error = error
        try:
            self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:  # the loop is closed: there is nobody left to tell
            self._task = None

    def _cancel(self) -> None:
        task = self._task
        if task is not None and not task.done():
            self._ours = True
            task.cancel()

    def enter(self) -> None:
        """The wait for a chunk begins.

        Raises:
            CallReaped: A limit was passed.
        """
        if self._error is not None:
            raise self._error
        self._task = task = asyncio.current_task(self._loop)
        if task is not None:
            self._cancelling = task.cancelling()
            if id(task) != self._reader:
                self._reader = id(task)
                if (lease := self._lease()) is not None:
                    lease.is_read(read=True)
        self._token = ACTIVE.set(self._active)

    def leave(self, error: BaseException | None) -> None:
        """It is over, with `error` or without.

        Raises:
            CallReaped: A limit was passed meanwhile.
        """
        task, self._task = self._task, None
        try:
            ACTIVE.reset(self._token)
        except ValueError:  # left half way, a generator ends in a context that it was not set in
            self._token = None
        if not self._ours or task is None:
            return
        self._ours = False
        mine = task.uncancel() <= self._cancelling
        if mine and (error is None or error.__class__ is asyncio.CancelledError):
            assert self._error is not None  # noqa: S101 - that is why it was cancelled
            raise self._error from error
