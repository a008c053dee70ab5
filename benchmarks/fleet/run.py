"""Start processes, let them go at once, gather what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.fleet.servers import Redis

__all__ = ["PEERS", "Redis", "gathered", "prepare_peers", "quantile", "start", "started"]

ROOT = Path(__file__).parent.parent.parent


PEERS = ("litellm", "limits")
_PEERS_PYTHON = ROOT / ".venvs" / "fleet" / "bin" / "python"


def prepare_peers() -> None:
    """Make the peers' environment, if it is not there."""
    if _PEERS_PYTHON.exists():
        return
    folder = _PEERS_PYTHON.parents[1]
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=300)
    install = [str(_PEERS_PYTHON), "-m", "pip", "install", "-q", "--no-input", "--no-deps", "-r"]
    subprocess.run([*install, str(ROOT / "requirements" / "fleet.txt")], check=True, timeout=600)


def start(task: dict[str, Any]) -> subprocess.Popen[str]:
    """One process, which waits to be let go."""
    if task["way"] in PEERS:
        return started("benchmarks.fleet.peer", task, str(_PEERS_PYTHON))
    return started("benchmarks.fleet.worker", task)


def started(
    module: str, task: dict[str, Any], python: str = sys.executable
) -> subprocess.Popen[str]:
    """A process that runs a module of this benchmark with a task."""
    path = os.pathsep.join((str(ROOT), str(ROOT / "adapters")))
    return subprocess.Popen(
        [python, "-m", module, json.dumps(task)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
    )


def gathered(task: dict[str, Any], processes: int) -> dict[str, Any]:
    """What so many processes did together."""
    if task["way"] in PEERS:
        prepare_peers()
    tasks = [{**task, "processes": processes, "name": f"p{n}"} for n in range(processes)]
    for one in tasks[: processes // 2] if task.get("churn") else ():  # they join late, leave early
        one |= {"begin_s": task["seconds"] / 4, "end_s": 3 * task["seconds"] / 4}
    running = [start(one) for one in tasks]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", "a worker did not begin"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [json.loads(process.communicate(timeout=task["seconds"] + 60)[0]) for process in running]
    total: dict[str, Any] = {
        key: sum(one[key] for one in told)
        for key in ("tokens", "calls", "cpu_s", "hung", "reaped", "refused", "exchanges")
    }
    total["most"] = sum(one.get("most", 0) for one in told)
    total["each"] = [one["tokens"] or one["calls"] for one in told]
    for kind in ("interactive", "batch"):
        total[kind] = sorted(wait for one in told for wait in one["waits"][kind])
    return total


def quantile(values: list[float], share: float) -> float:
    """A quantile of sorted values; 0 of none."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0
