"""`python -m benchmarks.congestion.people`: how long people wait who tell nobody that they do.

The agents of the congestion benchmark in virtual time, on the real kernel and the simulated
provider's limits: where tokens, requests, capacity or lanes bind. A person's p95 with true hints,
without any, and with plain orders beside it. Then the same where `max_tokens` says nothing of a
call's length, or the wrong thing. It takes some minutes and writes `results/people.json` and `.md`.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import platform
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import exp
from pathlib import Path
from statistics import median
from typing import Any

from agentrm_plugins.config import Config, EndpointConfig, LeaseConfig, SchedulerConfig
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.sim.measure import quantile
from agentrm_plugins.testing.provider.limits import LimitSet, Quota
from agentrm_plugins.types.calls import Call, Outcome, Usage
from agentrm_plugins.types.effects import Granted
from agentrm_plugins.types.events import Event, Requeue, Settle, Submit, Tick
from agentrm_plugins.types.verdicts import Kind, LimitReport, Verdict
from benchmarks.congestion import workload
from benchmarks.congestion.scenarios import LANES

__all__ = ["ROWS", "WAYS", "Row", "main", "play", "report"]

RESULTS = Path(__file__).parents[1] / "results"
ENDPOINT = "provider.test/model"
TPM, RPM, CAPACITY = 1_050_000.0, 2_100.0, 16
_TRIP_S = 0.003
_LONG_S = 1e9
_HINTS = {"interactive": "interactive", "long": None, "batch": "batch"}
WAYS: dict[str, tuple[str, bool]] = {  # the order, and whether agents say what they are
    "hints": ("mlfq", True),
    "no hints": ("mlfq", False),
    "Priority Queue, hints": ("priority", True),
    "HRRN": ("hrrn", False),
    "FIFO": ("fifo", False),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A world.

    Args:
        binds: What all wait for: "tokens", "requests", "capacity" or "lanes".
        told: Whether the core knows the limit beforehand.
        usage: Real output as a share of `max_tokens`.
        most: Scales `max_tokens`.
        scale: Scales the latencies.
        asked: `max_tokens` of each kind of agent, where it has nothing to do with the length; 0:
            none is given. Calls then take the seconds of `_LENGTHS_S`.
    """

    binds: str
    told: bool = True
    usage: tuple[float, float] = (0.8, 1.0)
    most: float = 1.0
    scale: float = 1.0
    asked: Mapping[str, int] = field(default_factory=dict)


_LENGTHS_S = {"interactive": 0.2, "long": 0.45, "batch": 0.8}
ROWS = {
    "tokens": Row("tokens"),
    "tokens, untold": Row("tokens", told=False),
    "a third of what was reserved": Row("tokens", usage=(0.2, 0.25), most=4.0),
    "requests": Row("requests"),
    "capacity": Row("capacity", scale=0.8),
    "lanes": Row("lanes"),
    "maxima are alike": Row("lanes", asked={"interactive": 1024, "long": 1024, "batch": 1024}),
    "only batch work has one": Row("lanes", asked={"interactive": 0, "long": 0, "batch": 512}),
    "people's is the largest": Row("lanes", asked={"interactive": 1024, "long": 256, "batch": 256}),
    "the wrong way round": Row("lanes", asked={"interactive": 2048, "long": 512, "batch": 64}),
}


