"""A fleet in virtual time: many kernels, one namespace, the real rules and no server.

Each worker has its own kernel and member; exchanges go to the script's twin (`policy.fleet.allot`)
and take `latency_s`. Workers may come and go. What is measured: how much of the limit was used, the
waits of interactive and of batch calls, the lanes in use at once, exchanges per second.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

from agentrm_plugins.config import Config, EndpointConfig
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.kernel.demand import demand, sight
from agentrm_plugins.kernel.endpoints import configured
from agentrm_plugins.policy.bucket import Bucket
from agentrm_plugins.policy.endpoint.fold import fold
from agentrm_plugins.policy.fleet.allot import allot
from agentrm_plugins.policy.fleet.attention import Attention
from agentrm_plugins.policy.fleet.member import FleetMember
from agentrm_plugins.policy.fleet.state import Fleet
from agentrm_plugins.policy.fleet.terms import Terms, guaranteed_of, limits_of
from agentrm_plugins.types.calls import Call, Usage
from agentrm_plugins.types.effects import Granted
from agentrm_plugins.types.events import Observe, Requeue, Settle, Submit, Tick
from agentrm_plugins.types.verdicts import Kind, LimitReport, ServerLimit, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FleetPlan", "FleetResult", "simulate_fleet"]

_EPOCH_MS = 1.8e12
_SERVICE_S = (0.3, 1.5)
_WAY_S, _FIRST_S = 0.005, 0.1  # guessed: to the provider, and until its headers come
_TOKENS = {"interactive": 200, "batch": 1000}
_THINKS_S = {"interactive": 2.0, "batch": 0.05}


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """What is simulated.

    Args:
        workers: Processes at the beginning.
        lanes: Lanes of the fleet.
        tpm: Tokens per minute of the fleet; None is no limit.
        agents: Agents of each worker.
        people: How many of them are interactive: each of their calls is a conversation of its own.
        seconds: How long, in virtual time.
        latency_s: Of one exchange, there and back.
        doubles_s: When as many workers join again; None: none do.
        halves_s: When half of the workers are killed; None: none are.
        reports: Whether the provider says with each answer what is left, and workers learn of it.
        burst_s: Seconds of the limit that the provider lets go at once.
        loses: When the server evicts which key ("s", "m" and so on: `KEYS` of the script); "all"
            is FLUSHALL.
        seed: Any whole number.
    """

    workers: int = 8
    lanes: int = 64
    tpm: float | None = None
    agents: int = 4
    people: int = 2
    seconds: float = 20.0
    latency_s: float = 0.002
    doubles_s: float | None = None
    halves_s: float | None = None
    reports: bool = False
    burst_s: float = 2.0
    loses: tuple[tuple[float, str], ...] = ()
    seed: int = 1


@dataclass(slots=True)
class FleetResult:
    """What came of it.

    Attributes:
        calls: Calls that were granted.
        tokens: What they took.
        lanes_most: Calls that ran at once, at most.
        exchanges: Exchanges of all workers.
        waits_s: Waits of granted calls by kind, in the order of their grants.
        workers_most: Workers at once, at most.
        refused: Calls that the provider refused (429).
        by_second: Tokens that were served in each second.
    """

    calls: int = 0
    tokens: float = 0.0
    lanes_most: int = 0
    exchanges: int = 0
    waits_s: dict[str, list[float]] = field(
        default_factory=lambda: {"interactive": [], "batch": []}
    )
    workers_most: int = 0
    refused: int = 0
    by_second: Counter[int] = field(default_factory=Counter)

    def quantile_s(self, kind: str, share: float) -> float:
        """A quantile of the waits of a kind of call, seconds; 0 without any."""
        waits = sorted(self.waits_s[kind])
        return waits[min(len(waits) - 1, int(share * len(waits)))] if waits else 0.0


class Provider:
    """A provider with one bucket of tokens, which it tells of as OpenAI does.

    Args:
        rate_per_s: Tokens per second.
        burst_s: Seconds of that which it holds.
    """

    def __init__(self, rate_per_s: float, burst_s: float) -> None:
        self.bucket = Bucket(rate_per_s, rate_per_s * burst_s)

    def admit(self, tokens: float, now_s: float) -> float:
        """Serve a call (0), or say for how many seconds it is to stay away."""
        wait_s = self.bucket.time_until(tokens, now_s)
        if not wait_s:
            self.bucket.take(tokens, now_s)
        return wait_s

    def report(self, wait_s: float, now_s: float) -> LimitReport:
        """What its headers say."""
        rate_per_s, level = self.bucket.rate_per_s, self.bucket.level(now_s)
        limit = ServerLimit(
            rate_per_s * 60.0,
            float(int(max(0.0, level))),
            (self.bucket.capacity - level) / rate_per_s,
        )
        return LimitReport(retry_after_s=wait_s or None, tokens=limit)


class _World:
    def __init__(self, plan: FleetPlan) -> None:
        self.plan = plan
        self.fleet = Fleet()
        self.result = FleetResult()
        self.rng = random.Random(plan.seed)
        self.queue: list[tuple[float, int, Callable[[float], None]]] = []
        self.number = 0
        self.running = 0
        self.workers: list[_Worker] = []
        limits = {}
        self.provider: Provider | None = None
        if plan.tpm is not None:
            told = EndpointConfig(tpm=plan.tpm, burst_s=plan.burst_s, learn=plan.reports)
            limits = {"*": told}
            self.provider = Provider(plan.tpm / 60.0, plan.burst_s)
        self.config = Config(lanes=plan.lanes, endpoints=limits)

    def at(self, at_s: float, do: Callable[[float], None]) -> None:
        self.number += 1
        heapq.heappush(self.queue, (at_s, self.number, do))

    def join(self, now_s: float, workers: int) -> None:
        for _ in range(workers):
            worker = _Worker(self, f"w{len(self.workers):05d}", now_s)
            self.workers.append(worker)
            self.at(now_s + self.rng.random() * 0.1, worker.exchange)
        alive = sum(worker.alive for worker in self.workers)
        self.result.workers_most = max(self.result.workers_most, alive)

    def halve(self, now_s: float) -> None:
        alive = [worker for worker in self.workers if worker.alive]
        for worker in alive[::2]:
            worker.die(now_s)

    def lose(self, part: str) -> None:
        if part == "all":
            self.fleet = Fleet()
        else:
            self.fleet.lose(part)

    def run(self) -> FleetResult:
        plan = self.plan
        for at_s, part in plan.loses:
            self.at(at_s, lambda _, part=part: self.lose(part))  # type: ignore[misc]
        self.join(0.0, plan.workers)
        if plan.doubles_s is not None:
            self.at(plan.doubles_s, lambda now_s: self.join(now_s, plan.workers))
        if plan.halves_s is not None:
            self.at(plan.halves_s, self.halve)
        while self.queue and self.queue[0][0] <= plan.seconds:
            now_s, _, do = heapq.heappop(self.queue)
            do(now_s)
        return self.result


class _Worker:
    """One process: a kernel, a member, and agents that call, wait and think."""

    def __init__(self, world: _World, name: str, now_s: float) -> None:
        self.world, self.alive = world, True
        self.kernel = Kernel(world.config, now_s, shared=True)
        config = world.config
        boost = config.scheduler.boost_interval
        terms = Terms(name, limits_of(config), guaranteed_of(config), boost)
        self.member = FleetMember(terms, now_s)
        self.kinds: dict[int, str] = {}
        self.tickets = 0
        self.due_s = inf
        self.away = self.again = False
        self.attention = Attention()
        for number in range(world.plan.agents):
            kind = "interactive" if number < world.plan.people else "batch"
            world.at(now_s + world.rng.random(), self._caller(f"{name}-{number}", kind))

    def _caller(self, agent: str, kind: str) -> Callable[[float], None]:
        def ask(now_s: float) -> None:
            if not self.alive:
                return
            self.tickets += 1
            self.kinds[self.tickets] = kind
            endpoint = None if self.world.plan.tpm is None else "api/model"
            call = Call(
                agent if kind == "batch" else f"{agent}-{self.tickets}",
                priority=kind,  # type: ignore[arg-type]
                endpoint=endpoint,
                estimate=Usage(_TOKENS[kind] - 1, 1),
            )
            self.feed(now_s, Submit(self.tickets, call))

        return ask

    def feed(self, now_s: float, event: Any) -> None:
        """Let an event happen, and see to who may go."""
        world, kernel = self.world, self.kernel
        for effect in kernel.handle(now_s, event):
            if isinstance(effect, Granted):
                self._granted(effect, now_s)
        if self.attention.asks(sight(kernel), self.member):
            self._look(max(now_s, self.member.exchanged_s + self.member.gap_s))
        deadline_s = kernel.next_deadline()
        if deadline_s < inf and event.__class__ is not Tick:
            world.at(deadline_s, self._tick)

    def _tick(self, now_s: float) -> None:
        if self.alive:
            self.feed(now_s, Tick())

    def _granted(self, effect: Granted, now_s: float) -> None:
        world, ticket = self.world, effect.ticket
        kind = self.kinds[ticket]
        world.result.waits_s[kind].append(effect.waited_s)
        world.running += 1
        world.result.lanes_most = max(world.result.lanes_most, world.running)
        world.at(now_s + _WAY_S, lambda at_s: self._arrived(effect, now_s, at_s))

    def _arrived(self, effect: Granted, sent_s: float, now_s: float) -> None:
        """The call is at the provider, which serves or refuses it."""
        world, ticket = self.world, effect.ticket
        kind, provider = self.kinds[ticket], self.world.provider
        wait_s, report = 0.0, None
        if provider is not None:
            wait_s = provider.admit(_TOKENS[kind], now_s)
            report = LimitReport(retry_after_s=wait_s or None)
            if world.plan.reports:
                report = provider.report(wait_s, now_s)
        if wait_s:
            world.result.refused += 1
            world.at(now_s + _WAY_S, lambda at_s: self._refused(ticket, report, at_s))
            return
        world.result.calls += 1
        world.result.tokens += _TOKENS[kind]
        world.result.by_second[int(now_s)] += _TOKENS[kind]
        if world.plan.reports and report is not None:
            seen = Observe("api/model", report, sent_s=sent_s)
            world.at(now_s + _FIRST_S, lambda at_s: self._seen(seen, at_s))
        end_s = now_s + world.rng.uniform(*_SERVICE_S)
        agent = effect.agent if kind == "batch" else effect.agent.rpartition("-")[0]
        world.at(end_s, lambda at_s: self._ended(ticket, agent, at_s))

    def _seen(self, seen: Observe, now_s: float) -> None:
        if self.alive:
            self.feed(now_s, seen)

    def _refused(self, ticket: int, report: LimitReport | None, now_s: float) -> None:
        self.world.running -= 1
        if self.alive:
            self.feed(now_s, Requeue(ticket, Verdict(Kind.LIMIT), report=report))

    def _ended(self, ticket: int, agent: str, now_s: float) -> None:
        world, kind = self.world, self.kinds.pop(ticket)
        world.running -= 1
        if self.alive:
            self.feed(now_s, Settle(ticket, Usage(_TOKENS[kind] - 1, 1)))
            thinks_s = world.rng.expovariate(1 / _THINKS_S[kind])
            world.at(now_s + thinks_s, self._caller(agent, kind))

    def _look(self, at_s: float) -> None:
        if at_s < self.due_s:
            self.due_s = at_s
            self.world.at(at_s, self._due)

    def _due(self, now_s: float) -> None:
        if not self.alive or now_s < self.due_s:
            return
        self.due_s = inf
        if self.away:
            self.again = True
        else:
            self.exchange(now_s)

    def exchange(self, now_s: float) -> None:
        """One exchange; its answer comes after the latency."""
        if not self.alive or self.away:
            return
        self.due_s, self.away = inf, True
        recall = self.member.plan(demand(self.kernel), now_s)
        if recall is not None:
            self.feed(now_s, recall)
        asked = self.member.request(demand(self.kernel), now_s)
        latency_s = self.world.plan.latency_s
        self.world.at(now_s + latency_s / 2, lambda at_s: self._served(asked, now_s, at_s))

    def _served(self, asked: dict[str, Any], sent_s: float, at_s: float) -> None:
        world = self.world
        answer = allot(world.fleet, asked, _EPOCH_MS + at_s * 1000.0)
        world.result.exchanges += 1
        for name in answer.get("wake", ()):
            woken = world.workers[int(name[1:])]
            woken._look(at_s + world.plan.latency_s / 2)  # noqa: SLF001 - of this class
        back_s = at_s + world.plan.latency_s / 2
        world.at(back_s, lambda now_s: self._answered(answer, sent_s, now_s))

    def _answered(self, answer: dict[str, Any], sent_s: float, now_s: float) -> None:
        self.away = False
        if not self.alive:
            return
        if self.again:  # it was woken meanwhile
            self.again = False
            self._look(now_s + self.member.gap_s)
        self.feed(now_s, self.member.answered(answer, sent_s, now_s))
        member = self.member
        while member.to_fold:
            name, lent = member.to_fold.popitem()
            fresh = configured(self.world.config, name, lent["since"] / 1000.0)
            member.folds[name] = fold(fresh, lent, _EPOCH_MS + now_s * 1000.0)
        self._look(member.next_s(now_s))

    def die(self, now_s: float) -> None:
        """SIGKILL: nobody is told, and its calls are gone."""
        del now_s
        self.alive = False


def simulate_fleet(plan: FleetPlan) -> FleetResult:
    """Run a fleet in virtual time."""
    return _World(plan).run()
