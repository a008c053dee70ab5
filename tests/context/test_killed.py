"""Real processes, killed with SIGKILL at random points while they write, compact and hibernate."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from agentrm_plugins.context.config import ContextConfig
from agentrm_plugins.sessions import ContextManager
from agentrm_plugins.stores import SessionKey, SqliteStore
from benchmarks.context.generate import session as generated
from benchmarks.context.grade import faults, request_tokens

ROOT = str(Path(__file__).parents[2])
WORKER = """
import sys
from agentrm_plugins.context.config import ContextConfig
from agentrm_plugins.sessions import ContextManager
from agentrm_plugins.stores import SqliteStore
from benchmarks.context.generate import session
history = session(31, 160).messages
store = SqliteStore(sys.argv[1])
print("ready", flush=True)
manager = ContextManager(ContextConfig(budget_tokens=2500), store=store, submit=lambda j: j())
one = manager.session("s")
start = max(2, one.pressure.messages + 1)
for end in range(start, len(history)):
    one.prepare(history[:end], now_s=1.0)
    print(end - 1, flush=True)
    if end % 7 == 0:
        manager.hibernate("s")
        one = manager.session("s")
print("finished", flush=True)
"""


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_session_comes_back_complete(tmp_path, seed):
    """Whatever was acknowledged before the kill is there word for word, and the talk goes on."""
    path = str(tmp_path / "a.db")
    history = generated(31, 160).messages
    rng = random.Random(seed)
    acknowledged = 0
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, path], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        # The kill falls anywhere into the turn that follows these.
        lines = [process.stdout.readline().strip() for _ in range(rng.randint(3, 40))]
        process.kill()
        lines += process.stdout.read().split()
        process.stdout.close()
        process.wait(20)
        acknowledged = max([acknowledged, *(int(x) for x in lines if x.isdigit())])
        with SqliteStore(path) as store:
            there = store.digests(SessionKey("default", "s"))
            assert len(there) >= acknowledged
            assert [seq for seq, _ in there] == list(range(len(there)))
    assert acknowledged > 10
    config = ContextConfig(budget_tokens=2500)
    with SqliteStore(path) as store, ContextManager(config, store=store, submit=lambda j: j()) as m:
        one = m.session("s")
        view = one.prepare(history[:-1], now_s=1.0)
        assert request_tokens(view.messages) <= 2500
        assert faults(view.messages) == []
        assert one.pressure.messages == len(history) - 2
        for seq, message in enumerate(history[1:-1]):
            row = store.read(SessionKey("default", "s"), [seq])[seq]
            assert json.loads(row.body) == message
