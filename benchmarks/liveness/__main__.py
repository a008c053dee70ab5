"""`python -m benchmarks.liveness [--quick] [--only NAME] [--json PATH]`: over real HTTP.

Slow calls among quick ones, and hangs: who answers all of them, after how long, with how many
requests and tokens. In virtual time on the kernel: `python -m benchmarks.liveness.virtual`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.congestion.pool import LITELLM_PYTHON, Process
from benchmarks.liveness.report import about, document, table
from benchmarks.liveness.ways import WAYS
from benchmarks.liveness.work import SITUATIONS
from benchmarks.liveness.worker import CLAIRVOYANT

RESULTS = Path(__file__).parent.parent / "results" / "liveness.json"
LITELLM = "LiteLLM Router"
_CAP_S = 3600.0  # of one run


def _arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.liveness", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="40 calls, one seed, timeouts of 20 s: some minutes"
    )
    parser.add_argument("--only", action="append", choices=sorted(SITUATIONS), metavar="SITUATION")
    parser.add_argument("--way", action="append", choices=list(WAYS), metavar="WAY")
    parser.add_argument("--seeds", help="as 7,8,9 (the default; with --quick 7)")
    parser.add_argument("--calls", type=int, help="of a run: 160, with --quick 40")
    parser.add_argument("--jobs", type=int, default=8, help="runs at a time (8): they mostly wait")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where to write (and .md)")
    return parser.parse_args(given)


def _orders(options: argparse.Namespace) -> list[dict[str, Any]]:
    quick = options.quick
    seeds = [int(seed) for seed in (options.seeds or ("7" if quick else "7,8,9")).split(",")]
    ways = [CLAIRVOYANT, *(options.way or WAYS)]
    if LITELLM in ways and not LITELLM_PYTHON.exists():
        print("LiteLLM has no environment: benchmarks.congestion makes one", file=sys.stderr)
        ways.remove(LITELLM)
    return [
        {
            "situation": name,
            "way": way,
            "seed": seed,
            "calls": options.calls or (40 if quick else 160),
            "s": 20.0 if quick else 30.0,
        }
        for name in options.only or SITUATIONS
        for way in ways
        for seed in seeds
        if way != CLAIRVOYANT or not SITUATIONS[name].streams
    ]


class _Runs:
    """Runs orders, several at a time; each slot has a process of its own for each Python."""

    def __init__(self, orders: list[dict[str, Any]]) -> None:
        self._left = list(reversed(orders))
        self._all = len(orders)
        self._lock = threading.Lock()
        self.done: list[dict[str, Any]] = []
        self.failures: list[str] = []

    def work(self) -> None:
        """Take one order after the other, until there is none."""
        processes: dict[str, Process] = {}
        try:
            while True:
                with self._lock:
                    order = self._left.pop() if self._left else None
                if order is None:
                    return
                self._one(order, processes)
        finally:
            for process in processes.values():
                process.kill()

    def _one(self, order: dict[str, Any], processes: dict[str, Process]) -> None:
        python = str(LITELLM_PYTHON) if order["way"] == LITELLM else sys.executable
        if python not in processes:
            processes[python] = Process(python, "benchmarks.liveness.worker")
        began_s = time.monotonic()
        try:
            figures = processes[python].ask(order, _CAP_S)
        except (TimeoutError, ConnectionError) as error:
            processes.pop(python).kill()
            with self._lock:
                self.failures.append(f"{order}: {type(error).__name__} {error}")
            return
        with self._lock:
            self.done.append({**order, "figures": figures})
            told = f"{len(self.done)} of {self._all}: {order['situation']}, {order['way']}"
            print(f"{told}, {time.monotonic() - began_s:.0f} s", file=sys.stderr, flush=True)


def main(given: list[str] | None = None) -> int:
    """Run it."""
    options = _arguments(given)
    orders, load = _orders(options), os.getloadavg()[0]
    runs, began_s = _Runs(orders), time.monotonic()
    threads = [threading.Thread(target=runs.work) for _ in range(min(options.jobs, len(orders)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for failure in runs.failures:
        print(failure, file=sys.stderr)
    place = {json.dumps({**order, "figures": None}): at for at, order in enumerate(orders)}
    done = sorted(runs.done, key=lambda one: place[json.dumps({**one, "figures": None})])
    found = document(about(orders, load, time.monotonic() - began_s), done)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    text = table(found)
    options.json.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 1 if runs.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
