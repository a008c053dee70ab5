"""A stream in a lane, in sync code (`chunk_stream` has what both kinds share)."""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from agentrm_plugins.hosts.chunk_stream import END, ChunkStream
from agentrm_plugins.hosts.feeder import Feeder
from agentrm_plugins.hosts.guards import outcome_of
from agentrm_plugins.hosts.race import Task
from agentrm_plugins.types.identity import ACTIVE, restore

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from agentrm_plugins.hosts.attempt import Attempt
    from agentrm_plugins.hosts.chunk_stream import Reading

__all__ = ["Chunks"]


class Chunks(ChunkStream):
    """A stream in sync code; its chunks come in one copy of the caller's context.

    Args:
        attempt: The attempt; its lane is held from the first chunk's request to the end.
        work: Gives the framework's own stream.
        reading: How its chunks are read.
        worker: Whether workers fetch the chunks, which are left behind when they hang.
    """

    __slots__ = ("_context", "_feeder", "_source", "_work", "_worker")

    def __init__(
        self,
        attempt: Attempt,
        work: Callable[[], Iterator[Any]],
        reading: Reading,
        *,
        worker: bool,
    ) -> None:
        super().__init__(attempt, reading)
        self._work = work
        self._worker = worker and not attempt.stays
        self._context = copy_context()
        self._source: Iterator[Any] | None = None
        self._feeder: Feeder | None = None

    def begin(self) -> Generator[Any, None, None]:
        """Open the stream in its lane.

        Raises:
            CallReaped: A limit was passed.
            Exception: What the stream raised; the lease is left to the flow.
        """
        if not self._worker:

            def again(attempt: Attempt) -> Callable[[], Chunks]:
                return Chunks(attempt, self._work, self._reading, worker=False).open

            return self._attempt.here(self.open, again).rest()
        mine: list[Chunks] = [self]

        def fork(attempt: Attempt) -> Task:
            if mine:
                return mine.pop().task()
            return Chunks(attempt, self._work, self._reading, worker=True).task()

        opened: Chunks = self._attempt.on_worker(self.open, fork)
        return opened.rest()

    def task(self) -> Task:
        """`open` for a worker."""
        return Task(self.open, None, self._late)

    def open(self) -> Chunks:
        """Fetch up to the first chunk that says something; what comes of it is this."""
        return self._context.run(self._opened)

    def _opened(self) -> Chunks:
        token = ACTIVE.set(self._attempt.active)
        try:
            self._source = iter(self._work())  # a hook may ask the provider before it gives it
            while self._keeps(next(self._source, END)):
                pass
        except BaseException:
            self._close()
            raise
        finally:
            restore(ACTIVE, token)
        return self

    def rest(self) -> Generator[Any, None, None]:
        """Yield all chunks, and settle.

        Raises:
            CallReaped: A limit was passed; at once while waiting for a chunk, or at the next one.
        """
        lease, fetch = self._attempt.lease, self._here
        if self._worker:
            self._feeder = Feeder(self._context, self._next, END, self._is_idle, self._late)
            lease.on_reap(self._feeder.abandon)
            fetch = self._wait
        try:
            for chunk in self._first:
                self._gives(chunk, fetched=False)
            lease.idle(idle=True)
            yield from self._first
            self._first.clear()
            while (chunk := fetch()) is not END:
                self._gives(chunk, fetched=True)
                yield chunk
        except BaseException as error:
            if self._feeder is None or not self._feeder.abandoned:
                self._shut()
                self._broken(error)
            elif lease.reaped:  # the worker settles when it comes back
                self._carry(error)
            else:  # interrupted: nobody counts this call as a zombie
                self._broken(error)
            raise
        self._ended()

    def _next(self) -> Any:
        token = ACTIVE.set(self._attempt.active)
        try:
            assert self._source is not None  # noqa: S101 - it was opened
            return next(self._source, END)
        finally:
            restore(ACTIVE, token)

    def _here(self) -> Any:
        """The next chunk, fetched by this thread, which cannot tell when its consumer pauses."""
        lease = self._attempt.lease
        lease.raise_if_reaped()
        lease.idle(idle=False)
        self.pulling = True
        chunk = self._context.run(self._next)
        self.pulling = False
        lease.idle(idle=True)
        return chunk

    def _wait(self) -> Any:
        """The next chunk, fetched by a worker that can be left behind."""
        feeder = self._feeder
        assert feeder is not None  # noqa: S101 - `rest` has made it
        self._attempt.lease.raise_if_reaped()
        chunk = feeder.ask()
        if feeder.abandoned:
            self._attempt.lease.raise_if_reaped()
        return chunk

    def _is_idle(self, idle: bool) -> None:
        self._attempt.lease.idle(idle=idle)

    def _late(self, chunk: Any, error: BaseException | None) -> None:
        """The worker is back after the caller went: charge what came, and stop the rest."""
        if error is None and chunk is not END and chunk is not self:
            self._tally.add(chunk)
        outcome = outcome_of(None if error is None else error.__class__)
        self._attempt.lease.settle(self._attempt.spent(), outcome=outcome)
        self._shut()

    def _shut(self) -> None:
        """End the inner stream early."""
        self._context.run(self._close)

    def _close(self) -> None:
        shut = getattr(self._source, "close", None)
        if shut is not None:
            shut()
