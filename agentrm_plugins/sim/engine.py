"""The virtual-time host: pops the earlier of the agenda and the kernel's own deadline, and goes on.

A healthy try beats after its first token and then every `BEAT_S`; a hanging one never does. Whoever
is reaped, or fails, is submitted again until its tries are used up, in every order alike.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from math import inf
from typing import Any, cast

from agentrm_plugins.config import Config, LeaseConfig, Order, SchedulerConfig
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.policy.order.agent_queue import AgentQueue
from agentrm_plugins.policy.order.baselines import KeyOrder
from agentrm_plugins.policy.order.protocols import Scheduler
from agentrm_plugins.sim.workload import Fate, Turn, Workload
from agentrm_plugins.types.calls import Call, Outcome, Priority
from agentrm_plugins.types.effects import Effect, Granted, Reaped
from agentrm_plugins.types.events import Beat, Event, Settle, Submit, Tick

__all__ = [
    "BEAT_S",
    "CLAIRVOYANT",
    "HANG_S",
    "REAP_S",
    "Model",
    "Record",
    "Run",
    "run_model",
    "simulate",
]

REAP_S = 30.0  # arXiv:2603.13110: who is silent for longer is a zombie
HANG_S = 90.0  # a hang ends by itself; the paper's baselines hold a zombie for 34 to 122 s
BEAT_S = 5.0
_FIRST_TOKEN_S = 1.0
_ERROR_S = 0.2  # a 502 or a reset comes fast (guessed)
_NEVER_S = 1e12
_ROUNDING_S = 1e-6
CLAIRVOYANT = "clairvoyant"


@dataclass(slots=True)
class Record:
    """The story of one turn. Times in seconds; infinite for what never happened."""

    turn: Turn
    arrived_s: float = inf
    started_s: float = inf
    ended_s: float = inf
    waited_s: float = 0.0
    tries: int = 0
    hangs: int = 0
    finished: bool = False


@dataclass(slots=True)
class Run:
    """What a run left behind."""

    records: list[Record]
    lanes: int
    zombies: int = 0
    waste_s: float = 0.0
    past_timeout: int = 0
    boosts: int = 0
    peak: int = 0
    end_s: float = 0.0
    events: int = 0


@dataclass(frozen=True, slots=True)
class Model:
    """What the world of a run is like, beside its turns.

    Args:
        order: Who goes next: an `Order`, or `CLAIRVOYANT`, which is told the true lengths and lets
            the shortest go first: a bound for all that must guess.
        reaper_s: Silence after which a call loses its lane; None for no reaper.
        first_token_s: The same before the first token; None: `reaper_s`.
        hang_s: After so long a hang ends by itself, with an error.
        retry: Whether a turn that failed, or was reaped, is tried again.
        hints: Whether agents declare what they are, or what each turn declares.
        scheduler: Fields of `SchedulerConfig` other than the order.
        make: Makes another scheduler than the order's, for ablations.
    """

    order: Order | str = Order.MLFQ
    reaper_s: float | None = REAP_S
    first_token_s: float | None = None
    hang_s: float = HANG_S
    retry: bool = True
    hints: bool | Callable[[Turn], Priority | None] = True
    scheduler: Mapping[str, Any] = field(default_factory=dict)
    make: Callable[[Config], Scheduler] | None = None

    def config(self, lanes: int) -> Config:
        """The core's configuration in this world."""
        leases = LeaseConfig(_NEVER_S, _NEVER_S, _NEVER_S, None)
        if self.reaper_s is not None:
            leases = LeaseConfig(
                first_token_timeout_s=self.first_token_s or self.reaper_s,
                silence_timeout_s=self.reaper_s,
                total_timeout_s=None,
            )
        order = Order.FIFO if self.order == CLAIRVOYANT else cast("Order", self.order)
        scheduler = SchedulerConfig(order=order, **self.scheduler)
        return Config(lanes=lanes, scheduler=scheduler, leases=leases)

    def hint(self, turn: Turn) -> Priority | None:
        """What the turn's agent declares."""
        if self.hints is True or self.hints is False:
            return turn.kind if self.hints else None
        return self.hints(turn)


def simulate(
    workload: Workload,
    order: Order | str = Order.MLFQ,
    *,
    reaper: bool = True,
    boost: bool = True,
    hints: bool = True,
) -> Run:
    """Run a workload to its end.

    Args:
        workload: What is to be done.
        order: Who goes next.
        reaper: Whether silent calls lose their lane after `REAP_S`.
        boost: Whether the textbook's feedback queue boosts, and any one relieves.
        hints: Whether agents declare what they are.

    Raises:
        ConfigError: There is no such order.
    """
    scheduler = {} if boost else {"boost_interval": 10**9}
    reaper_s = REAP_S if reaper else None
    return run_model(workload, Model(order, reaper_s, hints=hints, scheduler=scheduler))


def run_model(workload: Workload, model: Model) -> Run:
    """Run a workload to its end in any world.

    Raises:
        ConfigError: The model's order, or a field of its scheduler, is not one.
    """
    return _Engine(workload, model).run()


