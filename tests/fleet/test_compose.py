"""The compose file runs: its own commands, as processes, with its own environment.

No container engine is asked for: what is replaced is only what the engine would do (the host
"redis" and the folder /app).
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.fleet.processes import ROOT
from tests.fleet.servers import Server

FOLDER = ROOT / "examples" / "fleet"
yaml = pytest.importorskip("yaml")


@pytest.fixture
def services():
    return yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))["services"]


def test_every_field_is_one_that_compose_knows(services):
    """No word is misspelt: an engine refuses a file with a field that it does not know."""
    assert set(services) == {"redis", "worker"}
    known = {"image", "command", "depends_on", "deploy", "environment", "volumes", "healthcheck"}
    for service in services.values():
        assert set(service) <= known
    assert set(services["worker"]["depends_on"]) <= set(services)
    (mount,) = services["worker"]["volumes"]
    source, target, mode = mount.split(":")
    assert (FOLDER / source / "worker.py").is_file()
    assert (target, mode) == ("/app", "ro")


def test_its_commands_run(services):
    """Three workers share four lanes through the server as it is started there."""
    program, *settings = services["redis"]["command"]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    worker = services["worker"]
    shell, flag, script = shlex.split(worker["command"])
    install, run = script.split(" && ")
    assert (shell, flag) == ("sh", "-c")
    assert shlex.split(install) == ["pip", "install", "-q", "agentrm-plugins[redis]"]
    python, path = shlex.split(run)
    assert python == "python"
    server = Server("redis-server", *settings)
    try:
        environment = {
            name: value.replace("redis:6379", f"127.0.0.1:{server.port}")
            for name, value in worker["environment"].items()
        }
        paths = os.pathsep.join((str(ROOT), str(ROOT / "adapters")))
        workers = [
            subprocess.Popen(
                [sys.executable, path.replace("/app", str(FOLDER)), "20"],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env={**os.environ, **environment, "PYTHONPATH": paths},
            )
            for _ in range(worker["deploy"]["replicas"])
        ]
        told = [one.communicate(timeout=90)[0] for one in workers]
        assert [one.returncode for one in workers] == [0] * 3, told
        assert all("160 calls on 4 lanes" in text for text in told), told
        assert server.client().config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    finally:
        server.close()
