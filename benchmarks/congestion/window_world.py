"""Agents behind limits that are counted in windows, in virtual time, without a thread or a sleep.

Ours is the real kernel; the server is the simulated provider's own limits, with its headers and its
bodies, read as an answer's are. The bare SDK is its retries: 0.5 s doubling to 8 s less up to a
quarter, ``retry-after`` up to two minutes. The oracle knows what is left and what is on its way.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from math import inf
from typing import Any, NamedTuple

from agentrm_plugins.config import Config, EndpointConfig
from agentrm_plugins.hosts.judgement import judge_response
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.policy.endpoint.headers import parse_report
from agentrm_plugins.testing.provider.config import HeaderStyle, ResetMeans, RetryAfterStyle
from agentrm_plugins.testing.provider.headers import limit_headers, rejection, retry_headers
from agentrm_plugins.testing.provider.limits import LimitSet, Quota
from agentrm_plugins.testing.provider.wire import dump
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import Call, Usage
from agentrm_plugins.types.verdicts import MINUTE_S, LimitReport, Verdict

__all__ = ["PEERS", "ROWS", "Result", "Row", "play"]

AGENTS, TURNS, LANES = 20, 5, 64
INPUT, MOST = 20, 200
RPM, TPM = 60, 60 * 260
PEERS = ("ours", "sdk-2", "sdk-10")
_TRIP_S = (0.003, 0.015)
_FAR_S = (0.1, 1.0)  # a line, or a process, that is overloaded
_HANDSHAKE_S, _COLD_S = (0.3, 0.6), 30.0
_SERVICE_S, _UNUSED = (0.4, 1.0), (0.1, 0.3)
_FIRST_WAIT_S, _LONGEST_WAIT_S, _HEARD_S = 0.5, 8.0, 120.0
_EPOCH_S = 1_790_000_040.0  # a whole minute
_STUCK_S = 3600.0
_SILENT = b'{"error": {"message": "Too Many Requests"}}'


@dataclass(frozen=True, slots=True)
class Row:
    """A server.

    Args:
        quota: Its limits, and how they are counted.
        style: Whose headers.
        resets: Of what moment these are: when a limit is whole again, or when there is more.
        retry_after: Whether a refusal says how long to wait.
        refunds: Whether unused ``max_tokens`` come back.
        silent: Whether a refusal is a status and nothing else: no limit, no wait, no words.
        trip_s: How long a request is on its way, and its answer: what went first may come last.
        cold: Whether the first connections are slow to be made, of the requests of half a minute.
        agents: How many begin at once.
        served_s: How long a request is worked on.
        after: Whether the headers say what is left when the answer goes, not when the request came.
        unused: Of ``max_tokens``, what is put out: between these shares.
        words: What a refusal says in the place of its body, with "{limit}" in it.
        alone: Whether headers name the limit, and nothing of what is left.
    """

    quota: Quota
    style: HeaderStyle = "gateway"
    resets: ResetMeans | None = None
    retry_after: RetryAfterStyle = "none"
    refunds: bool = True
    silent: bool = False
    trip_s: tuple[float, float] = _TRIP_S
    cold: bool = False
    agents: int = AGENTS
    served_s: tuple[float, float] = _SERVICE_S
    after: bool = False
    unused: tuple[float, float] = _UNUSED
    words: str = ""
    alone: bool = False

    @property
    def told(self) -> EndpointConfig:
        """What a user says who knows the limits."""
        minutes = self.quota.window_s / MINUTE_S
        rpm, tpm = (
            None if limit is None else limit / minutes
            for limit in (self.quota.requests, self.quota.tokens)
        )
        return EndpointConfig(rpm=rpm, tpm=tpm)


ROWS = {
    "clock": Row(Quota(RPM, kind="clock")),
    "clock, reset": Row(Quota(RPM, kind="clock"), style="openai", resets="whole"),
    "clock, retry-after": Row(Quota(RPM, kind="clock"), retry_after="s"),
    "fixed": Row(Quota(RPM, kind="fixed")),
    "sliding": Row(Quota(RPM, kind="sliding")),
    "sliding, retry-after": Row(Quota(RPM, kind="sliding"), retry_after="s"),
    "clock, in words": Row(Quota(RPM, kind="clock"), style="none"),
    "fixed, in words": Row(Quota(RPM, kind="fixed"), style="none"),
    "sliding, in words": Row(Quota(RPM, kind="sliding"), style="none"),
    "bucket, in words": Row(Quota(RPM), style="none"),
    "clock, silent": Row(Quota(RPM, kind="clock"), style="none", silent=True),
    "fixed, silent": Row(Quota(RPM, kind="fixed"), style="none", silent=True),
    "sliding, silent": Row(Quota(RPM, kind="sliding"), style="none", silent=True),
    "bucket, silent": Row(Quota(RPM), style="none", silent=True),
    "no refunds": Row(Quota(tokens=TPM, kind="clock"), refunds=False),
    "no refunds, bucket": Row(Quota(tokens=TPM), refunds=False),
    "sliding, cold": Row(Quota(RPM, kind="sliding"), cold=True),
    "clock, far": Row(Quota(RPM, kind="clock"), trip_s=_FAR_S),
    "fixed, far": Row(Quota(RPM, kind="fixed"), trip_s=_FAR_S),
    "sliding, far": Row(Quota(RPM, kind="sliding"), trip_s=_FAR_S),
    "per second": Row(Quota(RPM, enforce_s=1.0)),
    "per second, retry-after": Row(Quota(RPM, enforce_s=1.0), retry_after="s"),
    "per second, in words": Row(Quota(RPM, enforce_s=1.0), style="none"),
    "per second, clock": Row(Quota(RPM, kind="clock", enforce_s=1.0)),
}


class Result(NamedTuple):
    """What one client did at one server."""

    wall_s: float
    finished: int
    refusals: tuple[int, ...]  # in each window of the server

    @property
    def first(self) -> int:
        """Refusals in the first window."""
        return self.refusals[0]

    @property
    def later(self) -> int:
        """The most of any window after that."""
        return max(self.refusals[1:], default=0)


class _Answer(NamedTuple):
    headers: dict[str, str]
    body: bytes | None  # of a refusal


@dataclass(slots=True)
class _Turn:
    agent: int
    left: int
    usage: Usage
    tries: int = 0


@dataclass(slots=True)
class _World:
    """The server and its agents; a client says when a turn's request goes, and who goes again."""

    row: Row
    phase_s: float
    rng: random.Random
    turns: int = TURNS
    skew_s: float = 0.0
    now_s: float = 0.0
    agenda: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = field(
        default_factory=list
    )
    order: itertools.count[int] = field(default_factory=itertools.count)
    running: int = 0
    finished: int = 0
    refused_s: list[float] = field(default_factory=list)
    coming: int = 0
    limits: LimitSet = field(init=False)

    def __post_init__(self) -> None:
        wall_s, self.running = _EPOCH_S + self.phase_s, self.row.agents
        self.limits = LimitSet(self.row.quota, 0.0, wall_offset_s=wall_s)

    def at(self, at_s: float, what: Callable[..., None], *arguments: Any) -> None:
        heapq.heappush(self.agenda, (at_s, next(self.order), what, arguments))

    def turn(self, agent: int, left: int) -> _Turn:
        return _Turn(agent, left, Usage(INPUT, int(MOST * self.rng.uniform(*self.row.unused))))

    def send(self, heard: Callable[..., None], turn: _Turn, *more: Any) -> None:
        """A request goes; `heard` is called with its answer, the turn and the rest."""
        self.coming += 1
        cold = self.row.cold and self.now_s < _COLD_S
        trip_s = self.rng.uniform(*(_HANDSHAKE_S if cold else self.row.trip_s))
        self.at(self.now_s + trip_s, self._arrive, heard, turn, *more)

    def _arrive(self, heard: Callable[..., None], turn: _Turn, *more: Any) -> None:
        self.coming -= 1
        verdict = self.limits.admit(
            self.now_s, input_tokens=INPUT, output_tokens=MOST, rejection_cost=0.0
        )
        row, said = self.row, self._headers()
        seconds, trip_s = self.rng.uniform(*row.served_s), self.rng.uniform(*row.trip_s)
        if not verdict.admitted:
            self.refused_s.append(self.now_s)
            wait = retry_headers(verdict.wait_s, row.retry_after)
            said |= {name.decode(): value.decode() for name, value in wait}
            body = rejection(verdict, "m", row.style, self.limits.window_s)
            if row.words:
                body = dump({"error": {"message": row.words.format(limit=int(verdict.limit))}})
            answer = _Answer(said, _SILENT if row.silent else body)
            self.at(self.now_s + trip_s, heard, answer, turn, *more)
            return
        if row.refunds:
            self.at(self.now_s + seconds, self._refund, turn.usage.output_tokens - MOST)
        if row.after:
            self.at(self.now_s + seconds, self._answer, trip_s, heard, turn, *more)
        else:
            self.at(self.now_s + seconds + trip_s, heard, _Answer(said, None), turn, *more)

    def _answer(self, trip_s: float, heard: Callable[..., None], turn: _Turn, *more: Any) -> None:
        self.at(self.now_s + trip_s, heard, _Answer(self._headers(), None), turn, *more)

    def _headers(self) -> dict[str, str]:
        row, wall_s = self.row, _EPOCH_S + self.phase_s + self.now_s
        headers = limit_headers(self.limits, row.style, self.now_s, wall_s, resets=row.resets)
        date = formatdate(wall_s, usegmt=True)
        told = {name.decode(): value.decode() for name, value in headers}
        if row.alone:
            told = {name: value for name, value in told.items() if "remaining" not in name}
        return {"date": date, **told}

    def _refund(self, unused: int) -> None:
        self.limits.settle(self.now_s, input_tokens=0, output_tokens=unused)

    def result(self) -> Result:
        """What has come of it."""
        quota = self.row.quota
        window_s = quota.window_s
        edge_s = window_s - (self.phase_s % window_s if quota.kind == "clock" else 0.0)
        counts = [0] * (2 + int(max(0.0, self.now_s - edge_s) // window_s))
        for at_s in self.refused_s:
            counts[0 if at_s < edge_s else 1 + int((at_s - edge_s) // window_s)] += 1
        return Result(self.now_s, self.finished, tuple(counts))


class _Sdk:
    """Each agent for itself."""

    def __init__(self, world: _World, retries: int) -> None:
        self.world, self.retries = world, retries

    def ask(self, agent: int, left: int) -> None:
        self.world.send(self.heard, self.world.turn(agent, left))

    def heard(self, answer: _Answer, turn: _Turn) -> None:
        world = self.world
        if answer.body is None:
            if turn.left > 1:
                self.ask(turn.agent, turn.left - 1)
                return
            world.finished += 1
        elif turn.tries < self.retries:
            wait_s = self.wait_s(answer, turn.tries)
            turn.tries += 1
            world.at(world.now_s + wait_s, world.send, self.heard, turn)
            return
        world.running -= 1

    def wait_s(self, answer: _Answer, tries: int) -> float:
        said = float(answer.headers.get("retry-after", inf))
        if said <= _HEARD_S:
            return said
        least = min(_FIRST_WAIT_S * 2.0**tries, _LONGEST_WAIT_S)
        return least * (1.0 - 0.25 * self.world.rng.random())

    def go(self) -> None:
        world = self.world
        while world.running and world.now_s < _STUCK_S:
            world.now_s, _, what, arguments = heapq.heappop(world.agenda)
            what(*arguments)


class _Oracle(_Sdk):
    """Sends each request at the moment at which the server takes it."""

    def __init__(self, world: _World) -> None:
        super().__init__(world, 0)
        self.waiting: list[_Turn] = []

    def ask(self, agent: int, left: int) -> None:
        self.waiting.append(self.world.turn(agent, left))
        self.look()

    def look(self) -> None:
        world = self.world
        while self.waiting:
            if world.coming and world.row.quota.enforce_s is not None:
                world.at(world.now_s + world.row.trip_s[1], self.look)
                return
            need = world.coming + 1
            amounts = {"requests": need, "tokens": need * (INPUT + MOST)}
            wait_s = max(
                meter.wait_s(amounts[name], world.now_s) for name, meter in world.limits.meters()
            )
            if wait_s > 0:
                soon_s = wait_s if wait_s < inf else world.row.trip_s[1]
                world.at(world.now_s + soon_s + 1e-6, self.look)
                return
            world.send(self.heard, self.waiting.pop(0))


class _Ours:
    """The real kernel: calls wait for their lane, refused ones at their own place."""

    def __init__(self, world: _World, told: EndpointConfig | None) -> None:
        endpoints = {} if told is None else {"*": told}
        self.world, self.kernel = world, Kernel(Config(lanes=LANES, endpoints=endpoints))
        self.numbers = itertools.count(1)
        self.turns: dict[int, _Turn] = {}

    def ask(self, agent: int, left: int) -> None:
        number = next(self.numbers)
        self.turns[number] = self.world.turn(agent, left)
        call = Call(
            f"agent-{agent}", endpoint="gateway/m", estimate=Usage(INPUT), max_output_tokens=MOST
        )
        self.feed(ev.Submit(number, call))

    def feed(self, event: ev.Event) -> None:
        for effect in self.kernel.handle(self.world.now_s, event):
            if isinstance(effect, fx.Granted):
                turn = self.turns[effect.ticket]
                self.world.send(self.heard, turn, effect.ticket, self.world.now_s)
            elif isinstance(effect, fx.Refused):
                self.world.running -= 1

    def heard(self, answer: _Answer, turn: _Turn, number: int, sent_s: float) -> None:
        world = self.world
        wall_s = _EPOCH_S + world.phase_s + world.now_s + world.skew_s
        if answer.body is not None:
            verdict, report = _judged(answer, wall_s)
            self.feed(ev.Requeue(number, verdict, 0.0, report))
            return
        report = parse_report(answer.headers, wall_s)
        self.feed(ev.Observe("gateway/m", report, sent_s=sent_s))
        self.feed(ev.Settle(number, turn.usage))
        del self.turns[number]
        if turn.left > 1:
            self.ask(turn.agent, turn.left - 1)
            return
        world.finished += 1
        world.running -= 1

    def go(self) -> None:
        world = self.world
        while world.running and world.now_s < _STUCK_S:
            deadline_s = self.kernel.next_deadline()
            if world.agenda and world.agenda[0][0] <= deadline_s:
                world.now_s, _, what, arguments = heapq.heappop(world.agenda)
                what(*arguments)
            else:
                world.now_s = max(world.now_s, deadline_s)
                self.feed(ev.Tick())


def _judged(answer: _Answer, wall_s: float) -> tuple[Verdict, LimitReport]:
    verdict, report = judge_response(429, answer.headers, answer.body or b"")
    return verdict, replace(report, wall_s=wall_s)


def play(
    row: Row, peer: str, *, told: bool = False, seed: int = 1, phase_s: float = 20.0,
    turns: int = TURNS, skew_s: float = 0.0,
) -> Result:  # fmt: skip
    """Let the agents work.

    Args:
        row: At which server.
        peer: "ours", "sdk-2", "sdk-10" (so many retries) or "oracle".
        told: Whether ours is told the limits.
        seed: Of chance.
        phase_s: Where in its minute the server's clock stands at the beginning.
        turns: Turns of each agent.
        skew_s: By how much the client's clock is ahead of the server's.
    """
    world = _World(row, phase_s, random.Random(seed), turns, skew_s)
    client: _Ours | _Sdk
    if peer == "ours":
        client = _Ours(world, row.told if told else None)
    else:
        client = _Oracle(world) if peer == "oracle" else _Sdk(world, int(peer.partition("-")[2]))
    for agent in range(row.agents):
        world.at(world.rng.uniform(0.0, 0.05), client.ask, agent, turns)
    client.go()
    return world.result()
