"""SIGKILL at random instants, from several processes that share sessions in one archive.

Each worker takes turns in sessions chosen at random. Half of its turns go on from the session's
common history, as a checkpointer keeps it, which others may have gone on from meanwhile; half go on
from a history of the worker's own, which lacks what the others said. A message is acknowledged once
`prepare` has returned and the worker has written so to its pipe. Now and then a worker hibernates.

The parent kills a worker at a random instant and starts another one. At the end each acknowledged
message must be in the archive; it must be part of the live session, or a view must have told that
it was set aside (or the archive keeps that for the next one, as its owner was killed); and recall
must find each that is live.

Run it: ``python -m benchmarks.context.kills --kills 300`` (POSIX only).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import select
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle, counter_for
from agentrm_plugins.context.stores import SqliteStore
from agentrm_plugins.errors import SessionBusy

__all__ = ["Result", "run"]

SESSIONS = ("red", "green", "blue")
CONFIG = ContextConfig(budget_tokens=1_500, soft_mark=0.6)
LEASE_S, WAIT_S = 0.25, 1.0
_TOLD = re.compile(r"taken back to message (\d+); (\d+) archived")


@dataclass
class Result:
    """What was seen.

    Args:
        kills: Workers killed.
        acknowledged: Messages.
        lost: Of them, in the archive no more.
        silent: Of them, set aside and told to nobody.
        told: Of them, set aside and told.
        unfound: Live ones that recall does not find.
        busy: Turns that ended with `SessionBusy`.
        broken: Sessions whose archive or index is not whole.
    """

    kills: int = 0
    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    told: int = 0
    unfound: list[str] = field(default_factory=list)
    busy: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, silent, unfound or broken."""
        return not (self.lost or self.silent or self.unfound or self.broken)


