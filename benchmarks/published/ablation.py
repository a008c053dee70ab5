"""What each part is worth: switched off one by one, the rest as it is."""

from __future__ import annotations

from math import log2

from agentrm_plugins.config import Config
from agentrm_plugins.policy.order.expected_service import ExpectedService
from agentrm_plugins.policy.order.mlfq import Mlfq
from agentrm_plugins.policy.order.tenant_shares import DominantShares
from agentrm_plugins.sim import SCENARIOS, Model
from agentrm_plugins.types.accounts import Account
from benchmarks.published.refusals import World
from benchmarks.published.report import bars, number, progress, spread, table, write
from benchmarks.published.worlds import interval, lying, many, summary

SCENARIO_NAMES = ("high-load", "faulty", "cascade", "greedy")


class NoClaim(Mlfq):
    """Within a level the order of arrival."""

    def _slope(self, ratio: float, weight: float) -> int:
        return 0


class ResponseRatio(Mlfq):
    """Within a level the plain response ratio: divided by the expected service once."""

    def _slope(self, ratio: float, weight: float) -> int:
        return round((super()._slope(ratio, weight) + 2.0 * log2(weight)) / 2.0)


class AlwaysBelieved(Mlfq):
    """A hint is believed whatever the agent's calls show."""

    def _weight(self, account: Account, ratio: float) -> float:
        return self._weights[account.hint]


class HintsAlone(Mlfq):
    """Who gives no hint weighs as batch work, whatever its calls show."""

    def _weight(self, account: Account, ratio: float) -> float:
        return self._plain if account.hint is None else super()._weight(account, ratio)


class _CallsAlone(ExpectedService):
    """Calls are averaged by their number only."""

    def _by_seconds(self, account: Account) -> float:
        return float("-inf")


class _OwnMean(ExpectedService):
    """An agent's own mean is believed from its first call on."""

    def _weigh(self) -> None:
        super()._weigh()
        self._k = 0.0


class ByCallsAlone(Mlfq):
    """A crowd of short calls hides the long ones."""

    def __init__(self, *given) -> None:
        super().__init__(*given)
        self.expected = _CallsAlone()


class OwnMean(Mlfq):
    """Nothing is learnt from others' calls but how long the typical one takes."""

    def __init__(self, *given) -> None:
        super().__init__(*given)
        self.expected = _OwnMean()


def of(kind: type[Mlfq]):
    """Makes that scheduler from a configuration."""

    def make(config: Config) -> Mlfq:
        return kind(config.scheduler, DominantShares(config.lanes, 60.0))

    return make


EQUAL = {"hint_weights": {"interactive": 2.0, "batch": 2.0, "background": 2.0}}
PARTS = {
    "ours": Model(),
    "order: First In First Out": Model("fifo"),
    "order: textbook MLFQ": Model("mlfq_textbook"),
    "textbook MLFQ without boost": Model("mlfq_textbook", scheduler={"boost_interval": 10**9}),
    "without forgetting": Model(scheduler={"service_half_life_s": 1e9}),
    "without levels": Model(scheduler={"time_quanta_s": (1e9,), "num_queues": 1}),
    "without weights": Model(scheduler=EQUAL),
    "without claims": Model(make=of(NoClaim)),
    "response ratio as the claim": Model(make=of(ResponseRatio)),
    "own mean alone": Model(make=of(OwnMean)),
    "by calls alone": Model(make=of(ByCallsAlone)),
    "without relief": Model(scheduler={"boost_interval": 10**9}),
    "without reaper": Model(reaper_s=None),
    "without a second try": Model(retry=False),
    "without hints": Model(hints=False),
    "without hints, nor weights by calls": Model(hints=False, make=of(HintsAlone)),
    "liars": Model(hints=lying),
    "liars, always believed": Model(hints=lying, make=of(AlwaysBelieved)),
}
RATES = {
    "the oracle: Priority Queue, told the limits": {"told": True, "order": "priority"},
    "ours, told the limits": {"told": True},
    "ours, told the limits, no hints": {"told": True, "hints": False},
    "FIFO, told the limits": {"told": True, "order": "fifo"},
    "HRRN, told the limits": {"told": True, "order": "hrrn"},
    "textbook MLFQ, told the limits, no hints": {
        "told": True,
        "order": "mlfq_textbook",
        "hints": False,
    },
    "ours, not told": {},
    "without retry-after (no headers)": {"headers": False},
    "without reserving tokens": {"reserves": False},
    "without endpoint control, lanes given back": {"managed": False, "holds": False},
    "without endpoint control, lanes held": {"managed": False},
}


def run(seeds: int = 40) -> None:
    """Run it all and write the results."""
    span = range(1, seeds + 1)
    parts = {name: {label: part(name, label, span) for label in PARTS} for name in SCENARIO_NAMES}
    rates = {label: rate(label, span) for label in RATES}
    tell({"seeds": seeds, "parts": parts, "rates": rates})


def part(name: str, label: str, span: range) -> dict[str, list[float]]:
    """One scenario without one part."""
    progress(f"ablation: {name}, {label}")
    return summary(many(SCENARIOS[name].build, PARTS[label], span))


def rate(label: str, span: range) -> dict[str, list[float]]:
    """The cascade of refusals without one part."""
    progress(f"ablation: refusals, {label}")
    given = {"order": "mlfq", "managed": True, **RATES[label]}
    found = [World(seed, **given).run().figures() for seed in span]
    entry = {name: interval([one[name] for one in found]) for name in found[0]}
    return {name: [float(f"{value:.4g}") for value in values] for name, values in entry.items()}


def tell(data: dict) -> None:
    """Write what was measured."""
    text = [_INTRODUCTION.format(seeds=data["seeds"])]
    plots = []
    for name, rows in data["parts"].items():
        shown = ("slowdown", "interactive_p95_s", "worst_slowdown", "waste_s", "finished")
        cells = [[label, *(spread(row[field]) for field in shown)] for label, row in rows.items()]
        head = ("", "mean slowdown", "interactive P95 s", "largest slowdown", "waste s", "finished")
        text += [f"## {name}\n", table(head, cells)]
        bar = {label: row["slowdown"] for label, row in rows.items()}
        plots.append(bars(f"{name}: mean slowdown", bar, "response / service"))
    rows = [
        [label, *(number(found[0]) for found in entry.values())]
        for label, entry in data["rates"].items()
    ]
    head = ("", "finished %", "refused", "P95 s", "interactive P95 s", "mean slowdown")
    text += ["## Rate limits: the cascade of refusals\n", table(head, rows)]
    write("ablation", "What each part of the scheduler is worth", data, "\n".join(text), plots)


_INTRODUCTION = """
Virtual time, medians over {seeds} seeds with 95 % confidence intervals; hints are true unless said.
Every row has the same turns, lengths and faults, the reaper at 30 s of silence and three tries
unless said. AIMD cannot be switched off apart from the rest of endpoint control: it finds out what
nobody told.
"""
