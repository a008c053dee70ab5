"""The files of one recording: the one that is written, and the full parts before it.

``events.jsonl`` is written; full parts stand beside it as ``events.jsonl.000001`` and so on, the
oldest first, and the oldest are deleted so that all together stay below the bound. Each part opens
with a header of its own, so each can be read alone.

A line is written whole or not at all: what a full disk tears off is cut away again. Two processes
never share a file: whoever comes second, and the child of a fork, writes to one with its process
number in the name.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: two processes are to be given two paths
    fcntl = None  # type: ignore[assignment]

__all__ = ["Parts", "own_path", "parts_of"]

_DIGITS = 6


def parts_of(path: Path) -> list[Path]:
    """The files of a recording that are there, the oldest first."""
    numbered = re.compile(re.escape(path.name) + rf"\.(\d{{{_DIGITS},}})")
    found = []
    if path.parent.is_dir():
        for other in path.parent.iterdir():
            match = numbered.fullmatch(other.name)
            if match is not None:
                found.append((int(match[1]), other))
    return [other for _, other in sorted(found)] + ([path] if path.is_file() else [])


def own_path(path: Path, number: int = 1) -> Path:
    """The path for this process alone: ``events-4711.jsonl``, and ``events-4711-2.jsonl``."""
    more = f"-{number}" if number > 1 else ""
    return path.with_name(f"{path.stem}-{os.getpid()}{more}{path.suffix}")


class Parts:
    """Appends lines to a recording's files.

    Args:
        path: The file that is written.
        max_bytes: Of all parts together.
        most: Parts, the one that is written included; 2 or more.

    Attributes:
        path: Where it writes: another one than was asked for if another process has that.
        part: The number of the part that is written, from 1.
    """

    def __init__(self, path: Path, max_bytes: int, most: int) -> None:
        self.path = path
        self.part = 0
        self._most = most
        self._part_bytes = max(1, max_bytes // most)
        self._file = -1
        self._size = 0

    def open(self) -> None:
        """Begin a new file; what stands there already becomes a part.

        Raises:
            OSError: The disk refuses.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        asked, number = self.path, 0
        while _is_taken(self.path):
            number += 1
            self.path = own_path(asked, number)
        self._begin()

    def _begin(self) -> None:
        """Put the file that stands there aside, delete the oldest parts, and make a new one."""
        numbered = [part for part in parts_of(self.path) if part != self.path]
        last = int(numbered[-1].suffix[1:]) if numbered else 0
        if self.path.exists() and self.path.stat().st_size:
            aside = self.path.with_name(f"{self.path.name}.{last + 1:0{_DIGITS}d}")
            self.path.rename(aside)
            numbered.append(aside)
        for old in numbered[: max(0, len(numbered) - self._most + 1)]:
            with suppress(FileNotFoundError):
                old.unlink()
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        if self.path.is_file():  # an empty one that stood there has rights of its own
            with suppress(OSError):
                self.path.chmod(0o600)
        self._size = 0
        self.part += 1
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def is_open(self) -> bool:
        """Whether there is a file to write to."""
        return self._file >= 0

    @property
    def blank(self) -> bool:
        """Whether nothing stands in the file that is written."""
        return self._size == 0

    @property
    def full(self) -> bool:
        """Whether it is time for the next part."""
        return self._size >= self._part_bytes

    def next(self) -> None:
        """Go on in the next part.

        Raises:
            OSError: The disk refuses.
        """
        self.close()
        self._begin()

    def write(self, data: bytes) -> None:
        """Append whole lines.

        Raises:
            OSError: The disk refuses; nothing of them stands there.
        """
        done = 0
        try:
            while done < len(data):
                done += os.write(self._file, data[done:])
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
                os.lseek(self._file, self._size, os.SEEK_SET)
            raise
        self._size += done

    def sync(self) -> None:
        """See that it outlives the machine."""
        with suppress(OSError):
            os.fsync(self._file)

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            with suppress(OSError):
                os.close(self._file)
        self._file = -1


def _is_taken(path: Path) -> bool:
    """Whether another recorder, of this process or another one, writes there."""
    if fcntl is None or not path.exists():
        return False
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False
