"""The examples of a fleet run, each process as its text says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fleet.processes import ROOT
from tests.fleet.servers import free_port

FOLDER = ROOT / "examples" / "fleet"
STARTS_WITHIN_S = 120.0  # all processes import at once, on whatever machine


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


def asked(port, path, method="GET"):
    """What the service answers; None while it is not there."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)
    except (urllib.error.URLError, ConnectionError):
        return None


def test_a_service_with_two_workers(own_server, namespace):
    """As its text starts it: each worker is a member, all answer, and all leave at the end."""
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    port, path = free_port(), os.pathsep.join((str(ROOT), str(ROOT / "adapters")))
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(FOLDER), "service:app"]
    service = subprocess.Popen(
        [*command, "--workers", "2", "--port", str(port), "--log-level", "warning"],
        env={
            **os.environ,
            "PYTHONPATH": path,
            "AGENTRM_COORDINATION": own_server.url,
            "AGENTRM_NAMESPACE": namespace,
        },
    )
    try:
        end_s = time.monotonic() + STARTS_WITHIN_S
        while (asked(port, "/fleet") or {}).get("members") != 2:
            assert time.monotonic() < end_s, "two workers never joined"
            time.sleep(0.2)
        with ThreadPoolExecutor(8) as pool:
            ways = [f"/ask?question=q{number}" for number in range(24)]
            answers = list(pool.map(lambda way: asked(port, way, "POST"), ways))
        assert answers == [{"answer": f"you asked: q{number}"} for number in range(24)]
    finally:
        service.terminate()
        assert service.wait(30) == 0
    assert own_server.client().hlen(f"{{arm:{namespace}}}:m") == 0


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
