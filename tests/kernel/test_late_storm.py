"""Late calls in any history: hedges, nested calls, pauses, closures and limits at random."""

from __future__ import annotations

import random

import pytest

from agentrm_plugins.config import Config, EndpointConfig, LaneGroup
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import Call, Outcome, Usage
from agentrm_plugins.types.verdicts import Kind, LimitReport, Verdict

ENDS = [Outcome.OK, Outcome.OK, Outcome.SUPERSEDED, Outcome.CANCELLED]
KINDS = [Kind.LIMIT, Kind.OVERLOADED, Kind.TRANSIENT]
STEPS = 400


class Storm:
    """Callers that do at each step whatever callers can do."""

    def __init__(self, seed: int) -> None:
        rng = self.rng = random.Random(seed)
        endpoint = EndpointConfig(
            concurrency=rng.choice([None, 1, 2, 4]), rpm=rng.choice([None, 6000.0])
        )
        lanes = rng.choice([1, 2, 3, 8])
        ceiling = rng.choice([None, 1, 2])
        groups = (LaneGroup("model", lanes, per_agent=ceiling), LaneGroup("node", 2))
        self.kernel = Kernel(Config(lanes, groups, endpoints={"x*": endpoint}))
        self.now_s, self.number = 0.0, 0

    def of(self, *states: str) -> list[int]:
        tickets = self.kernel.books.tickets.items()
        return [number for number, ticket in tickets if ticket.state.value in states]

    def submit(self, parent: int | None = None, hedge_of: int | None = None) -> ev.Event:
        self.number += 1
        call = Call(
            self.rng.choice("abc"),
            endpoint=self.rng.choice(["x/1", "x/2", None]),
            estimate=Usage(10, 20),
            streaming=self.rng.random() < 0.4,
            group="node" if self.rng.random() < 0.2 else "model",
        )
        return ev.Submit(self.number, call, parent, None, hedge_of)

    def event(self) -> ev.Event:
        rng, late = self.rng, list(self.kernel.late.late)
        running, waiting, gone = self.of("running"), self.of("queued"), self.of("zombie")
        chosen = rng.random()
        if chosen < 0.35:
            return self.submit(rng.choice(running) if running and rng.random() < 0.2 else None)
        if chosen < 0.5 and late:
            return self.submit(hedge_of=rng.choice(late))
        if chosen < 0.62 and running:
            return ev.Settle(rng.choice(running), Usage(10, 5), rng.choice(ENDS))
        if chosen < 0.7 and running:
            return ev.Beat(rng.choice(running), 1, visible=rng.random() < 0.5)
        if chosen < 0.74 and running:
            return ev.Idle(rng.choice(running), idle=rng.random() < 0.5)
        if chosen < 0.79 and running:
            report = LimitReport(retry_after_s=rng.choice([None, 1.0, 500.0]))
            verdict = Verdict(rng.choice(KINDS))
            return ev.Requeue(rng.choice(running), verdict, 3.0 * rng.random(), report)
        if chosen < 0.84 and gone:
            return ev.Settle(rng.choice(gone), Usage(1, 1), Outcome.CANCELLED)
        if chosen < 0.88 and waiting:
            return ev.Withdraw(rng.choice(waiting))
        return ev.EndAgent(rng.choice("abc")) if chosen < 0.9 else ev.Tick()

    def run(self) -> None:
        for _ in range(STEPS):
            self.now_s += self.rng.choice([0.0, 0.01, 0.1, 0.5, 3.0])
            self.kernel.handle(self.now_s, self.event())
            self.kernel.validate()

    def come_home(self) -> None:
        for _ in range(1000):
            for number in self.of("running", "zombie"):
                self.kernel.handle(self.now_s, ev.Settle(number, Usage(1, 1)))
            self.now_s += 2.0
            self.kernel.handle(self.now_s, ev.Tick())
            self.kernel.validate()
            if not self.kernel.books.tickets:
                return


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_lost_whatever_late_calls_do(seed):
    """After each step the books agree; in the end all lanes are free and nobody is left."""
    storm = Storm(seed)
    storm.run()
    storm.come_home()
    kernel = storm.kernel
    pool = kernel.books.pool
    assert not kernel.books.tickets
    assert (pool.in_use, pool.lent, pool.riders) == (0, 0, 0)
    assert not kernel.books.hedges
    assert all(not one.in_flight for one in kernel.books.endpoints.values())
