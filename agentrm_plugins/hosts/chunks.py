"""An attempt that gives its answer piece by piece: a stream in a lane, in sync and async code.

`begin` opens the stream and fetches its first chunk: until then the call may go again. `rest`
yields them all. Each chunk is a beat; at the end what the provider counted is charged, and of a
stream that was cut what had come.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Protocol

from agentrm_plugins.hosts.guards import PullGuard, outcome_of
from agentrm_plugins.hosts.workers import Job, hand_off
from agentrm_plugins.types.calls import Outcome
from agentrm_plugins.types.identity import ACTIVE, restore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator

    from agentrm_plugins.errors import CallReaped
    from agentrm_plugins.hosts.attempt import Attempt
    from agentrm_plugins.types.calls import Usage

__all__ = ["AsyncChunks", "Chunks", "Tally"]

_END: Any = object()


class Tally(Protocol):
    """What the chunks of a stream say of their cost."""

    whole: bool
    """Whether the last chunk that has a text was seen."""

    def add(self, chunk: Any) -> None:
        """One more chunk."""

    def usage(self) -> Usage | None:
        """What the whole stream reported; None if it reported nothing."""

    def cut(self) -> Usage | None:
        """What it has cost so far, by what came."""


class Chunks:
    """A stream in sync code; its chunks come in one copy of the caller's context.

    Args:
        attempt: The attempt; its lane is held from the first chunk's request to the end.
        work: Gives the framework's own stream.
        tally: Adds up what the chunks cost.
        worker: Whether a worker fetches the chunks, which is left behind when it hangs.
    """

    __slots__ = (
        *("_attempt", "_context", "_first", "_job", "_source", "_tally", "_work", "_worker"),
        *("away", "pulling"),
    )

    def __init__(
        self, attempt: Attempt, work: Callable[[], Iterator[Any]], tally: Tally, *, worker: bool
    ) -> None:
        self._attempt = attempt
        self._work = work
        self._tally = tally
        self._worker = worker
        self._context = copy_context()
        self._first: Any = _END
        self._job: Job | None = None
        self._source: Iterator[Any] | None = None
        self.away = False
        self.pulling = False
        if worker:
            attempt.lease.on_reap(self._reaped)

    def begin(self) -> Generator[Any, None, None]:
        """Open the stream and fetch its first chunk.

        Raises:
            CallReaped: The lane was lost.
            Exception: What the stream raised; the lease is left to the flow.
        """
        try:
            self._first = self._fetch()
        except BaseException as error:
            if not self.away:
                self._shut()
                self._attempt.failed(error)
            raise
        return self.rest()

    def rest(self) -> Generator[Any, None, None]:
        """Yield all chunks, and settle.

        Raises:
            CallReaped: The lane was lost; at once while waiting for a chunk, or at the next one.
        """
        tally, lease = self._tally, self._attempt.lease
        chunk, self._first = self._first, None
        try:
            while chunk is not _END:
                tally.add(chunk)
                lease.beat(1)
                yield chunk
                chunk = self._fetch()
        except BaseException as error:
            if not self.away:
                self._over(error)
                self._shut()
                self._attempt.failed(error)
            elif not lease.reaped:  # interrupted: nobody counts this call as a zombie
                lease.fail(error, tally.cut())
            raise
        lease.settle(tally.usage() or tally.cut())

    def closed(self) -> None:
        """The source was closed from outside, by a caller who wants no more."""
        if not self.pulling:  # else it was closed on the way out of a fetch
            _left(self._attempt.lease, self._tally)

    def _over(self, error: BaseException) -> None:
        if isinstance(error, GeneratorExit):
            _left(self._attempt.lease, self._tally)
        else:
            self._attempt.lease.fail(error, self._tally.cut())

    def _fetch(self) -> Any:
        self.pulling = True
        chunk = self._wait() if self._worker else self._here()
        self.pulling = False
        return chunk

    def _reaped(self, _: CallReaped) -> None:
        job = self._job
        if job is not None:
            job.abandon()

    def _next(self) -> Any:
        token = ACTIVE.set(self._attempt.active)
        try:
            if self._source is None:  # a hook may ask the provider before it gives its iterator
                self._source = iter(self._work())
            return next(self._source, _END)
        finally:
            restore(ACTIVE, token)

    def _here(self) -> Any:
        """The next chunk, fetched by this thread."""
        self._attempt.lease.raise_if_reaped()
        return self._context.run(self._next)

    def _wait(self) -> Any:
        """The next chunk, fetched by a worker that can be left behind."""
        self._job = job = Job(self._context, self._next, self._late)
        self._attempt.lease.raise_if_reaped()
        hand_off(job)
        try:
            job.wait()
        finally:
            self.away = job.abandoned
            self._job = None
        if job.abandoned:
            self._attempt.lease.raise_if_reaped()
        return job.take()

    def _late(self, chunk: Any, error: BaseException | None) -> None:
        """The worker is back after the caller went: charge what came, and stop the rest."""
        if error is None and chunk is not _END:
            self._tally.add(chunk)
        outcome = outcome_of(None if error is None else error.__class__)
        self._attempt.lease.settle(self._tally.cut(), outcome=outcome)
        self._shut()

    def _shut(self) -> None:
        """End the inner stream early."""
        shut = getattr(self._source, "close", None)
        if shut is not None:
            self._context.run(shut)


class AsyncChunks:
    """The same in async code. An abandoned stream is closed by its loop, or by its lease.

    Args:
        attempt: The attempt; its lane is held from the first chunk's request to the end.
        source: The framework's own stream.
        tally: Adds up what the chunks cost.
        shut: Ends the stream early; None: its own `aclose`.
    """

    __slots__ = ("_attempt", "_first", "_guard", "_source", "_tally", "pulling")

    def __init__(self, attempt: Attempt, source: AsyncIterator[Any], tally: Tally) -> None:
        self._attempt = attempt
        self._tally = tally
        self._source = source
        self._guard = PullGuard(attempt.lease)
        self._first: Any = _END
        self.pulling = False

    async def begin(self) -> AsyncGenerator[Any, None]:
        """Open the stream and fetch its first chunk.

        Raises:
            CallReaped: The lane was lost.
            Exception: What the stream raised; the lease is left to the flow.
        """
        try:
            self._first = await self._fetch()
        except BaseException as error:
            await self._shut()
            self._attempt.failed(error)
            raise
        return self.rest()

    async def rest(self) -> AsyncGenerator[Any, None]:
        """Yield all chunks, and settle.

        Raises:
            CallReaped: The lane was lost; at once while waiting for a chunk, or at the next one.
        """
        tally, lease = self._tally, self._attempt.lease
        chunk, self._first = self._first, None
        try:
            while chunk is not _END:
                tally.add(chunk)
                lease.beat(1)
                yield chunk
                chunk = await self._fetch()
        except GeneratorExit:
            _left(lease, tally)
            raise
        except BaseException as error:
            lease.fail(error, tally.cut())
            self._attempt.failed(error)
            raise
        else:
            lease.settle(tally.usage() or tally.cut())
        finally:
            await self._shut()

    def closed(self) -> None:
        """The source was closed from outside, by a caller who wants no more."""
        if not self.pulling:  # else it was closed on the way out of a fetch
            _left(self._attempt.lease, self._tally)

    async def _fetch(self) -> Any:
        self.pulling = True
        with self._guard:
            token = ACTIVE.set(self._attempt.active)
            try:
                chunk = await anext(self._source, _END)
            finally:
                restore(ACTIVE, token)
        self.pulling = False
        return chunk

    async def _shut(self) -> None:
        shut = getattr(self._source, "aclose", None)
        if shut is not None:
            await shut()


def _left(lease: Any, tally: Tally) -> None:
    """The caller wants no more; of an answer that was whole he has missed nothing."""
    outcome = Outcome.OK if tally.whole else Outcome.CANCELLED
    lease.settle(tally.usage() or tally.cut(), outcome=outcome)
