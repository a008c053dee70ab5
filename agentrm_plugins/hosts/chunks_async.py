"""A stream in a lane, in async code (`chunk_stream` has what both kinds share)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agentrm_plugins.hosts.chunk_stream import END, ChunkStream
from agentrm_plugins.hosts.guards import PullGuard
from agentrm_plugins.types.identity import ACTIVE, restore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from agentrm_plugins.hosts.attempt import Attempt
    from agentrm_plugins.hosts.chunk_stream import Reading

__all__ = ["AsyncChunks"]

_PAUSE_S = 0.25
"""After so long the core is told that the consumer does not ask. Guessed: far below any silence
that counts, and far above the gap between two chunks, so that few are told."""


class AsyncChunks(ChunkStream):
    """A stream in async code. An abandoned stream is closed by its loop, or by its lease.

    Args:
        attempt: The attempt; its lane is held from the first chunk's request to the end.
        work: Gives the framework's own stream.
        reading: How its chunks are read.
    """

    __slots__ = ("_guard", "_idle", "_pause", "_since_s", "_source", "_work")

    def __init__(
        self, attempt: Attempt, work: Callable[[], AsyncIterator[Any]], reading: Reading
    ) -> None:
        super().__init__(attempt, reading)
        self._work = work
        self._source: AsyncIterator[Any] | None = None
        self._guard: PullGuard | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._since_s: float | None = None
        self._idle = False

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
        try:
            self._source = self._work()
            while self._keeps(await anext(self._source, END)):
                pass
        except BaseException:
            await self._shut()
            raise
        return self

    async def rest(self) -> AsyncGenerator[Any, None]:
        """Yield all chunks, and settle.

        Raises:
            CallReaped: A limit was passed; at once while waiting for a chunk, or at the next one.
        """
        self._guard = PullGuard(self._attempt.lease)
        try:
            for chunk in self._first:
                self._gives(chunk, fetched=False)
                self._pauses()
                yield chunk
                self._asks()
            self._first.clear()
            while (chunk := await self._fetch()) is not END:
                self._gives(chunk, fetched=True)
                self._pauses()
                yield chunk
                self._asks()
        except BaseException as error:
            self._broken(error)
            raise
        else:
            self._ended()
        finally:
            if self._pause is not None:
                self._pause.cancel()
            await self._shut()

    async def _fetch(self) -> Any:
        self.pulling = True
        assert self._source is not None  # noqa: S101 - it was opened
        assert self._guard is not None  # noqa: S101 - the first to be pulled is `rest`
        with self._guard:
            token = ACTIVE.set(self._attempt.active)
            try:
                chunk = await anext(self._source, END)
            finally:
                restore(ACTIVE, token)
        self.pulling = False
        return chunk

    def _pauses(self) -> None:
        """The consumer has a chunk; if it is long about it, the core is told.

        One timer serves all chunks: when it rings, it looks how long the last one is away.
        """
        loop = asyncio.get_running_loop()
        self._since_s = loop.time()
        if self._pause is None:
            self._pause = loop.call_later(_PAUSE_S, self._looks, loop)

    def _looks(self, loop: asyncio.AbstractEventLoop) -> None:
        self._pause, since_s = None, self._since_s
        if since_s is None:  # the provider's turn
            return
        left_s = since_s + _PAUSE_S - loop.time()
        if left_s > 0:
            self._pause = loop.call_later(left_s, self._looks, loop)
        else:
            self._idle = True
            self._attempt.lease.idle(idle=True)

    def _asks(self) -> None:
        """The consumer wants the next chunk."""
        self._since_s = None
        if self._idle:
            self._idle = False
            self._attempt.lease.idle(idle=False)

    async def _shut(self) -> None:
        shut = getattr(self._source, "aclose", None)
        if shut is not None:
            await shut()
