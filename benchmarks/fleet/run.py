"""Start processes, let them go at once, gather what they say."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["Redis", "gathered", "quantile"]

ROOT = Path(__file__).parent.parent.parent


class Redis:
    """A server of its own on loopback, in a folder of its own."""

    def __enter__(self) -> Self:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = tempfile.mkdtemp(prefix="agentrm-bench-")
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            raise SystemExit("redis-server is not installed")
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process = subprocess.Popen(
            [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                break
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def start(task: dict[str, Any]) -> subprocess.Popen[str]:
    """One process, which waits to be let go."""
    path = os.pathsep.join((str(ROOT), str(ROOT / "adapters")))
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fleet.worker", json.dumps(task)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
    )


def gathered(task: dict[str, Any], processes: int) -> dict[str, Any]:
    """What so many processes did together."""
    tasks = [{**task, "processes": processes, "name": f"p{n}"} for n in range(processes)]
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
        for key in ("tokens", "calls", "cpu_s", "hung", "reaped", "exchanges")
    }
    total["each"] = [one["tokens"] or one["calls"] for one in told]
    for kind in ("interactive", "batch"):
        total[kind] = sorted(wait for one in told for wait in one["waits"][kind])
    return total


def quantile(values: list[float], share: float) -> float:
    """A quantile of sorted values; 0 of none."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0
