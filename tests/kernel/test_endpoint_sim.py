"""Forty agents against a server's token bucket in virtual time."""

from __future__ import annotations

import heapq
import itertools
import random
from math import inf
from statistics import median

import pytest

from agentrm_plugins.config.endpoints import EndpointConfig
from agentrm_plugins.policy.endpoint.amounts import amounts_of
from agentrm_plugins.policy.endpoint.endpoint import Endpoint
from agentrm_plugins.testing.provider.limits import LimitSet
from agentrm_plugins.testing.provider.limits import Quota as ServerQuota
from agentrm_plugins.types.verdicts import LimitReport, ServerLimit
from tests.kernel.told import limited

HALF_TRIP_S = 0.0025
WINDOW_S = 10.0
# kind: (how many, turns, input tokens, max_tokens, pause between turns in s)
KINDS = {
    "interactive": (20, 6, 150, 100, 0.5),
    "long": (10, 5, 900, 400, 0.3),
    "batch": (10, 8, 600, 300, 0.0),
}


class Turn:
    def __init__(self, agent, rng, seq, now_s):
        self.agent = agent
        _, _, tokens, most, _ = KINDS[agent["kind"]]
        tokens *= rng.uniform(0.7, 1.3)
        self.output = most * rng.uniform(0.2, 0.5)
        self.reserved = amounts_of(tokens, most)
        self.used = amounts_of(tokens, self.output)
        self.rank = (agent["kind"] != "interactive", seq)
        self.asked_s = now_s

    def __lt__(self, other):
        return self.rank < other.rank


