"""The calls, drawn from one seed: how long each takes, and which of its attempts hang.

A slow call is slow whenever it is sent; whether an attempt hangs is drawn for each attempt. So
everybody meets the same calls, however often he sends them.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

__all__ = ["INPUT_TOKENS", "SITUATIONS", "Situation", "Work"]

MEDIAN_S, SIGMA = 1.0, 0.35
INPUT_TOKENS, OUTPUT_TOKENS = 200, 40
_WAVE_S, _LEAST, _MOST = 12.0, 0.05, 0.4


@dataclass(frozen=True, slots=True)
class Situation:
    """One situation.

    Args:
        title: For the table.
        hang: Share of the attempts that hang; None: in waves of 12 s between 5 and 40 %.
        slow: Share of the calls that are slow.
        factor: How many times as long they take.
        sized: Whether slow calls say so: they name ten times the output.
        pause_s: A pause in the middle of each tenth stream; 0 for none.
        reader_s: A pause that each tenth reader makes.
    """

    title: str
    hang: float | None = 0.0
    slow: float = 0.0
    factor: float = 1.0
    sized: bool = False
    pause_s: float = 0.0
    reader_s: float = 0.0


SITUATIONS = {
    "quick": Situation("quick calls"),
    "slow2": Situation("one in twenty takes 2 times as long", slow=0.05, factor=2),
    "slow10": Situation("one in twenty takes 10 times as long", slow=0.05, factor=10),
    "slow100": Situation("one in a hundred takes 100 times as long", 0.0, 0.01, 100),
    "sized": Situation("one in ten is 10 times as large and long", 0.0, 0.1, 10, sized=True),
    "hang5": Situation("5 % hang", 0.05),
    "hang20": Situation("20 % hang", 0.2),
    "hang40": Situation("40 % hang", 0.4),
    "waves": Situation("hangs in waves, 5 to 40 %", None),
    "pauses": Situation("streams that pause for 8 s", pause_s=8.0),
    "readers": Situation("readers that pause for 8 s", reader_s=8.0),
}


class Work:
    """The calls of one run.

    Args:
        situation: What they are like.
        seed: Any whole number.
        calls: How many.
    """

    def __init__(self, situation: Situation, seed: int, calls: int) -> None:
        self.situation = situation
        self.seed = seed
        self.calls = calls

    def service_s(self, number: int) -> float:
        """How long this call takes, whenever it is answered."""
        draw = random.Random(f"{self.seed}/time/{number}")
        seconds = MEDIAN_S * math.exp(draw.gauss(0.0, SIGMA))
        return seconds * self.situation.factor if self.is_slow(number) else seconds

    def is_slow(self, number: int) -> bool:
        """Whether it is one of the slow ones. The first thirty are not: somebody has to begin."""
        draw = random.Random(f"{self.seed}/slow/{number}").random()
        return number >= 30 and draw < self.situation.slow

    def output_tokens(self, number: int) -> int:
        """How many tokens it answers."""
        return OUTPUT_TOKENS * (10 if self.situation.sized and self.is_slow(number) else 1)

    def is_hung(self, number: int, attempt: int, at_s: float) -> bool:
        """Whether the `attempt`-th sending, at `at_s` seconds of the run, is never answered."""
        share = self.situation.hang
        if share is None:
            share = _MOST if int(at_s / _WAVE_S) % 2 else _LEAST
        return random.Random(f"{self.seed}/hang/{number}/{attempt}").random() < share
