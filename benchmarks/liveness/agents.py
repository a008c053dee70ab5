"""Agents in closed loops against a provider of which some calls hang, in virtual time.

It runs on the real kernel, without a thread or a sleep.

The host's part is played here as hosts play it: a suspected call is sent a second time, the first
answer wins, the other attempt is cancelled and charged for what it had cost by then.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agentrm_plugins.config import Config, EndpointConfig, LeaseConfig
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import Call, Outcome, Usage

__all__ = ["Policy", "Result", "World", "run"]

INPUT, OUTPUT = 100, 200
WAVE_S = 12.0
SIGMA = 0.35  # of the lognormal service time, whose median is one second
CUT = 1.05  # of its own service time: when the oracle gives a hung call up
STUCK_S = 1e5


@dataclass(frozen=True, slots=True)
class World:
    """What goes on.

    Args:
        lanes: The core's.
        hang: Share of the attempts that hang.
        waves: Whether that share changes between 5 and 40 % every 12 s instead.
        slow: Share of the calls that are healthy and take so many times as long.
        times: How many times.
        overload: From when to when all calls take 20 times as long; None: never.
        median_s: Of the service time, seconds.
        sigma: Of its logarithm.
        concurrency: The limit that the user set for the endpoint.
        agents: Agents in closed loops, with 0.3 s between two calls.
        calls: Calls in all.
        seed: Of chance.
    """

    lanes: int = 8
    hang: float = 0.0
    waves: bool = False
    slow: float = 0.0
    times: float = 1.0
    overload: tuple[float, float] | None = None
    median_s: float = 1.0
    sigma: float = SIGMA
    concurrency: int | None = None
    agents: int = 40
    calls: int = 2000
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Policy:
    """What is done about late calls.

    Args:
        adaptive: The core's rule.
        oracle: Knows each call's own service time, and cuts a hung one at 1.05 of it.
        timeout_s: Cuts every attempt after so many seconds; None: the core's ten minutes.
    """

    adaptive: bool = True
    oracle: bool = False
    timeout_s: float | None = None


@dataclass(slots=True)
class Flow:
    """One call of an agent, with its attempts: when each went, or None while it waits."""

    agent: int
    service_s: float
    slow: bool
    begun_s: float
    sent: int = 0
    hung: int = 0
    over: bool = False
    attempts: dict[int, float | None] = field(default_factory=dict)
    sick: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Result:
    """What came of it: seconds, tokens that the server billed and that were charged, requests."""

    wall_s: float = 0.0
    billed: int = 0
    charged: int = 0
    peak: int = 0
    failed: int = 0
    healthy: list[int] = field(default_factory=list)
    quick_s: list[float] = field(default_factory=list)


class _Run:
    def __init__(self, world: World, policy: Policy) -> None:
        self.world, self.policy, self.result = world, policy, Result()
        self.rng = random.Random(world.seed)
        self.now_s = 0.0
        self.agenda: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self.order = itertools.count()
        self.numbers = itertools.count(1)
        self.flows: dict[int, Flow] = {}
        self.left, self.done, self.alive = world.calls, 0, 0
        limit_s = policy.timeout_s or 600.0
        leases = LeaseConfig(response_timeout_s=limit_s, total_timeout_s=limit_s)
        endpoint = EndpointConfig(rpm=1e9, concurrency=world.concurrency)
        config = Config(world.lanes, leases=leases, endpoints={"*": endpoint})
        self.kernel = Kernel(config)
        self.usage = Usage(INPUT, OUTPUT)

    def at(self, at_s: float, what: Callable[..., None], *args: Any) -> None:
        heapq.heappush(self.agenda, (at_s, next(self.order), what, args))

    def go(self) -> Result:
        for agent in range(self.world.agents):
            self.at(self.rng.random() * 0.05, self.ask, agent)
        while self.done < self.world.calls and self.now_s < STUCK_S:
            deadline_s = self.kernel.next_deadline()
            if self.agenda and self.agenda[0][0] <= deadline_s:
                self.now_s, _, what, args = heapq.heappop(self.agenda)
                what(*args)
            else:
                self.now_s = max(self.now_s, deadline_s)
                self.feed(ev.Tick())
        statistics = self.kernel.statistics()
        self.result.wall_s = self.now_s
        self.result.charged = statistics.input_tokens + statistics.output_tokens
        return self.result

    # -- an agent's calls ---------------------------------------------------------------------

    def ask(self, agent: int) -> None:
        if not self.left:
            return
        self.left -= 1
        slow = self.rng.random() < self.world.slow
        service_s = self.world.median_s * self.rng.lognormvariate(0.0, self.world.sigma)
        service_s *= self.world.times if slow else 1.0
        self.submit(Flow(agent, service_s, slow, self.now_s))

    def submit(
        self, flow: Flow, *, hedge_of: int | None = None, place_of: int | None = None
    ) -> None:
        number = next(self.numbers)
        flow.attempts[number] = None
        self.flows[number] = flow
        adaptive = self.policy.adaptive
        call = Call(f"a{flow.agent}", endpoint="x/m", estimate=self.usage, adaptive=adaptive)
        self.feed(ev.Submit(number, call, None, place_of, hedge_of))

    def feed(self, event: ev.Event) -> None:
        reactions = {fx.Granted: self.granted, fx.Suspected: self.suspected, fx.Reaped: self.reaped}
        for effect in self.kernel.handle(self.now_s, event):
            reaction = reactions.get(type(effect))
            if reaction is not None:
                self.at(self.now_s, reaction, effect)
            elif isinstance(effect, fx.Refused):
                self.refused(effect)

    def granted(self, effect: fx.Granted) -> None:
        number, flow = effect.ticket, self.flows[effect.ticket]
        if flow.over or number not in flow.attempts:
            self.feed(ev.Withdraw(number))
            return
        flow.attempts[number] = self.now_s
        flow.sent += 1
        self.alive += 1
        self.result.peak = max(self.result.peak, self.alive)
        hang = (0.40 if int(self.now_s // WAVE_S) % 2 else 0.05) if self.world.waves else None
        service_s = flow.service_s
        if self.world.overload and self.world.overload[0] <= self.now_s < self.world.overload[1]:
            service_s *= 20.0
        if self.rng.random() < (self.world.hang if hang is None else hang):
            flow.hung += 1
            flow.sick.add(number)
            if self.policy.oracle:
                self.at(self.now_s + CUT * service_s, self.cut, number)
        else:
            self.at(self.now_s + service_s, self.answer, number)

    def answer(self, number: int) -> None:
        flow = self.flows[number]
        if flow.over or number not in flow.attempts:
            return
        flow.over = True
        self.end(flow, number, self.usage, Outcome.OK)
        for other, sent_s in list(flow.attempts.items()):
            if sent_s is None:
                self.feed(ev.Withdraw(other))
            else:
                self.end(flow, other, self.seen(flow, other), Outcome.SUPERSEDED)
        self.finish(flow)

    def cut(self, number: int) -> None:
        flow = self.flows[number]
        if not flow.over and number in flow.attempts:
            self.end(flow, number, self.seen(flow, number), Outcome.CANCELLED)
            self.submit(flow)

    # -- what the kernel says -------------------------------------------------------------------

    def suspected(self, effect: fx.Suspected) -> None:
        flow = self.flows[effect.ticket]
        if not flow.over and effect.ticket in flow.attempts:
            self.submit(flow, hedge_of=effect.ticket)

    def reaped(self, effect: fx.Reaped) -> None:
        flow, number = self.flows[effect.ticket], effect.ticket
        if flow.over or number not in flow.attempts:
            return
        self.end(flow, number, self.seen(flow, number), Outcome.CANCELLED)
        if flow.attempts:
            self.submit(flow, hedge_of=min(flow.attempts))
        else:
            self.submit(flow, place_of=number)

    def refused(self, effect: fx.Refused) -> None:
        flow = self.flows[effect.ticket]
        flow.attempts.pop(effect.ticket, None)
        if not flow.over and not flow.attempts:
            self.result.failed += 1
            self.finish(flow)

    # -- ends -----------------------------------------------------------------------------------

    def seen(self, flow: Flow, number: int) -> Usage:
        """What an attempt had cost when it was cancelled: a hung one has said nothing."""
        sent_s = flow.attempts[number]
        if number in flow.sick or sent_s is None:
            return Usage(INPUT)
        return Usage(INPUT, min(OUTPUT, int(OUTPUT * (self.now_s - sent_s) / flow.service_s)))

    def end(self, flow: Flow, number: int, usage: Usage, outcome: Outcome) -> None:
        del flow.attempts[number]
        self.alive -= 1
        self.result.billed += usage.total_tokens
        self.feed(ev.Settle(number, usage, outcome))

    def finish(self, flow: Flow) -> None:
        flow.over = True
        self.done += 1
        self.result.healthy.append(flow.sent - flow.hung)
        if not flow.slow:
            self.result.quick_s.append(self.now_s - flow.begun_s)
        self.at(self.now_s + 0.3, self.ask, flow.agent)


def run(world: World, policy: Policy) -> Result:
    """Let the agents make all their calls."""
    return _Run(world, policy).go()
