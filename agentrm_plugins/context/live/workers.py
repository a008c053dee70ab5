"""Threads for background jobs: a job waits for no other one, as long as there are threads left.

A hook of the user's (a summariser, an embedding) may hang; it holds one thread, and the jobs of
other sessions get others. The threads are daemons: a hook that never returns keeps no process
alive.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

__all__ = ["Workers"]

MOST = 8
"""Threads. Guessed: each mostly waits for a model or a disk."""
_IDLE_S = 5.0
"""Seconds after which a thread without work ends. Guessed."""


class Workers:
    """Runs jobs, in the order in which they came where all threads are busy.

    Args:
        most: Threads at once.
        name: Of each thread.
    """

    def __init__(self, most: int = MOST, name: str = "agentrm-context") -> None:
        self._most = most
        self._name = name
        self._jobs: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._threads = self._idle = 0
        self._closed = False

    def submit(self, job: Callable[[], None]) -> None:
        """Queue a job, which raises nothing.

        Raises:
            RuntimeError: They were closed.
        """
        with self._changed:
            if self._closed:
                raise RuntimeError("the workers were closed")
            self._jobs.append(job)
            if len(self._jobs) > self._idle and self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
            else:
                self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                self._changed.wait_for(lambda: self._jobs or self._closed, _IDLE_S)
                self._idle -= 1
                if not self._jobs:
                    self._threads -= 1
                    self._changed.notify_all()
                    return
                job = self._jobs.popleft()
            job()

    def close(self, wait_s: float) -> bool:
        """Take no more jobs, and wait for those that there are; False where some still run."""
        end = time.monotonic() + wait_s
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            return self._changed.wait_for(
                lambda: not self._threads, max(0.0, end - time.monotonic())
            )
