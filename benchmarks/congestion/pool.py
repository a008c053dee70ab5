"""The processes: for each slot a server and a client, kept for many runs and replaced when stuck.

A server apart from its clients, because in one process they would take each other's time.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.congestion.peers import PEERS
from benchmarks.congestion.scenarios import Variant

ROOT = Path(__file__).resolve().parents[2]
LITELLM_PYTHON = ROOT / ".venvs" / "litellm" / "bin" / "python"
_LITELLM_LOCK = ROOT / "requirements" / "litellm.txt"
_GRACE_S = 60.0  # beyond a run's own cap, before its client is killed: imports are slow


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one peer."""

    variant: Variant
    peer: str
    seed: int
    crowd: float
    turn_share: float
    cap_s: float
    quiet_s: float

    def order(self, urls: dict[str, Any]) -> dict[str, Any]:
        """As the client wants it."""
        return {
            "peer": self.peer,
            "variant": self.variant.name,
            "seed": self.seed,
            "crowd": self.crowd,
            "turn_share": self.turn_share,
            **urls,
            "cap_s": self.cap_s,
            "quiet_s": self.quiet_s,
        }


class Process:
    """A child that answers JSON lines with JSON lines.

    Args:
        python: Which interpreter.
        module: What it runs.
    """

    def __init__(self, python: str, module: str) -> None:
        # No proxies: all is on loopback. No tracing: it would send in the background.
        hidden = ("proxy", "langsmith_", "langchain_tracing", "openai_", "litellm_")
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith(hidden[0])}
        env = {k: v for k, v in env.items() if not k.lower().startswith(hidden[1:])}
        env["PYTHONPATH"] = os.pathsep.join((str(ROOT), str(ROOT / "adapters")))
        env["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
        self._child = subprocess.Popen(
            [python, "-m", module],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="bench-reader", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self._lines.put(line)
        self._lines.put("")

    def ask(self, order: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """One answer.

        Raises:
            TimeoutError: None came in time.
            ConnectionError: The child ended.
        """
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(order) + "\n")
            self._child.stdin.flush()
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError from None
        except OSError as error:
            raise ConnectionError(str(error)) from error
        if not line:
            raise ConnectionError("the process ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def kill(self) -> None:
        """End it now."""
        self._child.kill()
        self._child.wait()
        self._reader.join()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()


class Slot:
    """One server and its clients; runs one job at a time."""

    def __init__(self) -> None:
        self._processes: dict[str, Process] = {}

    def _process(self, name: str) -> Process:
        if name not in self._processes:
            python = str(LITELLM_PYTHON) if name == "litellm" else sys.executable
            module = "server" if name == "server" else "client"
            self._processes[name] = Process(python, f"benchmarks.congestion.{module}")
        return self._processes[name]

    def _drop(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is not None:
            process.kill()

    def run(self, job: Job) -> dict[str, Any]:
        """The client's result with the server's log; or {"skipped": why}."""
        who = "litellm" if PEERS[job.peer].litellm else "client"
        server = self._process("server")
        start = {
            "do": "start",
            "variant": job.variant.name,
            "seed": job.seed,
            "crowd": job.crowd,
        }
        urls = server.ask(start, 30.0)
        try:
            result = self._process(who).ask(job.order(urls), job.cap_s + _GRACE_S)
        except (TimeoutError, ConnectionError) as error:
            result = {"skipped": f"the client failed: {type(error).__name__} {error}"}
            self._drop(who)
        if result.get("tainted"):
            self._drop(who)
        seen = server.ask({"do": "stop"}, 30.0)
        return {
            **result,
            "log": seen["log"],
            "server_started_s": seen["started_s"],
            "lag_s": seen["lag_s"],
        }

    def close(self) -> None:
        """End all its processes."""
        for name in list(self._processes):
            self._drop(name)


@contextmanager
def _interruptible(failures: list[BaseException]) -> Iterator[None]:
    """Ctrl-C ends the run after the jobs under way."""
    try:
        yield
    except KeyboardInterrupt as error:
        failures.append(error)


def run_all(jobs: Iterable[Job], slots: int, done: Callable[[Job, dict[str, Any]], None]) -> None:
    """Run the jobs, `slots` at a time; `done` is called from one thread at a time.

    The first slot alone runs LiteLLM's jobs, since a process for them is slow to start.
    """
    ordered = list(jobs)
    lock = threading.Lock()
    failures: list[BaseException] = []

    def take(first: bool) -> Job | None:
        with lock:
            able = (job for job in ordered if first or not PEERS[job.peer].litellm)
            # The first slot does what only it can do as soon as it is due.
            job = next(able, None)
            if job is not None:
                ordered.remove(job)
            return job

    def work(first: bool) -> None:
        slot = Slot()
        try:
            while not failures and (job := take(first)) is not None:
                result = slot.run(job)
                with lock:
                    done(job, result)
        except BaseException as error:  # noqa: BLE001  raised again in the main thread
            failures.append(error)
        finally:
            slot.close()

    threads = [
        threading.Thread(target=work, args=(not i,), name=f"bench-slot-{i}") for i in range(slots)
    ]
    for thread in threads:
        thread.start()
    with _interruptible(failures):
        for thread in threads:
            thread.join()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def versions(names: Iterable[str]) -> dict[str, str]:
    """Those of the packages that are installed, and LiteLLM's in its own environment."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    for info in LITELLM_PYTHON.parents[1].glob("lib/python*/site-packages/litellm-*.dist-info"):
        found["litellm"] = info.name.removeprefix("litellm-").removesuffix(".dist-info")
    return found


def prepare_litellm() -> str | None:
    """Make LiteLLM's environment if it is not there; why not, if that fails."""
    if LITELLM_PYTHON.exists():
        return None
    folder = LITELLM_PYTHON.parents[1]
    install = [str(LITELLM_PYTHON), "-m", "pip", "install", "-q", "--no-input", "--no-deps"]
    steps = ([sys.executable, "-m", "venv", str(folder)], [*install, "-r", str(_LITELLM_LOCK)])
    for step in steps:
        try:
            subprocess.run(step, check=True, capture_output=True, text=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            return f"its environment cannot be made ({type(error).__name__})"
    return None
