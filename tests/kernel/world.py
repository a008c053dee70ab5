"""A kernel under test, with everything that its effects promise kept in a second book."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agentrm_plugins.config import Config, LaneGroup, LeaseConfig, SchedulerConfig
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import Call, Outcome, Usage
from agentrm_plugins.types.hedge_statistics import HedgeStatistics
from agentrm_plugins.types.statistics import (
    ForgottenAgents,
    PressureStatistics,
    Statistics,
    TokenRates,
    WaitStatistics,
)
from agentrm_plugins.types.verdicts import Kind, LimitReport, Verdict
from tests.kernel.dump import dump, load

FINAL = (fx.Settled, fx.Refused)


def config(lanes: int = 1, order: str = "mlfq", *groups: LaneGroup, **more: Any) -> Config:
    """A configuration; what belongs to the scheduler or the leases finds its place.

    Quanta are long, so that only tests of demotion meet any.
    """
    scheduler = {"order": order, "time_quanta_s": (1e6, 2e6, 4e6, 8e6)}
    parts: dict[str, dict[str, Any]] = {"scheduler": scheduler, "leases": {}, "top": {}}
    for name, value in more.items():
        if name in SchedulerConfig.__dataclass_fields__:
            parts["scheduler"][name] = value
        elif name in LeaseConfig.__dataclass_fields__:
            parts["leases"][name] = value
        else:
            parts["top"][name] = value
    return Config(
        lanes=lanes,
        groups=groups,
        scheduler=SchedulerConfig(**parts["scheduler"]),
        leases=LeaseConfig(**parts["leases"]),
        **parts["top"],
    )


def decided(seen: Statistics) -> Statistics:
    """Without what is kept for people alone: that is not dumped, and begins afresh."""
    afresh = {"waits": WaitStatistics(), "token_rates": TokenRates(0.0, 0.0, 0.0)}
    counted = {**afresh, "cost": 0.0, "requeues": 0, "limit_hits": 0}

    def plain(found: Mapping[str, Any], blank: dict[str, Any]) -> dict[str, Any]:
        return {name: replace(one, **blank) for name, one in found.items()}

    return replace(
        seen,
        agents=plain(seen.agents, counted),
        tenants=plain(seen.tenants, counted),
        groups=plain(seen.groups, afresh),
        endpoints=plain(seen.endpoints, afresh),
        waits=WaitStatistics(),
        pressure=PressureStatistics(),
        forgotten=ForgottenAgents(),
        cost=0.0,
        hedges=HedgeStatistics(),
    )


class World:
    """Feeds events, validates after each, and checks every effect against its own book.

    With `twin`, a second kernel is dumped and loaded after each step (or each `dumped_each`-th, in
    long histories), and must answer alike at every step.
    """

    def __init__(self, config: Config, *, twin: bool = False, dumped_each: int = 1) -> None:
        self.kernel = Kernel(config)
        self.config = config
        self.twin = Kernel(config) if twin else None
        self.now_s = 0.0
        self.state: dict[int, str] = {}
        self.calls: dict[int, Call] = {}
        self.granted: list[int] = []
        self.tally: Counter[str] = Counter()
        self._number = 0
        self._fed = 0
        self._dumped_each = dumped_each

    def feed(self, *events: ev.Event) -> list[fx.Effect]:
        """Let events happen now."""
        effects = self.kernel.handle(self.now_s, *events)
        self.kernel.validate()
        for effect in effects:
            self._note(effect)
        if self.twin is not None:
            self._compare(events, effects)
        assert self.kernel.next_deadline() > self.now_s
        return effects

    def wait(self, seconds: float) -> list[fx.Effect]:
        """Let time pass as a host would: ring at each deadline on the way."""
        end_s = self.now_s + seconds
        effects = []
        while (next_s := self.kernel.next_deadline()) <= end_s:
            assert next_s > self.now_s
            self.now_s = next_s
            effects += self.feed(ev.Tick())
        self.now_s = end_s
        return effects + self.feed(ev.Tick())

    def submit(
        self,
        agent: str = "a",
        parent: int | None = None,
        place_of: int | None = None,
        *,
        reads: bool = False,
        **fields: Any,
    ) -> int:
        """A call of `agent`; its number."""
        self._number += 1
        call = self.calls[self._number] = Call(agent, **fields)
        self.feed(ev.Submit(self._number, call, parent, place_of, None, reads))
        return self._number

    def hedge(self, first: int) -> int:
        """A second attempt of a running call; its number."""
        self._number += 1
        call = self.calls[self._number] = self.calls[first]
        self.feed(ev.Submit(self._number, call, None, None, first))
        return self._number

    def requeue(
        self, number: int, kind: Kind, wait_s: float = 0.0, report: LimitReport | None = None
    ) -> list[fx.Effect]:
        """A call failed and goes again."""
        return self.feed(ev.Requeue(number, Verdict(kind), wait_s, report))

    def observe(
        self,
        endpoint: str,
        report: LimitReport,
        kind: Kind | None = None,
        sent_s: float | None = None,
    ) -> list[fx.Effect]:
        """A response was seen."""
        verdict = None if kind is None else Verdict(kind)
        return self.feed(ev.Observe(endpoint, report, verdict, sent_s))

    def settle(self, *numbers: int, tokens: int | None = None) -> list[fx.Effect]:
        """Calls end, in order."""
        usage = None if tokens is None else Usage(output_tokens=tokens)
        return self.feed(*(ev.Settle(number, usage) for number in numbers))

    def fail(
        self, number: int, kind: Kind | None = None, report: LimitReport | None = None
    ) -> list[fx.Effect]:
        """A call ends with an error."""
        verdict = None if kind is None else Verdict(kind)
        return self.feed(ev.Settle(number, None, Outcome.ERROR, verdict, report))

    def withdraw(self, *numbers: int) -> list[fx.Effect]:
        """Callers give up."""
        return self.feed(*(ev.Withdraw(number) for number in numbers))

    def beat(self, number: int, tokens: int = 0) -> list[fx.Effect]:
        """A call makes progress."""
        return self.feed(ev.Beat(number, tokens))

    def supersede(self, *numbers: int, tokens: int | None = None) -> list[fx.Effect]:
        """Attempts are cancelled, for another one was faster."""
        usage = None if tokens is None else Usage(output_tokens=tokens)
        outcome = Outcome.SUPERSEDED
        return self.feed(*(ev.Settle(number, usage, outcome) for number in numbers))

    def end(self, agent: str, tenant: str = "default") -> list[fx.Effect]:
        """An agent is done."""
        return self.feed(ev.EndAgent(agent, tenant))

    def close(self) -> list[fx.Effect]:
        """The core closes."""
        return self.feed(ev.Close())

    def numbers(self, *states: str) -> list[int]:
        """The tickets that are in one of these states, by number."""
        return [number for number, state in self.state.items() if state in states]

    @property
    def running(self) -> list[int]:
        """Who runs."""
        return self.numbers("running")

    @property
    def waiting(self) -> list[int]:
        """Who waits."""
        return self.numbers("queued")

    def at_work(self) -> int:
        """Lanes on which a call is at work, as `validate` knows: at most one on each."""
        groups = self.kernel.books.pool.groups.values()
        return sum(seat.busy for group in groups for seat in group.seats)

    def _note(self, effect: fx.Effect) -> None:
        number = effect.ticket
        before = self.state.get(number)
        if isinstance(effect, fx.Submitted):
            assert before is None
            self.state[number] = "queued"
        elif isinstance(effect, fx.Granted):
            assert before == "queued"
            self.state[number] = "running"
            self.granted.append(number)
        elif isinstance(effect, fx.Reaped):
            assert before == "running"
            self.state[number] = "zombie"
        elif isinstance(effect, fx.Refused):
            assert before == "queued"
            self.state[number] = "gone"
        elif isinstance(effect, fx.Settled):
            assert before == ("zombie" if effect.cause == "late" else "running")
            self.state[number] = "done"
        elif isinstance(effect, fx.Requeued):
            assert before == "running"
            self.state[number] = "queued"
        elif isinstance(effect, fx.Beaten):
            assert before == "running"
        self.tally[type(effect).__name__] += 1
        assert effect.at_s == self.now_s

    def _compare(self, events: tuple[ev.Event, ...], effects: list[fx.Effect]) -> None:
        assert self.twin is not None
        assert self.twin.handle(self.now_s, *events) == effects
        self.twin.validate()  # asked the same: some orders note who goes down only when asked
        self._fed += 1
        if self._fed % self._dumped_each == 0:
            self._reload(self.twin)
        assert self.twin.next_deadline() == self.kernel.next_deadline()
        ours, theirs = decided(self.kernel.statistics()), decided(self.twin.statistics())
        assert ours == theirs

    def _reload(self, twin: Kernel) -> None:
        """Go on with a twin that is made from what was dumped: whatever was forgotten shows."""
        state = dump(self.kernel)
        text = json.dumps(state, allow_nan=False)
        _alike(state, text, dump(twin))
        self.twin = load(self.config, json.loads(text))
        self.twin.validate()
        _alike(state, text, dump(self.twin))


def _alike(ours: Any, text: str, theirs: Any) -> None:
    """The other dump is written as the same text; if not, say where it differs first."""
    if json.dumps(theirs) != text:
        raise AssertionError(_difference(ours, theirs) or "the order of keys")


def _difference(ours: Any, theirs: Any, where: str = "") -> str | None:
    """Where two dumps differ first, in words."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and list(ours) == list(theirs):
        pairs = [(f"{where}.{key}", ours[key], theirs[key]) for key in ours]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = [(f"{where}[{i}]", *pair) for i, pair in enumerate(zip(ours, theirs, strict=True))]
    else:
        return None if ours == theirs else f"{where}: {ours!r} != {theirs!r}"
    found = (_difference(mine, other, place) for place, mine, other in pairs)
    return next((words for words in found if words is not None), None)


def said(effects: list[fx.Effect]) -> list[tuple[Any, ...]]:
    """The effects as (word, ticket, cause), for dialogues."""
    return [(type(effect).__name__, effect.ticket, effect.cause) for effect in effects]
