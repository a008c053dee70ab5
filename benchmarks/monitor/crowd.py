"""A look at a core that has seen very many agents: how long it takes, and what it keeps of them."""

from __future__ import annotations

import gc
import statistics
import tracemalloc
from time import perf_counter
from typing import Any

from agentrm_plugins import AgentRM, Call, Usage
from agentrm_plugins.integration import core_of

__all__ = ["KEPT_MOST", "LOOKS", "PAGE", "measure_crowd"]

PAGE = 100
LOOKS = {"statistics(agents=False)": (False, 1.0), f"a page of the {PAGE} busiest": (PAGE, 10.0)}
"""What is looked at, with the milliseconds that it may take at most."""
KEPT_MOST = 1.10
"""Memory after five times as many agents, over that after as many as are remembered."""
_USAGE = Usage(1000, 100)


def measure_crowd(agents: int, looks: int) -> dict[str, Any]:
    """Milliseconds of each look at so many remembered agents, and bytes when more come."""
    return {"agents": agents, "looks": _looks(agents, looks), "memory": _memory(agents // 5)}


def _seen(rm: AgentRM, first: int, last: int) -> None:
    core = core_of(rm)
    for number in range(first, last):
        core.admit(Call(f"agent-{number}", f"tenant-{number % 50}")).settle(_USAGE)


def _looks(agents: int, looks: int) -> dict[str, dict[str, float]]:
    found = {}
    with AgentRM(lanes=64, max_idle_agents=10 * agents) as rm:
        _seen(rm, 0, agents)
        assert rm.statistics(agents=False).agents_known == agents
        for name, (page, most_ms) in LOOKS.items():
            took = []
            for _ in range(looks):
                begun_s = perf_counter()
                rm.statistics(agents=page)
                took.append((perf_counter() - begun_s) * 1e3)
            found[name] = {
                "median_ms": statistics.median(took), "worst_ms": max(took), "at_most_ms": most_ms,
            }  # fmt: skip
    return found


def _memory(remembered: int) -> dict[str, float]:
    """Bytes that a core has allocated once it remembers as many as it may, and long after."""
    gc.collect()
    tracemalloc.start()
    try:
        with AgentRM(lanes=64, max_idle_agents=remembered) as rm:
            first = remembered + 2_000  # the last 4,096 events are full by then
            _seen(rm, 0, first)
            gc.collect()
            full = tracemalloc.get_traced_memory()[0]
            _seen(rm, first, first + 4 * remembered)
            gc.collect()
            later = tracemalloc.get_traced_memory()[0]
            known = rm.statistics(agents=False).agents_known
    finally:
        tracemalloc.stop()
    return {"remembered": known, "mib": full / 2**20, "later_mib": later / 2**20,
            "growth": later / full}  # fmt: skip
