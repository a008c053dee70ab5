"""Who reads a stream, and for whom a call is made: a task, a job of a pool, or a thread.

A stream is at rest while its reader has a chunk. If he asks for a call meanwhile, it need not wait
for his stream's lane, which it would do for ever where streams have them all. So each stream notes
its reader, and a call looks for streams of whoever asks for it: of this task and of those that
await it (over any number of hands: `gather`, `wait_for`, groups).

Identities are numbers and weak references, so nothing is kept alive. Whoever runs one job after
another (a pool's thread) is another reader in each, for others go on with what the last one read.

A pool's job may begin before its event loop awaits it, a step later: `is_begun_early` says so.

Limits: who waits in another way (an event, a queue) is not seen, and neither is a thread that waits
for another one; those are told (`standing_still`).
"""

from __future__ import annotations

import sys
from _thread import get_ident
from asyncio import Task, _get_running_loop, current_task, isfuture
from concurrent.futures import Future, thread
from contextvars import ContextVar
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Reader", "asking", "is_begun_early", "reader_here"]

_MOST = 64  # guessed: hands between a call and who awaits it
_WORK = thread._WorkItem.run.__code__  # noqa: SLF001 - which job a pool's thread does
_BOOTSTRAP = Thread._bootstrap.__code__  # type: ignore[attr-defined] # noqa: SLF001 - which thread


class _Job:
    """One job of a worker that gives each a context of its own."""

    __slots__ = ("__weakref__",)


_JOB: ContextVar[_Job | None] = ContextVar("agentrm_job", default=None)


class Reader(NamedTuple):
    """A reader: a number to find his streams by, and what he is (None: the main thread)."""

    key: int
    is_: ref[Any] | None

    def is_same(self, other: object) -> bool:
        """Whether it is this one, which runs now."""
        return other is None if self.is_ is None else self.is_() is other


def reader_here() -> Reader:
    """Whoever runs this code."""
    task = _task()
    if task is not None:
        return Reader(id(task), ref(task))
    job = _job()
    return Reader(get_ident(), None if job is None else ref(job))


def asking() -> Iterator[tuple[int, object]]:
    """By which numbers those are known for whom this code runs, and what each of them is."""
    task = _task()
    first = _job() if task is None else task
    yield get_ident() if task is None else id(task), first
    for other in _awaiting(first):
        yield id(other), other


def is_begun_early() -> bool:
    """Whether this is a pool's job which no task awaits: perhaps it only does not yet."""
    job: Any = None if _task() is not None else _job()
    return isinstance(job, Future) and next(_awaiting(job), None) is None


def _task() -> Task[Any] | None:
    return None if _get_running_loop() is None else current_task()


def _job() -> object:
    """What this thread does: a pool's job, a job of a context of its own, or itself."""
    frame: Any = sys._getframe(1)  # noqa: SLF001 - there is no other way to see that
    while frame is not None:
        code = frame.f_code
        if code is _WORK:
            return frame.f_locals["self"].future
        if code is _BOOTSTRAP:
            own = frame.f_locals["self"]
            if not type(own).__module__.startswith("anyio"):
                return own
            job = _JOB.get()
            if job is None:
                _JOB.set(job := _Job())
            return job
        frame = frame.f_back
    return None


def _awaiting(first: Any) -> Iterator[Task[Any]]:
    """The tasks that go on only when `first` is over."""
    waited_for, looked = [first], 0
    while waited_for and looked < _MOST:
        one, looked = waited_for.pop(), looked + 1
        told = getattr(one, "_callbacks", None) or getattr(one, "_done_callbacks", None) or ()
        for entry in list(told):
            for thing in _behind(entry[0] if entry.__class__ is tuple else entry):
                if isinstance(thing, Task):
                    if getattr(thing, "_fut_waiter", None) is one:
                        yield thing
                        waited_for.append(thing)
                elif isfuture(thing):
                    waited_for.append(thing)


def _behind(callback: Any) -> Iterator[Any]:
    """What a future's callback may wake: tasks, and futures that are over with it."""
    if callback.__class__ is partial:
        yield from callback.args
        callback = callback.func
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, Task):
        yield owner
    elif owner is not None:  # a group of tasks
        yield getattr(owner, "_on_completed_fut", None)
    else:
        for cell in getattr(callback, "__closure__", None) or ():
            try:
                thing = cell.cell_contents
            except ValueError:  # it is empty by now
                continue
            if not isinstance(thing, Task):
                yield thing
