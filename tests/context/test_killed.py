"""Real processes, killed with SIGKILL at any instant while they write, compact, sleep and wake.

A process reports each SQL statement that it is about to run, and in which phase, over a pipe. The
parent kills it at a statement that a seed chose: either while the process waits for leave to go on,
so exactly there, or while it runs on, so anywhere after. Nobody sleeps.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.plan.bodies import body_of
from agentrm_plugins.context.stores import SessionKey, SqliteStore
from agentrm_plugins.types.message import from_openai
from benchmarks.context.generate import session as generated
from benchmarks.context.grade import faults, request_tokens

ROOT = str(Path(__file__).parents[2])
KEY = SessionKey("default", "s")
BUDGET = 2_500
PHASES = ("turn", "background", "hibernate", "wake")
KILLS = 4
"""In each phase, by each of four tests: 64 in all."""

# It forks a worker for each line that it reads and says when that one is dead: the worker is a
# process of its own, without the second that it takes to import everything.
WORKERS = """
import os, sys, threading
from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle, counter_for
from agentrm_plugins.context.stores import SqliteStore
from agentrm_plugins.context.stores.connections import Connections
from benchmarks.context.generate import session
history = session(31, 160).messages
counter_for("gpt-4o").text("load the encoding")

def say(text):
    os.write(1, text.encode() + b"\\n")

def line():
    got = b""
    while not got.endswith(b"\\n"):
        read = os.read(0, 1)
        if not read:
            sys.exit()
        got += read
    return got.decode().split()

def work(path, held):
    phase = ["wake"]
    gate = threading.Lock()

    def about_to_run(statement):
        mine = "background" if threading.current_thread().name.startswith("agentrm") else phase[0]
        with gate:
            say(f"mark {mine}")
            if held:
                os.read(0, 1)

    connect = Connections._connect

    def watched(self):
        connection = connect(self)
        connection.set_trace_callback(about_to_run)
        return connection

    Connections._connect = watched
    config = ContextConfig(budget_tokens=2_500, soft_mark=0.6)
    manager = ContextLifecycle(config, store=SqliteStore(path))
    one = manager.session("s")
    for end in range(max(2, one.pressure.messages + 1), len(history)):
        phase[0] = "turn"
        one.prepare(history[:end], now_s=1.0)
        say(f"ack {end - 1}")
        if end % 5 == 0:
            phase[0] = "hibernate"
            manager.hibernate("s")
            phase[0] = "wake"
            one = manager.session("s")
    manager.close()
    say("finished")

while True:
    path, held = line()
    pid = os.fork()
    if not pid:
        work(path, held == "held")
        os._exit(0)
    say(f"pid {pid}")
    os.waitpid(pid, 0)
    say("dead")
"""


@dataclass
class Workers:
    """The process that forks workers, and what is known of their work."""

    process: subprocess.Popen
    acknowledged: int = 0
    killed: Counter[str] = field(default_factory=Counter)

    def run(self, path: str, held: bool, phase: str, nth: int) -> bool:
        """Let a worker go on with the session; kill it at the nth statement of a phase.

        Gives whether it lived until the session's end.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{path} {'held' if held else 'free'}\n".encode())
        pid, left, dying, finished = 0, nth, False, False
        for line in self.process.stdout:
            word, _, value = line.decode().strip().partition(" ")
            if word == "dead":
                break
            if word == "pid":
                pid = int(value)
            elif word == "ack":
                self.acknowledged = max(self.acknowledged, int(value))
            elif word == "finished":
                finished = True
            elif word == "mark" and not dying:
                left -= value == phase
                if left <= 0 and pid:
                    os.kill(pid, signal.SIGKILL)
                    dying = True
                    self.killed[value] += 1
                elif held:
                    self.process.stdin.write(b".")
        return finished


@pytest.fixture(scope="module")
def workers():
    process = subprocess.Popen(
        [sys.executable, "-c", WORKERS], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        bufsize=0,
    )  # fmt: skip
    yield Workers(process)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


def check(path: str, acknowledged: int, folder: Path, history: list[dict]) -> None:
    """Everything acknowledged is there byte for byte, and a copy of the session goes on."""
    with SqliteStore(path) as store:
        there = [seq for seq, _ in store.digests(KEY)]
        assert there == list(range(len(there)))
        assert len(there) >= acknowledged
        rows = store.read(KEY, there)
    for seq in there:
        assert rows[seq].body.encode() == body_of(from_openai(history[seq + 1])).encode()
    copy = str(folder / "copy.db")
    for ending in ("", "-wal", "-shm"):
        if Path(path + ending).exists():
            shutil.copy(path + ending, copy + ending)
    with sqlite3.connect(copy) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.execute("INSERT INTO fts(fts) VALUES ('integrity-check')")
    connection.close()
    config = ContextConfig(budget_tokens=BUDGET)
    with (
        SqliteStore(copy) as store,
        ContextLifecycle(config, store=store, submit=lambda j: j()) as m,
    ):
        one = m.session("s")
        assert one.pressure.messages == len(there)
        view = one.prepare(history[: len(there) + 2], now_s=1.0)
        assert request_tokens(view.messages) <= BUDGET
        assert faults(view.messages) == []
    for left in folder.glob("copy.db*"):
        left.unlink()


@pytest.mark.parametrize("held", [True, False], ids=["exactly-there", "running-on"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_killed_session_comes_back_complete(tmp_path, workers, held, seed):
    """Whatever was acknowledged before a kill is there word for word, and the talk goes on.

    The kills fall into turns, background compaction, hibernation (also between its transactions)
    and waking, at statements that the seed chooses.
    """
    history = generated(31, 160).messages
    rng = random.Random(f"{seed}/{held}")
    sessions = 0
    workers.killed.clear()
    path, workers.acknowledged = str(tmp_path / "0.db"), 0
    while min(workers.killed[phase] for phase in PHASES) < KILLS:
        scarcest = min(PHASES, key=workers.killed.__getitem__)
        finished = workers.run(path, held, scarcest, rng.randint(1, 40))
        check(path, workers.acknowledged, tmp_path, history)
        if finished:
            assert workers.acknowledged == len(history) - 2
            sessions += 1
            path, workers.acknowledged = str(tmp_path / f"{sessions}.db"), 0
    workers.run(path, False, "never", 1)
    check(path, len(history) - 2, tmp_path, history)
