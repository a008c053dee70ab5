"""The cold tier of a fleet: a session that one worker hibernated wakes in another, on PostgreSQL.

Each worker is a process of its own, with `LangGraphColdStore` on LangGraph's `PostgresStore`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.fleet.postgres import Postgres
from tests.fleet.processes import ROOT

pytest.importorskip("langgraph.store.postgres")
pytest.importorskip("psycopg")

WORKER = """
import json, sys
from langgraph.store.postgres import PostgresStore
from agentrm_langgraph import LangGraphColdStore
from agentrm_plugins import SessionBusy
from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle

def say(what, **facts):
    print(json.dumps({"what": what, **facts}), flush=True)

with PostgresStore.from_conn_string(sys.argv[1]) as base:
    lifecycle = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if order["do"] == "open":
                lifecycle = ContextLifecycle(
                    ContextConfig(budget_tokens=order["budget"]),
                    store=LangGraphColdStore(base),
                    wait_s=order["wait_s"],
                    lease_s=order["lease_s"],
                )
                say("opened")
            elif order["do"] == "turn":
                view = lifecycle.session(order["session"]).prepare(order["history"])
                say("taken", messages=len(view.messages))
            elif order["do"] == "recall":
                say("recalled", text=lifecycle.session(order["session"]).recall(order["ask"]))
            else:
                lifecycle.close()
                say("closed")
        except SessionBusy as error:
            say("busy", left_s=error.left_s, text=str(error))
"""


@pytest.fixture(scope="module")
def postgres():
    running = Postgres()
    from langgraph.store.postgres import PostgresStore

    with PostgresStore.from_conn_string(running.url) as base:
        base.setup()
    yield running
    running.close()


class Worker:
    """A process that takes turns as it is told."""

    def __init__(self, postgres):
        path = os.pathsep.join((str(ROOT), str(ROOT / "adapters")))
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, postgres.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    def tell(self, do, **order):
        self.process.stdin.write(json.dumps({"do": do, **order}) + "\n")
        self.process.stdin.flush()

    def hear(self):
        line = self.process.stdout.readline()
        assert line, "the worker ended"
        return json.loads(line)

    def ask(self, do, **order):
        self.tell(do, **order)
        return self.hear()

    def open(self, budget=2_000, wait_s=0.0, lease_s=30.0):
        assert self.ask("open", budget=budget, wait_s=wait_s, lease_s=lease_s) == {"what": "opened"}

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def workers(postgres):
    both = Worker(postgres), Worker(postgres)
    yield both
    for worker in both:
        worker.close()


def talk(name, turns):
    history = []
    for n in range(turns):
        text = f"{name} asks for item {n}, whose number is {name}-{n}00. " + "More words. " * 20
        history += [{"role": "user", "content": text}]
        history += [{"role": "assistant", "content": f"noted {name} {n}"}]
    return history


def test_a_session_wakes_in_another_worker(workers):
    """One process puts it to sleep; another one recalls what was said, and goes on."""
    first, second = workers
    history = talk("ada", 20)
    first.open(budget=1_000)
    assert first.ask("turn", history=history, session="moved")["what"] == "taken"
    first.ask("close")
    second.open(budget=1_000)
    history += talk("late", 1)
    taken = second.ask("turn", history=history, session="moved")
    assert taken["what"] == "taken"
    assert taken["messages"] < len(history)
    found = second.ask("recall", session="moved", ask="what is the number of ada's item 3?")
    assert "ada-300" in found["text"]
    second.ask("close")


def test_two_workers_that_wake_one_session_at_once(workers):
    """One owns each session; the other is told that it is held, by whom, and for how long."""
    for worker in workers:
        worker.open()
    for number in range(20):
        session = f"both-{number}"
        for worker, name in zip(workers, ("ada", "bob"), strict=True):
            worker.tell("turn", history=talk(name, 3), session=session)
        answers = [worker.hear() for worker in workers]
        assert sorted(answer["what"] for answer in answers) == ["busy", "taken"], answers
        for answer in answers:
            if answer["what"] == "busy":
                assert 0 < answer["left_s"] <= 30
                assert f"session='{session}'" in answer["text"]
    for worker in workers:
        worker.ask("close")


def test_the_other_one_waits_for_the_owner(workers):
    """With time to wait, the second turn is taken once the owner has handed the session over."""
    owner, other = workers
    owner.open()
    other.open(wait_s=30.0)
    assert owner.ask("turn", history=talk("ada", 3), session="handed")["what"] == "taken"
    other.tell("turn", history=talk("bob", 1), session="handed")
    owner.ask("close")
    assert other.hear()["what"] == "taken"
    other.ask("close")


def test_a_killed_owner_is_succeeded_after_its_lease(workers):
    """Nothing that it archived is lost. It is the last test: one of the two is dead."""
    owner, other = workers
    owner.open(lease_s=1.0)
    other.open(wait_s=30.0, lease_s=1.0)
    assert owner.ask("turn", history=talk("ada", 3), session="killed")["what"] == "taken"
    owner.process.kill()
    assert other.ask("turn", history=talk("bob", 1), session="killed")["what"] == "taken"
    found = other.ask("recall", session="killed", ask="what is the number of ada's item 2?")
    assert "ada-200" in found["text"]
    other.ask("close")
