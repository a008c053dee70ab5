"""The log, kept off the way of calls: one thread of the process hands records to their handlers.

Law: who has something to say appends to a bounded queue and goes on; a handler that blocks (a full
disk, a dead collector) holds up this thread alone. What it is too slow for is lost, and counted in
the next record. Records keep the moment and the thread in which they were told; what they show is
looked through for secrets, and cut, on the log's own thread, before a program's record factory,
filters and handlers see it.

They see no contextvar of a caller's (the id of a request, a span). Whoever is inside the core tells
of what happens to everybody, so those that are set there may be a stranger's, and a wrong id in a
record is worse than none. The record's own fields say whose call it was.

Regimes: the thread begins with the first record and ends after a second without one.
`AgentRM.close` and the end of the process wait for it, a second at most.

The library's loggers are ``agentrm`` and those below it. They have no handler of their own but one
that does nothing, so nothing is printed unless the program configures logging.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from agentrm_plugins.hosts.bell import Bell
from agentrm_plugins.redaction import masked

__all__ = ["JOURNAL", "Journal", "plain"]

logging.getLogger("agentrm").addHandler(logging.NullHandler())
_CAPACITY = 1_000
"""Records that may wait for a slow handler. Guessed."""
_IDLE_S = 1.0
_FLUSH_S = 1.0
_LONGEST = 200
_WHEN = ("created", "msecs", "relativeCreated", "thread", "threadName", "taskName")


def plain(text: object) -> str:
    """A name or an error's text as a log may show it: short, one line, no secret."""
    shown = masked(str(text)[: 4 * _LONGEST])
    if not shown.isprintable():
        shown = "".join([sign if sign.isprintable() else " " for sign in shown])
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 3] + "..."


def _shown(value: Any) -> Any:
    return plain(value) if isinstance(value, str) else value


class _Told(NamedTuple):
    """What is to be logged; `stamp` has the moment and the thread, and nobody sees it."""

    stamp: logging.LogRecord
    values: tuple[object, ...]
    extra: Mapping[str, Any]

    def record(self, more: str) -> logging.LogRecord:
        """The record as the program's factory makes it, of what may be shown."""
        stamp = self.stamp
        shown = tuple(map(_shown, self.values))
        fields = {name: _shown(value) for name, value in self.extra.items()}
        record = logging.getLogger(stamp.name).makeRecord(
            *(stamp.name, stamp.levelno, stamp.pathname, stamp.lineno),
            *(f"{stamp.msg}{more}", shown, None),
            extra=fields,
        )
        record.__dict__.update(
            {name: stamp.__dict__[name] for name in _WHEN if name in vars(stamp)}
        )
        return record


class Journal:
    """Hands records over. Thread-safe; `tell` never blocks.

    Attributes:
        lost: Records that handlers were too slow for.
    """

    def __init__(self) -> None:
        self._begin()
        self.lost = 0

    def _begin(self) -> None:
        self._waiting: deque[_Told] = deque()
        self._bell, self._lock = Bell(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._busy = False

    def tell(
        self, name: str, level: int, message: str, *values: object, extra: Mapping[str, Any]
    ) -> None:
        """Have something logged soon.

        Args:
            name: The logger's, below "agentrm".
            level: Of `logging`.
            message: With a %s for each value.
            values: Texts are shown by `plain`.
            extra: The record's further attributes; they begin with "agentrm_".
        """
        logger = logging.getLogger(name)
        if not logger.isEnabledFor(level):
            return
        if len(self._waiting) >= _CAPACITY:
            self.lost += 1
            return
        stamp = logging.LogRecord(name, level, "(agentrm)", 0, message, None, None)
        self._waiting.append(_Told(stamp, values, extra))
        self._bell.ring()
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        if not self._lock.acquire(blocking=False):
            return  # another thread does
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="agentrm-journal", daemon=True)
                self._thread = thread
                thread.start()
        except RuntimeError:  # the interpreter ends: no thread can be started any more
            self._thread = None
        finally:
            self._lock.release()

    def _work(self) -> None:
        while True:
            self._bell.wait(_IDLE_S)
            if not self._waiting:
                with self._lock:
                    self._thread = None
                if self._waiting:  # told of in between, by somebody who saw this thread
                    self._start()
                return
            self._hand_over()

    def _hand_over(self) -> None:
        while self._waiting:
            self._busy = True
            try:
                told, more = self._waiting.popleft(), ""
                if self.lost:
                    more, self.lost = f" ({self.lost} records were lost)", 0
                record = told.record(more)
                logging.getLogger(record.name).handle(record)
            except Exception:  # noqa: BLE001 - a handler's fault; `logging` tells of most itself
                self.lost += 1
            finally:
                self._busy = False

    @property
    def waits(self) -> bool:
        """Whether a handler has not had all yet."""
        return bool(self._waiting) or self._busy

    def flush(self, wait_s: float = _FLUSH_S) -> bool:
        """Wait until handlers have all that was told, a while at most. Whether they do."""
        end_s = time.monotonic() + wait_s
        while self.waits:
            if time.monotonic() >= end_s or threading.current_thread() is self._thread:
                return False
            if self._thread is None:
                self._start()
            time.sleep(0.001)
        return True

    def after_fork(self) -> None:
        """In the child: what waited is the parent's to tell."""
        self._begin()


JOURNAL = Journal()
"""The process's own."""


def _at_exit() -> None:
    with suppress(Exception):
        JOURNAL.flush()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=JOURNAL.after_fork)
