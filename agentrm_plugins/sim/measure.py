"""What a run was worth: response times by class, throughput, waste and fairness."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import ceil, nan
from statistics import median as middle

from agentrm_plugins.sim.engine import Record, Run

__all__ = ["LAG_S", "OVERTAKEN", "Measures", "jain", "measure", "median", "quantile"]

LAG_S = 30.0  # arXiv:2603.13110 counts responses beyond it
OVERTAKEN = 10  # guessed: the paper counts starved turns and does not define them


@dataclass(frozen=True, slots=True)
class Measures:
    """One run, or the median of several.

    Attributes:
        p50_s: Median response, from a turn's arrival to its end, all tries included; of the turns
            that finished, in seconds.
        p95_s: The 95th percentile of the same.
        by_kind: (p50_s, p95_s) of each class.
        slowdown: Response divided by service, in the mean over the turns that finished.
        worst_slowdown: The largest.
        in_time: Turns finished until the last one arrived.
        past_timeout: Tries that held a lane beyond `REAP_S` without a sign.
        per_min: Turns finished per minute.
        finished: Turns that ended well.
        failed: Turns whose tries were used up.
        zombies: Tries that hung while they held a lane.
        waste_s: Lane seconds held by them.
        recovered: Turns that hung and finished all the same.
        starved: Turns that waited more than `LAG_S` for their first lane while at least
            `OVERTAKEN` that came later had got one.
        lags: Turns whose response took longer than `LAG_S`.
        jain: Jain's index over the agents' speed (service received per second of response):
            1 when all are slowed down alike, 1/n when one agent has it all.
        boosts: Boosts of the feedback queue.
        span_s: From the beginning to the end of the last turn.
    """

    p50_s: float
    p95_s: float
    by_kind: Mapping[str, tuple[float, float]]
    slowdown: float
    worst_slowdown: float
    in_time: float
    past_timeout: float
    per_min: float
    finished: float
    failed: float
    zombies: float
    waste_s: float
    recovered: float
    starved: float
    lags: float
    jain: float
    boosts: float
    span_s: float


def quantile(values: Sequence[float], q: float) -> float:
    """The smallest value that at least `q` of all do not exceed; not a number for none."""
    if not values:
        return nan
    ordered = sorted(values)
    return ordered[max(ceil(q * len(ordered)) - 1, 0)]


def jain(values: Sequence[float]) -> float:
    """Jain's fairness index, (sum x)^2 / (n sum x^2)."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else nan


def measure(run: Run) -> Measures:
    """What a run was worth."""
    done = [record for record in run.records if record.finished]
    responses = [record.ended_s - record.arrived_s for record in done]
    slowdowns = [x / record.turn.service_s for x, record in zip(responses, done, strict=True)]
    last_s = max(record.arrived_s for record in run.records)
    kinds: dict[str, list[float]] = defaultdict(list)
    for record in done:
        kinds[str(record.turn.kind)].append(record.ended_s - record.arrived_s)
    return Measures(
        p50_s=quantile(responses, 0.5),
        p95_s=quantile(responses, 0.95),
        by_kind={
            kind: (quantile(found, 0.5), quantile(found, 0.95)) for kind, found in kinds.items()
        },
        slowdown=sum(slowdowns) / len(slowdowns) if slowdowns else nan,
        worst_slowdown=max(slowdowns, default=nan),
        in_time=sum(record.ended_s <= last_s for record in done),
        past_timeout=run.past_timeout,
        per_min=60 * len(done) / run.end_s,
        finished=len(done),
        failed=len(run.records) - len(done),
        zombies=run.zombies,
        waste_s=run.waste_s,
        recovered=sum(record.hangs > 0 for record in done),
        starved=_starved(run.records),
        lags=sum(response > LAG_S for response in responses),
        jain=_fairness(run.records),
        boosts=run.boosts,
        span_s=run.end_s,
    )


def _starved(records: Sequence[Record]) -> int:
    starved = 0
    for record in records:
        if record.started_s - record.arrived_s <= LAG_S:
            continue
        passed = sum(
            other.arrived_s > record.arrived_s and other.started_s < record.started_s
            for other in records
        )
        starved += passed >= OVERTAKEN
    return starved


def _fairness(records: Sequence[Record]) -> float:
    service: dict[str, float] = defaultdict(float)
    response: dict[str, float] = defaultdict(float)
    for record in records:
        if record.finished:
            service[record.turn.agent] += record.turn.service_s
            response[record.turn.agent] += record.ended_s - record.arrived_s
    return jain([service[agent] / response[agent] for agent in service])


def median(runs: Sequence[Measures]) -> Measures:
    """Field by field, the median of several runs."""
    values = {
        entry.name: middle(getattr(run, entry.name) for run in runs)
        for entry in fields(Measures)
        if entry.name != "by_kind"
    }
    kinds = {kind for run in runs for kind in run.by_kind}
    by_kind = {
        kind: (
            middle(run.by_kind[kind][0] for run in runs if kind in run.by_kind),
            middle(run.by_kind[kind][1] for run in runs if kind in run.by_kind),
        )
        for kind in sorted(kinds)
    }
    return Measures(by_kind=by_kind, **values)
