"""What is counted since the kernel was made."""

from __future__ import annotations

from collections import Counter

from agentrm_plugins.policy.endpoint.hedge_tally import HedgeTally
from agentrm_plugins.types.accounts import Recent

__all__ = ["Counters"]


class Counters:
    """Calls, lanes and tokens in all; `hedges` are those of endpoints that are forgotten."""

    __slots__ = (
        "boosts",
        "cost",
        "demotions",
        "failed",
        "granted",
        "hedges",
        "input_tokens",
        "lost",
        "output_tokens",
        "reaped",
        "refused",
        "running",
        "settled",
        "submitted",
        "token_rate",
        "waited_s",
        "zombie_lane_s",
    )

    def __init__(self) -> None:
        self.submitted = 0
        self.failed = 0
        self.granted = 0
        self.settled = 0
        self.reaped = 0
        self.lost = 0
        self.running = 0
        self.demotions = 0
        self.boosts = 0
        self.waited_s = 0.0
        self.cost = 0.0
        self.zombie_lane_s = 0.0
        self.input_tokens = 0
        self.output_tokens = 0
        self.refused: Counter[str] = Counter()
        self.token_rate = Recent()
        self.hedges = HedgeTally()
