"""The soak: a process is killed every so often and the server emptied now and then, for long.

At the end nothing may have grown (keys, fields in them, bytes), and a process that comes then must
get every lane.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from typing import Any

from benchmarks.fleet.run import Redis, gathered, quantile, start

__all__ = ["soak"]

LANES, HOLD_S, PROCESSES, LEASE_S = 8, 0.05, 4, 3.0
_END_S = 5.0


def soak(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Kill, empty, look; and look once more when all are dead."""
    with Redis() as server:
        task = {
            "way": "fleet", "server": server.url, "namespace": "bench", "lease_s": LEASE_S,
            "lanes": LANES, "hold_s": HOLD_S, "threads": 4, "seconds": 1e6, "processes": PROCESSES,
        }  # fmt: skip
        client = server.client()
        workers = [_begun({**task, "name": f"p{number}"}) for number in range(PROCESSES)]
        began_s = emptied_s = time.monotonic()
        killed = flushed = 0
        seen = []
        while time.monotonic() - began_s < options.seconds:
            time.sleep(options.kill_every)
            place = killed % PROCESSES
            _end(workers[place])
            workers[place] = _begun({**task, "name": f"q{killed}"})
            killed += 1
            if time.monotonic() - emptied_s > options.flush_every:
                emptied_s = time.monotonic()
                client.flushall()
                flushed += 1
                time.sleep(1.5 * LEASE_S)
            seen.append(_size(client))
        for worker in workers:
            _end(worker)
        time.sleep(2 * LEASE_S)
        last = gathered({**task, "seconds": _END_S, "threads": 2 * LANES}, 1)
        third = max(1, len(seen) // 3)
        row = {
            "seconds": round(time.monotonic() - began_s),
            "killed": killed,
            "flushed": flushed,
            **{
                f"{what}_{when}": max(one[what] for one in part)
                for what in ("keys", "fields", "bytes")
                for when, part in (("first_third", seen[:third]), ("last_third", seen[-third:]))
            },
            "grants_per_s_at_the_end": round(last["calls"] / _END_S),
            "of_an_ideal": round(LANES / HOLD_S),
            "wait_p95_s": round(quantile(last["batch"], 0.95), 3),
            "lanes_usable": last["most"],
            "of_lanes": LANES,
            "hung": last["hung"],
        }
    print(row, flush=True)
    return [row]


def _size(client: Any) -> dict[str, int]:
    """What the server holds: keys, fields in them, bytes."""
    keys = client.keys("*")
    fields = {b"hash": client.hlen, b"zset": client.zcard, b"list": client.llen}
    return {
        "keys": len(keys),
        "fields": sum(fields.get(client.type(key), lambda _: 0)(key) for key in keys),
        "bytes": sum(client.memory_usage(key) or 0 for key in keys),
    }


def _begun(task: dict[str, Any]) -> subprocess.Popen[str]:
    worker = start(task)
    assert worker.stdout is not None
    assert worker.stdin is not None
    assert worker.stdout.readline() == "ready\n"
    worker.stdin.write("go\n")
    worker.stdin.flush()
    return worker


def _end(worker: subprocess.Popen[str]) -> None:
    worker.kill()
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            pipe.close()
