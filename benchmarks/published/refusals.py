"""A real rate-limit cascade: the paper's Cascade load against a provider that answers 429.

The provider's token bucket is the simulated provider's own, in virtual time. Nothing hangs.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from math import inf

from agentrm_plugins.config import Config, EndpointConfig, LeaseConfig, SchedulerConfig
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.sim import SCENARIOS
from agentrm_plugins.sim.measure import quantile
from agentrm_plugins.testing.provider.limits import LimitSet, Quota
from agentrm_plugins.types.calls import Call, Outcome, Usage
from agentrm_plugins.types.effects import Granted
from agentrm_plugins.types.events import Event, Requeue, Settle, Submit, Tick
from agentrm_plugins.types.verdicts import Kind, LimitReport, Verdict
from benchmarks.published.report import spread, table
from benchmarks.published.worlds import interval

QUOTA = Quota(requests=20.0, tokens=9000.0, window_s=60.0)
TOKENS_PER_S = 40.0  # of output
INPUT_TOKENS = 400
ROUND_TRIP_S = 0.1  # a refusal comes fast
SDK_TRIES = 3  # the OpenAI SDK's max_retries, and its back-off below
OUR_TRIES = 10
_LONG_S = 1e9


class World:
    """One run.

    Args:
        seed: Of the turns.
        order: Who goes next.
        managed: Whether the core knows the endpoint, and refused calls go again without a lane;
            else each client backs off and tries again as the SDK does, holding its lane.
        told: Whether the core is told the limits beforehand.
        burst_s: Of those: seconds of rate that may be used at once; None: a minute's.
        headers: Whether refusals say how long to stay away.
        reserves: Whether calls say how many tokens they will probably use.
        holds: Whether who backs off holds its lane, where the core does not see to it.
        hints: Whether agents say what they are.
    """

    def __init__(
        self,
        seed: int,
        order: str,
        *,
        managed: bool,
        told: bool = False,
        burst_s: float | None = 2.0,
        headers: bool = True,
        reserves: bool = True,
        holds: bool = True,
        hints: bool = True,
    ) -> None:
        leases = LeaseConfig(_LONG_S, _LONG_S, _LONG_S, None)
        scheduler = SchedulerConfig(order=order)  # type: ignore[arg-type]
        limits = (QUOTA.requests, QUOTA.tokens) if told else (None, None)
        known = EndpointConfig(rpm=limits[0], tpm=limits[1], burst_s=burst_s)
        config = Config(
            lanes=4, scheduler=scheduler, leases=leases, endpoints={"provider.test/*": known}
        )
        self.kernel = Kernel(config)
        self.headers, self.reserves, self.holds = headers, reserves, holds
        self.hints = hints
        self.server = LimitSet(QUOTA, 0.0)
        self.managed = managed
        self.rng = random.Random(seed)
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.seq = count()
        self.now_s = 0.0
        self.turns = [t for t in SCENARIOS["cascade"].build(seed).turns if t.at_s is not None]
        self.tries = dict.fromkeys(range(len(self.turns)), 0)
        self.responses: dict[int, float] = {}
        self.refused = self.failed = self.tickets = 0
        self.number_of: dict[int, int] = {}
        for number, turn in enumerate(self.turns):
            self.at(turn.at_s or 0.0, lambda number=number: self.submit(number))

    def at(self, when_s: float, action: Callable[[], None]) -> None:
        heappush(self.agenda, (when_s, next(self.seq), action))

    def run(self) -> World:
        while len(self.responses) + self.failed < len(self.turns):
            next_s = self.agenda[0][0] if self.agenda else inf
            deadline_s = self.kernel.next_deadline()
            self.now_s = max(self.now_s, min(next_s, deadline_s))
            if deadline_s <= next_s:
                self.feed(Tick())
            else:
                heappop(self.agenda)[2]()
        return self

    def feed(self, event: Event) -> None:
        for effect in self.kernel.handle(self.now_s, event):
            if isinstance(effect, Granted):
                self.at(self.now_s, lambda ticket=effect.ticket: self.send(ticket))

    def output(self, number: int) -> int:
        return max(round(self.turns[number].service_s * TOKENS_PER_S), 1)

    def submit(self, number: int) -> None:
        turn = self.turns[number]
        estimate = Usage(INPUT_TOKENS, self.output(number)) if self.reserves else Usage()
        endpoint = "provider.test/model" if self.managed else None
        kind = turn.kind if self.hints else None
        call = Call(turn.agent, priority=kind, endpoint=endpoint, estimate=estimate)
        self.tickets += 1
        self.number_of[self.tickets] = number
        self.feed(Submit(self.tickets, call))

    def send(self, ticket: int) -> None:
        number = self.number_of[ticket]
        self.tries[number] += 1
        verdict = self.server.admit(
            self.now_s,
            input_tokens=INPUT_TOKENS,
            output_tokens=self.output(number),
            rejection_cost=1.0,
        )
        if verdict.admitted:
            self.at(self.now_s + self.turns[number].service_s, lambda: self.done(ticket))
            return
        self.refused += 1
        self.at(self.now_s + ROUND_TRIP_S, lambda: self.again(ticket, verdict.wait_s))

    def again(self, ticket: int, retry_after_s: float) -> None:
        number = self.number_of[ticket]
        tries = self.tries[number]
        if tries >= (OUR_TRIES if self.managed else SDK_TRIES):
            self.failed += 1
            self.feed(Settle(ticket, None, Outcome.ERROR))
            return
        wait_s = min(8.0, 0.5 * 2 ** (tries - 1)) * self.rng.uniform(0.75, 1.0)
        if self.managed:
            report = LimitReport(retry_after_s=retry_after_s if self.headers else None)
            pause_s = 0.0 if self.headers else wait_s
            self.feed(Requeue(ticket, Verdict(Kind.LIMIT, 429), pause_s, report))
        elif self.holds:
            self.at(self.now_s + wait_s, lambda: self.send(ticket))
        else:
            self.feed(Settle(ticket, None, Outcome.ERROR))
            self.at(self.now_s + wait_s, lambda: self.submit(number))

    def done(self, ticket: int) -> None:
        number = self.number_of[ticket]
        self.responses[number] = self.now_s - (self.turns[number].at_s or 0.0)
        self.feed(Settle(ticket, Usage(INPUT_TOKENS, self.output(number)), Outcome.OK))

    def figures(self) -> dict[str, float]:
        kinds = {number: str(turn.kind) for number, turn in enumerate(self.turns)}
        people = [s for n, s in self.responses.items() if kinds[n] == "interactive"]
        slow = [s / self.turns[n].service_s for n, s in self.responses.items()]
        return {
            "finished_percent": 100 * len(self.responses) / len(self.turns),
            "refused": float(self.refused),
            "p95_s": quantile(list(self.responses.values()), 0.95),
            "interactive_p95_s": quantile(people, 0.95),
            "slowdown": sum(slow) / len(slow),
        }


WORLDS = {
    "FIFO lanes, the SDK's retries": ("fifo", False),
    "Priority Queue lanes, the SDK's retries": ("priority", False),
    "ours without endpoint control, the SDK's retries": ("mlfq", False),
    "FIFO with our endpoint control": ("fifo", True),
    "Priority Queue with our endpoint control": ("priority", True),
    "ours": ("mlfq", True),
}


def cascade_of_refusals(span: range) -> tuple[dict, list[str]]:
    """The table, and the figures behind it."""
    found: dict = {}
    rows = []
    for label, (order, managed) in WORLDS.items():
        runs = [World(seed, order, managed=managed).run().figures() for seed in span]
        entry = {name: interval([run[name] for run in runs]) for name in runs[0]}
        found[label] = {k: [float(f"{v:.4g}") for v in e] for k, e in entry.items()}
        rows.append([label, *(spread(value) for value in found[label].values())])
    text = [
        "## A real rate-limit cascade\n",
        (
            "149 turns of 5 agents within 600 s on 4 lanes; nothing hangs, but the provider's "
            f"bucket gives {QUOTA.tokens:g} tokens and {QUOTA.requests:g} requests a minute and "
            f"answers 429; nobody is told the limit. {len(span)} seeds.\n"
        ),
        table(("", "finished %", "refused", "P95 s", "interactive P95 s", "mean slowdown"), rows),
    ]
    return found, text
