"""One worker of a fleet: every process that runs this shares the same four lanes.

Start a Redis and two or three of these:

    AGENTRM_COORDINATION=redis://localhost:6379/0 python examples/fleet/worker.py

Without the variable the process is alone, and has the four lanes for itself.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from agentrm_plugins import AgentRM


def work(rm: AgentRM, name: str, calls: int) -> None:
    """Make some calls, each in a lane of the fleet."""
    for _ in range(calls):
        with rm.slot(agent=name):
            time.sleep(0.05)  # the model call would be here


def main() -> None:
    """Eight agents in this process."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with AgentRM(lanes=4) as rm:
        names = [f"{os.getpid()}-{number}" for number in range(8)]
        threads = [threading.Thread(target=work, args=(rm, name, calls)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seen = rm.statistics()
        members = seen.fleet.members if seen.fleet is not None else 1
        print(f"{seen.settled} calls on 4 lanes, shared by {members} process(es)")


if __name__ == "__main__":
    main()
