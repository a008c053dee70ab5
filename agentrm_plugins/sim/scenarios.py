"""The workloads: five of arXiv:2603.13110, three of arXiv:2604.17111, and one of our own.

The papers give counts of turns, agents and faults, but neither lanes nor arrivals nor lengths. What
is guessed is said in each scenario's text. Four lanes and a mean service near 9 s follow from the
first paper's own throughput when all lanes are busy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sin
from random import Random

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.sim.workload import Turn, Workload, fates, lognormal
from agentrm_plugins.types.calls import Priority

__all__ = ["SCENARIOS", "Scenario", "scenario"]

_HANG_AGAIN = 0.5  # arXiv:2603.13110: a hanging turn succeeds on a second try with p = 0.5
_LENGTHS = {
    Priority.INTERACTIVE: (3.0, 0.6),
    Priority.BATCH: (8.0, 0.6),
    Priority.BACKGROUND: (16.0, 0.7),
}
_MIX = (
    Priority.INTERACTIVE,
    Priority.BATCH,
    Priority.INTERACTIVE,
    Priority.BACKGROUND,
    Priority.INTERACTIVE,
    Priority.BATCH,
    Priority.INTERACTIVE,
    Priority.BATCH,
    Priority.INTERACTIVE,
    Priority.BACKGROUND,
)
_SERVICE = (
    "service lognormal: interactive median 3 s, batch 8 s, background 16 s (sigma 0.6, 0.6, 0.7)"
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A workload for each seed.

    Attributes:
        name: What to call it with.
        source: Where its counts come from.
        text: Lanes, arrivals, service and faults in words.
        build: The workload for a seed.
    """

    name: str
    source: str
    text: str
    build: Callable[[int], Workload]


def _open(
    name: str,
    turns: int,
    agents: int,
    window_s: float,
    hang_rate: Callable[[float], float],
    *,
    lanes: int = 4,
) -> Callable[[int], Workload]:
    """Turns that arrive when they do, uniformly in the window, whatever became of others."""

    def build(seed: int) -> Workload:
        rng = Random(f"{name}:{seed}:arrivals")
        made = []
        for number, at_s in enumerate(sorted(rng.uniform(0, window_s) for _ in range(turns))):
            agent = number % agents if number < agents else rng.randrange(agents)
            own = Random(f"{name}:{seed}:{number}")
            kind = _MIX[agent % len(_MIX)]
            length_s = lognormal(own, *_LENGTHS[kind])
            fate = fates(own, hang_rate(at_s), hang_again=_HANG_AGAIN)
            made.append(Turn(f"{kind}-{agent}", kind, at_s, 0.0, length_s, fate))
        return Workload(name, lanes, tuple(made))

    return build


def _closed(
    name: str,
    agents: int,
    turns: int,
    lanes: int,
    length: Callable[[Random], float],
    error_rate: float,
) -> Callable[[int], Workload]:
    """Agents that ask again 50 ms after each answer, all of one kind."""

    def build(seed: int) -> Workload:
        made = []
        for agent in range(agents):
            for number in range(turns):
                own = Random(f"{name}:{seed}:{agent}:{number}")
                fate = fates(own, 0.0, error_rate)
                at_s = 0.0 if number == 0 else None
                made.append(Turn(f"agent-{agent}", Priority.BATCH, at_s, 0.05, length(own), fate))
        return Workload(name, lanes, tuple(made))

    return build


def _greedy(seed: int) -> Workload:
    """Twelve people and eight agents that always want more."""
    made = []
    for agent in range(12):
        for number in range(12):
            own = Random(f"greedy:{seed}:i{agent}:{number}")
            at_s = own.uniform(0, 10) if number == 0 else None
            think_s, length_s = own.uniform(5, 20), lognormal(own, 2.0, 0.5)
            fate = fates(own, 0.02, hang_again=_HANG_AGAIN)
            name = f"interactive-{agent}"
            made.append(Turn(name, Priority.INTERACTIVE, at_s, think_s, length_s, fate))
    for agent in range(8):
        for fan in range(3):
            for number in range(10):
                own = Random(f"greedy:{seed}:b{agent}:{fan}:{number}")
                length_s = lognormal(own, 8.0, 0.6)
                fate = fates(own, 0.08, hang_again=_HANG_AGAIN)
                name = f"batch-{agent}"
                at_s = 0.0 if number == 0 else None
                made.append(Turn(name, Priority.BATCH, at_s, 0.5, length_s, fate, fan))
    return Workload("greedy", 4, tuple(made))