class World:
    """One run.

    Args:
        row: The world.
        order: Who goes next.
        hints: Whether agents say what they are.
        seed: Of prompts, pauses, lengths.
    """

    def __init__(self, row: Row, order: str, *, hints: bool, seed: int) -> None:
        tokens = TPM if row.binds == "tokens" else None
        requests = RPM if row.binds == "requests" else None
        self.row, self.hints, self.rng = row, hints, random.Random(seed)
        burst_s = 1.0 if requests else 2.0
        self.server = LimitSet(Quota(requests, tokens, burst=burst_s / 60.0), 0.0)
        known = EndpointConfig(
            rpm=requests if row.told else None,
            tpm=tokens if row.told else None,
            concurrency=CAPACITY if row.binds == "capacity" else None,
            burst_s=burst_s,
        )
        self.kernel = Kernel(
            Config(
                lanes=CAPACITY if row.binds == "lanes" else LANES,
                scheduler=SchedulerConfig(order=order),  # type: ignore[arg-type]
                leases=LeaseConfig(_LONG_S, _LONG_S, _LONG_S, None),
                endpoints={"provider.test/*": known},
            )
        )
        self.now_s, self.left, self.tickets = 0.0, 0, itertools.count(1)
        self.agenda: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self.order = itertools.count()
        self.calls: dict[int, tuple[workload.Agent, Any, workload.Turn, float]] = {}
        self.took_s: dict[str, list[float]] = {}
        for agent in workload.make_agents(seed, ("model",), most=row.most):
            self.left += len(agent.turns)
            turns = iter(agent.turns)
            for _ in range(agent.kind.width):
                self.at(agent.start_s, self.next_turn, agent, turns)

    def at(self, at_s: float, what: Callable[..., None], *arguments: Any) -> None:
        heapq.heappush(self.agenda, (at_s, next(self.order), what, arguments))

    def run(self) -> World:
        while self.left:
            next_s = self.agenda[0][0] if self.agenda else _LONG_S
            deadline_s = self.kernel.next_deadline()
            self.now_s = max(self.now_s, min(next_s, deadline_s))
            if deadline_s <= next_s:
                self.feed(Tick())
            else:
                _, _, what, arguments = heapq.heappop(self.agenda)
                what(*arguments)
        return self

    def feed(self, event: Event) -> None:
        for effect in self.kernel.handle(self.now_s, event):
            if isinstance(effect, Granted):
                self.at(self.now_s + _TRIP_S, self.arrive, effect.ticket)

    def next_turn(self, agent: workload.Agent, turns: Any) -> None:
        turn = next(turns, None)
        if turn is not None:
            self.at(self.now_s + turn.pause_s, self.ask, agent, turns, turn)

    def maximum(self, agent: workload.Agent) -> int:
        return self.row.asked.get(agent.kind.name, agent.kind.max_tokens)

    def ask(self, agent: workload.Agent, turns: Any, turn: workload.Turn) -> None:
        ticket = next(self.tickets)
        self.calls[ticket] = agent, turns, turn, self.now_s
        estimate = Usage(turn.input_tokens, self.maximum(agent))
        hint: Any = _HINTS[agent.kind.name] if self.hints else None
        call = Call(agent.name, priority=hint, endpoint=ENDPOINT, estimate=estimate)
        self.feed(Submit(ticket, call))

    def arrive(self, ticket: int) -> None:
        agent, _, turn, _ = self.calls[ticket]
        most = self.maximum(agent)
        verdict = self.server.admit(
            self.now_s, input_tokens=turn.input_tokens, output_tokens=most, rejection_cost=0.0
        )
        if not verdict.admitted:
            self.at(self.now_s + _TRIP_S, self.again, ticket, verdict.wait_s)
            return
        output = int(most * self.rng.uniform(*self.row.usage))
        latency_s = workload.TTFT_MEDIAN_S * exp(self.rng.gauss(0.0, workload.TTFT_SIGMA))
        seconds = min(latency_s, workload.TTFT_CAP_S) + output * workload.PACE_S
        if self.row.asked:
            seconds = _LENGTHS_S[agent.kind.name] * self.rng.uniform(0.8, 1.2)
        self.at(self.now_s + seconds * self.row.scale, self.done, ticket, output)

    def again(self, ticket: int, wait_s: float) -> None:
        report = LimitReport(retry_after_s=wait_s)
        self.feed(Requeue(ticket, Verdict(Kind.LIMIT, 429), 0.0, report))

    def done(self, ticket: int, output: int) -> None:
        agent, turns, turn, asked_s = self.calls.pop(ticket)
        unused = self.maximum(agent) - output
        self.server.settle(self.now_s, input_tokens=0, output_tokens=-unused)
        self.took_s.setdefault(agent.kind.name, []).append(self.now_s - asked_s)
        self.left -= 1
        self.feed(Settle(ticket, Usage(turn.input_tokens, output), Outcome.OK))
        self.next_turn(agent, turns)


def play(row: Row, way: str, seed: int) -> tuple[float, float]:
    """A person's p95 and the wall time, in seconds."""
    order, hints = WAYS[way]
    world = World(row, order, hints=hints, seed=seed).run()
    return quantile(world.took_s["interactive"], 0.95), world.now_s


def measured(name: str, seeds: int) -> dict[str, Any]:
    """The figures of one world: medians over the seeds; ratios are formed seed by seed."""
    row = replace(ROWS[name])
    found = {way: [play(row, way, seed) for seed in range(1, seeds + 1)] for way in WAYS}
    people = {way: [p95_s for p95_s, _ in runs] for way, runs in found.items()}
    ratios = [b / a for a, b in zip(people["hints"], people["no hints"], strict=True)]
    return {
        "p95_s": {way: round(median(values), 3) for way, values in people.items()},
        "wall_s": {way: round(median(wall for _, wall in found[way]), 2) for way in WAYS},
        "ratio": round(median(ratios), 3),
        "worst": round(max(ratios), 3),
    }


def report(document: Mapping[str, Any]) -> str:
    """The table."""
    head = ["", *(f"{way}, p95 s" for way in WAYS), "no hints / hints, median", "worst"]
    lines = [
        "# People who tell nobody that they wait\n",
        (
            f"A person's p95 in seconds, virtual time, medians of {document['seeds']} seeds; "
            f"{document['machine']}, {document['when']}. In the last four rows `max_tokens` says "
            "nothing of a call's length.\n"
        ),
        f"| {' | '.join(head)} |",
        f"|---|{'---:|' * (len(head) - 1)}",
    ]
    for name, row in document["rows"].items():
        cells = [f"{row['p95_s'][way]:.3f}" for way in WAYS]
        cells += [f"{row['ratio']:.2f}", f"{row['worst']:.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> None:
    """Run it, print the table, and write it down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.congestion.people")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--row", action="append", choices=list(ROWS))
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder to write to")
    options = parser.parse_args(argv)
    document: dict[str, Any] = {
        "when": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "seeds": options.seeds,
        "rows": {},
    }
    for name in options.row or ROWS:
        document["rows"][name] = measured(name, options.seeds)
    text = report(document)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "people.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    (options.out / "people.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
