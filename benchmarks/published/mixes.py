"""Mixes of agents that the order was not made with: where it loses is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import pi, sin
from random import Random
from typing import Any

from agentrm_plugins.sim import Model, Turn, Workload
from agentrm_plugins.sim.workload import Fate, fates, lognormal
from agentrm_plugins.types.calls import Priority
from benchmarks.published.report import number, progress, table
from benchmarks.published.worlds import NAMES, many, summary

SEEDS = range(5001, 5021)
ORDERS = ("fifo", "priority", "hrrn", "mlfq_textbook", "mlfq")
FIELDS = ("slowdown", "interactive_p95_s", "worst_slowdown")
_KINDS = (Priority.INTERACTIVE, Priority.BATCH, Priority.BACKGROUND)
_OK = (Fate.OK,)
Made = tuple[float, int, float]  # when a turn comes, whose it is, how long it takes


def _open(
    name: str, lanes: int, made: Sequence[Made], kind: Callable[[int], Priority], rng: Random
) -> Workload:
    """Turns that come when they do; some hang where the name says so."""
    hangs = 0.03 if name in {"spread", "waves"} else 0.0
    turns = [
        Turn(f"{kind(agent)}-{agent}", kind(agent), at_s, 0.0, length_s, fates(rng, hangs))
        for at_s, agent, length_s in sorted(made)
    ]
    return Workload(name, lanes, tuple(turns))


def _third(agent: int) -> Priority:
    return _KINDS[agent % 3]


def _drawn(
    name: str, seed: int, turns: int, agents: int, within_s: float, medians: Sequence[float]
) -> tuple[list[Made], Random]:
    rng, made = Random(f"{name}:{seed}"), []
    sigma = 1.3 if name == "spread" else 0.6
    for number_ in range(turns):
        agent = number_ if name == "strangers" else rng.randrange(agents)
        length_s = lognormal(rng, medians[agent % 3], sigma)
        made.append((rng.uniform(0, within_s), agent, length_s))
    return made, rng


def _plain(
    turns: int, agents: int, within_s: float, medians: Sequence[float]
) -> Callable[[str, int], Workload]:
    def build(name: str, seed: int) -> Workload:
        made, rng = _drawn(name, seed, turns, agents, within_s, medians)
        return _open(name, 4, made, _third, rng)

    return build


def _waves(name: str, seed: int) -> Workload:
    rng, made = Random(f"{name}:{seed}"), []
    while len(made) < 600:
        at_s = rng.uniform(0, 240)
        if rng.random() < 0.5 + 0.5 * sin(2 * pi * at_s / 80):
            agent = rng.randrange(160)
            made.append((at_s, agent, lognormal(rng, (3.0, 10.0, 20.0)[agent % 3], 0.8)))
    return _open(name, 24, made, _third, rng)


def _giants(name: str, seed: int) -> Workload:
    rng, turns = Random(f"{name}:{seed}"), []
    rows = [(Priority.BACKGROUND, 2, 8, 8, 14.0, (0.1, 0.1))]
    rows += [(Priority.INTERACTIVE, 8, 1, 10, 2.5, (4.0, 20.0))]
    rows += [(Priority.BATCH, 8, 1, 10, 6.0, (0.2, 1.0))]
    for kind, agents, chains, calls, median_s, think_s in rows:
        for agent, chain, call in (
            (a, c, n) for a in range(agents) for c in range(chains) for n in range(calls)
        ):
            at_s = None if call else rng.uniform(0.0, 20.0) if chains == 1 else 0.0
            length_s = lognormal(rng, median_s, 0.6)
            pause_s = rng.uniform(*think_s)
            turns.append(Turn(f"{kind}-{agent}", kind, at_s, pause_s, length_s, _OK, chain))
    return Workload(name, 5, tuple(turns))


def _twofold(name: str, seed: int) -> Workload:
    rng, turns = Random(f"{name}:{seed}"), []
    for agent in range(16):
        kind = _KINDS[agent % 2]
        for call in range(10):
            length_s = lognormal(rng, 1.0, 0.4) * (20.0 if rng.random() < 0.2 else 1.0)
            think_s = rng.uniform(1.0, 6.0) if agent % 2 == 0 else 0.2
            at_s = None if call else rng.uniform(0.0, 15.0)
            turns.append(Turn(f"{kind}-{agent}", kind, at_s, think_s, length_s, _OK))
    return Workload(name, 3, tuple(turns))


MIXES: dict[str, tuple[str, Callable[[str, int], Workload]]] = {
    "wrong": ("people's calls are four times as long", _plain(160, 18, 240.0, (12.0, 3.0, 3.0))),
    "spread": ("lengths of all spread widely (sigma 1.3)", _plain(180, 24, 300.0, (4.0,) * 3)),
    "strangers": ("each call is a new agent's", _plain(200, 0, 360.0, (2.0, 9.0, 18.0))),
    "light": ("there is hardly a queue", _plain(120, 12, 400.0, (3.0, 8.0, 14.0))),
    "giants": ("two agents keep 8 calls going each", _giants),
    "waves": ("24 lanes, 160 agents in waves, some hang", _waves),
    "twofold": ("one call in five is 20 times as long", _twofold),
}


def mixes(seeds: Sequence[int] = SEEDS) -> tuple[dict[str, Any], list[str]]:
    """Every order in every mix, with true hints and with none."""
    found: dict[str, Any] = {}
    for name, (_, build) in MIXES.items():
        for hints in (True, False):
            progress(f"paper: mixes, {name}, hints {hints}")
            found[f"{name}, {'hints' if hints else 'no hints'}"] = {
                order: summary(many(lambda s: build(name, s), Model(order, hints=hints), seeds))  # noqa: B023 - run at once
                for order in ORDERS
            }
    text = [
        "## Mixes that the order was not made with\n",
        f"Mean slowdown / interactive P95, s / largest slowdown; {len(seeds)} seeds.\n",
        told(found),
    ]
    return found, text


def told(found: dict[str, Any]) -> str:
    """The table."""
    rows = []
    for label, orders in found.items():
        name, _, hints = label.partition(", ")
        what = f"{name}: {MIXES[name][0]}" if hints == "hints" else "the same, without hints"
        cells = [" / ".join(number(orders[o][field][0]) for field in FIELDS) for o in ORDERS]
        rows.append([what, *cells])
    return table(("", *(NAMES[order] for order in ORDERS)), rows)
