"""Agents behind servers that say nothing: no limit, no wait, no word. In virtual time."""

from __future__ import annotations

import pytest

from agentrm_plugins.testing.provider.limits import Admission, Quota
from agentrm_plugins.types.verdicts import LimitReport
from tests.kernel.test_windows_sim import Gateway, ideal_s, in_window

DENIED = Admission(admitted=False)


class Silent(Gateway):
    """A gateway whose answers and refusals say nothing."""

    def report(self, verdict=None):
        return LimitReport()


class Crowded(Silent):
    """A server that answers 429 while it serves as many calls as it has places.

    Args:
        places: How many.
        as in `Gateway`.
    """

    def __init__(self, quota, *, places, **options):
        self.places, self.serving = places, 0
        super().__init__(quota, **options)
        self.limits.admit, self.admitting = self.admit, self.limits.admit

    def admit(self, now_s, **amounts):
        if self.serving >= self.places:
            return DENIED
        self.serving += 1
        return self.admitting(now_s, **amounts)

    def finish(self, *arguments):
        self.serving -= 1
        super().finish(*arguments)


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
        assert (world.endpoint.silence.size, world.endpoint.silence.period_s) == (60, 60.0)
