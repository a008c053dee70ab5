"""A forked child joins as a member of its own, and leaves the parent as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.fleet.processes import ROOT

SCRIPT = """
import json, os, sys, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from agentrm_plugins import AgentRM
rm = AgentRM(lanes=4, coordination=sys.argv[1], namespace=sys.argv[2])
with rm.slot(agent="parent"):
    own = rm.statistics().fleet.member
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with rm.slot(agent="child"):
            end = time.monotonic() + 20
            while rm.statistics().fleet.members < 2 and time.monotonic() < end:
                time.sleep(0.02)
            seen = rm.statistics().fleet
            os.write(writer, json.dumps([seen.member, seen.members, seen.state]).encode())
        rm.close()
        os._exit(0)
    told = json.loads(os.read(reader, 4096))
    os.waitpid(child, 0)
with rm.slot(agent="parent"):
    after = rm.statistics().fleet
rm._host.read(lambda kernel: kernel.validate())
rm.close()
print(json.dumps({"own": own, "child": told, "after": [after.member, after.state, after.fenced]}))
"""


def test_a_forked_child_joins(server, namespace):
    """Two members while both live; the parent's lane and name stay its own."""
    path = os.pathsep.join((str(ROOT), str(ROOT / "adapters")))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, server.url, namespace],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    found = json.loads(done.stdout)
    name, members, state = found["child"]
    assert name != found["own"]
    assert (members, state) == (2, "joined")
    assert found["after"] == [found["own"], "joined", 0]


ALONE = """
import logging, os, sys
logging.basicConfig(level=logging.WARNING, format="%(message)s")
from agentrm_plugins import AgentRM
rm = AgentRM(lanes=4)
with rm.slot(agent="parent"):
    pass
child = os.fork()
if not child:
    for _ in range(3):
        with rm.slot(agent="child"):
            pass
    os._exit(0)
os.waitpid(child, 0)
with rm.slot(agent="parent"):
    pass
"""


def test_a_forked_child_without_a_fleet_says_so_once():
    """Each process has all lanes then: that is said in the child, with what to do."""
    path = os.pathsep.join((str(ROOT), str(ROOT / "adapters")))
    env = {key: value for key, value in os.environ.items() if key != "AGENTRM_COORDINATION"}
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**env, "PYTHONPATH": path},
    )
    assert done.stderr.count("coordination='redis://...'") == 1, done.stderr
