"""Threads that wait in a provider's socket or in a user's node, so that a caller need not.

Sync code that hangs cannot be interrupted: its thread sits in a read. So it is run by a worker, and
the caller waits for whatever comes first, the worker's result or the reaper. An abandoned worker
goes on until its work ends; what it brings then is told to `late`.

Workers are daemon threads, made when none is idle and ended after two idle seconds. The hand-off is
two plain locks: half the cost of a future of a thread pool.
"""

from __future__ import annotations

import itertools
import os
import threading
from _thread import allocate_lock
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

__all__ = ["Job", "NoThread", "hand_off", "taken"]

_IDLE_S = 2.0  # guessed: longer than the pause between two chunks, shorter than anybody minds
_NAMES = itertools.count(1)
_idle: deque[_Worker] = deque()


class NoThread(RuntimeError):
    """The system gives no further thread: who can do without goes on without."""


def taken(entries: list[None]) -> bool:
    """Take an entry, if there is one: of those who try at once one gets it, for a pop is atomic."""
    try:
        entries.pop()
    except IndexError:
        return False
    return True


class Job:
    """One piece of work for a worker.

    Args:
        context: The caller's contextvars, which the work sees.
        work: What to do.
        late: Called by the worker with the result or the error if the caller had gone; None: what
            comes late is dropped.
        done: Called once, by whoever ends the wait; by default the caller is woken.
        inside: Runs the work, where that needs something around it.
    """

    __slots__ = (
        "_turn",
        "_wake",
        "abandoned",
        "context",
        "done",
        "error",
        "inside",
        "late",
        "result",
        "work",
    )

    def __init__(
        self,
        context: Context,
        work: Callable[[], Any],
        late: Callable[[Any, BaseException | None], None] | None = None,
        done: Callable[[], None] | None = None,
        inside: Callable[[Callable[[], Any]], Any] | None = None,
    ) -> None:
        self.inside = inside
        self.context = context
        self.work = work
        self.late = late
        self.result: Any = None
        self.error: BaseException | None = None
        self.abandoned = False
        self._turn = [None]  # whoever takes it has ended the wait
        if done is None:
            self._wake = allocate_lock()
            self._wake.acquire()
            done = self._wake.release
        self.done = done

    @property
    def over(self) -> bool:
        """Whether the work is done or given up."""
        return not self._turn

    def wait(self, timeout_s: float = -1.0) -> bool:
        """Block until the work is done or given up, at most `timeout_s` seconds (-1: for ever).

        An interrupt gives it up.

        Returns:
            Whether it is.
        """
        try:
            return self._wake.acquire(timeout=timeout_s)
        except BaseException:
            self.abandon()
            raise

    def abandon(self, _: object = None) -> None:
        """The caller does not wait any longer, unless the work is done already."""
        if taken(self._turn):
            self.abandoned = True
            self.done()

    def take(self) -> Any:
        """The result, or the error raised; once, so that no frame keeps its own error alive."""
        error, self.error = self.error, None
        if error is None:
            return self.result
        try:
            raise error
        finally:
            del error

    def run(self) -> bool:
        """Do the work; called by a worker. True if the caller waits: then call `done`."""
        try:
            if self.inside is None:
                self.result = self.context.run(self.work)
            else:
                self.result = self.context.run(self.inside, self.work)
        except BaseException as error:  # noqa: BLE001 - raised again where the caller waits
            self.error = error
        if taken(self._turn):
            return True
        if self.late is not None:
            self.late(self.result, self.error)
        return False


class _Worker:
    """A thread that does one job after the other."""

    __slots__ = ("_go", "_job")

    def __init__(self, job: Job) -> None:
        self._go = allocate_lock()
        self._go.acquire()
        self._job: Job | None = job
        name = f"agentrm-worker-{next(_NAMES)}"
        thread = threading.Thread(target=self._serve, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the limit of the system, or the interpreter ends
            raise NoThread(*error.args) from error

    def give(self, job: Job) -> None:
        """Do this next; only for whoever took the worker out of `_idle`."""
        self._job = job
        self._go.release()

    def _serve(self) -> None:
        while True:
            job, self._job = self._job, None
            assert job is not None  # noqa: S101 - it was woken for one
            waited_for = job.run()
            _idle.append(self)  # before the caller wakes: it may come with the next job at once
            if waited_for:
                job.done()
            del job  # an idle worker keeps nothing alive
            if not self._go.acquire(timeout=_IDLE_S):
                try:
                    _idle.remove(self)
                except ValueError:  # somebody took it at this very moment: a job is coming
                    self._go.acquire()
                else:
                    return


def hand_off(job: Job) -> None:
    """Give the job to an idle worker, the most recently used one, or to a new one.

    Raises:
        NoThread: There is none, and none can be made.
    """
    try:
        worker = _idle.pop()
    except IndexError:
        _Worker(job)
    else:
        worker.give(job)


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_idle.clear)
