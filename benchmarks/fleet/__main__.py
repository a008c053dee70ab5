"""`python -m benchmarks.fleet share|rate|faults|soak`: a fleet, beside processes without one.

* ``share``: processes share one token limit over HTTP; beside one process, processes that each know
  the whole limit, and processes that each know a part.
* ``rate``: grants a second, CPU and exchanges for each grant, with 1, 2, 4 and 8 processes.
* ``faults``: each kind of fault many times, with calls under way and without: `faults.py`.
* ``soak``: a process is killed every 10 s and the server emptied every 5 minutes; at the end a new
  process must get every lane, and the number of keys must be what it was.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from agentrm_plugins.testing.provider import SimulatedProvider
from benchmarks.fleet.faults import faults
from benchmarks.fleet.run import PEERS, Redis, gathered, quantile
from benchmarks.fleet.soak import soak

WAYS = ("single", "fleet", "churn", "uncoordinated", "eighth", *PEERS)
"""`churn`: the fleet, of which half the processes join after a quarter of the time and leave after
three quarters; `eighth`: each process knows its part of the limit; the others: `peer.py`."""


def share(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Processes that share one token limit."""
    rows = []
    for way in options.ways or WAYS:
        processes = 1 if way == "single" else options.processes
        threads = options.threads * options.processes // processes
        with (
            Redis() as server,
            SimulatedProvider(
                seed=options.seed,
                tpm=options.tpm,
                burst=2.0 / 60.0,
                time_to_first_token_s=0.1,
                token_time_s=0.005,
            ) as provider,
        ):
            task = {
                "way": "fleet" if way == "churn" else way,
                "churn": way == "churn",
                "server": server.url,
                "port": server.port,
                "namespace": "bench",
                "lease_s": 5.0,
                "url": provider.base_url,
                "tpm": options.tpm,
                "burst_s": 2.0,
                "lanes": 256,
                "threads": threads,
                "people": max(1, threads // 4),
                "seconds": options.seconds,
            }
            found = gathered(task, processes)
            seen = provider.statistics()
        rows.append(
            {
                "way": way,
                "processes": processes,
                "requests": seen.requests,
                "429_percent": round(100 * seen.rejected / max(1, seen.requests), 2),
                "goodput_percent": round(
                    100 * found["tokens"] / (options.tpm / 60 * (options.seconds + 2)), 1
                ),
                "interactive_p50_s": round(quantile(found["interactive"], 0.5), 3),
                "interactive_p95_s": round(quantile(found["interactive"], 0.95), 3),
                "batch_p95_s": round(quantile(found["batch"], 0.95), 3),
                "hung": found["hung"],
                "failed": found["reaped"],
                "429s_met_by_agents": found["refused"],
                "exchanges_per_call": round(found["exchanges"] / max(1, found["calls"]), 3),
            }
        )
        _done(rows)
    return rows


def _done(rows: list[dict[str, Any]]) -> None:
    """One more row: with the machine's load at its end."""
    rows[-1]["load"] = [round(one, 1) for one in os.getloadavg()]
    print(rows[-1], flush=True)


def rate(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Grants a second: with lanes in plenty, and with few lanes and calls of 50 ms."""
    rows = []
    for lanes, hold_s in ((64, 0.0), (8, 0.05)):
        for processes in (1, 2, 4, 8):
            with Redis() as server:
                task = {
                    "way": "fleet",
                    "server": server.url,
                    "namespace": "bench",
                    "lease_s": 5.0,
                    "lanes": lanes,
                    "hold_s": hold_s,
                    "threads": 8,
                    "seconds": options.seconds,
                }
                found = gathered(task, processes)
            calls = max(1, found["calls"])
            rows.append(
                {
                    "lanes": lanes,
                    "hold_s": hold_s,
                    "processes": processes,
                    "grants_per_s": round(calls / options.seconds),
                    "ideal_per_s": round(lanes / hold_s) if hold_s else None,
                    "cpu_us_per_grant": round(1e6 * found["cpu_s"] / calls),
                    "exchanges_per_grant": round(found["exchanges"] / calls, 4),
                    "wait_p50_ms": round(1000 * quantile(found["batch"], 0.5), 2),
                    "wait_p95_ms": round(1000 * quantile(found["batch"], 0.95), 2),
                    "hung": found["hung"],
                }
            )
            _done(rows)
    return rows


def main() -> None:
    """Run one of them, and write what was found."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers and processes end with it
    parser = argparse.ArgumentParser(prog="benchmarks.fleet", description=__doc__)
    parser.add_argument("what", choices=("share", "rate", "faults", "soak"))
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--threads", type=int, default=8, help="agents in each process")
    parser.add_argument("--tpm", type=float, default=420_000.0, help="the provider's limit")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ways", nargs="*", choices=WAYS)
    parser.add_argument("--times", type=int, default=20, help="repetitions of each fault")
    parser.add_argument("--lease", type=float, default=1.0, help="seconds, for the faults")
    parser.add_argument("--only", nargs="*", help="faults with one of these words in their names")
    parser.add_argument("--kill-every", type=float, default=10.0, help="seconds, in the soak")
    parser.add_argument("--flush-every", type=float, default=300.0, help="seconds, in the soak")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = {"share": share, "rate": rate, "faults": faults, "soak": soak}[options.what](options)
    for row in rows:
        row.setdefault("load", [round(one, 1) for one in os.getloadavg()])
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
