"""``AgentRM(record="events.jsonl")``: what happens, written to a file by a thread of its own.

The core appends to a bounded stream and goes on; the thread takes the events from there some tenths
of a second later. If it cannot keep up, or the disk refuses, events are lost and counted, and no
call is slower for it. The file stays readable up to its last whole line, whatever becomes of the
process.

Once a second the state of the core is written as well (``"kind": "sample"``): queue depths, lanes,
rates and pressure, which events alone would not give.
"""

from __future__ import annotations

import atexit
import errno
import json
import logging
import os
import platform
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.hosts.bell import Bell
from agentrm_plugins.telemetry.lines import SCHEMA, VERSION, Encoder, nanos_of, shown_data
from agentrm_plugins.telemetry.parts import Parts, own_path
from agentrm_plugins.types.checks import check_number, keep, keep_whole
from agentrm_plugins.types.kinds import KINDS

if TYPE_CHECKING:
    from agentrm_plugins.hosts.host import Host
    from agentrm_plugins.hosts.stream import EventStream

__all__ = ["Recorder", "Recording", "recording_of"]

_LOG = logging.getLogger("agentrm.telemetry")
_BATCH = 400  # lines between two breaths: about a millisecond of the interpreter's time
_RETRY_S = 5.0  # after a disk refused; guessed
_CLOSE_S = 5.0  # for which `close` waits for the disk; guessed
_IDLE_S = 1.0
_SET_S = 0.001  # the time of day was set; two clocks read one after the other differ by less
_NEVER = {  # what no waiting cures
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG),
    *(errno.EINVAL, errno.ENOENT),
}


@dataclass(frozen=True, slots=True)
class Recording:
    """Where and how to record.

    Args:
        path: The file; its folder is made if it is not there.
        max_bytes: Of all parts together, roughly; beyond it the oldest part is deleted.
        parts: Into so many parts they are divided; 2 or more.
        flush_s: Seconds for which an event may wait to be written.
        capacity: Events that may wait; beyond it the oldest are lost and counted.
        sample_s: Seconds between two samples of the core's state; None for none.
        kinds: Which kinds of events are written, such as ``{"granted", "settled"}``; None: all.
        fsync: Whether each flush waits until the disk has it, so that it outlives the machine too.

    Raises:
        ConfigError: A value that cannot be.
    """

    path: str | os.PathLike[str]
    max_bytes: int = 64 * 1024 * 1024
    parts: int = 8
    flush_s: float = 0.1
    capacity: int = 100_000
    sample_s: float | None = 1.0
    kinds: Collection[str] | None = None
    fsync: bool = False

    def __post_init__(self) -> None:
        """Refuse what could record nothing."""
        if not isinstance(self.path, str | os.PathLike) or not str(self.path):
            raise ConfigError("path", self.path, "give the path of a file, such as 'events.jsonl'")
        if Path(self.path).is_dir():
            raise ConfigError("path", str(self.path), "this is a folder; give the path of a file")
        keep_whole(self, "max_bytes", 4096)
        keep_whole(self, "parts", 2)
        keep(self, check_number, "flush_s")
        keep_whole(self, "capacity", 1, of="events")
        if self.sample_s is not None:
            keep(self, check_number, "sample_s", above=True)
        if self.kinds is not None:
            for kind in self.kinds:
                if kind not in KINDS:
                    raise ConfigError("kinds", kind, f"use some of {', '.join(KINDS)}")


def recording_of(given: object) -> Recording:
    """What was given as `record`: a path, or a `Recording`.

    Raises:
        ConfigError: It is neither.
    """
    if isinstance(given, Recording):
        return given
    if isinstance(given, str | os.PathLike):
        return Recording(given)
    raise ConfigError("record", given, "give a path, or Recording(path, ...)")


