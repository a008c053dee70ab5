"""Agents behind servers whose headers name a limit and nothing of what is left. In virtual time."""

from __future__ import annotations

import pytest

from agentrm_plugins.testing.provider.limits import Quota
from benchmarks.congestion.window_world import AGENTS, Row, play


@pytest.mark.parametrize("kind", ["fixed", "clock", "sliding", "bucket"])
@pytest.mark.parametrize("requests", [40, 120])
def test_a_limit_alone_opens_to_what_it_names(kind, requests):
    """So many go at once, and one finds out how more come back."""
    row = Row(Quota(requests, kind=kind), alone=True)
    turns = 2 * requests // AGENTS
    for seed, phase_s in ((1, 3.0), (2, 25.0)):
        ours = play(row, "ours", seed=seed, phase_s=phase_s, turns=turns)
        best = play(row, "oracle", seed=seed, phase_s=phase_s, turns=turns)
        assert ours.finished == AGENTS
        assert ours.first <= 3
        assert ours.later <= 1
        assert ours.wall_s <= 1.1 * best.wall_s
