"""The same calls on the kernel in virtual time, with a host's part in the race done by hand."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any

from agentrm_plugins.config import Config
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.types.calls import Call, Outcome, Usage
from agentrm_plugins.types.effects import Granted, Reaped, Refused, Suspected
from agentrm_plugins.types.events import Settle, Submit, Tick, Withdraw
from benchmarks.liveness.outcome import Outcome as Result
from benchmarks.liveness.work import INPUT_TOKENS, Work

__all__ = ["on_the_kernel"]

_INPUT = Usage(INPUT_TOKENS)
_LONGEST_S = 1e6


class _Run:
    """One run: an agenda of ends, and the tickets of each call."""

    def __init__(self, work: Work, config: Config, agents: int, think_s: float) -> None:
        self.work = work
        self.kernel = Kernel(config)
        self.now_s = 0.0
        self.think_s = think_s
        self.numbers = itertools.count(1)
        self.order = itertools.count()
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.next = iter(range(work.calls))
        self.call_of: dict[int, int] = {}  # ticket -> call
        self.alive: dict[int, list[int]] = {}  # call -> tickets, the first attempt first
        self.waiting: dict[int, int] = {}  # call -> the ticket that waits
        self.asked_s = [0.0] * work.calls
        self.took_s = [0.0] * work.calls
        self.sent = [0] * work.calls
        self.tokens = self.failed = 0
        self.end_s = 0.0
        for _ in range(agents):
            self.at(0.0, self.ask)

    def at(self, when_s: float, what: Callable[[], None]) -> None:
        heapq.heappush(self.agenda, (when_s, next(self.order), what))

    def run(self) -> None:
        while self.now_s < _LONGEST_S:
            due_s = self.kernel.next_deadline() if self.alive else _LONGEST_S
            if self.agenda and self.agenda[0][0] < due_s:
                self.now_s, _, what = heapq.heappop(self.agenda)
                what()
            elif self.alive:
                self.now_s = max(self.now_s, due_s)
                self.feed(Tick())
            else:
                return

    # -- what callers do --------------------------------------------------------------------

    def ask(self) -> None:
        number = next(self.next, None)
        if number is None:
            return
        self.asked_s[number] = self.now_s
        self.alive[number] = []
        self.submit(number)

    def submit(self, number: int, **how: int) -> None:
        ticket = next(self.numbers)
        self.call_of[ticket], self.waiting[number] = number, ticket
        most = self.work.output_tokens(number) if self.work.situation.sized else None
        call = Call("a", endpoint="host/model", estimate=_INPUT, max_output_tokens=most)
        self.feed(Submit(ticket, call, **how))

    def feed(self, event: Any) -> None:
        for effect in self.kernel.handle(self.now_s, event):
            number = self.call_of.get(effect.ticket)
            if number is None or number not in self.alive:
                continue
            if isinstance(effect, Granted):
                self.go(number, effect.ticket)
            elif isinstance(effect, Suspected):
                if number not in self.waiting:
                    self.at(self.now_s, lambda n=number, t=effect.ticket: self.hedge(n, t))
            elif isinstance(effect, Reaped):
                self.at(self.now_s, lambda n=number, e=effect: self.reaped(n, e))
            elif isinstance(effect, Refused) and self.waiting.get(number) == effect.ticket:
                del self.waiting[number]
                if not self.alive[number]:
                    self.over(number, failed=True)

    def hedge(self, number: int, first: int) -> None:
        if number in self.alive and first in self.alive[number] and number not in self.waiting:
            self.submit(number, hedge_of=first)

    def go(self, number: int, ticket: int) -> None:
        self.waiting.pop(number, None)
        self.alive[number].append(ticket)
        hung = self.work.is_hung(number, self.sent[number], self.now_s)
        self.sent[number] += 1
        self.tokens += INPUT_TOKENS
        if not hung:
            takes_s = self.work.service_s(number)
            self.at(self.now_s + takes_s, lambda: self.answered(number, ticket))

    def answered(self, number: int, ticket: int) -> None:
        if ticket not in self.alive.get(number, ()):
            return
        output = self.work.output_tokens(number)
        self.tokens += output
        others = [other for other in self.alive[number] if other != ticket]
        waiting = self.waiting.pop(number, None)
        self.over(number, failed=False)
        self.feed(Settle(ticket, Usage(INPUT_TOKENS, output)))
        for other in others:
            self.feed(Settle(other, _INPUT, Outcome.SUPERSEDED))
        if waiting is not None:
            self.feed(Withdraw(waiting, "superseded"))

    def reaped(self, number: int, effect: Reaped) -> None:
        alive = self.alive.get(number)
        if alive is None or effect.ticket not in alive:
            return
        alive.remove(effect.ticket)
        self.feed(Settle(effect.ticket, _INPUT, Outcome.ERROR))
        if number in self.waiting:
            return
        if not alive:
            self.submit(number, place_of=effect.ticket)
        elif effect.cause == "gave_way":
            self.submit(number, hedge_of=alive[0])

    def over(self, number: int, *, failed: bool) -> None:
        del self.alive[number]
        self.failed += failed
        self.took_s[number] = self.now_s - self.asked_s[number]
        self.end_s = self.now_s
        self.at(self.now_s + self.think_s, self.ask)


def on_the_kernel(work: Work, config: Config, agents: int, think_s: float) -> Result:
    """Run the calls of agents in closed loops."""
    run = _Run(work, config, agents, think_s)
    run.run()
    needed = sum(INPUT_TOKENS + work.output_tokens(number) for number in range(work.calls))
    unfinished = len(run.alive)
    return Result(
        run.end_s,
        run.failed + unfinished,
        tuple(run.sent),
        tuple(run.took_s),
        run.tokens,
        needed,
        run.kernel.statistics().input_tokens + run.kernel.statistics().output_tokens,
    )
