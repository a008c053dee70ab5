"""A stream in a lane, in async code (`chunk_stream` has what both kinds share)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentrm_plugins.hosts.chunk_stream import END, ChunkStream
from agentrm_plugins.hosts.guards import PullGuard
from agentrm_plugins.hosts.shutting import Shutting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from agentrm_plugins.hosts.attempt import Attempt
    from agentrm_plugins.hosts.chunk_stream import Reading

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
        self._source = self._work()
        try:
            while self._keeps(await anext(self._source, END)):
                pass
        except BaseException:
            async with Shutting(self._source):
                raise
        return self

    async def rest(self) -> AsyncGenerator[Any, None]:
        """Yield all chunks, and settle.

        Raises:
            CallReaped: A limit was passed; at once while waiting for a chunk, or at the next one.
        """
        attempt, source = self._attempt, self._source
        assert source is not None  # noqa: S101 - it was opened
        lease, guard = attempt.lease, PullGuard(attempt.lease, attempt.active)
        lease.is_read(read=True)
        async with Shutting(source):
            try:
                for chunk in self._first:
                    self._gives(chunk, fetched=False)
                    yield chunk
                self._first.clear()
                while True:
                    self._asks()
                    self.pulling = True
                    with guard:
                        chunk = await anext(source, END)
                    self.pulling = False
                    if chunk is END:
                        break
                    self._gives(chunk, fetched=True)
                    yield chunk
            except BaseException as error:
                self._broken(error)
                raise
            else:
                self._ended()
            finally:
                lease.is_read(read=False)
