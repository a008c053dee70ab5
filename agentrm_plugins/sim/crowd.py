"""A crowd of agents before limited endpoints, in virtual time: what pictures and tests look at.

Each agent asks, waits, reads and asks again. An endpoint gives so many requests per minute and
answers 429 above that; some calls hang. Everything random comes from the seed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import count
from math import inf
from random import Random
from typing import TYPE_CHECKING

from agentrm_plugins.config import Config, EndpointConfig, LeaseConfig
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.sim.workload import lognormal
from agentrm_plugins.types.calls import Call, Outcome, Priority, Usage
from agentrm_plugins.types.effects import Effect, Granted, Reaped, Requeued
from agentrm_plugins.types.events import Beat, Requeue, Settle, Submit, Tick
from agentrm_plugins.types.verdicts import Kind, LimitReport, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Crowd"]

_KINDS = (Priority.INTERACTIVE, Priority.BATCH, Priority.INTERACTIVE, Priority.BACKGROUND)
_MEDIAN_S = {Priority.INTERACTIVE: 2.0, Priority.BATCH: 6.0, Priority.BACKGROUND: 12.0}
_THINK_S = {Priority.INTERACTIVE: 12.0, Priority.BATCH: 1.0, Priority.BACKGROUND: 3.0}
_ROUND_TRIP_S = 0.1
_BEAT_S = 2.0
_TRIES = 4


@dataclass(slots=True)
class Crowd:
    """Agents, lanes and endpoints.

    Args:
        agents: How many agents; a quarter each is batch and background, the others interactive.
        lanes: Calls at once.
        seconds: Virtual seconds after which no new call is made.
        rpm: Requests per minute that each endpoint serves; what is more is answered with 429.
        told_rpm: What the core is told of that limit; None: nothing.
        hang_rate: Share of the calls that hang until they are reaped.
        endpoints: How many endpoints the agents share.
        seed: Of everything random.
    """

    agents: int = 5
    lanes: int = 4
    seconds: float = 300.0
    rpm: float = 60.0
    told_rpm: float | None = None
    hang_rate: float = 0.04
    endpoints: int = 2
    seed: int = 1
    kernel: Kernel = field(init=False)
    now_s: float = 0.0
    _rng: Random = field(init=False)
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _tickets: Iterator[int] = field(default_factory=lambda: count(1))
    _calls: dict[int, tuple[Call, int]] = field(default_factory=dict)
    _tries: dict[int, int] = field(default_factory=dict)
    _sent: dict[str, deque[float]] = field(default_factory=dict)
    _told: list[Effect] = field(default_factory=list)

    def __post_init__(self) -> None:
        leases = LeaseConfig(
            first_token_timeout_s=15.0, silence_timeout_s=10.0, total_timeout_s=120.0
        )
        told = EndpointConfig(rpm=self.told_rpm, learn=True)
        endpoints = {} if self.told_rpm is None else {"*": told}
        self.kernel = Kernel(Config(lanes=self.lanes, leases=leases, endpoints=endpoints))
        self._rng = Random(self.seed)
        for number in range(self.agents):
            self._at(self._rng.uniform(0.0, 10.0), partial(self._ask, number))

    def run(self) -> Iterator[Effect]:
        """What happens, in order, until the last call has ended."""
        while self._agenda or self.kernel.next_deadline() < inf:
            next_s = self._agenda[0][0] if self._agenda else inf
            deadline_s = self.kernel.next_deadline()
            if not self._agenda and not self._calls:
                return
            self.now_s = max(self.now_s, min(next_s, deadline_s))
            if deadline_s <= next_s:
                self._feed(Tick())
            else:
                heappop(self._agenda)[2]()
            yield from self._told
            self._told.clear()

    def _at(self, when_s: float, action: Callable[[], None]) -> None:
        heappush(self._agenda, (when_s, self._rng.getrandbits(48), action))

    def _feed(self, event: Submit | Beat | Settle | Requeue | Tick) -> None:
        for effect in self.kernel.handle(self.now_s, event):
            self._told.append(effect)
            if isinstance(effect, Granted):
                self._at(self.now_s, partial(self._send, effect.ticket))
            elif isinstance(effect, Reaped) and effect.ticket in self._calls:
                self._at(self.now_s + 0.05, partial(self._end, effect.ticket, Outcome.CANCELLED))
            elif isinstance(effect, Requeued):
                self._tries[effect.ticket] = self._tries.get(effect.ticket, 0) + 1

    def _ask(self, number: int) -> None:
        if self.now_s > self.seconds:
            return
        kind = _KINDS[number % len(_KINDS)]
        endpoint = f"provider-{number % self.endpoints + 1}.test/model"
        call = Call(
            f"{kind}-{number:03}",
            tenant=("acme", "globex")[number % 3 == 0],
            priority=kind,
            endpoint=endpoint,
            streaming=True,
            estimate=Usage(400, 200),
        )
        ticket = next(self._tickets)
        self._calls[ticket] = call, number
        self._feed(Submit(ticket, call))

    def _send(self, ticket: int) -> None:
        call, _ = self._calls[ticket]
        if not self._admitted(call.endpoint or ""):
            self._at(self.now_s + _ROUND_TRIP_S, partial(self._turned_away, ticket))
            return
        if self._rng.random() < self.hang_rate:
            return  # nothing more is heard of it until it is reaped
        lasts_s = lognormal(self._rng, _MEDIAN_S[call.priority or Priority.BATCH], 0.6)
        first_s = min(0.6, lasts_s / 2)
        self._at(self.now_s + first_s, partial(self._beat, ticket, self.now_s + lasts_s))

    def _admitted(self, endpoint: str) -> bool:
        sent = self._sent.setdefault(endpoint, deque())
        while sent and sent[0] <= self.now_s - 10.0:
            sent.popleft()
        if len(sent) >= self.rpm / 6.0:  # a sixth of a minute is the window
            return False
        sent.append(self.now_s)
        return True

    def _turned_away(self, ticket: int) -> None:
        if self._tries.get(ticket, 0) >= _TRIES:
            self._end(ticket, Outcome.ERROR)
            return
        report = LimitReport(retry_after_s=self._rng.choice((None, None, 2.0)))
        wait_s = 0.5 * 2.0 ** self._tries.get(ticket, 0)
        self._feed(Requeue(ticket, Verdict(Kind.LIMIT, 429), wait_s, report))

    def _beat(self, ticket: int, until_s: float) -> None:
        if ticket not in self._calls:
            return
        self._feed(Beat(ticket, 40))
        if self.now_s + _BEAT_S < until_s:
            self._at(self.now_s + _BEAT_S, partial(self._beat, ticket, until_s))
        else:
            self._at(until_s, partial(self._end, ticket, Outcome.OK))

    def _end(self, ticket: int, outcome: Outcome) -> None:
        found = self._calls.pop(ticket, None)
        if found is None:
            return
        call, number = found
        self._tries.pop(ticket, None)
        usage = Usage(self._rng.randint(200, 900), self._rng.randint(50, 500))
        self._feed(Settle(ticket, usage if outcome is Outcome.OK else None, outcome))
        pause_s = self._rng.expovariate(1.0 / _THINK_S[call.priority or Priority.BATCH])
        self._at(self.now_s + pause_s, partial(self._ask, number))
