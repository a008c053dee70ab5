"""The clairvoyant: he knows each call's own time, and cuts a hung attempt at 1.05 times of that."""

from __future__ import annotations

import heapq

from benchmarks.liveness.outcome import Outcome
from benchmarks.liveness.work import INPUT_TOKENS, Work

__all__ = ["clairvoyant"]

_CUT = 1.05


def clairvoyant(work: Work, lanes: int, agents: int, think_s: float) -> Outcome:
    """Run the calls of agents in closed loops, first come first served, in virtual time."""
    ready = [(0.0, agent) for agent in range(agents)]
    heapq.heapify(ready)
    free = [0.0] * lanes
    sent, hung_of = [0] * work.calls, [0] * work.calls
    took = [0.0] * work.calls
    end_s, tokens = 0.0, 0
    for number in range(work.calls):
        asked_s, agent = heapq.heappop(ready)
        now_s = max(asked_s, heapq.heappop(free))
        while True:
            hung = work.is_hung(number, sent[number], now_s)
            sent[number] += 1
            hung_of[number] += hung
            now_s += work.service_s(number, now_s) * (_CUT if hung else 1.0)
            tokens += INPUT_TOKENS + (0 if hung else work.output_tokens(number))
            if not hung:
                break
        took[number] = now_s - asked_s
        heapq.heappush(free, now_s)
        heapq.heappush(ready, (now_s + think_s, agent))
        end_s = max(end_s, now_s)
    needed = sum(INPUT_TOKENS + work.output_tokens(number) for number in range(work.calls))
    return Outcome(end_s, 0, tuple(sent), tuple(hung_of), tuple(took), tokens, needed)