@dataclass(slots=True)
class _Try:
    """A ticket: which turn's, and since when it holds a lane."""

    record: Record
    fate: Fate
    granted_s: float = inf
    over: bool = False


@dataclass(slots=True)
class _Engine:
    workload: Workload
    model: Model
    kernel: Kernel = field(init=False)
    result: Run = field(init=False)
    agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    tries: dict[int, _Try] = field(default_factory=dict)
    later: dict[tuple[str, int], deque[Record]] = field(default_factory=lambda: defaultdict(deque))
    now_s: float = 0.0
    seq: int = 0
    tickets: int = 0
    open: int = 0

    def __post_init__(self) -> None:
        config = self.model.config(self.workload.lanes)
        scheduler: Scheduler | None = None
        if self.model.order == CLAIRVOYANT:
            scheduler = KeyOrder(self.length)
        elif self.model.make is not None:
            scheduler = self.model.make(config)
        self.kernel = Kernel(config, scheduler=scheduler)
        records = [Record(turn) for turn in self.workload.turns]
        self.result = Run(records, self.workload.lanes)
        self.open = len(records)
        for record in records:
            if record.turn.at_s is None:
                self.later[record.turn.agent, record.turn.chain].append(record)
            else:
                self.at(record.turn.at_s, partial(self.arrive, record))

    def run(self) -> Run:
        while self.open:
            agenda_s = self.agenda[0][0] if self.agenda else inf
            deadline_s = self.kernel.next_deadline()
            self.now_s = max(min(agenda_s, deadline_s), self.now_s)
            if deadline_s <= agenda_s:
                self.feed(Tick())
            else:
                heappop(self.agenda)[2]()
        self.kernel.validate()
        statistics = self.kernel.statistics(agents=False)
        self.result.boosts, self.result.peak = statistics.boosts, statistics.lanes_peak
        self.result.end_s, self.result.events = self.now_s, self.seq
        return self.result

    def length(self, agent: AgentQueue) -> tuple[float, ...]:
        """The true length of the call on offer."""
        number = agent.head.number
        return self.tries[number].record.turn.service_s, number

    def at(self, when_s: float, action: Callable[[], None]) -> None:
        self.seq += 1
        heappush(self.agenda, (when_s, self.seq, action))

    def feed(self, event: Event) -> None:
        for effect in self.kernel.handle(self.now_s, event):
            self.obey(effect)

    def obey(self, effect: Effect) -> None:
        if isinstance(effect, Granted):
            # After this batch: an effect must not be answered from inside the one before it.
            self.at(self.now_s, lambda: self.work(effect.ticket, effect.waited_s))
        elif isinstance(effect, Reaped):
            self.at(self.now_s, lambda: self.end(effect.ticket, Outcome.CANCELLED))

    def arrive(self, record: Record) -> None:
        record.arrived_s = self.now_s
        self.submit(record)

    def submit(self, record: Record) -> None:
        self.tickets += 1
        self.tries[self.tickets] = _Try(record, record.turn.fates[record.tries])
        record.tries += 1
        call = Call(record.turn.agent, priority=self.model.hint(record.turn), streaming=True)
        self.feed(Submit(self.tickets, call))

    def work(self, ticket: int, waited_s: float) -> None:
        attempt = self.tries[ticket]
        record, turn = attempt.record, attempt.record.turn
        attempt.granted_s = self.now_s
        record.started_s = min(record.started_s, self.now_s)
        record.waited_s += waited_s
        if attempt.fate is Fate.HANG:
            self.at(self.now_s + self.model.hang_s, lambda: self.end(ticket, Outcome.ERROR))
        elif attempt.fate is Fate.ERROR:
            self.at(self.now_s + _ERROR_S, lambda: self.end(ticket, Outcome.ERROR))
        else:
            self.at(self.now_s + min(_FIRST_TOKEN_S, turn.service_s / 2), lambda: self.beat(ticket))
            self.at(self.now_s + turn.service_s, lambda: self.end(ticket, Outcome.OK))

    def beat(self, ticket: int) -> None:
        if not self.tries[ticket].over:
            self.feed(Beat(ticket))
            self.at(self.now_s + BEAT_S, lambda: self.beat(ticket))

    def end(self, ticket: int, outcome: Outcome) -> None:
        attempt = self.tries[ticket]
        if attempt.over:
            return
        attempt.over = True
        record = attempt.record
        if attempt.fate is Fate.HANG:
            record.hangs += 1
            self.result.zombies += 1
            held_s = self.now_s - attempt.granted_s
            self.result.waste_s += held_s
            self.result.past_timeout += held_s > REAP_S + _ROUNDING_S
        self.feed(Settle(ticket, None, outcome))
        last = record.tries == len(record.turn.fates) or not self.model.retry
        if outcome is Outcome.OK or last:
            self.finish(record, finished=outcome is Outcome.OK)
        else:
            self.submit(record)

    def finish(self, record: Record, *, finished: bool) -> None:
        record.ended_s, record.finished = self.now_s, finished
        self.open -= 1
        following = self.later[record.turn.agent, record.turn.chain]
        if following:
            after = following.popleft()
            self.at(self.now_s + after.turn.think_s, lambda: self.arrive(after))
