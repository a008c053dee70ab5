"""Agents behind servers that say nothing: no limit, no wait, no word. In virtual time."""

from __future__ import annotations

import pytest

from agentrm_plugins.config import EndpointConfig
from agentrm_plugins.policy.endpoint.amounts import amounts_of
from agentrm_plugins.policy.endpoint.endpoint import Endpoint
from agentrm_plugins.testing.provider.limits import Admission, LimitSet, Quota
from agentrm_plugins.types.verdicts import Kind, LimitReport, ServerLimit, Verdict
from tests.kernel.test_windows_sim import Gateway, ideal_s, in_window

DENIED, ADMITTED = Admission(admitted=False), Admission(admitted=True)


class Silent(Gateway):
    """A gateway whose answers and refusals say nothing."""

    def report(self, verdict=None):
        return LimitReport()


class Places:
    """In the place of limits: who comes while all places are taken is turned away."""

    def __init__(self, places):
        self.free = places

    def admit(self, now_s, **amounts):
        if not self.free:
            return DENIED
        self.free -= 1
        return ADMITTED

    def settle(self, now_s, **amounts):
        self.free += 1


class Crowded(Silent):
    """A server that answers 429 while it serves as many calls as it has places.

    Args:
        places: How many.
        as in `Gateway`.
    """

    def __init__(self, *, places, **options):
        super().__init__(Quota(), **options)
        self.limits = Places(places)


class Changing(Silent):
    """Its limits are others from some moments on.

    Args:
        changes: When, and which.
        as in `Gateway`.
    """

    def __init__(self, quota, *, changes, **options):
        super().__init__(quota, **options)
        for at_s, other in changes:
            self.at(at_s, self.change, other)

    def change(self, quota):
        self.limits = LimitSet(quota, self.now_s, wall_offset_s=self.epoch_s)


@pytest.mark.parametrize("phase_s", [3.0, 25.0, 45.0, 56.0])
@pytest.mark.parametrize("kind", ["clock", "fixed"])
def test_a_window_is_found_from_what_passes(kind, phase_s):
    """Sixty a minute: a handful of refusals, then as fast as is allowed."""
    for seed in (1, 2, 3):
        quota, options = Quota(requests=60, kind=kind), {"seed": seed, "phase_s": phase_s}
        world = Silent(quota, **options).run()
        assert world.now_s <= 1.1 * ideal_s(quota, **options)
        assert in_window(world, 0) <= 5
        assert max(in_window(world, number) for number in range(1, 5)) <= 1
        assert world.endpoint.silence.size == 60


@pytest.mark.parametrize("kind", ["clock", "fixed"])
@pytest.mark.parametrize("options", [{"turns": 12}, {"turns": 12, "latency_s": (2.0, 6.0)}])
def test_over_several_windows(kind, options):
    """Once it is believed a window costs a refusal now and then, and no time."""
    quota, options = Quota(requests=60, kind=kind), {"seed": 5, "phase_s": 25.0, **options}
    world = Silent(quota, **options).run()
    assert world.now_s <= 1.1 * ideal_s(quota, **options)
    assert max(in_window(world, number) for number in range(1, 5)) <= 2


@pytest.mark.parametrize("window_s", [10.0, 30.0])
@pytest.mark.parametrize("kind", ["clock", "fixed", "sliding"])
def test_windows_of_other_lengths(kind, window_s):
    """They are found as well, of half a minute later; nobody waits for minutes."""
    quota = Quota(requests=window_s, kind=kind, window_s=window_s)
    for seed in (1, 2):
        world = Silent(quota, seed=seed).run()
        assert world.now_s <= (1.1 if window_s == 10.0 else 2.1) * ideal_s(quota, seed=seed)
        assert len(world.refusals) <= 20


def test_a_window_that_slides_over_several_minutes():
    """It gives back as calls went: used as one that does not slide, at the price of some time."""
    quota = Quota(requests=60, kind="sliding")
    for seed in (1, 2):
        world = Silent(quota, seed=seed, turns=12).run()
        assert world.now_s <= 1.5 * ideal_s(quota, seed=seed, turns=12)
        assert len(world.refusals) <= 25


