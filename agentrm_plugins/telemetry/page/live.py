"""The live page's data: one timeline for all viewers, fed by a thread of its own.

Law: a viewer is sent states, never changes. Whoever is slow misses moments and never facts, the
same text is made once for all viewers, and neither the core nor this thread ever waits for one.
"""

from __future__ import annotations

import os
import threading
import time
import weakref

from agentrm_plugins.telemetry.page.document import text_json
from agentrm_plugins.telemetry.sources import Source
from agentrm_plugins.telemetry.timeline import Timeline, snapshot

__all__ = ["Live"]

_LOOK_EVERY_S = 0.25
_TEXT_EVERY_S = 0.8  # guessed: quick enough to watch, slow enough to cost nothing
WINDOW_S = 600.0
_MOST_SPANS = 1500


class Live:
    """What a source tells, kept for ten minutes back.

    Args:
        source: Where the events come from.
        window_s: Seconds of history that are shown.
    """

    def __init__(self, source: Source, *, window_s: float = WINDOW_S) -> None:
        self.source = source
        self._timeline = Timeline(window_s=window_s, most_spans=_MOST_SPANS)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._text, self._version, self._made_s = "", 0, 0.0
        self._changed, self._over = True, False
        state = source.state()
        if state is not None:
            self._timeline.adopt(state)
        self.ensure()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._over or self._stop.is_set()

    def ensure(self) -> None:
        """See that somebody reads, in this process: a fork's child has no threads."""
        with self._lock:
            alive = self._thread is not None and self._thread.is_alive()
            if self.ended or (alive and self._pid == os.getpid()):
                return
            self._pid = os.getpid()
            own = weakref.ref(self)
            self._thread = threading.Thread(
                target=_read, args=(own, self._stop), name="agentrm-live", daemon=True
            )
            self._thread.start()

    def read(self) -> None:
        """Fold what has come."""
        over = self.source.ended  # asked first: what came before the end is still read
        events = self.source.poll()
        now_s, fleet = self.source.now_s(), self.source.fleet()
        with self._lock:
            timeline = self._timeline
            timeline.fold(*events)
            timeline.dropped = self.source.dropped
            self._changed = self._changed or fleet != timeline.fleet
            timeline.fleet = fleet
            if now_s is not None and (timeline.open or timeline.pressure["lanes"].shares[-1] > 0):
                timeline.look(now_s)  # what runs goes on, though nothing happens
                self._changed = True
            self._changed = self._changed or bool(events)
            self._over = over and not events

    def text(self) -> tuple[int, str]:
        """The newest state as JSON text, and its number; the same for all who ask at a time."""
        with self._lock:
            now_s = time.monotonic()
            due = self._over or not self._text or now_s - self._made_s >= _TEXT_EVERY_S
            if self._changed and due:
                self._text = text_json(snapshot(self._timeline))
                self._version, self._made_s, self._changed = self._version + 1, now_s, False
            return self._version, self._text

    def close(self) -> None:
        """Nobody looks any more."""
        self._stop.set()
        self.source.close()


def _read(own: weakref.ref[Live], stop: threading.Event) -> None:
    """Read for as long as somebody holds it."""
    while not stop.wait(_LOOK_EVERY_S):
        live = own()
        if live is None:
            return
        live.read()
        if live.ended:
            return
        del live
