"""Agents behind gateways that count in windows, in virtual time: headers without resets."""

from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import replace
from math import inf

import pytest

from agentrm_plugins.config import EndpointConfig
from agentrm_plugins.policy.endpoint.amounts import Wait, amounts_of
from agentrm_plugins.policy.endpoint.endpoint import Endpoint
from agentrm_plugins.testing.provider.limits import LimitSet, Quota
from agentrm_plugins.types.verdicts import Kind, LimitReport, ServerLimit, Verdict

REFUSED = Verdict(Kind.LIMIT, 429)


class Gateway:
    """Closed-loop agents of some turns each, one endpoint, and a server with limits of a kind.

    Args:
        quota: The server's limits.
        agents: How many agents begin at once.
        turns: Turns of each.
        phase_s: Where in its minute the server's clock stands at the beginning.
        after: Whether remaining is what is left when the answer is ready, not when it came in.
        retry_after: Whether refusals say how long to wait.
        headers_on_refusals: Whether refusals name limit and remaining.
        refunds: Whether unused tokens are given back.
        text: Whether a refusal names the resource that is short.
    """

    def __init__(self, quota, *, seed, agents=20, turns=5, phase_s=20.0, after=False,
                 retry_after=False, headers_on_refusals=True, refunds=True, lanes=64,
                 config=None, tokens=(100, 200), latency_s=(0.6, 1.4), wall=True,
                 text=False):  # fmt: skip
        self.rng = random.Random(seed)
        self.now_s, self.epoch_s = 0.0, 1_790_000_040.0 + phase_s
        self.wall, self.after, self.retry_after = wall, after, retry_after
        self.text = text
        self.headers_on_refusals, self.refunds = headers_on_refusals, refunds
        self.limits = LimitSet(quota, 0.0, wall_offset_s=self.epoch_s)
        self.endpoint = Endpoint("e", config or EndpointConfig(), first=lanes)
        self.agenda, self.waiting = [], []
        self.seq, self.tickets = itertools.count(), itertools.count(1)
        self.lanes, self.running, self.left = lanes, 0, agents * turns
        self.tokens, self.latency_s = tokens, latency_s
        self.wake_s = inf
        self.sent = 0
        self.refusals = []
        self.coming = {}
        for _ in range(agents):
            self.at(self.rng.uniform(0, 0.05), self.ask, [turns])

    def at(self, at_s, what, *args):
        heapq.heappush(self.agenda, (at_s, next(self.seq), what, args))

    def run(self, most_s=900.0):
        while self.left:
            assert self.agenda, "somebody waits for nothing"
            self.now_s, _, what, args = heapq.heappop(self.agenda)
            assert self.now_s < most_s, "somebody is stuck"
            what(*args)
            if self.wake_s <= self.now_s:
                self.wake_s = inf
            self.dispatch()
        return self

    def ask(self, agent):
        tokens, most = self.tokens
        turn = (next(self.seq), agent, amounts_of(tokens, most), self.rng.uniform(0.2, 0.5) * most)
        heapq.heappush(self.waiting, turn)

    def dispatch(self):
        self.endpoint.advance(self.now_s)
        while self.waiting and self.running < self.lanes:
            amounts = self.waiting[0][2]
            wait = self.wait(amounts)
            if wait.seconds > 0:
                self.endpoint.held_up(amounts, wait, self.now_s)
                at_s = min(self.now_s + wait.seconds + 1e-6, self.endpoint.next_s())
                if self.now_s < at_s < self.wake_s:
                    self.wake_s = at_s
                    self.at(at_s, lambda: None)
                return
            turn = heapq.heappop(self.waiting)
            number = next(self.tickets)
            self.endpoint.sent(number, amounts, self.now_s)
            self.running += 1
            self.sent += 1
            self.coming[number] = amounts
            self.at(self.now_s + 0.005, self.arrive, number, turn, self.now_s)

    def wait(self, amounts):
        return self.endpoint.wait(amounts, self.now_s)

    def arrive(self, number, turn, sent_s):
        amounts = self.coming.pop(number)
        verdict = self.limits.admit(
            self.now_s,
            input_tokens=amounts["input_tokens"],
            output_tokens=amounts["output_tokens"],
            rejection_cost=0.0,
        )
        if not verdict.admitted:
            self.refusals.append(self.now_s)
            report = self.report(verdict)
            self.at(self.now_s + 0.005, self.refused, number, turn, report, sent_s)
            return
        report = None if self.after else self.report()
        seconds = self.rng.uniform(*self.latency_s)
        self.at(self.now_s + seconds, self.finish, number, turn, report, sent_s)

    def refused(self, number, turn, report, sent_s):
        self.running -= 1
        self.endpoint.failed(number, REFUSED, report, self.now_s)
        wall_s = self.epoch_s + self.now_s if self.wall else None
        self.endpoint.reported(replace(report, wall_s=wall_s), self.now_s, sent_s)
        heapq.heappush(self.waiting, turn)

    def finish(self, number, turn, report, sent_s):
        report = report or self.report()
        unused = turn[3] - turn[2]["output_tokens"]
        if self.refunds:
            self.limits.settle(self.now_s, input_tokens=0, output_tokens=unused)
        used = amounts_of(turn[2]["input_tokens"], turn[3])
        self.at(self.now_s + 0.005, self.done, number, turn, report, used, sent_s)

    def done(self, number, turn, report, used, sent_s):
        self.running -= 1
        self.left -= 1
        wall_s = self.epoch_s + self.now_s if self.wall else None
        self.endpoint.reported(replace(report, wall_s=wall_s), self.now_s, sent_s)
        self.endpoint.ended(number, used, self.now_s)
        agent = turn[1]
        agent[0] -= 1
        if agent[0]:
            self.ask(agent)

    def report(self, verdict=None):
        said = {}
        if verdict is None or self.headers_on_refusals:
            said = {
                name: ServerLimit(meter.limit, float(max(0, int(meter.remaining(self.now_s)))))
                for name, meter in self.limits.meters()
            }
        wait_s = verdict.wait_s if verdict and self.retry_after else None
        resource = verdict.resource if verdict and self.text else None
        return LimitReport(retry_after_s=wait_s, resource=resource, **said)


