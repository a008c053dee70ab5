"""A lane around a model's own hooks: one function for each of sync, async, call and stream.

A call that went well settles its lease, and so does whoever hears of a reaped one; one that failed
leaves it to the core's flow, which may let it go again. What the provider reports is charged; a
stream that was cut is charged by its chunks. `CancelledError` is never born inside the model
(LangChain's `agenerate` would stumble over it): a reaped call ends with the ordinary error
`CallReaped`.
"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from agentrm_langchain.usage import Tally, usage_of_generations
from agentrm_plugins import CallReaped
from agentrm_plugins.integration import (
    Job,
    PullGuard,
    ReapGuard,
    activated,
    hand_off,
    outcome_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator

    from agentrm_plugins import AgentRM, Lease, Usage

__all__ = ["Chunks", "Pull", "call", "call_async", "call_in_thread"]

_END: Any = object()


def call(rm: AgentRM, lease: Lease, work: Callable[[], Any], *, abandon: bool) -> Any:
    """Run `work`, which gives a `ChatResult`, in the lease's lane.

    Raises:
        CallReaped: The lane was lost. With `abandon` at that moment, else when `work` ends.
    """

    def inside() -> Any:
        with activated(rm, lease):
            return work()

    job = Job(copy_context(), inside, partial(_late, lease)) if abandon else None
    try:
        result = inside() if job is None else _wait(lease, job)
    except BaseException as error:
        if lease.reaped and (job is None or not job.abandoned):  # else the worker settles
            _came_back(lease, error)
        raise
    lease.settle(_usage(result))
    lease.raise_if_reaped()
    return result


def _came_back(lease: Lease, error: BaseException) -> None:
    """A reaped call is back with an error, perhaps because it was woken from its read.

    Raises:
        CallReaped: The error was an ordinary one.
    """
    lease.settle(outcome=outcome_of(error.__class__))
    if isinstance(error, Exception) and not isinstance(error, CallReaped):
        try:
            lease.raise_if_reaped()
        except CallReaped as reaped:
            raise reaped from error


def _wait(lease: Lease, job: Job) -> Any:
    lease.on_reap(lambda _: job.abandon())
    hand_off(job)
    job.wait()
    if job.abandoned:
        lease.raise_if_reaped()
    return job.take()


def _late(lease: Lease, result: Any, error: BaseException | None) -> None:
    """A worker is back after its caller went: charge what it brings."""
    lease.settle(_usage(result), outcome=outcome_of(None if error is None else error.__class__))


async def call_async(
    rm: AgentRM, lease: Lease, work: Callable[[], Coroutine[Any, Any, Any]]
) -> Any:
    """Await `work()` in the lease's lane.

    Raises:
        CallReaped: The lane was lost; the work was cancelled at that moment.
    """
    guard = ReapGuard(lease)
    try:
        with activated(rm, lease):
            result = await work()
    except BaseException as error:
        reaped = guard.convert(error)
        if reaped is not None:
            lease.settle(outcome=outcome_of(reaped.__class__))
            raise reaped from error
        if lease.reaped:
            _came_back(lease, error)
        raise
    lease.settle(_usage(result))
    reaped = guard.convert(None)
    if reaped is not None:
        raise reaped
    return result


async def call_in_thread(rm: AgentRM, lease: Lease, work: Callable[[], Any]) -> Any:
    """The same for a model that has no async way: a worker runs it, this task waits.

    The loop's own executor has few threads, and one that hangs there is lost to everybody.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def inside() -> Any:
        with activated(rm, lease):
            return work()

    def done() -> None:
        try:
            loop.call_soon_threadsafe(_ring, future)
        except RuntimeError:  # the loop is closed: nobody waits
            lease.settle(outcome="cancelled")

    job = Job(copy_context(), inside, partial(_late, lease), done)
    lease.on_reap(lambda _: job.abandon())
    hand_off(job)
    try:
        await future
    except BaseException:
        job.abandon()
        raise
    if job.abandoned:
        lease.raise_if_reaped()
    try:
        result = job.take()
    except BaseException as error:
        if lease.reaped:
            _came_back(lease, error)
        raise
    lease.settle(_usage(result))
    lease.raise_if_reaped()
    return result


