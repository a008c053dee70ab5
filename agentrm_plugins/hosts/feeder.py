"""A worker that fetches the chunks of one stream for its consumer.

What is there is handed over in one go: as long as the next chunk is there at once, the worker
fetches on, up to 32 ahead, while the consumer takes what it has without any lock. Where a chunk has
to be waited for, it is fetched when it is asked for. After that the worker lingers: the next one is
mostly asked for soon, and two bare locks are all that it takes. If nobody asks for 0.25 s, it goes
back to the others, and the next question takes another one; so a stream that is put aside keeps no
thread.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any

from agentrm_plugins.hosts.workers import Job, hand_off, taken

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

__all__ = ["Feeder"]

_LINGER_S = 0.25
"""Guessed: far above the gap between two chunks."""
_AT_ONCE_S = 0.001
"""What comes within that was there. Guessed: below the gap between two chunks of any network."""
_AHEAD = 32


class _Failed:
    """What fetching raised, in its place behind the chunks."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Feeder:
    """Fetches chunks on a worker.

    Args:
        context: The contextvars that fetching sees.
        fetch: Gives the next chunk; `end` after the last.
        end: What tells that there are no more.
        late: Told what a worker that was left behind brings, `end` for nothing; it ends the source.

    Attributes:
        abandoned: Whether the consumer was sent away from a wait.
    """

    __slots__ = (
        *("_context", "_demand", "_dismissed", "_end", "_fetch", "_gone", "_late", "_left"),
        *("_lingers", "_ready", "_told", "_turn", "_wake", "abandoned"),
    )

    def __init__(
        self,
        context: Context,
        fetch: Callable[[], Any],
        end: object,
        late: Callable[[Any, BaseException | None], None],
    ) -> None:
        self._context = context
        self._fetch = fetch
        self._end = end
        self._late = late
        self._demand, self._wake = allocate_lock(), allocate_lock()
        self._demand.acquire()
        self._wake.acquire()
        self._ready: deque[Any] = deque()
        # Of each of these lists whoever takes the entry decides.
        self._turn: list[None] = []  # the consumer waits: he is to be woken once
        self._lingers: list[None] = []  # the worker waits for a question
        self._gone: list[None] = [None]  # there is no worker
        self._left = self._dismissed = self._told = self.abandoned = False

    # -- for the consumer -------------------------------------------------------------------

    def ask(self) -> Any:
        """The next chunk; blocks until it is there.

        Returns:
            The chunk, or nothing of meaning if the consumer was sent away: look at `abandoned`.

        Raises:
            Exception: What fetching raised.
        """
        while not self._ready:  # woken for a chunk that was taken already, he waits again
            self._await()
            if self.abandoned:
                return None
        chunk = self._ready.popleft()
        if chunk.__class__ is not _Failed:
            return chunk
        try:
            raise chunk.error
        finally:
            del chunk  # no frame keeps its own error alive

    def _await(self) -> None:
        self._turn.append(None)
        if self._told and not self._ready:  # he came to wait a moment after he was sent away
            self.abandon()
        elif not self._ready:
            if taken(self._lingers):
                self._demand.release()
            elif taken(self._gone):
                hand_off(Job(self._context.copy(), self._serve))
            # else the worker is at it, and sees that somebody waits
        elif taken(self._turn):  # it came at this very moment
            return
        try:
            self._wake.acquire()
        except BaseException:
            self.abandon()
            raise

    def abandon(self, _: object = None) -> None:
        """The consumer does not wait any longer, nor again, unless the chunk is there already."""
        self._told = True  # before the look: who comes to wait looks at it after
        if taken(self._turn):
            self.abandoned = self._left = True
            self._wake.release()

    def leave(self) -> bool:
        """The consumer wants no more. Whether nobody is at the source: he may end it.

        Else the worker ends it, as soon as it is back.
        """
        self._left = True
        if taken(self._lingers):
            self._dismissed = True
            self._demand.release()
            return True
        return taken(self._gone)

    def unseen(self) -> list[Any]:
        """The chunks that came and were not asked for."""
        return [
            chunk
            for chunk in list(self._ready)
            if chunk is not self._end and chunk.__class__ is not _Failed
        ]

    # -- for the worker ---------------------------------------------------------------------

    def _serve(self) -> None:  # noqa: C901 - one piece
        """Fetch as long as somebody asks, or the next chunk is there at once."""
        chunk = end = self._end
        ready, turn, run, fetch = self._ready, self._turn, self._context.run, self._fetch
        begun_s = perf_counter()
        while not self._left:
            try:
                chunk = run(fetch)
            except BaseException as error:  # noqa: BLE001 - raised again where the consumer asks
                chunk = _Failed(error)
            now_s = perf_counter()
            if self._left:
                break
            over = chunk is end or chunk.__class__ is _Failed
            ready.append(chunk)
            if over:
                self._gone.append(None)  # before the consumer wakes: he may leave
            if turn and taken(turn):  # who comes to wait from here on sees the chunk
                self._wake.release()
            if over:
                if self._left and taken(self._gone):
                    break
                return
            chunk = end  # a worker that lingers keeps nothing alive
            if now_s - begun_s < _AT_ONCE_S and len(ready) < _AHEAD:
                begun_s = now_s
            elif self._is_asked():
                begun_s = perf_counter()
            else:
                return
        if chunk.__class__ is _Failed:
            self._late(self._end, chunk.error)
        else:
            self._late(chunk, None)

    def _is_asked(self) -> bool:
        """Linger. Whether to go on: somebody asks, or has left while the worker was at it."""
        self._lingers.append(None)
        if self._is_wanted() and taken(self._lingers):
            return True
        if self._demand.acquire(timeout=_LINGER_S):
            return not self._dismissed
        if not taken(self._lingers):  # somebody came at this very moment
            self._demand.acquire()
            return not self._dismissed
        self._gone.append(None)
        return self._is_wanted() and taken(self._gone)

    def _is_wanted(self) -> bool:
        """Who asks or leaves says so and then looks for an entry; so it is looked after that."""
        return self._left or (bool(self._turn) and not self._ready)
