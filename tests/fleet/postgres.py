"""A real PostgreSQL for tests: its own cluster in a temp folder, on a free port of loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.fleet.servers import free_port

PATIENCE_S = 30.0
_USER = "postgres"


def programs() -> Path | None:
    """Where initdb and postgres are: Debian keeps them off the path."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class Postgres:
    """One server of its own. It refuses to run as root, so root starts it as `postgres`."""

    def __init__(self) -> None:
        folder = programs()
        if folder is None:
            pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
        self._as = {}
        if os.getuid() == 0:
            try:
                known = pwd.getpwnam(_USER)
            except KeyError:
                pytest.skip(f"there is no user {_USER!r}, and root may not run PostgreSQL")
            self._as = {"user": known.pw_uid, "group": known.pw_gid, "extra_groups": []}
        self.folder = Path(tempfile.mkdtemp(prefix="agentrm-pg-"))
        if self._as:
            os.chown(self.folder, self._as["user"], self._as["group"])
        data = self.folder / "data"
        command = [str(folder / "initdb"), "-D", str(data), "-U", "test", "-A", "trust", "-N"]
        subprocess.run(
            command, check=True, capture_output=True, cwd=self.folder, timeout=120, **self._as
        )
        self.port = free_port()
        command = [str(folder / "postgres"), "-D", str(data), "-k", str(self.folder)]
        command += ["-p", str(self.port), "-h", "127.0.0.1", "-F"]
        self.process = subprocess.Popen(
            command,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._as,
        )
        self._wait()

    @property
    def url(self) -> str:
        return f"postgresql://test@127.0.0.1:{self.port}/postgres"

    def _wait(self) -> None:
        import psycopg

        end_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
            except psycopg.OperationalError:
                assert time.monotonic() < end_s, "the server never answered"
                time.sleep(0.05)
            else:
                return

    def close(self) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
