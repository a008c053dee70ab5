"""A process elsewhere, looked at over its monitor's socket.

A thread of its own reads lines, so that a display never waits for the process. What nobody takes in
time is dropped, the oldest first, and counted; the core at the other end waits for nobody either.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from agentrm_plugins.telemetry.changing import ACTIONS, about
from agentrm_plugins.telemetry.lines import event_of
from agentrm_plugins.telemetry.socket_folder import sweep
from agentrm_plugins.telemetry.sources import nearness
from agentrm_plugins.telemetry.timeline.fleet import readable
from agentrm_plugins.types.plain import parsed

__all__ = ["AttachError", "ProcessSource", "running"]

_ANSWER_S = 10.0
_CAPACITY = 50_000
_LONGEST = 64_000_000  # bytes of a line: statistics of a thousand agents take a hundredth
_BUSIEST = 500
_LOOK_EVERY_S = 1.0


def running(folder: Path | None = None) -> list[Path]:
    """The sockets of this user's processes, the newest first. Those of dead ones are removed.

    Args:
        folder: Where to look; None: where `AgentRM(monitor=True)` puts them.
    """
    if folder is None:
        given = os.environ.get("XDG_RUNTIME_DIR")
        own = f"agentrm-{os.getuid()}"
        folder = Path(given, "agentrm") if given else Path(tempfile.gettempdir(), own)
    try:
        sweep(folder)
        found = [path for path in folder.glob("*.sock") if path.is_socket()]
        return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        return []


class AttachError(Exception):
    """The process does not answer, or refused; the text says why."""


class ProcessSource:
    """One core of a running process.

    Args:
        path: Its socket.

    Raises:
        AttachError: Nobody listens there, or it speaks another language.
    """

    actions = ACTIONS

    def __init__(self, path: Path | str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_ANSWER_S)
        try:
            self._socket.connect(str(path))
            self._file = self._socket.makefile("rb")
            try:
                hello = self._line()
            except OSError:
                self._file.close()
                raise
        except OSError as error:
            self._socket.close()
            raise AttachError(f"{path}: {error.strerror or error}") from None
        if hello is None or hello.get("schema") != "agentrm.monitor":
            self._file.close()
            self._socket.close()
            raise AttachError(f"{path}: this is no monitor of AgentRM")
        self.hello = hello
        self.title = f"{self.hello.get('name') or 'process'} (pid {self.hello.get('pid')})"
        lanes = self.hello.get("lanes")
        self.lanes = lanes if isinstance(lanes, int) else 0
        self._events: deque[Any] = deque()
        self._lost, self._ended = 0, False
        self._numbers = itertools.count(1)
        self._answers: dict[int, dict[str, Any] | None] = {}
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        # What is asked for without waiting for it: the question's number, and when it was put.
        self._asked: dict[str, int | None] = {"fleet": None, "statistics": None}
        self._asked_s = dict.fromkeys(self._asked, time.monotonic())
        self._socket.settimeout(None)
        self._reader = threading.Thread(target=self._read, name="agentrm-attached", daemon=True)
        self._reader.start()
        at_s = self.hello.get("at_s")
        self._at_s = float(at_s) if isinstance(at_s, int | float) else 0.0
        self._looked_s = time.monotonic()
        self.ask("events")  # first: an event that comes twice is left out, a lost one is not seen
        self._state: Mapping[str, Any] | None = self.ask("statistics", agents=_BUSIEST)
        self._fleet = readable((self._state or {}).get("fleet"))
        self._near = nearness(self._state)

    def ask(self, what: str, **more: Any) -> dict[str, Any]:
        """Ask for something and wait for the answer.

        Raises:
            AttachError: It was refused, or no answer came in ten seconds.
        """
        number = next(self._numbers)
        line = json.dumps({"id": number, "do": what, **more}) + "\n"
        with self._changed:
            self._answers[number] = None
        try:
            with self._sending:
                self._socket.sendall(line.encode("utf-8"))
        except OSError as error:
            raise AttachError(f"{self.title} is gone: {error.strerror or error}") from None
        with self._changed:
            self._changed.wait_for(lambda: self._answers[number] or self._ended, _ANSWER_S)
            answer = self._answers.pop(number)
        if answer is None:
            raise AttachError(f"{self.title} {'is gone' if self._ended else 'does not answer'}")
        if not answer.get("ok"):
            raise AttachError(str(answer.get("error") or "it was refused"))
        found = answer.get("result")
        return found if isinstance(found, dict) else {"result": found}

    @property
    def ended(self) -> bool:
        """Whether the process is gone and all that it said was read."""
        return self._ended and not self._events

    @property
    def dropped(self) -> int:
        """Events that were lost: at the other end, or because nobody took them here."""
        return self._lost

    def poll(self) -> list[Any]:
        """What has happened since the last look."""
        found = []
        while self._events:
            found.append(self._events.popleft())
        if found:
            self._at_s, self._looked_s = float(found[-1].at_s), time.monotonic()
        return found

    def now_s(self) -> float | None:
        """The time on the core's clock, as it goes on since it was last told."""
        return None if self._ended else self._at_s + time.monotonic() - self._looked_s

    def state(self) -> Mapping[str, Any] | None:
        """What went on when this was attached."""
        return self._state

    def fleet(self) -> Mapping[str, Any] | None:
        """How the process stood in its fleet, about a second ago. What is newer is asked for."""
        if self._fleet is not None:
            self._ask_if_due("fleet")
        return self._fleet

    def near(self) -> Mapping[str, float]:
        """How near its limits were, about a second ago. What is newer is asked for."""
        self._ask_if_due("statistics", agents=0, brief=True)
        return self._near

    def _ask_if_due(self, what: str, **more: Any) -> None:
        """Ask once a second, and wait for no answer; one question of a kind at a time."""
        now_s = time.monotonic()
        due = self._asked[what] is None and now_s - self._asked_s[what] >= _LOOK_EVERY_S
        if due and not self._ended:
            number = next(self._numbers)
            self._asked[what], self._asked_s[what] = number, now_s
            line = json.dumps({"id": number, "do": what, **more}) + "\n"
            with suppress(OSError), self._sending:  # gone: the reader sees it as well
                self._socket.sendall(line.encode("utf-8"))

    def act(self, what: str, *, agent: str, tenant: str, priority: str = "") -> None:
        """Do something about an agent.

        Raises:
            AttachError: It could not be done; the text says why.
        """
        request = about(what, agent, tenant, priority)
        self.ask(request.pop("do"), **request)

    def change(self, fields: Mapping[str, Any]) -> int:
        """Change lanes, limits, budgets or priorities. How many lanes there are now.

        Raises:
            AttachError: It could not be done; the text says why.
        """
        lanes = self.ask("change", **fields).get("lanes")
        self.lanes = lanes if isinstance(lanes, int) else self.lanes
        return self.lanes

    def close(self) -> None:
        """Let go of the process."""
        with suppress(OSError):  # it was gone already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(_ANSWER_S)
        if not self._reader.is_alive():
            self._file.close()
        self._socket.close()

    def _line(self) -> dict[str, Any] | None:
        """The next line as an object; None at the end, or where it is none."""
        line = self._file.readline(_LONGEST)
        try:
            found = parsed(line) if line.endswith(b"\n") else None
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def _read(self) -> None:
        try:
            with suppress(OSError, ValueError):  # closed, there or here
                while (line := self._line()) is not None:
                    self._heard(line)
        finally:  # whatever ends it is told: a display that hears nothing more has to know
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _heard(self, line: dict[str, Any]) -> None:
        if "id" in line:
            self._answered(line["id"], line)
            return
        if line.get("kind") == "gap":
            lost = line.get("dropped")
            self._lost += lost if isinstance(lost, int) else 0
            return
        try:
            event = event_of(line)
        except (TypeError, ValueError, OverflowError):
            return  # a newer version's: what is not understood is left out
        if event is not None:
            self._events.append(event)
            if len(self._events) > _CAPACITY:
                self._events.popleft()
                self._lost += 1

    def _answered(self, number: object, line: dict[str, Any]) -> None:
        if not isinstance(number, int):
            return
        result = line.get("result")
        for what, asked in self._asked.items():
            if asked == number:
                self._asked[what] = None  # before it is read: it is asked again, come what may
                if what == "fleet":
                    self._fleet = readable(result) or self._fleet
                else:
                    self._near = nearness(result)
                return
        with self._changed:
            if number in self._answers:
                self._answers[number] = line
                self._changed.notify_all()