@pytest.mark.parametrize("requests", [10, 60, 300])
def test_a_bucket_is_no_window(requests):
    """One call passes within its gap: the rate is searched for, and nothing waits for a minute."""
    quota = Quota(requests=requests, kind="bucket")
    for seed in (1, 2):
        options = {"seed": seed, "agents": 20, "turns": 2 * requests // 20}
        world = Silent(quota, **options).run()
        assert world.now_s <= 1.15 * ideal_s(quota, **options)
        assert world.endpoint.silence.size == 0


@pytest.mark.parametrize("latency_s", [(0.5, 1.5), (10.0, 30.0)])
def test_a_server_that_is_full_is_no_window(latency_s):
    """Where calls under way fill it, the next goes as soon as one has ended: nobody waits."""
    options = {"places": 8, "turns": 3, "latency_s": latency_s}
    for seed in (1, 2):
        world = Crowded(seed=seed, **options).run()
        served_s = 60 * sum(latency_s) / 2 / 8
        assert world.now_s <= 2.2 * served_s
        assert world.endpoint.silence.size == 0


def test_after_an_outage_nobody_goes_by_its_length():
    """Everybody is refused for five minutes: that one call in so long passed is no rate."""
    quota, nothing = Quota(requests=60, kind="clock"), Quota(requests=1e-9, kind="clock")
    changes = [(130.0, nothing), (430.0, quota)]
    world = Changing(quota, changes=changes, seed=1, turns=20).run(most_s=1800.0)
    assert len(world.refusals) <= 40


@pytest.mark.parametrize("places", [2, 5])
@pytest.mark.parametrize("latency_s", [(3.0, 9.0), (10.0, 30.0)])
def test_a_server_that_nearly_everybody_overfills_is_no_window(places, latency_s):
    """Most of the first calls are refused with the first: only those that pass fill it."""
    for seed in (12, 13, 14):
        world = Crowded(places=places, seed=seed, turns=3, latency_s=latency_s).run(most_s=3000.0)
        assert world.now_s <= 2.0 * 60 * sum(latency_s) / 2 / places
        assert world.endpoint.silence.size == 0


@pytest.mark.parametrize("kind", ["clock", "fixed"])
def test_a_window_of_tokens_is_no_slow_bucket(kind):
    """Over a hundred calls went within the minute before: one in the next is not the rate."""
    for seed in (2, 4):
        quota, options = Quota(tokens=20000, kind=kind), {"seed": seed, "turns": 12}
        world = Silent(quota, **options).run()
        assert world.now_s <= 1.2 * ideal_s(quota, **options)
        assert len(world.refusals) <= 28


@pytest.mark.parametrize("kind", ["clock", "fixed", "sliding"])
def test_a_short_window_of_tokens(kind):
    """What unused tokens give back lets some calls pass early: these few are no window."""
    quota, options = Quota(tokens=15000, kind=kind), {"seed": 11, "turns": 8}
    world = Silent(quota, **options).run()
    assert world.now_s <= 1.4 * ideal_s(quota, **options)
    assert world.endpoint.silence.size == 0


def test_a_bucket_that_holds_an_hour_is_found():
    """Five hundred an hour: that all of them went in a minute says nothing of the next."""
    quota, options = Quota(requests=500, window_s=3600.0), {"seed": 21, "turns": 26}
    world = Silent(quota, **options).run()
    assert world.now_s <= 1.1 * ideal_s(quota, **options)
    assert len(world.refusals) <= 16


def test_what_the_user_says_rules_at_once():
    """A window is believed, and governs: a limit that is configured then holds all the same."""
    world = Silent(Quota(requests=60, kind="clock"), seed=1, phase_s=25.0).run()
    assert world.endpoint.silence.governs
    world.endpoint.reconfigure(EndpointConfig(rpm=6), 64, world.now_s)
    went, amounts = 0, amounts_of(1, 1)
    for tenth in range(600):
        now_s = world.now_s + tenth / 10
        world.endpoint.advance(now_s)
        while went < 100 and world.endpoint.wait(amounts, now_s).seconds == 0.0:
            went += 1
            world.endpoint.sent(10_000 + went, amounts, now_s)
            world.endpoint.answered(10_000 + went, None, "a", now_s)
    assert went <= 12


def test_a_server_that_begins_to_speak_is_believed():
    """What passes says nothing any more once the server names its limit."""
    world = Silent(Quota(requests=60, kind="clock"), seed=1, phase_s=25.0).run()
    assert world.endpoint.silence.governs
    said = LimitReport(requests=ServerLimit(90, 80.0))
    world.endpoint.reported(said, world.now_s)
    assert not world.endpoint.silence.governs
    assert world.endpoint.meters["requests"].controller.source == "server"
    assert world.endpoint.wait(amounts_of(1, 1), world.now_s).seconds == 0.0


@pytest.mark.parametrize("strangers", [0, 1, 2])
def test_what_others_sent_and_was_refused_hides_no_window(strangers):
    """A call that nobody announced was refused with ours: it was never among those under way."""
    endpoint, refusal = Endpoint("h/m", EndpointConfig(), now_s=0.0), Verdict(Kind.LIMIT, 429)
    amounts = {**dict.fromkeys(endpoint.meters, 0.0), "requests": 1.0, "tokens": 100.0}
    now_s, number, begun_s, gone, served = 0.0, 0, -100.0, 0, 0
    while now_s < 400.0:
        endpoint.advance(now_s)
        if (wait_s := endpoint.wait(amounts, now_s).seconds) > 0:
            now_s += min(wait_s, 5.0)
            continue
        number += 1
        endpoint.sent(number, amounts, now_s)
        if now_s >= begun_s + 60.0:
            begun_s, gone = now_s, 0
        gone, sent_s = gone + 1, now_s
        now_s += 0.05
        if gone <= 20:
            endpoint.answered(number, None, "a", now_s)
            served += 1
            continue
        endpoint.failed(number, refusal, LimitReport(), now_s)
        for _ in range(strangers):
            endpoint.foreign(refusal, LimitReport(), sent_s, now_s)
        strangers = 0
    assert endpoint.silence.size == 20
    assert served >= 135
