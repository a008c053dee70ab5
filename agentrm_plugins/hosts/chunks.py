"""An attempt that gives its answer piece by piece: a stream in a lane, in sync and async code.

The boundary is the first chunk that *says* something to the consumer. `open` fetches up to that one
and keeps back what comes before (empty chunks, a role, a ping, a count): until then the call may go
again, and a further attempt may be sent beside it. `rest` yields them all. With `says=None` nobody
sees a chunk before all have come: the caller only wants the whole.

Each chunk is a beat. Time in which the consumer does not ask for the next one is idle: it is no
silence. At the end what the provider counted is charged; of a stream that was cut, what had come.
An error in mid-stream carries the text so far as `text_so_far`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import copy_context
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from agentrm_plugins.errors import CallReaped
from agentrm_plugins.hosts.feeder import Feeder
from agentrm_plugins.hosts.guards import PullGuard, outcome_of
from agentrm_plugins.hosts.race import Task
from agentrm_plugins.types.calls import Outcome
from agentrm_plugins.types.identity import ACTIVE, restore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator

    from agentrm_plugins.hosts.attempt import Attempt
    from agentrm_plugins.types.calls import Usage

__all__ = ["AsyncChunks", "Chunks", "Reading", "Tally"]

_END: Any = object()
_BEAT_S = 0.05
"""How often the core is told of chunks, at most. Guessed: far below any silence that counts."""
_PAUSE_S = 0.25
"""After so long the core is told that the consumer does not ask. Guessed: far below any silence
that counts, and far above the gap between two chunks, so that few are told."""


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


class Reading(NamedTuple):
    """How an adapter's chunks are read.

    Args:
        tally: Makes what adds up the cost of one attempt.
        text: The text that a chunk says to the consumer; None if it says nothing at all, "" if
            what it says is no text (a call of a tool).
        whole: Whether the consumer sees nothing before all has come.
        empty: Makes the error that a stream without a single chunk is; None: it is an answer.
    """

    tally: Callable[[Any], Tally]
    text: Callable[[Any], str | None]
    whole: bool = False
    empty: Callable[[], Exception] | None = None


class _Stream:
    """What both kinds share."""

    __slots__ = (
        *("_attempt", "_beaten_s", "_first", "_reading", "_said", "_shown", "_tally", "_untold"),
        "pulling",
    )

    def __init__(self, attempt: Attempt, reading: Reading) -> None:
        self._attempt = attempt
        self._reading = reading
        self._tally = reading.tally(attempt.lease)
        self._first: list[Any] = []
        self._said: list[str] = []
        self._shown = False  # something that the consumer sees
        self._beaten_s = -inf
        self._untold = 0
        self.pulling = False
        attempt.tally = self._tally.cut

    def closed(self) -> None:
        """The source was closed from outside, by a caller who wants no more."""
        if not self.pulling:  # else it was closed on the way out of a fetch
            self._left()

    def _keeps(self, chunk: Any) -> bool:
        """Keep a chunk of the opening. Whether that is to go on."""
        if chunk is _END:
            if not self._first and self._reading.empty is not None:
                raise self._reading.empty()
            return False
        self._first.append(chunk)
        self._tally.add(chunk)
        text = self._reading.text(chunk)
        if text is None or self._reading.whole:
            self._beat(0 if text is None else 1, visible=False)
            return True
        return False

    def _gives(self, chunk: Any, *, fetched: bool) -> None:
        """A chunk goes to the consumer."""
        text = self._reading.text(chunk)
        if text:
            self._said.append(text)
        if fetched:
            self._tally.add(chunk)
        if fetched or (text is not None and not self._reading.whole):
            self._beat(1, visible=text is not None)

    def _beat(self, tokens: int, *, visible: bool) -> None:
        """A chunk came: the core is told at once of the first that is seen, else now and then."""
        lease, news = self._attempt.lease, visible and not self._shown
        now_s = lease.now_s
        if news or now_s - self._beaten_s >= _BEAT_S:
            self._shown = self._shown or visible
            tokens, self._untold, self._beaten_s = tokens + self._untold, 0, now_s
            lease.beat(tokens, visible=visible)
        else:
            self._untold += tokens

    def _tell(self) -> None:
        """It is over: what is untold is told."""
        if self._untold:
            tokens, self._untold = self._untold, 0
            self._attempt.lease.beat(tokens, visible=self._shown)

    def _ended(self) -> None:
        self._tell()
        self._attempt.lease.settle(self._tally.usage() or self._tally.cut())

    def _left(self) -> None:
        """The caller wants no more; of an answer that was whole he has missed nothing."""
        self._tell()
        outcome = Outcome.OK if self._tally.whole else Outcome.CANCELLED
        self._attempt.lease.settle(self._tally.usage() or self._tally.cut(), outcome=outcome)

    def _broken(self, error: BaseException) -> None:
        """It ended in mid-stream.

        Raises:
            CallReaped: A limit was passed, and the error was an ordinary one.
        """
        if isinstance(error, GeneratorExit):
            self._left()
            return
        self._carry(error)
        self._tell()
        self._attempt.lease.fail(error, self._tally.cut())
        try:
            self._attempt.failed(error)
        except CallReaped as reaped:
            self._carry(reaped)
            raise

    def _carry(self, error: BaseException) -> None:
        with suppress(AttributeError, TypeError):  # an exception with slots cannot carry it
            error.text_so_far = "".join(self._said)  # type: ignore[attr-defined]


class Chunks(_Stream):
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
        self._worker = worker
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
            while self._keeps(next(self._source, _END)):
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
            self._feeder = Feeder(self._context, self._next, _END, self._is_idle, self._late)
            lease.on_reap(self._feeder.abandon)
            fetch = self._wait
        try:
            for chunk in self._first:
                self._gives(chunk, fetched=False)
            lease.idle(idle=True)
            yield from self._first
            self._first.clear()
            while (chunk := fetch()) is not _END:
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
            return next(self._source, _END)
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
        if error is None and chunk is not _END and chunk is not self:
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


class AsyncChunks(_Stream):
    """The same in async code. An abandoned stream is closed by its loop, or by its lease.

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
            while self._keeps(await anext(self._source, _END)):
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
            while (chunk := await self._fetch()) is not _END:
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
                chunk = await anext(self._source, _END)
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
