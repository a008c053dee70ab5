"""`agentrm top` as a person starts it: in a real terminal, of 80 columns and 24 lines."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agentrm_plugins import AgentRM

pty = pytest.importorskip("pty")
PATIENCE_S = 60.0


class Terminal:
    """What a program has written, and what is typed."""

    def __init__(self, *command: str) -> None:
        from fcntl import ioctl
        from struct import pack
        from termios import TIOCSWINSZ

        self._own, theirs = pty.openpty()
        ioctl(theirs, TIOCSWINSZ, pack("HHHH", 24, 80, 0, 0))
        env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "", "NO_COLOR": ""}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agentrm_plugins.cli", *command],
            stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.seen = ""

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait until it was written, and forget what came before."""
        end_s = time.monotonic() + PATIENCE_S
        while True:
            found = re.search(pattern, self.seen)
            if found:
                self.seen = self.seen[found.end() :]
                return found
            left_s = end_s - time.monotonic()
            ready, _, _ = select.select([self._own], [], [], max(0.0, left_s))
            assert ready, f"no {pattern!r} in {self.seen[-2000:]!r}"
            try:
                self.seen += os.read(self._own, 65_536).decode(errors="replace")
            except OSError:
                raise AssertionError(f"it ended: {self.seen[-2000:]!r}") from None

    def type(self, text: str) -> None:
        os.write(self._own, text.encode())

    def end(self) -> int:
        """Read what it still writes, until it has ended."""
        end_s = time.monotonic() + PATIENCE_S
        while self.process.poll() is None and time.monotonic() < end_s:
            if select.select([self._own], [], [], 0.05)[0]:
                try:
                    os.read(self._own, 65_536)
                except OSError:
                    break
        return self.process.wait(10)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._own)


@contextmanager
def terminal(*command: str) -> Iterator[Terminal]:
    made = Terminal(*command)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A runtime folder of this test alone; its path is short, as those of sockets must be."""
    with tempfile.TemporaryDirectory() as base:
        monkeypatch.setenv("XDG_RUNTIME_DIR", base)
        yield


def test_several_processes_are_listed_and_one_is_chosen() -> None:
    """Each with its number and its lanes; a wrong answer is asked again; then it is looked at."""
    with AgentRM(lanes=3, monitor=True), AgentRM(lanes=7, monitor=True) as rm:
        with rm.slot(agent="ada"), terminal("top") as shown:
            listed = [shown.expect(r"(\d)  .*\(pid \d+\), (\d) lanes") for _ in range(2)]
            assert {found[2] for found in listed} == {"3", "7"}
            [wanted] = [found[1] for found in listed if found[2] == "7"]
            shown.expect("Which one")
            shown.type("9\r")
            shown.expect("Which one")
            shown.type(f"{wanted}\r")
            shown.expect(r"1/7")
            shown.type("q")
            assert shown.end() == 0


def test_a_recording_is_played_as_fast_as_is_asked_for(tmp_path) -> None:
    """`--replay --speed 1000`: the title says so, and at its end it has ended."""
    file = tmp_path / "events.jsonl"
    with AgentRM(lanes=2, record=str(file)) as rm:
        for agent in ("ada", "bob"):
            with rm.slot(agent=agent):
                pass
    with terminal("top", "--replay", str(file), "--speed", "1000") as shown:
        shown.expect("ended")
        shown.expect("ada")
        shown.type("q")
        assert shown.end() == 0
