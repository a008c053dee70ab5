"""A process that does one run after the other: an order as a line of JSON, the figures as another.

LiteLLM's is another Python, with another version of the SDK.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from benchmarks.liveness.http import over_http
from benchmarks.liveness.oracle import clairvoyant
from benchmarks.liveness.streams import streamed
from benchmarks.liveness.work import SITUATIONS, Work

__all__ = ["CLAIRVOYANT", "figures"]

LANES, AGENTS, THINK_S = 8, 16, 0.3
CLAIRVOYANT = "clairvoyant, in virtual time"


def figures(order: dict[str, Any]) -> dict[str, Any]:
    """One run."""
    situation = SITUATIONS[order["situation"]]
    work, way, timeout_s = Work(situation, order["seed"], order["calls"]), order["way"], order["s"]
    usual = [number for number in range(work.calls) if not work.is_slow(number)]
    if situation.streams:
        outcome = asyncio.run(streamed(work, way, lanes=LANES, agents=AGENTS, timeout_s=timeout_s))
        return outcome.figures(0.0, usual)
    best = clairvoyant(work, LANES, AGENTS, THINK_S)
    if way == CLAIRVOYANT:
        return best.figures(best.wall_s, usual)
    outcome = asyncio.run(
        over_http(work, way, lanes=LANES, agents=AGENTS, think_s=THINK_S, timeout_s=timeout_s)
    )
    return outcome.figures(best.wall_s, usual)


def main() -> None:
    """Until the orders end."""
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever libraries print is no answer
    for line in sys.stdin:
        print(json.dumps(figures(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