class Oracle(Gateway):
    """Knows what the server has left and what is on its way there, and so is never refused."""

    def wait(self, amounts):
        longest = 0.0
        for name, meter in self.limits.meters():
            total = amounts[name] + sum(each[name] for each in self.coming.values())
            wait_s = meter.wait_s(total, self.now_s)
            longest = max(longest, wait_s + 1e-3 if wait_s else 0.0)
        return Wait(longest, "requests" if longest else "")


def ideal_s(quota, **options):
    """What the window allows."""
    world = Oracle(quota, **options).run()
    assert not world.refusals
    return world.now_s


def in_window(world, number, window_s=60.0):
    """Refusals in one window of the server, counted from the first call."""
    if number == 0:
        return sum(at_s < window_s for at_s in world.refusals)
    begin = number * window_s
    return sum(begin <= at_s < begin + window_s for at_s in world.refusals)


@pytest.mark.parametrize("phase_s", [3.0, 25.0, 45.0])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kind", ["clock", "fixed", "sliding", "bucket"])
def test_a_gateway_without_resets(kind, after, phase_s):
    """Sixty a minute, limit and remaining alone: 20 agents of 5 turns, as fast as allowed.

    Whether the window follows the clock, the first call or slides, and whether what is left is
    counted when a request comes or when its answer goes.
    """
    for seed in (1, 2):
        quota, options = Quota(requests=60, kind=kind), {"after": after, "phase_s": phase_s}
        world = Gateway(quota, seed=seed, **options).run()
        assert world.now_s <= 1.1 * ideal_s(quota, seed=seed, **options)
        assert in_window(world, 0) <= 5
        assert max(in_window(world, number) for number in range(1, 5)) <= 1