def _word(name: str) -> str:
    """A word of ten letters that no other name gives."""
    number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
    return "".join(chr(ord("a") + number // 26**at % 26) for at in range(10))


def _line(word: str) -> dict[str, str]:
    return {
        "role": "user",
        "content": f"The parcel {word} is on its way. " + "Please note it. " * 8,
    }


class _Worker:
    """One process's life: it ends by being killed, or when its stop file appears."""

    def __init__(self, folder: Path, name: str, out: int) -> None:
        self._folder = folder
        self._name = name
        self._out = out
        self._rng = random.Random(name)
        self._said = 0
        self._own: dict[str, list[dict[str, str]]] = {}

    def live(self) -> None:
        """Take turns until told to stop."""
        store = SqliteStore(self._folder / "archive.db", busy_timeout_s=30)
        manager = ContextLifecycle(CONFIG, store=store, lease_s=LEASE_S, wait_s=WAIT_S)
        while not (self._folder / "stop").exists():
            session = self._rng.choice(SESSIONS)
            common = self._rng.random() < 0.5
            history = self._common(session) if common else self._own.setdefault(session, [])
            self._said += 1
            word = _word(f"{self._name}/{self._said}")
            try:
                view = manager.session(session).prepare([*history, _line(word)])
            except SessionBusy:
                self._say({"busy": 1})
                continue
            repairs = [text for text in view.repairs if "archive" in text]
            self._say({"session": session, "word": word, "repairs": repairs})
            if common:
                self._keep(session, history, word)
            else:
                history.append(_line(word))
            if self._rng.random() < 0.1:
                manager.hibernate(session)
        manager.close()
        store.close()

    def _common(self, session: str) -> list[dict[str, str]]:
        path = self._folder / f"{session}.txt"
        words = path.read_text().split() if path.exists() else []
        return [_line(word) for word in words]

    def _keep(self, session: str, history: Sequence[Any], word: str) -> None:
        """Write the common history, as a checkpointer does: whole, the last writer wins."""
        words = [message["content"].split()[2] for message in history]
        part = self._folder / f"{session}.{self._name}"
        part.write_text(" ".join([*words, word]))
        part.replace(self._folder / f"{session}.txt")

    def _say(self, what: dict[str, Any]) -> None:
        os.write(self._out, json.dumps(what).encode() + b"\n")


def _start(folder: Path, name: str) -> tuple[int, int]:
    """Fork a worker; give its process id and the pipe that it writes to."""
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        return pid, read
    code = 1
    try:
        os.close(read)
        _Worker(folder, name, write).live()
        code = 0
    finally:
        os._exit(code)


class _Parent:
    """Starts workers, reads what they say, kills them."""

    def __init__(self, folder: Path, workers: int, seed: int) -> None:
        self._folder = folder
        self._rng = random.Random(seed)
        self._seed = seed
        self._started = 0
        self._running: dict[int, tuple[int, bytes]] = {}
        self.result = Result()
        self.words: dict[str, list[str]] = {session: [] for session in SESSIONS}
        self.set_aside: dict[str, int] = dict.fromkeys(SESSIONS, 0)
        self.last_told: dict[str, tuple[str, str]] = {}
        for _ in range(workers):
            self._begin()

    def _begin(self) -> None:
        self._started += 1
        pid, pipe = _start(self._folder, f"w{self._seed}n{self._started}")
        self._running[pipe] = (pid, b"")

    def listen(self, seconds: float) -> None:
        """Read for so long."""
        end = time.monotonic() + seconds
        while self._running and (left := end - time.monotonic()) > 0:
            for pipe in select.select(list(self._running), [], [], left)[0]:
                self._read(pipe)

    def _read(self, pipe: int) -> bool:
        pid, held = self._running[pipe]
        data = os.read(pipe, 65_536)
        *lines, rest = (held + data).split(b"\n")
        self._running[pipe] = (pid, rest)
        for line in lines:
            self._heard(json.loads(line))
        if not data:
            os.close(pipe)
            del self._running[pipe]
            os.waitpid(pid, 0)
        return bool(data)

    def _heard(self, said: dict[str, Any]) -> None:
        if "busy" in said:
            self.result.busy += 1
            return
        self.words[said["session"]].append(said["word"])
        for text in said["repairs"]:
            for place, count in _TOLD.findall(text):
                self.set_aside[said["session"]] += int(count)
                self.last_told[said["session"]] = place, count

    def kill(self) -> None:
        """Kill one worker, hear what it had said, start another one."""
        pipe = self._rng.choice(list(self._running))
        os.kill(self._running[pipe][0], signal.SIGKILL)
        while self._read(pipe):
            pass
        self.result.kills += 1
        self._begin()

    def stop(self) -> None:
        """Let all of them finish."""
        (self._folder / "stop").touch()
        while self._running:
            self.listen(1.0)


def _graded(folder: Path, parent: _Parent) -> Result:
    result = parent.result
    with sqlite3.connect(folder / "archive.db") as connection:
        if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            result.broken.append("archive")
        connection.execute("INSERT INTO fts(fts) VALUES ('integrity-check')")
        everything = " ".join(row[0] for row in connection.execute("SELECT body FROM messages"))
    connection.close()
    with (
        SqliteStore(folder / "archive.db") as store,
        ContextLifecycle(CONFIG, store=store, submit=lambda job: job()) as manager,
    ):
        for name in SESSIONS:
            session = manager.session(name)
            there = [seq for seq, _ in store.digests(session.key)]
            if there != list(range(len(there))):
                result.broken.append(name)
            bodies = " ".join(row.body for row in store.read(session.key, there).values())
            words = parent.words[name]
            place, _, count = store.owned(session.key).notice.partition(" ")
            if count and parent.last_told.get(name) != (place, count):
                parent.set_aside[name] += int(count)  # who did so was killed: the next turn tells
            gone = [word for word in words if f"parcel {word} is" not in bodies]
            result.acknowledged += len(words)
            result.lost += [word for word in gone if f"parcel {word} is" not in everything]
            result.told += min(len(gone), parent.set_aside[name])
            result.silent += gone[parent.set_aside[name] :]
            result.unfound += [
                word for word in words
                if word not in gone and f"parcel {word} is" not in session.recall(f"parcel {word}")
            ]  # fmt: skip
    return result


def run(kills: int, *, seed: int = 1, workers: int = 3, folder: Path | None = None) -> Result:
    """Run it.

    Args:
        kills: How many workers are killed.
        seed: Of the instants, of who is killed, and of what workers do.
        workers: At work at once.
        folder: Where the archive stands; a temporary one if left out.
    """
    counter_for("gpt-4o").text("load the encoding before the fork")
    with tempfile.TemporaryDirectory(dir=folder) as made:
        parent = _Parent(Path(made), workers, seed)
        rng = random.Random(seed)
        for _ in range(kills):
            parent.listen(rng.uniform(0.01, 0.4))
            parent.kill()
        parent.stop()
        return _graded(Path(made), parent)


def main() -> None:
    """Print the result; the exit code tells whether it is clean."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--kills", type=int, default=300)
    options.add_argument("--workers", type=int, default=3)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    began = time.monotonic()
    found = run(given.kills, seed=given.seed, workers=given.workers)
    print(
        f"{found.kills} kills, {found.acknowledged} messages acknowledged: {len(found.lost)} lost, "
        f"{len(found.silent)} set aside in silence, {found.told} set aside and told, "
        f"{len(found.unfound)} live ones not found, broken: {found.broken or 'none'}; "
        f"{found.busy} turns found their session busy; {time.monotonic() - began:.0f} s"
    )
    sys.exit(0 if found.clean else 1)


if __name__ == "__main__":
    main()
