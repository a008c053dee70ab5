"""Where the sockets of running cores stand, and which of them answer.

The folder is the user's own: ``$XDG_RUNTIME_DIR/agentrm``, or ``agentrm-<uid>`` in the folder for
temporary files. One that belongs to somebody else, or that others may enter, is never used.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from agentrm_plugins.errors import ConfigError

__all__ = ["refused_for_good", "runtime_folder", "socket_path", "sockets", "sweep"]

_MODE = 0o700
_LONGEST = 100  # bytes of a socket's path: the system allows 104 to 108
_OPENING_S = 5.0  # one that is younger may only not listen yet; guessed


def runtime_folder() -> Path:
    """The folder, made if it is not there.

    Raises:
        ConfigError: It belongs to somebody else, or others may enter it.
    """
    base = os.environ.get("XDG_RUNTIME_DIR")
    own = Path(base) / "agentrm" if base and Path(base).is_dir() else None
    if own is None or len(os.fsencode(own)) > _LONGEST - 24:
        own = Path(tempfile.gettempdir()) / f"agentrm-{os.getuid()}"
    with suppress(FileExistsError):
        own.mkdir(mode=_MODE)
    found = own.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        way = "it belongs to another user; set XDG_RUNTIME_DIR to a folder of your own"
        raise ConfigError("monitor", str(own), way)
    if stat.S_IMODE(found.st_mode) & 0o077:
        own.chmod(_MODE)
    return own


def socket_path(core: int) -> Path:
    """The socket of a core of this process."""
    return runtime_folder() / f"{os.getpid()}-{core}.sock"


def sockets() -> list[Path]:
    """The sockets that stand there, whether anybody answers or not."""
    return sorted(runtime_folder().glob("*-*.sock"))


def sweep(folder: Path) -> None:
    """Remove the sockets of this user's dead processes: nobody listens there."""
    for path in folder.glob("*-*.sock"):
        with suppress(OSError):
            found = path.lstat()
            mine = stat.S_ISSOCK(found.st_mode) and found.st_uid == os.getuid()
            opening = time.time() - found.st_mtime <= _OPENING_S and _lives(path)
            if mine and not opening and not _listens(path) and refused_for_good(path):
                path.unlink()


def _listens(path: Path) -> bool:
    """Whether somebody would take a connection; one whose queue is full would."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as look:
        look.setblocking(False)
        try:
            look.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True


def refused_for_good(path: Path) -> bool:
    """Whether nobody will listen at a socket that refused a connection.

    Linux refuses where nobody listens, and there alone. Elsewhere a full queue refuses as well, so
    the process has to be gone too.
    """
    return sys.platform.startswith("linux") or not _lives(path)


def _lives(path: Path) -> bool:
    """Whether the process lives that a socket is named for."""
    try:
        os.kill(int(path.name.partition("-")[0]), 0)
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    except OSError:
        return True
    return True