@pytest.mark.parametrize("options", [{}, {"retry_after": True}, {"config": EndpointConfig(rpm=60)}])
def test_a_limit_enforced_by_the_second(options):
    """Sixty a minute as one a second, with figures of the minute alone: spread, not cut."""
    for seed in (1, 2):
        world = Gateway(Quota(requests=60, enforce_s=1.0), seed=seed, text=True, **options).run()
        assert world.now_s <= 1.1 * 100.0
        assert in_window(world, 0) <= 6  # what goes before the first answer
        assert in_window(world, 1) <= 1


@pytest.mark.parametrize("options", [{}, {"retry_after": True}, {"config": EndpointConfig(rpm=60)}])
def test_a_sliding_window_over_several_minutes(options):
    """What went a window ago comes back as it went, once: no storm at its end."""
    quota = Quota(requests=60, kind="sliding")
    world = Gateway(quota, seed=3, turns=13, **options).run()
    assert world.now_s <= 1.1 * ideal_s(quota, seed=3, turns=13)
    assert in_window(world, 0) <= 5
    assert len(world.refusals) <= 12


@pytest.mark.parametrize("kind", ["clock", "fixed"])
@pytest.mark.parametrize(
    "options",
    [
        {"turns": 12},
        {"turns": 12, "after": True},
        {"turns": 12, "retry_after": True},
        {"turns": 12, "headers_on_refusals": False},
        {"turns": 12, "lanes": 8},
        {"turns": 12, "agents": 10, "latency_s": (2.0, 6.0)},
    ],
)
def test_over_several_windows(kind, options):
    """Once its end is known, a window costs one refusal at most, and no time."""
    quota = Quota(requests=60, kind=kind)
    world = Gateway(quota, seed=5, phase_s=25.0, **options).run()
    assert world.now_s <= 1.1 * ideal_s(quota, seed=5, phase_s=25.0, **options)
    assert in_window(world, 0) <= 5
    assert max(in_window(world, number) for number in range(1, 5)) <= 1


@pytest.mark.parametrize("kind", ["bucket", "clock", "fixed", "sliding"])
def test_a_server_that_keeps_unused_tokens(kind):
    """What is left shows that nothing comes back: then nothing is counted on."""
    quota = Quota(requests=6000, tokens=20_000, kind=kind)
    options = {"turns": 6, "refunds": False, "phase_s": 25.0, "seed": 5}
    world = Gateway(quota, **options).run()
    assert world.now_s <= 1.1 * ideal_s(quota, **options)
    assert in_window(world, 0) <= 5
    assert max(in_window(world, number) for number in range(1, 5)) <= 1
    assert world.endpoint.meters["tokens"].keeps_unused


def test_a_refusal_that_is_short_by_little_does_not_cut():
    """Twenty milliseconds before its time: the account moves by that, the rate stays."""
    endpoint = Endpoint("e", EndpointConfig(rpm=60))
    endpoint.sent(1, amounts_of(1, 1), 0.0)
    endpoint.refused(1, LimitReport(retry_after_s=0.02, resource="requests"), 0.5)
    controller = endpoint.meters["requests"].controller
    assert controller.rate_per_s == 1.0
    assert controller.cuts == 0
    assert endpoint.wait(amounts_of(1, 1), 0.5).seconds == pytest.approx(0.02)
    endpoint.sent(2, amounts_of(1, 1), 0.52)
    endpoint.refused(2, LimitReport(retry_after_s=3.0, resource="requests"), 0.52)
    assert controller.cuts == 1


def test_refusals_never_cut_below_what_the_server_says():
    """A firm limit stands, and what is left brings the account back."""
    endpoint = Endpoint("e", EndpointConfig(), first=20)
    said = LimitReport(requests=ServerLimit(60, 59.0))
    endpoint.sent(0, amounts_of(1, 1), 0.0)
    endpoint.reported(said, 0.1, 0.0)
    for number in range(1, 6):
        endpoint.sent(number, amounts_of(1, 1), float(number))
        endpoint.refused(number, LimitReport(), number + 0.01)
    controller = endpoint.meters["requests"].controller
    assert (controller.rate_per_s, controller.source) == (1.0, "server")
    endpoint.sent(9, amounts_of(1, 1), 61.0)
    endpoint.reported(said, 61.1, 61.0)
    assert endpoint.wait(amounts_of(1, 1), 61.1).seconds == 0.0