class World:
    """The server, one endpoint as the core sees it, and closed-loop agents; no clock, no thread."""

    def __init__(self, server, quota, *, seed, says="", changes=(), capacity=inf):
        self.rng = random.Random(seed)
        self.now_s, self.says, self.capacity = 0.0, says, capacity
        self.limits = LimitSet(server, 0.0)
        self.endpoint = Endpoint("e", quota)
        for meter in self.endpoint.meters.values():
            if quota.rpm is not None:
                meter.window_s = WINDOW_S
                meter.apply(0.0)
        self.agenda, self.waiting = [], []
        self.seq, self.tickets = itertools.count(), itertools.count(1)
        self.serving = self.sent = self.wasted = self.left = 0
        self.wake_s = inf
        self.waits = []
        for kind, (number, turns, *_) in KINDS.items():
            for _ in range(number):
                self.left += turns
                agent = {"kind": kind, "left": turns}
                self.at(self.rng.uniform(0, 0.05), self.ask, agent)
        for at_s, limits in changes:
            self.at(at_s, lambda limits=limits: self.limits.apply(limits, self.now_s))

    def at(self, at_s, what, *args):
        heapq.heappush(self.agenda, (at_s, next(self.seq), what, args))

    def run(self):
        while self.left:
            self.now_s, _, what, args = heapq.heappop(self.agenda)
            assert self.now_s < 300, "somebody is stuck"
            what(*args)
            if self.wake_s <= self.now_s:
                self.wake_s = inf
            self.dispatch()
        return self

    def ask(self, agent):
        heapq.heappush(self.waiting, Turn(agent, self.rng, next(self.seq), self.now_s))

    def dispatch(self):
        endpoint = self.endpoint
        endpoint.advance(self.now_s)
        while self.waiting:
            turn = self.waiting[0]
            wait_s = endpoint.wait(turn.reserved, self.now_s).seconds
            if wait_s > 0:
                endpoint.held_up(
                    turn.reserved, endpoint.wait(turn.reserved, self.now_s), self.now_s
                )
                self.wake(min(self.now_s + wait_s + 1e-6, endpoint.next_s()))
                return
            heapq.heappop(self.waiting)
            ticket = next(self.tickets)
            endpoint.sent(ticket, turn.reserved, self.now_s)
            self.sent += 1
            self.at(self.now_s + HALF_TRIP_S, self.arrive, ticket, turn)

    def wake(self, at_s):
        if self.now_s < at_s < self.wake_s:
            self.wake_s = at_s
            self.at(at_s, lambda: None)

    def arrive(self, ticket, turn):
        if self.serving >= self.capacity:
            self.at(self.now_s + HALF_TRIP_S, self.turned_away, ticket, turn, None)
            return
        tokens = turn.reserved["input_tokens"]
        verdict = self.limits.admit(
            self.now_s,
            input_tokens=tokens,
            output_tokens=turn.reserved["output_tokens"],
            rejection_cost=1.0,
        )
        if not verdict.admitted:
            report = self.report(verdict)
            self.at(self.now_s + HALF_TRIP_S, self.turned_away, ticket, turn, report)
            return
        self.serving += 1
        seconds = (0.2 + turn.output * 0.004) * self.rng.uniform(0.8, 1.2)
        self.at(self.now_s + seconds, self.finish, ticket, turn)

    def turned_away(self, ticket, turn, report):
        self.wasted += 1
        if report is None:
            self.endpoint.overloaded(ticket, LimitReport(), self.now_s)
        else:
            limited(self.endpoint, ticket, report, self.now_s)
        heapq.heappush(self.waiting, turn)

    def finish(self, ticket, turn):
        self.serving -= 1
        unused = turn.output - turn.reserved["output_tokens"]
        self.limits.settle(self.now_s, input_tokens=0, output_tokens=unused)
        self.at(self.now_s + HALF_TRIP_S, self.done, ticket, turn, self.report())

    def done(self, ticket, turn, report):
        self.endpoint.ended(ticket, turn.used, self.now_s)
        self.endpoint.reported(report, self.now_s)
        self.left -= 1
        agent = turn.agent
        if agent["kind"] == "interactive":
            self.waits.append(self.now_s - turn.asked_s)
        agent["left"] -= 1
        if agent["left"]:
            pause_s = KINDS[agent["kind"]][4] * self.rng.uniform(0.5, 1.5)
            self.at(self.now_s + pause_s, self.ask, agent)

    def report(self, verdict=None):
        """Headers as OpenAI's; or, of a refusal only, its text."""
        if self.says == "headers":
            said = {
                name: ServerLimit(
                    meter.limit,
                    float(max(0, int(meter.remaining(self.now_s)))),
                    round(meter.reset_s(self.now_s) + 0.0005, 3),
                )
                for name, meter in self.limits.meters()
            }
            return LimitReport(retry_after_s=verdict.wait_s if verdict else None, **said)
        if self.says == "text" and verdict:
            used = max(0, int(verdict.used))
            missing = int(verdict.requested) + used - verdict.limit
            reset_s = used * verdict.wait_s / missing if missing > 0 else None
            limit = ServerLimit(verdict.limit, max(0, verdict.limit - used), reset_s, firm=False)
            return LimitReport(
                retry_after_s=verdict.wait_s,
                resource=verdict.resource,
                **{verdict.resource: limit},
            )
        return LimitReport()

    @property
    def p95_s(self):
        return sorted(self.waits)[int(0.95 * len(self.waits))]


def server(factor=1.0, *, tokens=60_000, requests=600):
    return ServerQuota(
        tokens=tokens * factor, requests=requests * factor, window_s=WINDOW_S, burst=0.2
    )


def unknown(**known):
    return EndpointConfig(burst_s=60.0, **known)


def told(factor=1.0, *, tokens=60_000, requests=600):
    """The server's own limit, in its own window, a fifth of which may go at once."""
    per_min = factor * 60.0 / WINDOW_S
    return EndpointConfig(tpm=tokens * per_min, rpm=requests * per_min, burst_s=0.2 * 60.0)


def against_the_oracle(limits, quota, *, seeds=range(1, 6), oracle=None, **options):
    """Medians of wall time and interactive p95 relative to the oracle's, and of the waste."""
    walls, wastes, tails = [], [], []
    for seed in seeds:
        best = oracle(seed) if oracle else World(server(**limits), told(**limits), seed=seed).run()
        world = World(server(**limits), quota, seed=seed, **options).run()
        walls.append(world.now_s / best.now_s)
        wastes.append(world.wasted / world.sent)
        tails.append(world.p95_s / best.p95_s)
    return median(walls), median(wastes), median(tails)