def _spiky(base_s: float, spread_s: float, spikes: float) -> Callable[[Random], float]:
    def length(rng: Random) -> float:
        value_s = max(rng.uniform(base_s - spread_s, base_s + spread_s), 0.01)
        return value_s * (5.0 if rng.random() < spikes else 1.0)

    return length


def _wave(at_s: float) -> float:
    """Between 5 and 40 %, one wave every two minutes (the period is guessed)."""
    return 0.225 + 0.175 * sin(2 * pi * at_s / 120)


_AGENTRM = "arXiv:2603.13110"
_HIVEMIND = "arXiv:2604.17111"

_ALL = (
    Scenario(
        "normal",
        _AGENTRM,
        f"4 lanes; 27 turns of 3 agents within 300 s, 5 % of first tries hang; {_SERVICE}",
        _open("normal", 27, 3, 300, lambda _: 0.05),
    ),
    Scenario(
        "high-load",
        _AGENTRM,
        f"4 lanes; 280 turns of 10 agents within 600 s, 10 % of first tries hang; {_SERVICE}",
        _open("high-load", 280, 10, 600, lambda _: 0.10),
    ),
    Scenario(
        "burst",
        _AGENTRM,
        f"4 lanes; 30 turns of 10 agents within 3 s, 8 % of first tries hang; {_SERVICE}",
        _open("burst", 30, 10, 3, lambda _: 0.08),
    ),
    Scenario(
        "faulty",
        _AGENTRM,
        f"4 lanes; 63 turns of 5 agents within 300 s, 30 % of first tries hang; {_SERVICE}",
        _open("faulty", 63, 5, 300, lambda _: 0.30),
    ),
    Scenario(
        "cascade",
        _AGENTRM,
        "4 lanes; 149 turns of 5 agents within 600 s; the share of first tries that hang swings "
        f"between 5 and 40 % every 120 s; {_SERVICE}",
        _open("cascade", 149, 5, 600, _wave),
    ),
    Scenario(
        "replay-11",
        _HIVEMIND,
        "5 lanes; 11 agents of 8 turns, the next 50 ms after each; service 60 to 180 ms; 13 % of "
        "tries fail at once (502, reset); the paper's rate limit is left out",
        _closed("replay-11", 11, 8, 5, _spiky(0.12, 0.06, 0.0), 0.13),
    ),
    Scenario(
        "stress",
        _HIVEMIND,
        "3 lanes; 20 agents of 10 turns, the next 50 ms after each; service 200 ms, 10 % of turns "
        "five times that; 15 % of tries fail at once; the paper's rate limit is left out",
        _closed("stress", 20, 10, 3, _spiky(0.2, 0.0, 0.10), 0.15),
    ),
    Scenario(
        "latency-spike",
        _HIVEMIND,
        "5 lanes; 10 agents of 10 turns, the next 50 ms after each; service 70 to 130 ms, 20 % of "
        "turns five times that; the paper's rate limit is left out",
        _closed("latency-spike", 10, 10, 5, _spiky(0.1, 0.03, 0.20), 0.0),
    ),
    Scenario(
        "greedy",
        "ours",
        "4 lanes; 12 interactive agents of 12 turns (median 2 s, 5 to 20 s to read between them, "
        "2 % hang) beside 8 batch agents that keep 3 calls going each, 10 in a row (median 8 s, "
        "0.5 s of tools between them, 8 % hang)",
        _greedy,
    ),
)
SCENARIOS = {entry.name: entry for entry in _ALL}


def scenario(name: str) -> Scenario:
    """The scenario of that name.

    Raises:
        ConfigError: There is none.
    """
    try:
        return SCENARIOS[name]
    except KeyError:
        raise ConfigError("scenario", name, f"use one of {', '.join(SCENARIOS)}") from None
