"""A worker that fetches the chunks of one stream, each when its consumer asks for it.

After a chunk it lingers: the next one is mostly asked for at once, and two bare locks are then all
that it takes. If nobody asks for 0.25 s, the core is told that the consumer pauses, and the worker
goes back to the others; the next question takes another one. So time in which nobody asks is never
taken for the provider's silence, and a stream that is put aside keeps no thread.
"""

from __future__ import annotations

from _thread import allocate_lock
from typing import TYPE_CHECKING, Any

from agentrm_plugins.hosts.workers import Job, hand_off

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

__all__ = ["Feeder"]

_PAUSE_S = 0.25
"""Guessed: far below any silence that counts, and far above the gap between two chunks."""


class Feeder:
    """Fetches chunks on a worker, one for each `ask`.

    Args:
        context: The contextvars that fetching sees.
        fetch: Gives the next chunk; `end` after the last.
        end: What tells that there are no more.
        idle: Told whether the consumer pauses.
        late: Told what a worker that was left behind brings.

    Attributes:
        abandoned: Whether it was left behind in a fetch.
    """

    __slots__ = (
        *("_context", "_demand", "_end", "_error", "_fetch", "_idle", "_late", "_lingers"),
        *("_result", "_turn", "_wake", "abandoned"),
    )

    def __init__(
        self,
        context: Context,
        fetch: Callable[[], Any],
        end: object,
        idle: Callable[[bool], None],
        late: Callable[[Any, BaseException | None], None],
    ) -> None:
        self._context = context
        self._fetch = fetch
        self._end = end
        self._idle = idle
        self._late = late
        self._demand, self._wake = allocate_lock(), allocate_lock()
        self._demand.acquire()
        self._wake.acquire()
        self._turn: list[None] = []  # whoever pops it has ended the wait
        self._lingers: list[None] = []  # whoever pops it decides whether the worker stays
        self._result: Any = None
        self._error: BaseException | None = None
        self.abandoned = False

    def ask(self) -> Any:
        """The next chunk; blocks until it is there.

        Returns:
            The chunk, or nothing of meaning if it was left behind: look at `abandoned`.

        Raises:
            Exception: What fetching raised.
        """
        self._turn.append(None)
        try:
            self._lingers.pop()
        except IndexError:
            self._idle(False)
            hand_off(Job(self._context.copy(), self._serve))
        else:
            self._demand.release()
        try:
            self._wake.acquire()
        except BaseException:
            self.abandon()
            raise
        error, self._error = self._error, None
        if error is None:
            return self._result
        try:
            raise error
        finally:
            del error

    def abandon(self, _: object = None) -> None:
        """The consumer does not wait any longer, unless the chunk is there already."""
        try:
            self._turn.pop()
        except IndexError:
            return
        self.abandoned = True
        self._wake.release()

    def _serve(self) -> None:
        """For a worker: fetch as long as somebody asks."""
        while True:
            result, error = None, None
            try:
                result = self._context.run(self._fetch)
            except BaseException as met:  # noqa: BLE001 - raised again where the consumer waits
                error = met
            try:
                self._turn.pop()
            except IndexError:
                self._late(result, error)
                return
            self._result, self._error = result, error
            over = error is not None or result is self._end
            if not over:
                self._lingers.append(None)  # before the consumer wakes: it may ask at once
            self._wake.release()
            del result, error  # a worker that lingers keeps nothing alive
            if over or not self._is_asked():
                return

    def _is_asked(self) -> bool:
        """Linger. Whether somebody asks."""
        if self._demand.acquire(timeout=_PAUSE_S):
            return True
        self._idle(True)
        try:
            self._lingers.pop()
        except IndexError:  # at this very moment
            self._demand.acquire()
            self._idle(False)
            return True
        return False
