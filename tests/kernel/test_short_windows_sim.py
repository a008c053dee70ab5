"""A limit that its server names without its window, and that is really one per second.

Until the refill has been measured a minute is believed. The resets, rounded to whole seconds as
Anthropic's are, are too coarse to measure it by.
"""

from __future__ import annotations

import heapq

import pytest

from agentrm_plugins.policy.endpoint.amounts import amounts_of
from agentrm_plugins.policy.endpoint.headers import parse_report
from agentrm_plugins.testing.provider.headers import limit_headers, retry_headers
from agentrm_plugins.testing.provider.limits import Quota
from tests.kernel.test_windows_sim import REFUSED, Gateway

CALLS = 15


class Busy(Gateway):
    """A server that counts a call when it comes, on a machine where that may take a while.

    Args:
        trip_s: How long a request, or an answer, is under way: between these.
        style: Whose headers.
        resets: What becomes of the resets before they are sent.
        as in `Gateway`.
    """

    def __init__(self, quota, *, trip_s, style="anthropic", resets=None, **options):
        self.trip_s, self.style, self.resets = trip_s, style, resets
        super().__init__(quota, agents=CALLS, turns=1, lanes=8, **options)
        others, self.agenda, self.left = self.agenda, [], self.left + 1
        self.at(0.0, self.ask, [1])  # the first is alone, and shows what there is
        for at_s, _, what, arguments in others:
            self.at(at_s + 2 * trip_s[1] + 0.3, what, *arguments)

    def trip(self):
        return self.rng.uniform(*self.trip_s)

    def arrive(self, number, turn, sent_s):
        self.at(self.now_s + self.trip(), self.count, number, turn, sent_s)

    def count(self, number, turn, sent_s):
        amounts = self.coming.pop(number)
        verdict = self.limits.admit(
            self.now_s,
            input_tokens=amounts["input_tokens"],
            output_tokens=amounts["output_tokens"],
            rejection_cost=1.0,
        )
        if verdict.admitted:
            unused = turn[3] - amounts["output_tokens"]
            self.limits.settle(self.now_s, input_tokens=0, output_tokens=unused)
        else:
            self.refusals.append(self.now_s)
        wall_s = self.epoch_s + self.now_s
        headers = limit_headers(self.limits, self.style, self.now_s, wall_s)
        headers += [] if verdict.admitted else retry_headers(verdict.wait_s, "s")
        said = {name.decode(): value.decode() for name, value in headers}
        if self.resets is not None:
            said = {k: self.resets if k.endswith("reset") else v for k, v in said.items()}
        self.at(self.now_s + self.trip(), self.heard, number, turn, said, sent_s, verdict.admitted)

    def heard(self, number, turn, said, sent_s, admitted):
        report = parse_report(said, self.epoch_s + self.now_s)
        self.running -= 1
        if admitted:
            self.left -= 1
            self.endpoint.reported(report, self.now_s, sent_s)
            used = amounts_of(turn[2]["input_tokens"], turn[3])
            self.endpoint.ended(number, used, self.now_s)
            return
        self.endpoint.failed(number, REFUSED, report, self.now_s)
        self.endpoint.reported(report, self.now_s, sent_s)
        heapq.heappush(self.waiting, turn)


def busy(which, seed, trip_s, **options):
    quota = {"requests": 1000, "input_tokens": 1e5, "output_tokens": 1e5, which: 240}
    tokens = (58, 4) if which == "input_tokens" else (8, 60)
    world = Busy(
        Quota(**quota, window_s=1.0, burst=0.5),
        seed=seed,
        trip_s=trip_s,
        tokens=tokens,
        phase_s=20 + seed / 7 % 1,
        **options,
    )
    return world.run()


@pytest.mark.parametrize("which", ["input_tokens", "output_tokens"])
@pytest.mark.parametrize("trip_s", [(0.001, 0.003), (0.01, 0.05), (0.05, 0.3), (0.5, 2.0)])
def test_the_limit_that_binds_is_not_overrun(which, trip_s):
    """Sixteen calls against room for four a second, on quick machines and on loaded ones."""
    for seed in range(20):
        world = busy(which, seed, trip_s)
        assert len(world.refusals) <= 1
        assert world.now_s < 30.0


def test_a_reset_that_names_the_next_unit_alone_is_found_out():
    """It says a second whatever is missing: a burst at that moment would be refused, none goes."""
    for seed in range(10):
        quota = Quota(requests=6, window_s=60.0)
        world = Busy(
            quota, seed=seed, trip_s=(0.01, 0.05), style="openai", resets="1s", phase_s=20.0
        ).run()
        assert len(world.refusals) <= 5
