"""Threads that can be given up: a hung sync node keeps its thread, and nobody waits for it.

LangGraph waits for its own threads when a run ends, so a sync node that hangs would hold the run
for ever. Here the waiting thread goes on as soon as the lease is reaped; the hung one is a daemon
thread that is never used again. A thread without work ends after `_IDLE_S`.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from _thread import allocate_lock
from collections import deque
from concurrent.futures import Future
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins import CallReaped, Lease

__all__ = ["run", "submit"]

T = TypeVar("T")
_IDLE_S = 1.0  # guessed: keeps a busy graph's threads, and leaves none behind
_EXECUTORS_OWN = {"__name__", "__cancel_on_exit__", "__reraise_on_exit__"}
_NUMBERS = itertools.count(1)


class _Job:
    """One piece of work: it ends with a result, an error, or because it was reaped."""

    __slots__ = ("_bell", "_call", "_ringers", "error", "reaped", "result")

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._bell = allocate_lock()
        self._bell.acquire()
        self._ringers = [None]  # whoever takes it rings, once
        self.result: Any = None
        self.error: BaseException | None = None
        self.reaped: CallReaped | None = None

    def work(self) -> None:
        try:
            self.result = self._call()
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            self.error = error
        self._ring()

    def give_up(self, error: CallReaped) -> None:
        self.reaped = error
        self._ring()

    def wait(self) -> None:
        self._bell.acquire()

    def _ring(self) -> None:
        try:
            self._ringers.pop()
        except IndexError:  # it rang before
            return
        self._bell.release()


class _Worker:
    """A thread that does one job after the other."""

    __slots__ = ("_bell", "_job", "_thread")

    def __init__(self, job: _Job) -> None:
        self._job: _Job | None = job
        self._bell = allocate_lock()
        self._bell.acquire()
        name = f"agentrm-node-{next(_NUMBERS)}"
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)
        self._thread.start()

    def take(self, job: _Job) -> None:
        self._job = job
        self._bell.release()

    def _live(self) -> None:
        while True:
            job, self._job = self._job, None
            assert job is not None  # noqa: S101 - the bell rings for a job only
            job.work()
            del job
            _IDLE.append(self)
            if not self._bell.acquire(timeout=_IDLE_S):
                try:
                    _IDLE.remove(self)
                except ValueError:  # somebody has just taken us: the bell is about to ring
                    self._bell.acquire()
                else:
                    return


_IDLE: deque[_Worker] = deque()


def _after_fork() -> None:
    _IDLE.clear()  # the child has the objects, and none of their threads


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def run(lease: Lease, body: Callable[[Any], T], argument: Any) -> T:
    """`body(argument)` in the caller's context on a thread of ours.

    Raises:
        CallReaped: The lease was reaped first. The thread runs on, and its result is dropped.
    """
    context = copy_context()
    job = _Job(lambda: context.run(body, argument))
    lease.on_reap(job.give_up)
    _start(job)
    job.wait()
    if job.reaped is not None:
        raise job.reaped
    if job.error is not None:
        raise job.error
    return cast("T", job.result)


def submit(
    call: Callable[..., T],
    *args: Any,
    __next_tick__: bool = False,
    **options: Any,
) -> Future[T]:
    """What LangGraph's own executor does for a sync task, with as many threads as there are tasks.

    In that executor nodes that wait for a lane sit on all threads, and the one that has the lane
    would wait for ever for a task of its own.
    """
    context, future = copy_context(), Future[T]()
    kwargs = {name: value for name, value in options.items() if name not in _EXECUTORS_OWN}

    def work() -> None:
        if not future.set_running_or_notify_cancel():
            return
        if __next_tick__:
            time.sleep(0)  # what was done so far is streamed first
        try:
            result = context.run(call, *args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - the future's reader gets it
            future.set_exception(error)
        else:
            future.set_result(result)

    _start(_Job(work))
    return future


def _start(job: _Job) -> None:
    try:
        worker = _IDLE.pop()
    except IndexError:
        _Worker(job)
    else:
        worker.take(job)