def _ring(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Pull:
    """A stream: takes one chunk after the other, all in one copy of the caller's context.

    `begin` fetches the first one: until then the call may go again. `rest` yields them all.

    Args:
        rm: The core.
        lease: The lane, held from the first chunk's request to the end.
        work: Gives the model's own stream.
        abandon: Whether a worker fetches the chunks, which is left behind when it hangs.
    """

    __slots__ = (
        *("_abandon", "_context", "_first", "_job", "_lease", "_rm", "_source", "_work"),
        *("away", "tally"),
    )

    def __init__(
        self, rm: AgentRM, lease: Lease, work: Callable[[], Iterator[Any]], *, abandon: bool
    ) -> None:
        self._abandon = abandon
        self._first: Any = _END
        self._rm = rm
        self._lease = lease
        self._work = work
        self._job: Job | None = None
        self._context = copy_context()
        self._source: Iterator[Any] | None = None
        self.tally = Tally(lease.call.estimate)
        self.away = False
        lease.on_reap(self._reaped)

    def begin(self) -> Iterator[Any]:
        """Open the stream and fetch its first chunk.

        Raises:
            CallReaped: The lane was lost.
            Exception: What the model raised; the lease is left to the flow.
        """
        try:
            self._first = self._fetch()
        except BaseException as error:
            if not self.away:
                self._shut()
                if self._lease.reaped:
                    _came_back(self._lease, error)
            raise
        return self.rest()

    def rest(self) -> Iterator[Any]:
        """Yield all chunks, and settle.

        Raises:
            CallReaped: The lane was lost; at once while waiting for a chunk, or at the next one.
        """
        tally, lease = self.tally, self._lease
        chunk, self._first = self._first, None
        try:
            while chunk is not _END:
                tally.add(chunk)
                lease.beat(1)
                yield chunk
                chunk = self._fetch()
        except BaseException as error:
            if not self.away:
                lease.fail(error, tally.cut())
                self._shut()
                if lease.reaped:
                    _came_back(lease, error)
            elif not lease.reaped:  # interrupted: nobody counts this call as a zombie
                lease.fail(error, tally.cut())
            raise
        lease.settle(tally.usage() or tally.cut())

    def _fetch(self) -> Any:
        return self._wait() if self._abandon else self._here()

    def _reaped(self, _: CallReaped) -> None:
        job = self._job
        if job is not None:
            job.abandon()

    def _next(self) -> Any:
        with activated(self._rm, self._lease):
            if self._source is None:  # a hook may ask the provider before it gives its iterator
                self._source = iter(self._work())
            return next(self._source, _END)

    def _here(self) -> Any:
        """The next chunk, fetched by this thread."""
        self._lease.raise_if_reaped()
        return self._context.run(self._next)

    def _wait(self) -> Any:
        """The next chunk, fetched by a worker that can be left behind."""
        self._job = job = Job(self._context, self._next, self._late)
        self._lease.raise_if_reaped()
        hand_off(job)
        try:
            job.wait()
        finally:
            self.away = job.abandoned
            self._job = None
        if job.abandoned:
            self._lease.raise_if_reaped()
        return job.take()

    def _late(self, chunk: Any, error: BaseException | None) -> None:
        """The worker is back after the caller went: charge what came, and stop the rest."""
        if error is None and chunk is not _END:
            self.tally.add(chunk)
        self._lease.settle(
            self.tally.cut(), outcome=outcome_of(None if error is None else error.__class__)
        )
        self._shut()

    def _shut(self) -> None:
        """End the inner stream early."""
        shut = getattr(self._source, "close", None)
        if shut is not None:
            self._context.run(shut)


class Chunks:
    """The same in async code. An abandoned stream is closed by its loop, or by its lease.

    Args:
        rm: The core.
        lease: The lane, held from the first chunk's request to the end.
        work: Gives the model's own stream.
    """

    __slots__ = ("_first", "_lease", "_reaper", "_rm", "_source", "_tally")

    def __init__(self, rm: AgentRM, lease: Lease, work: Callable[[], AsyncIterator[Any]]) -> None:
        self._rm = rm
        self._lease = lease
        self._tally = Tally(lease.call.estimate)
        self._source = work()
        self._reaper = PullGuard(lease)
        self._first: Any = _END

    async def begin(self) -> AsyncGenerator[Any, None]:
        """Open the stream and fetch its first chunk.

        Raises:
            CallReaped: The lane was lost.
            Exception: What the model raised; the lease is left to the flow.
        """
        try:
            self._first = await self._fetch()
        except BaseException as error:
            await self._shut()
            if self._lease.reaped:
                _came_back(self._lease, error)
            raise
        return self.rest()

    async def rest(self) -> AsyncGenerator[Any, None]:
        """Yield all chunks, and settle.

        Raises:
            CallReaped: The lane was lost; at once while waiting for a chunk, or at the next one.
        """
        tally, lease = self._tally, self._lease
        chunk, self._first = self._first, None
        try:
            while chunk is not _END:
                tally.add(chunk)
                lease.beat(1)
                yield chunk
                chunk = await self._fetch()
        except BaseException as error:
            lease.fail(error, tally.cut())
            if lease.reaped:
                _came_back(lease, error)
            raise
        else:
            lease.settle(tally.usage() or tally.cut())
        finally:
            await self._shut()

    async def _fetch(self) -> Any:
        with self._reaper, activated(self._rm, self._lease):
            return await anext(self._source, _END)

    async def _shut(self) -> None:
        shut = getattr(self._source, "aclose", None)
        if shut is not None:
            await shut()


def _usage(result: Any) -> Usage | None:
    if result is None:
        return None
    return usage_of_generations(result.generations, result.llm_output)
