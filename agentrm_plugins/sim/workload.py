"""What is to be done: turns of agents, each with its arrival, its service and its fate per try.

Everything random is drawn from (seed, agent, turn, try) before the run begins, so every order meets
the same turns and the same faults, whatever it does with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from agentrm_plugins.types.calls import Priority

__all__ = ["TRIES", "Fate", "Turn", "Workload", "fates", "lognormal"]

TRIES = 3  # the first and two more: the OpenAI SDK's max_retries


class Fate(StrEnum):
    """What becomes of one try."""

    OK = "ok"
    HANG = "hang"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Turn:
    """One model call that an agent needs, with its further tries.

    Args:
        agent: Whose.
        kind: What it is; also the hint that it is submitted with.
        at_s: When it arrives; None: `think_s` after the end of the agent's turn before it.
        think_s: Seconds between that end and this arrival (tools, or a person who reads).
        service_s: Seconds that a healthy try holds a lane.
        fates: What becomes of each try; it is given up after the last.
        chain: Which of the agent's rows of turns this is in, if it keeps several going.
    """

    agent: str
    kind: Priority
    at_s: float | None
    think_s: float
    service_s: float
    fates: tuple[Fate, ...]
    chain: int = 0


@dataclass(frozen=True, slots=True)
class Workload:
    """The turns of one run, and the lanes that they share."""

    name: str
    lanes: int
    turns: tuple[Turn, ...]


def lognormal(rng: Random, median_s: float, sigma: float) -> float:
    """The usual shape of model latencies, cut at ten times the median."""
    return float(min(median_s * rng.lognormvariate(0.0, sigma), 10.0 * median_s))


def fates(
    rng: Random, hang_rate: float, error_rate: float = 0.0, hang_again: float | None = None
) -> tuple[Fate, ...]:
    """Draw the fate of each try.

    Args:
        rng: Where from.
        hang_rate: Probability that the first try hangs.
        error_rate: Probability that any try fails at once.
        hang_again: Probability that a try after a hang hangs too; None: as the first.
    """
    drawn: list[Fate] = []
    for _ in range(TRIES):
        after_hang = bool(drawn) and drawn[-1] is Fate.HANG
        rate = hang_again if after_hang and hang_again is not None else hang_rate
        u = rng.random()
        if u < rate:
            drawn.append(Fate.HANG)
        elif u < rate + error_rate:
            drawn.append(Fate.ERROR)
        else:
            drawn.append(Fate.OK)
            break
    return tuple(drawn)
