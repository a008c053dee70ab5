"""The other side of the monitor's socket: which cores run on this machine, and what they say."""

from __future__ import annotations

import json
import socket
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from agentrm_plugins.errors import AgentRMError, ConfigError
from agentrm_plugins.telemetry.answers import SCHEMA, VERSION
from agentrm_plugins.telemetry.lines import event_of
from agentrm_plugins.telemetry.socket_folder import refused_for_good, sockets
from agentrm_plugins.types.effects import Effect
from agentrm_plugins.types.plain import parsed

__all__ = ["Monitor", "MonitorClient", "connect", "monitors"]

_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Monitor:
    """A core that answers.

    Args:
        path: Its socket.
        pid: Its process.
        core: Its number in that process.
        name: The program.
        hello: All that it says of itself.
    """

    path: Path
    pid: int
    core: int
    name: str
    hello: dict[str, Any]


def monitors() -> list[Monitor]:
    """The cores of this user that answer, the newest socket last. Dead sockets are removed."""
    found = []
    for path in sockets():
        try:
            with connect(path, patience_s=1.0) as client:
                said = client.hello
        except ConnectionRefusedError:
            if refused_for_good(path):
                with suppress(OSError):
                    path.unlink()  # its process is gone
            continue
        except (OSError, AgentRMError):
            continue
        found.append(Monitor(path, said["pid"], said["core"], said["name"], said))
    return found


def connect(target: Monitor | str | Path, *, patience_s: float = _PATIENCE_S) -> MonitorClient:
    """A client of a running core.

    Args:
        target: One of `monitors()`, or the path of a socket.
        patience_s: Seconds to wait for an answer.

    Raises:
        OSError: Nobody is there.
        ConfigError: What is there is no monitor of this version.
    """
    path = target.path if isinstance(target, Monitor) else Path(target)
    return MonitorClient(path, patience_s)


class MonitorClient:
    """Asks a core, and hears its events. For one thread.

    Attributes:
        hello: What the core said of itself.
        dropped: Events that were lost because nobody read them in time.
    """

    def __init__(self, path: Path, patience_s: float = _PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._next = 0
        self._inbox = b""
        self._lines: deque[dict[str, Any]] = deque()
        self._events: deque[Effect] = deque()
        self.dropped = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(patience_s)
            self._socket.connect(str(path))
            self.hello = self._line()
            self._check(path)
        except BaseException:
            self._socket.close()
            raise

    def _check(self, path: Path) -> None:
        if self.hello.get("schema") != SCHEMA or self.hello.get("version", 0) > VERSION:
            raise ConfigError("monitor", str(path), "this is no AgentRM of this version")

    def ask(self, do: str, **fields: Any) -> Any:
        """The answer to a request.

        Raises:
            ConfigError: The core would not have it; the text says why.
            OSError: It is gone.
        """
        self._next += 1
        request = {"id": self._next, "do": do, **fields}
        self._socket.settimeout(self._patience_s)
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            line = self._line()
            if "kind" in line:
                self._hear(line)
            elif line.get("id") == self._next:
                if line.get("ok"):
                    return line.get("result")
                raise ConfigError("monitor", do, str(line.get("error")))

    def events(self, timeout_s: float = 0.0) -> list[Effect]:
        """What has come since the last look; `ask("events")` begins it.

        Args:
            timeout_s: Seconds to wait for the first, if there is none.

        Raises:
            OSError: The core is gone.
        """
        end_s = time.monotonic() + timeout_s
        while True:
            self._socket.settimeout(
                max(0.001, end_s - time.monotonic()) if not self._events else 0.001
            )
            try:
                self._hear(self._line())
            except (TimeoutError, BlockingIOError):
                if self._events or time.monotonic() >= end_s:
                    break
        found = list(self._events)
        self._events.clear()
        return found

    def _hear(self, line: dict[str, Any]) -> None:
        if line.get("kind") == "gap":
            self.dropped += int(line.get("dropped", 0))
            return
        event = event_of(line)
        if event is not None:
            self._events.append(event)

    def _line(self) -> dict[str, Any]:
        while not self._lines:
            data = self._socket.recv(262_144)
            if not data:
                raise ConnectionResetError("the process that was watched has ended")
            *lines, self._inbox = (self._inbox + data).split(b"\n")
            self._lines.extend(parsed(line) for line in lines if line.strip())
        return self._lines.popleft()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
