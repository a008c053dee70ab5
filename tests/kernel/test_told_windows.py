"""A limit told with `burst_s=None`, used window by window, and held in each minute."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentrm_plugins.config import EndpointConfig
from agentrm_plugins.policy.endpoint.amounts import amounts_of
from agentrm_plugins.policy.endpoint.endpoint import Endpoint
from agentrm_plugins.testing.provider.limits import Quota
from agentrm_plugins.types.verdicts import Kind, LimitReport, Verdict
from tests.kernel.test_windows_sim import Gateway, ideal_s

TOLD = EndpointConfig(rpm=60.0, burst_s=None)


class Silent(Gateway):
    """Says nothing of its limits; with `retry_after` a refusal says how long to wait."""

    def report(self, verdict=None):
        wait_s = verdict.wait_s if verdict and self.retry_after else None
        return LimitReport(retry_after_s=wait_s)


@pytest.mark.parametrize("retry_after", [False, True])
@pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])
def test_a_silent_server_is_used_as_its_window_allows(kind, retry_after):
    """Twenty agents of five turns at 60 a minute, and nothing refused, whatever counts them.

    A bucket would have refilled in the first minute: there it is slower than it might be.
    """
    for seed in (1, 2):
        quota = Quota(requests=60, kind=kind)
        options = {"seed": seed, "wall": False, "retry_after": retry_after}
        world = Silent(quota, config=TOLD, **options).run()
        as_a_window = replace(quota, kind="fixed") if kind == "bucket" else quota
        assert world.now_s <= 1.1 * ideal_s(as_a_window, **options)
        assert not world.refusals


def test_a_clock_window_costs_at_most_a_minute():
    """Nobody says when it began, so it is tried again a minute after the first call."""
    for phase_s in (3.0, 25.0, 45.0):
        world = Silent(Quota(requests=60, kind="clock"), seed=1, phase_s=phase_s, config=TOLD).run()
        assert world.now_s <= 70.0
        assert not world.refusals


def test_a_told_limit_is_paced_where_nobody_says_otherwise():
    """Two seconds of the rate go at once, and no more: no crowd has a minute to itself."""
    world = Silent(Quota(requests=60), seed=1, config=EndpointConfig(rpm=60.0)).run()
    assert world.now_s >= 97.0
    assert not world.refusals


def test_a_limit_that_is_lower_than_told_is_found_out():
    """It is refused long before what was told has gone: then it is paced and searched as ever."""
    world = Silent(Quota(requests=20), seed=1, turns=2, config=TOLD).run(most_s=600.0)
    assert world.left == 0
    assert len(world.refusals) <= 40


def test_limits_that_are_told_anew_are_not_opened_again():
    """Nobody knows how much of the window is used."""
    endpoint = Endpoint("e", TOLD, first=8)
    for number in range(2):
        endpoint.sent(number, amounts_of(10, 10), 0.0)
        endpoint.ended(number, amounts_of(10, 10), 0.5)
    assert endpoint.wait(amounts_of(10, 10), 0.5).seconds == 0.0
    endpoint.reconfigure(EndpointConfig(rpm=30.0, burst_s=None), 8, 0.5)
    for number in range(2, 6):
        endpoint.sent(number, amounts_of(10, 10), 0.5)
        endpoint.ended(number, amounts_of(10, 10), 0.6)
    assert endpoint.wait(amounts_of(10, 10), 0.7).seconds > 1.0


def went(endpoint, allows, seconds=300.0, took_s=0.5):
    """When calls went of somebody who always wants more; a call that `allows` denies is refused."""
    now_s, number, gone, running = 0.0, 0, [], []
    need = amounts_of(10, 10)
    while now_s < seconds:
        while running and running[0][0] <= now_s:
            _, one, sent_s = running.pop(0)
            if allows(sent_s):
                endpoint.ended(one, need, now_s)
            else:
                endpoint.failed(one, Verdict(Kind.LIMIT, 429), None, now_s)
        endpoint.advance(now_s)
        while (wait := endpoint.wait(need, now_s)).seconds <= 0.0:
            number += 1
            endpoint.sent(number, need, now_s)
            running.append((now_s + took_s, number, now_s))
            gone.append(now_s)
        endpoint.held_up(need, wait, now_s)
        soonest_s = running[0][0] if running else seconds
        now_s = max(now_s + 0.001, min(now_s + wait.seconds, soonest_s))
    return gone


@pytest.mark.parametrize("took_s", [0.01, 0.5, 5.0])
@pytest.mark.parametrize(
    "config",
    [
        EndpointConfig(rpm=60.0, burst_s=None),
        EndpointConfig(tpm=1200.0, burst_s=None),
        EndpointConfig(rpm=600.0, burst_s=None),
    ],
)
def test_a_told_limit_holds_where_the_server_allows_more(config, took_s):
    """Nothing is ever refused: no more than told in any minute, and all of it."""
    limit = config.rpm or config.tpm / 20  # a call's tokens
    gone = went(Endpoint("e", config, first=1000), lambda _: True, took_s=took_s)
    for number, at_s in enumerate(gone):
        assert number < limit or at_s - gone[number - int(limit)] >= 60.0
    assert len(gone) >= 4 * limit


def test_a_told_limit_holds_after_refusals():
    """The server allows half as much again: it refuses some, and is asked for no more than told."""
    quota = {}

    def allows(at_s):
        minute = at_s // 60.0
        quota[minute] = quota.get(minute, 0) + 1
        return quota[minute] <= 90

    gone = went(Endpoint("e", TOLD, first=1000), allows, seconds=600.0)
    assert len(gone) <= 60 * 10 + 60 + 1
