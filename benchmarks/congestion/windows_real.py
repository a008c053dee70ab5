"""Twenty agents of five turns behind limits in windows, in real time: the whole of the plugin.

Rows: *gateway* (LiteLLM's own proxy, a real process in an environment of its own, before a
simulated provider), *fixed* (clock minutes), *sliding* and *refunds* (a clock minute's tokens of
which unused ones are kept), each with limit and remaining in headers, no reset and no
``retry-after``. Peers: a wrapped ChatOpenAI, told nothing or the limit, and the bare one with 2 and
with 10 retries. A run lasts a minute or two; what is allowed is how long a window makes anybody
wait.
"""

from __future__ import annotations

import asyncio
import queue
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from langchain_openai import ChatOpenAI

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM, Config, EndpointConfig
from agentrm_plugins.testing.provider import Distribution, ProviderConfig, SimulatedProvider

ROOT = Path(__file__).resolve().parents[2]
GATEWAY = ROOT / ".venvs" / "gateway"
AGENTS, TURNS, RPM, WINDOW_S = 20, 5, 60, 60.0
_PHASES_S = (3.0, 40.0)  # all of a window's requests must have gone before it ends
TPM, MOST = 60 * 260, 200
PEERS = ("ours", "told", "sdk-2", "sdk-10")
_USUAL = {"header_style": "gateway", "retry_after": "none", "rejection_cost": 0.0}
ROWS: dict[str, dict[str, Any]] = {
    "gateway": {},
    "fixed": {"rpm": RPM, "window": "clock", **_USUAL},
    "sliding": {"rpm": RPM, "window": "sliding", **_USUAL},
    "refunds": {"tpm": TPM, "window": "clock", "charge": "reserve_only", **_USUAL},
}
_PROXY = """model_list:
  - model_name: m
    litellm_params: {{model: openai/m, api_base: "{upstream}", api_key: test-key, rpm: {rpm}}}
router_settings:
  optional_pre_call_checks: ["enforce_model_rate_limits"]
  num_retries: 0
litellm_settings: {{num_retries: 0, telemetry: false}}
"""


class Run(NamedTuple):
    """What one peer did in one row."""

    row: str
    peer: str
    finished: int
    wall_s: float
    phase_s: float
    refusals: list[float]
    error: str

    @property
    def allowed_s(self) -> float:
        """What the window makes anybody wait, and the turns after it."""
        starts_s = WINDOW_S - (self.phase_s if self.row in {"gateway", "fixed", "refunds"} else 0.0)
        return starts_s + 2.5

    def line(self) -> str:
        """A row of the table."""
        windows = [0, 0, 0, 0]
        edge_s = WINDOW_S - (self.phase_s if self.row != "sliding" else 0.0)
        for at_s in self.refusals:
            windows[min(3, 0 if at_s < edge_s else 1 + int((at_s - edge_s) // WINDOW_S))] += 1
        return (
            f"| {self.row} | {self.peer} | {self.finished}/{AGENTS} | {self.wall_s:.1f} | "
            f"{self.allowed_s:.1f} | {' + '.join(map(str, windows))} | {self.error} |"
        )


def _answers() -> dict[str, Any]:
    return {
        "seed": 7,
        "time_to_first_token_s": Distribution.uniform(0.3, 0.7),
        "output_tokens": Distribution.uniform(20, 60),
    }


@contextmanager
def served(row: str) -> Iterator[str]:
    """The base URL of a row's server."""
    with SimulatedProvider(ProviderConfig(**_answers(), **ROWS[row])) as provider:
        if row != "gateway":
            yield provider.base_url
            return
        with TemporaryDirectory() as folder, proxy(provider.base_url, Path(folder)) as url:
            yield url


@contextmanager
def proxy(upstream: str, folder: Path, port: int = 8791) -> Iterator[str]:
    """LiteLLM's proxy as a process, with a limit on its model."""
    command = GATEWAY / "bin" / "litellm"
    if not command.exists():
        subprocess.run([sys.executable, "-m", "venv", str(GATEWAY)], check=True)
        lock = str(ROOT / "requirements" / "gateway.txt")
        pip = [str(GATEWAY / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r", lock]
        subprocess.run(pip, check=True)
    config = folder / "proxy.yaml"
    config.write_text(_PROXY.format(upstream=upstream, rpm=RPM), encoding="utf-8")
    arguments = [str(command), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    environment = {
        "PATH": f"{GATEWAY / 'bin'}:/usr/bin:/bin",
        "HOME": str(folder),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        # It listens on loopback alone, and the upstream is simulated.
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log, env=environment)
        try:
            _wait_for(f"http://127.0.0.1:{port}/health/liveliness", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for(url: str, process: subprocess.Popen[bytes], timeout_s: float = 300.0) -> None:
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(f"nothing answers at {url}")


async def run(row: str, peer: str, url: str) -> Run:
    """Let the agents work, and count what was refused."""
    managed = peer in {"ours", "told"}
    retries = 0 if managed else int(peer.partition("-")[2])
    refusals: list[float] = []
    begun_s, phase_s = time.monotonic(), time.time() % WINDOW_S

    async def seen(response: Any) -> None:
        if response.status_code == 429:
            refusals.append(time.monotonic() - begun_s)

    import httpx2

    http = httpx2.AsyncClient(timeout=600, event_hooks={"response": [seen]})
    model: Any = ChatOpenAI(
        model="m", base_url=url, api_key="test-key", max_retries=retries, max_tokens=MOST,
        http_async_client=http,
    )  # fmt: skip
    said = EndpointConfig(tpm=TPM) if row == "refunds" else EndpointConfig(rpm=RPM)
    rm = AgentRM(Config(lanes=64, endpoints={"*": said} if peer == "told" else {}))
    if managed:
        model = wrap_chat_model(model, rm)
    errors: list[str] = []

    async def agent(number: int) -> bool:
        try:
            for turn in range(TURNS):
                await model.ainvoke(f"agent {number}, turn {turn}")
        except Exception as error:  # noqa: BLE001 - a lost agent is a figure
            errors.append(type(error).__name__)
            return False
        return True

    done = await asyncio.gather(*(agent(number) for number in range(AGENTS)))
    wall_s = time.monotonic() - begun_s
    await http.aclose()
    rm.close()
    return Run(row, peer, sum(done), wall_s, phase_s, refusals, errors[0] if errors else "")


def runs(rows: Sequence[str], peers: Sequence[str]) -> Iterator[Run]:
    """The rows side by side, each with one peer after the other.

    Each has a server of its own, and agents that mostly wait, so they do not disturb each other.
    """
    done: queue.Queue[Run | None] = queue.Queue()
    failed: list[Exception] = []

    def play(row: str) -> None:
        try:
            for peer in peers:
                with served(row) as url:
                    while not _PHASES_S[0] <= time.time() % WINDOW_S <= _PHASES_S[1]:
                        time.sleep(0.5)
                    done.put(asyncio.run(run(row, peer, url)))
        except Exception as error:  # noqa: BLE001 - raised below, when the others are through
            failed.append(error)
        done.put(None)

    for row in rows:
        threading.Thread(target=play, args=(row,), name=row).start()
    left = len(rows)
    while left:
        found = done.get()
        if found is None:
            left -= 1
        else:
            yield found
    if failed:
        raise failed[0]
