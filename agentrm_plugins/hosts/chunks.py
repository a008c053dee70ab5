"""A stream in a lane, in sync code (`chunk_stream` has what both kinds share).

Before the first word a worker fetches, so that a hang is left behind and a second attempt can be
sent. After it the consumer's own thread reads wherever it can be woken from that: what a worker
would do costs two switches of threads for each chunk. Else a worker feeds it (`feeder`).
"""

from __future__ import annotations

from _thread import get_ident
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from agentrm_plugins.hosts.chunk_stream import END, ChunkStream
from agentrm_plugins.hosts.feeder import Feeder
from agentrm_plugins.hosts.outcomes import outcome_of
from agentrm_plugins.hosts.race import Task
from agentrm_plugins.hosts.shutting import Shutting, first_told
from agentrm_plugins.types.identity import ACTIVE

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
        wakeable: Whether the stream waits for its own request and for nothing else: then a worker
            is needed only until that is known to be one from which a reader can be woken.
    """

    __slots__ = ("_context", "_feeder", "_source", "_wakeable", "_work", "_worker")

    def __init__(
        self,
        attempt: Attempt,
        work: Callable[[], Iterator[Any]],
        reading: Reading,
        *,
        worker: bool,
        wakeable: bool = False,
    ) -> None:
        super().__init__(attempt, reading)
        self._work = work
        self._worker = worker and not attempt.stays
        self._wakeable = wakeable
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
                return self._again(attempt, worker=False).open

            return self._attempt.here(self.open, again).rest()
        mine: list[Chunks] = [self]

        def fork(attempt: Attempt) -> Task:
            return (mine.pop() if mine else self._again(attempt, worker=True)).task()

        opened: Chunks = self._attempt.on_worker(self.open, fork)
        return opened.rest()

    def _again(self, attempt: Attempt, *, worker: bool) -> Chunks:
        return Chunks(attempt, self._work, self._reading, worker=worker, wakeable=self._wakeable)

    def task(self) -> Task:
        """`open` for a worker."""
        return Task(self.open, None, self._late)

    def open(self) -> Chunks:
        """Fetch up to the first chunk that says something; what comes of it is this."""
        return self._context.run(self._opened)

    def _opened(self) -> Chunks:
        ACTIVE.set(self._attempt.active)  # for good: nobody else sees this context
        try:
            self._source = iter(self._work())  # a hook may ask the provider before it gives it
            while self._keeps(next(self._source, END)):
                pass
        except BaseException:
            with Shutting(self._source):
                raise
        return self

    def rest(self) -> Generator[Any, None, None]:
        """Yield all chunks, and settle.

        Raises:
            CallReaped: A limit was passed; at once while waiting for a chunk, or at the next one.
        """
        lease, fetch, reader = self._attempt.lease, self._here, get_ident()
        if self._worker and not (self._wakeable and lease.can_wake_reader):
            self._feeder = Feeder(self._context, partial(next, self._source, END), END, self._late)
            lease.on_reap(self._feeder.abandon)
            fetch = self._fed
        lease.is_read(read=True)
        try:
            for chunk in self._first:
                self._gives_first(chunk)
            yield from self._first
            self._first.clear()
            while True:
                self._asks()
                if reader != get_ident():
                    reader = get_ident()
                    lease.is_read(read=True)
                if lease.reaped:
                    lease.raise_if_reaped()
                chunk = fetch()
                if chunk is END:
                    break
                self._gives(chunk)
                yield chunk
        except BaseException as error:
            self._cut(error)
            raise
        finally:
            lease.is_read(read=False)
        self._ended()

    def _cut(self, error: BaseException) -> None:
        """The stream is over before its end: by its own error, for its lane was lost, or unread."""
        feeder = self._feeder
        if feeder is not None:
            for chunk in feeder.unseen():
                self._tally.add(chunk)
        if feeder is None or feeder.leave():
            try:
                with first_told(error):
                    self.shut()
            finally:  # the lane is given back, though the source will not be closed
                self._broken(error)
        elif self._attempt.lease.reaped:  # the worker settles when it comes back
            self._carry(error)
        else:  # left or interrupted: nobody counts this call as a zombie
            self._broken(error)

    def _here(self) -> Any:
        """The next chunk, fetched by this thread."""
        assert self._source is not None  # noqa: S101 - it was opened
        self.pulling = True
        chunk = self._context.run(next, self._source, END)
        self.pulling = False
        return chunk

    def _fed(self) -> Any:
        """The next chunk, fetched by a worker that can be left behind."""
        feeder = self._feeder
        assert feeder is not None  # noqa: S101 - `rest` has made it
        chunk = feeder.ask()
        if feeder.abandoned:
            self._attempt.lease.raise_if_reaped()
        return chunk

    def _late(self, chunk: Any, error: BaseException | None) -> None:
        """The worker is back after the caller went: charge what came, and stop the rest."""
        if error is None and chunk is not END and chunk is not self:
            self._tally.add(chunk)
        outcome = outcome_of(None if error is None else error.__class__)
        self._attempt.lease.settle(self._attempt.spent(), outcome=outcome)
        self.shut()

    def shut(self) -> None:
        """End the inner stream early."""
        self._context.run(self._close)

    def _close(self) -> None:
        shut = getattr(self._source, "close", None)
        if shut is not None:
            shut()
