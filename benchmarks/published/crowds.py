"""A lie by length: agents that make a crowd of short calls and then long ones, beside others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from agentrm_plugins.sim import Model, Turn, Workload, run_model
from agentrm_plugins.sim.workload import Fate, lognormal
from agentrm_plugins.types.calls import Priority
from benchmarks.published.ablation import ByCallsAlone, of
from benchmarks.published.report import number, progress, spread, table
from benchmarks.published.worlds import interval

SEEDS = 30
SHORTS = (0, 8, 40)  # before each three long calls
LONGS, ROUNDS, CHAINS = 3, 4, 2
_OK = (Fate.OK,)


def _row(
    agent: str,
    kind: Priority,
    number: int,
    made: Callable[[Random, int], tuple[float, float]],
    chain: int = 0,
) -> Iterator[Turn]:
    """Turns one after another; `made` draws the seconds before each, and its own."""
    for turn in range(number):
        rng = Random(f"{agent}:{chain}:{turn}")
        think_s, length_s = made(rng, turn)
        at_s = think_s if turn == 0 else None
        yield Turn(agent, kind, at_s, think_s, length_s, _OK, chain)


def crowd(seed: int, shorts: int) -> Workload:
    """Ten people, four batch agents, and two that hide long calls behind `shorts` short ones."""

    def hidden(rng: Random, turn: int) -> tuple[float, float]:
        if turn % (shorts + LONGS) < shorts:
            return 0.05, rng.uniform(0.1, 0.3)
        return 0.05, lognormal(rng, 20.0, 0.4)

    turns: list[Turn] = []
    for n in range(10):
        turns += _row(
            *(f"person-{seed}-{n}", Priority.INTERACTIVE, 25),
            lambda rng, _: (rng.uniform(3.0, 12.0), lognormal(rng, 2.5, 0.5)),
        )
    for n in range(4):
        turns += _row(
            *(f"batch-{seed}-{n}", Priority.BATCH, 30),
            lambda rng, _: (0.5, lognormal(rng, 8.0, 0.6)),
        )
    for n in range(2):
        for chain in range(CHAINS):
            turns += _row(
                *(f"crowd-{seed}-{n}", Priority.BACKGROUND, ROUNDS * (shorts + LONGS)),
                hidden,
                chain,
            )
    return Workload("crowd", 4, tuple(turns))


def claims_interactive(turn: Turn) -> Priority:
    """The crowds' agents say "interactive"; all others the truth."""
    return Priority.INTERACTIVE if turn.agent.startswith("crowd") else turn.kind


MODELS = {
    "no hints, First In First Out": Model("fifo", hints=False),
    "no hints, textbook MLFQ": Model("mlfq_textbook", hints=False),
    "no hints, HRRN": Model("hrrn", hints=False),
    "no hints, ours": Model(hints=False),
    "no hints, ours by calls alone": Model(hints=False, make=of(ByCallsAlone)),
    "crowds say interactive, Priority Queue": Model("priority", hints=claims_interactive),
    "crowds say interactive, ours": Model(hints=claims_interactive),
    "crowds say interactive, ours by calls alone": Model(
        hints=claims_interactive, make=of(ByCallsAlone)
    ),
}


def others(seed: int, shorts: int, model: Model) -> float:
    """The mean slowdown of all but the crowds' agents."""
    slow = [
        (record.ended_s - record.arrived_s) / record.turn.service_s
        for record in run_model(crowd(seed, shorts), model).records
        if not record.turn.agent.startswith("crowd")
    ]
    return sum(slow) / len(slow)


def crowds(span: range) -> tuple[dict, list[str]]:
    """What the short calls buy: the slowdown of all others, with and without them."""
    found: dict = {}
    rows = []
    for label, model in MODELS.items():
        progress(f"paper: crowds, {label}")
        means = {shorts: [others(seed, shorts, model) for seed in span] for shorts in SHORTS}
        entry: dict = {str(shorts): list(interval(values)) for shorts, values in means.items()}
        most = max(
            mine / none
            for shorts in SHORTS[1:]
            for mine, none in zip(means[shorts], means[0], strict=True)
        )
        entry["largest_change_percent"] = round(100 * (most - 1), 1)
        found[label] = entry
        cells = [spread(entry[str(shorts)]) for shorts in SHORTS]
        rows.append([label, *cells, f"{number(100 * (most - 1))} %"])
    head = ("", *(f"{shorts} short calls" for shorts in SHORTS), "largest change, any seed")
    text = [
        "## A lie by length: mean slowdown of the others\n",
        _TEXT.format(seeds=len(span)),
        table(head, rows),
    ]
    return found, text


_TEXT = """
4 lanes, {seeds} seeds; ten people (25 turns, median 2.5 s), four batch agents (30 turns, median
8 s), and two agents with two rows of calls each: four times three long ones (median 20 s), with
short ones (0.1 to 0.3 s) before each three.
"""
