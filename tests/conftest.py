"""What every test shares: only loopback is reachable, no tracing, no key, no thread left behind."""

from __future__ import annotations

import gc
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

# Must stand before any test module imports a framework that reads its environment.
for name in list(os.environ):
    if name.startswith(("LANGSMITH_", "LANGCHAIN_", "OPENAI_")) or name.lower().endswith("_proxy"):
        del os.environ[name]
os.environ["LANGSMITH_TRACING"] = "false"

LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "", None}
THREADS_END_WITHIN_S = 5.0


class NetworkBlockedError(RuntimeError):
    """A test tried to reach something beyond this machine."""


def _is_loopback(host: Any) -> bool:
    if isinstance(host, bytes):
        host = host.decode()
    return host in LOOPBACK_NAMES or str(host).startswith("127.")


def _guard_network(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event in {"socket.connect", "socket.sendto"} and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    if not _is_loopback(host):
        raise NetworkBlockedError(f"host={host!r}: tests reach loopback only; use the simulator")


sys.addaudithook(_guard_network)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Under `-m lowest`, do not even import files without such tests: they may need newer tools."""
    if config.option.markexpr != "lowest":
        return None
    files = collection_path.rglob("*.py") if collection_path.is_dir() else [collection_path]
    marked = ("mark.lowest" in file.read_text(encoding="utf-8") for file in files)
    return not any(marked) or None


def pytest_collection_finish() -> None:
    """Let collections of garbage pass over what importing the tests has made: it stays.

    With a million objects of imported modules each `gc.collect` of a test would take a second.
    """
    gc.collect()
    gc.freeze()


CLIENT_CACHES = ("_cached_sync_httpx_client", "_cached_async_httpx_client")


def pytest_runtest_setup() -> None:
    """Let langchain-openai keep every default client: each test has a server, so a URL, of its own.

    It keeps 128, drops the oldest with its connections open, and the test in which they are
    collected would fail for what an earlier one did.
    """
    utils: Any = sys.modules.get("langchain_openai.chat_models._client_utils")
    for name in CLIENT_CACHES:
        cached = getattr(utils, name, None)
        if cached is not None and cached.cache_parameters()["maxsize"] is not None:
            setattr(utils, name, lru_cache(maxsize=None)(cached.__wrapped__))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Collect what the last tests dropped: nobody is left to whom its open sockets could be laid.

    The SDKs' clients sit in circles with their sockets. Which of the two is finalised first, the
    client that would close them or they, is chance; pytest would fail the whole run for the latter.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="session", autouse=True)
def _no_thread_of_ours_survives() -> Iterator[None]:
    """Our threads carry `agentrm` in their names; all must end when their owners are closed."""
    yield
    ours = [thread for thread in threading.enumerate() if "agentrm" in thread.name.lower()]
    for thread in ours:
        thread.join(THREADS_END_WITHIN_S)
    left = sorted(thread.name for thread in ours if thread.is_alive())
    assert not left, f"threads left behind: {left}"
