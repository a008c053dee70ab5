"""The calls, drawn from one seed: how long each takes, and which of its attempts hang.

A slow call is slow whenever it is sent; whether an attempt hangs is drawn for each attempt. So
everybody meets the same calls, however often he sends them.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

__all__ = ["INPUT_TOKENS", "SITUATIONS", "Situation", "Work"]

PAUSES_S = (1.0, 8.0, 20.0, 45.0)
EVERY = 10

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
        cold_s: What is sent earlier is answered so late, for the model is loaded until then.
        pauses: Whether each tenth stream pauses in the middle, for one of `PAUSES_S`.
        readers: Whether each tenth reader does.
        stalls: Share of the streams that fall silent for ever before their first word.
    """

    title: str
    hang: float | None = 0.0
    slow: float = 0.0
    factor: float = 1.0
    sized: bool = False
    cold_s: float = 0.0
    pauses: bool = False
    readers: bool = False
    stalls: float = 0.0

    @property
    def streams(self) -> bool:
        """Whether its calls are streams."""
        return self.pauses or self.readers or bool(self.stalls)


SITUATIONS = {
    "quick": Situation("quick calls"),
    "slow2": Situation("one in twenty takes 2 times as long", slow=0.05, factor=2),
    "slow10": Situation("one in twenty takes 10 times as long", slow=0.05, factor=10),
    "slow100": Situation("one in a hundred takes 100 times as long", 0.0, 0.01, 100),
    "sized": Situation("one in ten is 10 times as large and long", 0.0, 0.1, 10, sized=True),
    "cold": Situation("a local model that takes 30 s to load", cold_s=30.0),
    "hang5": Situation("5 % hang", 0.05),
    "hang20": Situation("20 % hang", 0.2),
    "hang40": Situation("40 % hang", 0.4),
    "waves": Situation("hangs in waves, 5 to 40 %", None),
    "pauses": Situation("streams that pause for 1 to 45 s", pauses=True),
    "readers": Situation("readers that pause for 1 to 45 s", readers=True),
    "stalls": Situation("one stream in ten hangs before its first word", stalls=0.1),
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

    def service_s(self, number: int, at_s: float = math.inf) -> float:
        """How long this call takes that is sent at `at_s` seconds of the run."""
        draw = random.Random(f"{self.seed}/time/{number}")
        seconds = MEDIAN_S * math.exp(draw.gauss(0.0, SIGMA))
        seconds *= self.situation.factor if self.is_slow(number) else 1.0
        return seconds + max(0.0, self.situation.cold_s - at_s)

    def pause_s(self, number: int) -> float:
        """For how long the stream, or its reader, pauses in the middle."""
        return PAUSES_S[number // EVERY % len(PAUSES_S)] if number % EVERY == EVERY - 1 else 0.0

    def is_slow(self, number: int) -> bool:
        """Whether it is one of the slow ones. The first thirty are not: somebody has to begin."""
        draw = random.Random(f"{self.seed}/slow/{number}").random()
        return number >= 30 and draw < self.situation.slow

    def output_tokens(self, number: int) -> int:
        """How many tokens it answers."""
        return OUTPUT_TOKENS * (10 if self.situation.sized and self.is_slow(number) else 1)

    def is_hung(self, number: int, attempt: int, at_s: float) -> bool:
        """Whether the `attempt`-th sending, at `at_s` seconds of the run, is never answered."""
        share = self.situation.stalls or self.situation.hang
        if share is None:
            share = _MOST if int(at_s / _WAVE_S) % 2 else _LEAST
        return random.Random(f"{self.seed}/hang/{number}/{attempt}").random() < share
