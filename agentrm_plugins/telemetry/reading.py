"""Reads what `AgentRM(record=...)` has written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentrm_plugins.errors import RecordingError
from agentrm_plugins.telemetry.lines import SCHEMA, VERSION, events_of
from agentrm_plugins.telemetry.parts import parts_of
from agentrm_plugins.types.effects import Effect
from agentrm_plugins.types.plain import parsed

__all__ = ["Recorded", "Sample", "read_events"]


@dataclass(frozen=True, slots=True)
class Sample:
    """The state of the core at one moment, as it was recorded.

    Args:
        at_s: When, on the core's clock.
        wall_s: The same as Unix time.
        state: Plain data with the names of `Statistics`: queue depths, lanes, groups, endpoints.
    """

    at_s: float
    wall_s: float
    state: dict[str, Any]


class Recorded:
    """One recorded run: iterate over it for its events, the oldest first, as often as you like.

    Args:
        path: The file that was written last.
        parts: All its files, the oldest first.
        strict: Whether a damaged line is an error; a torn last line of a part never is.
        before: Parts of earlier runs beside them, the oldest first.

    Attributes:
        header: What the first part says of itself: schema, versions, lanes, groups, order.

    After an iteration:
        dropped: Events that the recorder says it lost.
        torn: Whether the last line was cut off in the middle.
        skipped: Damaged lines, and those of kinds that this version does not know.
    """

    def __init__(
        self, path: Path, parts: list[Path], *, strict: bool, before: Sequence[Path] = ()
    ) -> None:
        self.path = path
        self.parts = parts
        self.header = _header_of(parts[0])
        self.dropped = self.skipped = 0
        self.torn = False
        self._strict = strict
        self._before = before
        self._offset_ns = 0

    def __iter__(self) -> Iterator[Effect]:
        for one in self.everything():
            if not isinstance(one, Sample):
                yield one

    @property
    def empty(self) -> str:
        """What to say of a run without an event, and where an earlier one is; "" of any other."""
        if next(iter(self), None) is not None:
            return ""
        return f"{self.path}: no call is recorded" + _earlier(self._before)

    def samples(self) -> Iterator[Sample]:
        """The samples of the core's state, the oldest first."""
        return (one for one in self.everything() if isinstance(one, Sample))

    def everything(self) -> Iterator[Effect | Sample]:
        """Events and samples, as they stand in the files.

        Raises:
            RecordingError: A line is damaged, and the reading is strict.
        """
        self.dropped = self.skipped = 0
        self.torn = False
        for part in self.parts:
            for number, plain in self._lines(part):
                yield from self._told(part, number, plain)

    def _lines(self, part: Path) -> Iterator[tuple[int, dict[str, Any]]]:
        with part.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                whole = line.endswith(b"\n")
                try:
                    plain = parsed(line)
                except ValueError:
                    plain = None
                if isinstance(plain, dict):
                    yield number, plain
                elif not whole:
                    self.torn = True
                else:
                    self._damaged(part, number, "this is no JSON object")

    def _told(self, part: Path, number: int, plain: dict[str, Any]) -> tuple[Effect | Sample, ...]:
        """What a line tells of."""
        kind = plain.get("kind")
        try:
            if kind in {"header", "clock"}:
                self._offset_ns = int(plain.get("offset_ns", 0))
                return ()
            if kind == "gap":
                self.dropped += int(plain["dropped"])
                return ()
            if kind == "sample":
                return (Sample(float(plain["at_s"]), float(plain["wall_s"]), plain),)
            events = events_of(plain, self._offset_ns)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            self._damaged(part, number, str(error))
            return ()
        if not events:
            self.skipped += 1
        return events

    def _damaged(self, part: Path, number: int, why: str) -> None:
        if self._strict:
            raise RecordingError(
                f"{part}, line {number}: {why}; read_events(path, strict=False) leaves it out"
            )
        self.skipped += 1


def read_events(path: str | os.PathLike[str], *, strict: bool = True) -> Recorded:
    """What was recorded to `path` last: all parts of that run, the oldest first.

    A last line that was cut off (the process was killed, the machine went down) is left out. Parts
    of earlier runs are left out as well; each can be read by its own path.

    Args:
        path: What was given as `record`, or one part of it.
        strict: Whether a damaged line is an error; else it is left out and counted.

    Raises:
        RecordingError: There is no such file, it is no recording, a newer version wrote it, or
            (when it is read) a line is damaged.

    >>> from agentrm_plugins import AgentRM
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with AgentRM(lanes=2, record=f"{folder}/events.jsonl") as rm, rm.slot(agent="ada"):
    ...         pass
    ...     [type(event).__name__ for event in read_events(f"{folder}/events.jsonl")]
    ['Submitted', 'Granted', 'Settled']
    """
    last = Path(path)
    try:
        parts = parts_of(last)
        what = "is a folder; give a file's path" if last.is_dir() else "there is no such file"
    except OSError as error:  # too long a name, a folder that may not be entered
        raise RecordingError(f"{last}: {error.strerror}") from error
    if not parts:
        raise RecordingError(f"{last}: {what}")
    own = [parts.pop()]
    if own[0].stat().st_size == 0:
        raise RecordingError(f"{own[0]}: the file is empty; nothing was recorded{_earlier(parts)}")
    run = _header_of(own[0]).get("run")
    while parts and _run_of(parts[-1]) == run:
        own.insert(0, parts.pop())
    return Recorded(last, own, strict=strict, before=parts)


def _earlier(parts: Sequence[Path]) -> str:
    """Where the newest earlier run with an event in it ends, as the end of a sentence; or ""."""
    for part in reversed(parts):
        with suppress(RecordingError):
            if next(iter(Recorded(part, [part], strict=False)), None) is not None:
                return f"; an earlier run is in {part}"
    return ""


def _run_of(part: Path) -> object:
    try:
        return _header_of(part).get("run")
    except RecordingError:
        return None


def _header_of(part: Path) -> dict[str, Any]:
    """The first line of a part.

    Raises:
        RecordingError: It is none that this version can read.
    """
    try:
        with part.open("rb") as file:
            line = file.readline(1_000_000)
    except OSError as error:
        raise RecordingError(f"{part}: {error.strerror}") from error
    if not line:
        raise RecordingError(f"{part}: the file is empty; nothing was recorded")
    try:
        header = parsed(line)
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.get("schema") != SCHEMA:
        raise RecordingError(
            f"{part}, line 1: this is no recording of AgentRM; its first line is a header with "
            f'"schema": "{SCHEMA}", as AgentRM(record=path) writes it'
        )
    version = header.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise RecordingError(
            f"{part}: it has version {version!r}, and this AgentRM reads up to {VERSION}; upgrade"
        )
    return header