BINDING = [
    pytest.param({"tokens": 60_000, "requests": 600}, id="tokens"),
    pytest.param({"tokens": 600_000, "requests": 60}, id="requests"),
]


@pytest.mark.parametrize("limits", BINDING)
def test_told_rightly_nothing_is_wasted(limits):
    """Who knows the limit sends nothing that is refused."""
    world = World(server(**limits), told(**limits), seed=3).run()
    assert world.wasted == 0


@pytest.mark.parametrize("limits", BINDING)
@pytest.mark.parametrize("factor", [None, 3.0])
def test_with_headers(limits, factor):
    """Not told, or told three times too much: at most 2 % waste and 1.05 of the oracle's time."""
    quota = unknown() if factor is None else told(factor, **limits)
    wall, waste, _ = against_the_oracle(limits, quota, says="headers")
    assert wall <= 1.05
    assert waste <= 0.02


@pytest.mark.parametrize("says", ["text", ""])
@pytest.mark.parametrize("limits", BINDING)
@pytest.mark.parametrize("factor", [None, 3.0])
def test_without_headers(limits, factor, says):
    """Only refusals, with or without a text: at most 10 % waste."""
    quota = unknown() if factor is None else told(factor, **limits)
    wall, waste, _ = against_the_oracle(limits, quota, says=says)
    assert wall <= 1.2
    assert waste <= 0.10


@pytest.mark.parametrize("says", ["text", ""])
@pytest.mark.parametrize("quota", [unknown(), told()], ids=["unknown", "told"])
def test_limits_that_fall_to_40_percent_and_come_back(quota, says):
    """Followed down and up without any header, measured against who sees headers."""
    changes = ((6.0, server(0.4)), (16.0, server()))

    def oracle(seed):
        return World(server(), unknown(), seed=seed, says="headers", changes=changes).run()

    wall, waste, _ = against_the_oracle({}, quota, oracle=oracle, says=says, changes=changes)
    assert wall <= 1.25
    assert waste <= 0.10


LASTING = {
    "interactive": (20, 40, 150, 100, 0.5),
    "long": (10, 40, 900, 400, 0.3),
    "batch": (10, 60, 600, 300, 0.0),
}


@pytest.mark.parametrize(
    ("says", "quota"),
    [
        ("headers", unknown()),
        ("headers", told()),
        ("text", unknown()),
        ("text", told()),
        ("", told()),
    ],
    ids=["headers", "headers, told", "text", "text, told", "nothing, told"],
)
def test_a_limit_that_changes_is_followed_within_one_window(says, quota, monkeypatch):
    """Down to 40 % and up again: by the end of a window of 10 s the rate allowed is the server's.

    It tries for a moment now and then whether there is more, so the median of moments counts. With
    headers it is so at once.
    """
    monkeypatch.setattr("tests.kernel.test_endpoint_sim.KINDS", LASTING)
    changes = ((10.0, server(0.4)), (30.0, server()))
    full_per_s = 60_000 / WINDOW_S
    down, up, soon = [], [], []
    for seed in range(1, 6):
        world = World(server(), quota, seed=seed, says=says, changes=changes)
        controller = world.endpoint.meters["tokens"].controller

        def note(to, of=controller):
            to.append(of.rate_per_s / full_per_s)

        for number in range(10):
            world.at(15.0 + number / 2, note, down)
            world.at(35.0 + number / 2, note, up)
        world.at(11.0, note, soon)
        world.run()
    assert 0.36 <= median(down) <= 0.42
    assert 0.95 <= median(up) <= 1.05
    if says == "headers":
        assert median(soon) == pytest.approx(0.4, rel=0.01)


def test_finite_capacity_is_found():
    """Without a quota the refusals themselves say how many fit."""
    worlds = [World(ServerQuota(), unknown(), seed=seed, capacity=8).run() for seed in range(1, 6)]
    known = [
        World(ServerQuota(), unknown(concurrency=8), seed=seed, capacity=8).run()
        for seed in range(1, 6)
    ]
    wall = median(a.now_s / b.now_s for a, b in zip(worlds, known, strict=True))
    assert wall <= 1.05
    assert median(world.wasted / world.sent for world in worlds) <= 0.05
