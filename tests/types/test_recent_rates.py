"""Rates over windows are what plain sums say, at each edge of a bin and of a window."""

from __future__ import annotations

import random

import pytest

from agentrm_plugins.types.accounts import Recent

BIN_S, WINDOWS_S = 0.1, (1.0, 10.0, 60.0)


@pytest.mark.parametrize("seed", range(40))
def test_rates_are_plain_sums(seed: int) -> None:
    """What was counted in a bin is within a window unless the bin began before it."""
    draw = random.Random(seed)
    recent, told = Recent(), dict[float, float]()
    now_s = draw.choice([0.0, 1e5 * draw.random(), 1.7e9])
    for _ in range(draw.randrange(1, 80)):
        now_s += draw.choice([0.0, 0.1, 1.0, draw.expovariate(1.0), round(draw.random(), 1)])
        amount = draw.randrange(1, 99)
        recent.add(amount, now_s)
        told[now_s // BIN_S] = told.get(now_s // BIN_S, 0) + amount
        for later_s in (0.0, 0.1, 1.0, 10.0, 59.9, 60.0, 60.1, 70.0 * draw.random()):
            at_s = now_s + later_s
            expected = tuple(
                sum(kept for bin_, kept in told.items() if bin_ * BIN_S - at_s >= -window_s)
                / window_s
                for window_s in WINDOWS_S
            )
            assert recent.per_s(at_s) == expected