class Recorder:
    """Writes a host's events. It begins at once, and ends with `finish`.

    Args:
        host: Whose events.
        recording: Where and how.
        sample: Gives the core's state as plain data.

    Attributes:
        written: Events in the file so far.
        lost: Events that a refusing disk cost; the stream counts those that came too fast.
        over: Rings when no more events will come.
    """

    def __init__(
        self, host: Host, recording: Recording, sample: Callable[[], dict[str, Any]]
    ) -> None:
        self._host = host
        self._recording = recording
        self._sample = sample
        self._pid = os.getpid()
        self._begin(Path(recording.path))
        self._open()
        self._start()
        host.on_fork(self._forked)
        _RECORDERS.add(self)

    def _begin(self, path: Path) -> None:
        recording = self._recording
        kinds = recording.kinds
        self._kinds = None if kinds is None else tuple(KINDS[kind] for kind in kinds)
        self._parts = Parts(path, recording.max_bytes, recording.parts)
        self._encoder = Encoder(recorded=True)
        self._run = uuid.uuid4().hex
        self.written = self.lost = 0
        self._told_lost = 0
        self._failing = self._over = self._is_set = False
        self._offset_s = self._host.streams.wall_offset_s()
        self._retry_s = self._sampled_s = float("-inf")
        self._bell, self._done, self.over = Bell(), Bell(), Bell()
        self._flushing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stream: EventStream = self._host.streams.subscribe(recording.capacity, self._rung)

    def _open(self) -> None:
        """See at once whether there can be such a file; a full disk may be less full later."""
        try:
            self._parts.open()
        except OSError as error:
            if error.errno in _NEVER:
                way = f"{error.strerror}; give a path that this process may write"
                raise ConfigError("record", str(self.path), way) from None
        else:
            self._write([])

    @property
    def path(self) -> Path:
        """The file that is written."""
        return self._parts.path

    @property
    def dropped(self) -> int:
        """Events that are not in the file: they came too fast, or the disk refused."""
        return self.lost + self._stream.dropped

    # -- the thread ---------------------------------------------------------------------------

    def _rung(self) -> None:
        if self._thread is None:  # in the child of a fork: nobody writes yet
            with suppress(RuntimeError):  # no thread can be started any more
                self._start()
        self._bell.ring()

    def _start(self) -> None:
        self._thread = threading.Thread(
            target=_work, args=(weakref.ref(self), self._bell), name="agentrm-recorder", daemon=True
        )
        self._thread.start()

    def step(self) -> bool:
        """For the thread: write what there is. Whether it goes on."""
        self.flush()
        if self._over:
            self._parts.close()
            self._done.ring()
        return not self._over

    @property
    def pause_s(self) -> float:
        """For the thread: seconds to wait for more events to come together."""
        return 0.0 if self._over else self._recording.flush_s

    # -- writing ------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what has come so far."""
        with self._flushing:
            offset_s = self._clock()
            while events := self._stream.take(_BATCH):
                chosen = self._kinds
                kept = events
                if chosen is not None:
                    kept = [event for event in events if event.__class__ in chosen]
                self._write(self._encoder.lines(kept, offset_s), len(kept))
                time.sleep(0)  # let the callers go on
            self._sample_if_due(offset_s)
            if self._recording.fsync and self._parts.is_open:
                self._parts.sync()

    def _clock(self) -> float:
        """Seconds to Unix time; the file is told where somebody has set the time of day."""
        offset_s = self._host.streams.wall_offset_s()
        if abs(offset_s - self._offset_s) > _SET_S:
            self._offset_s, self._is_set = offset_s, True
        return self._offset_s

    def _sample_if_due(self, offset_s: float) -> None:
        every_s, now_s = self._recording.sample_s, time.monotonic()
        if every_s is None or self._over or now_s < self._sampled_s + every_s:
            return
        self._sampled_s = now_s
        try:
            plain = shown_data(self._sample())
            if not plain:
                return
        except Exception:  # noqa: BLE001 - logged; the calls go on
            _LOG.exception("the recorder could not look at the core")
            return
        head = {"kind": "sample", "at_s": plain["at_s"], "wall_s": plain["at_s"] + offset_s}
        self._write([json.dumps(head | plain, separators=(",", ":"), allow_nan=False)])

    def _write(self, lines: list[str], events: int = 0) -> None:
        """Write lines, or count them as lost: a disk that refuses is asked again later."""
        if time.monotonic() < self._retry_s:
            self.lost += events
            return
        try:
            self._ready()
            missing = self.dropped - self._told_lost
            if missing:
                lines = [json.dumps({"kind": "gap", "dropped": missing}), *lines]
            if self._is_set:
                clock = {"kind": "clock", "offset_ns": nanos_of(self._offset_s)}
                lines = [json.dumps(clock), *lines]
            self._parts.write(("\n".join(lines) + "\n").encode() if lines else b"")
        except OSError as error:
            self.lost += events
            self._retry_s = time.monotonic() + _RETRY_S
            if not self._failing:
                self._failing = True
                _LOG.warning(
                    "events cannot be recorded to %s: %s; they are lost until it can be written",
                    *(self._parts.path, error),
                    extra={"agentrm_event": "recording_failed", "agentrm_path": str(self.path)},
                )
        else:
            self.written += events
            self._told_lost += missing
            self._is_set = False
            if self._failing:
                self._failing = False
                _LOG.info("events are recorded to %s again; %d were lost", self.path, self.lost)

    def _ready(self) -> None:
        """A file is open, begins with a header, and has room."""
        if not self._parts.is_open:
            self._parts.open()
        elif self._parts.full:
            self._parts.next()
        if self._parts.blank:  # it is new, or the disk had no room for its header
            self._parts.write(f"{self._header()}\n".encode())

    def _header(self) -> str:
        config = self._host.config
        now_s = self._host.clock.now()
        return json.dumps(
            {
                "kind": "header",
                "schema": SCHEMA,
                "version": VERSION,
                "run": self._run,
                "part": max(1, self._parts.part),
                "at_s": now_s,
                "wall_s": now_s + self._offset_s,
                "offset_ns": nanos_of(self._offset_s),
                "agentrm": _version(),
                "python": platform.python_version(),
                "pid": os.getpid(),
                "lanes": config.lanes,
                "groups": shown_data({group.name: group.capacity for group in config.groups}),
                "order": str(config.scheduler.order),
                "levels": config.scheduler.num_queues,
            }
        )

    # -- end ------------------------------------------------------------------------------------

    def finish(self) -> None:
        """No more events will come: write what there is and end the thread. Never blocks."""
        self._stream.close()
        self._over = True
        self.over.ring()
        self._bell.ring()

    def join(self) -> None:
        """Wait until all is written, for some seconds at most."""
        if not self._over:  # calls are still running: their ends will be written too
            self.flush()
        elif self._thread is not None and self._thread.is_alive():
            self._done.wait(_CLOSE_S)

    def _forked(self) -> None:
        """In the child: the parent's file is the parent's. Ours begins with our first event."""
        self._parts.close()
        over, self._over = self._over, False
        if not over:
            self._pid = os.getpid()
            self._begin(own_path(Path(self._recording.path)))


_RECORDERS: weakref.WeakSet[Recorder] = weakref.WeakSet()


def _work(reference: weakref.ref[Recorder], bell: Bell) -> None:
    """The thread. It keeps no recorder alive that everybody else has let go of."""
    goes_on = True
    while goes_on:
        bell.wait(_IDLE_S)
        recorder = reference()
        if recorder is None:
            return
        pause_s = recorder.pause_s
        if pause_s:
            recorder.over.wait(pause_s)
        try:
            goes_on = recorder.step()
        except Exception:  # noqa: BLE001 - logged; the calls go on
            _LOG.exception("the recorder failed; it goes on with what comes next")
        del recorder


def _version() -> str:
    with suppress(PackageNotFoundError):
        return version("agentrm-plugins")
    return "unknown"


def _at_exit() -> None:
    """Events of the last tenth of a second are written too."""
    for recorder in list(_RECORDERS):
        with suppress(Exception):
            recorder.flush()


atexit.register(_at_exit)
