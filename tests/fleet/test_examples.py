"""The examples of a fleet run, each process as its text says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.fleet.processes import ROOT

FOLDER = ROOT / "examples" / "fleet"


def started(script, server, namespace, *arguments):
    path = os.pathsep.join((str(ROOT), str(ROOT / "adapters")))
    return subprocess.Popen(
        [sys.executable, str(FOLDER / script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": path,
            "AGENTRM_COORDINATION": server.url,
            "AGENTRM_NAMESPACE": namespace,
        },
    )


def test_two_workers_share_four_lanes(server, namespace):
    """Both end well, and at least one saw the other."""
    workers = [started("worker.py", server, namespace, "40") for _ in range(2)]
    told = [worker.communicate(timeout=90) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], told
    assert all("320 calls on 4 lanes" in out for out, _ in told), told
    assert any("shared by 2 process" in out for out, _ in told), told


def test_a_task(server, namespace):
    """It runs as a script as well."""
    worker = started("tasks.py", server, namespace)
    out, error = worker.communicate(timeout=60)
    assert worker.returncode == 0, error
    assert "worker of a fleet" in out


def test_a_service(server, namespace, monkeypatch):
    """Its lifespan joins, a request goes through a lane, and it says what to watch."""
    pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    monkeypatch.setenv("AGENTRM_COORDINATION", server.url)
    monkeypatch.setenv("AGENTRM_NAMESPACE", namespace)
    monkeypatch.syspath_prepend(str(FOLDER))
    import service

    with TestClient(service.app) as client:
        assert client.post("/ask", params={"question": "why"}).json() == {
            "answer": "you asked: why"
        }
        assert client.get("/fleet").json()["state"] == "joined"
