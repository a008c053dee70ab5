"""Celery workers that fork: the core is made once, each child joins as a member of its own.

    export AGENTRM_COORDINATION=redis://localhost:6379/0 CELERY_BROKER=redis://localhost:6379/1
    celery --workdir examples/fleet -A celery_tasks worker --concurrency 4
    python examples/fleet/celery_tasks.py 20      # ask for twenty summaries, and wait for them

The broker may be the same server; another database keeps its keys apart.
"""

from __future__ import annotations

import os
import sys
import time

from celery import Celery

from agentrm_plugins import AgentRM

broker = os.environ.get("CELERY_BROKER", "redis://localhost:6379/1")
app = Celery("celery_tasks", broker=broker, backend=broker)
app.conf.worker_prefetch_multiplier = 1
rm = AgentRM(lanes=2)  # made in the parent: a child that Celery forks joins with its first call


@app.task
def summarise(text: str) -> dict[str, object]:
    """One task: its model call goes in a lane of the fleet, behind whoever is interactive."""
    with rm.slot(agent="summaries", priority="batch"):
        begun_s = time.time()
        time.sleep(0.1)  # the model call would be here
        ended_s = time.time()
    return {"text": text[:80], "by": os.getpid(), "begun_s": begun_s, "ended_s": ended_s}


def main() -> None:
    """Ask for summaries; say which processes made them, and how many at one moment."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    asked = [summarise.delay(f"text {number}") for number in range(wanted)]
    made = [one.get(timeout=60) for one in asked]
    at_once = max(
        sum(other["begun_s"] < one["ended_s"] and other["ended_s"] > one["begun_s"]
            and other["begun_s"] <= one["begun_s"] for other in made)
        for one in made
    )  # fmt: skip
    print(f"{len(made)} summaries by {len({one['by'] for one in made})} processes, "
          f"at most {at_once} at once")  # fmt: skip
    rm.close()


if __name__ == "__main__":
    main()
