"""From what the client saw and the server logged to the numbers of the table."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from benchmarks.congestion.pool import Job
from benchmarks.congestion.scenarios import SCENARIOS
from benchmarks.congestion.workload import Agent, alone_s, make_agents

# Columns of the server's log, as server.py writes them.
STARTED, FINISHED, MODEL, STATUS, FAULT, CAUSE, GONE, TOKENS_IN, TOKENS_OUT, RESERVED = range(10)

_CUT_CAUSES = {"hit", "cut", "limit_hit"}  # of our LimitChanged events
_STORM_GAP_S = 1.0  # 429s with less between them belong to one storm


def quantile(values: list[float], q: float) -> float | None:
    """The value below which a share `q` lies; None for no values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(q * len(ordered)) - 1)]


def agents_of(job: Job) -> dict[str, Agent]:
    """The agents of a run by name."""
    scenario = SCENARIOS[job.variant.scenario]
    made = make_agents(
        job.seed,
        scenario.models,
        crowd=job.crowd,
        turn_share=job.turn_share,
        most=scenario.most,
    )
    return {agent.name: agent for agent in made}


def slowdown(job: Job, agent: Agent, took_s: float) -> float:
    """How many times longer than with the whole server to itself."""
    scenario = SCENARIOS[job.variant.scenario]
    limits, usage = scenario.limits.times(job.crowd), sum(scenario.usage) / 2
    needs = []
    if limits.tpm:
        tokens = sum(turn.input_tokens + agent.kind.max_tokens * usage for turn in agent.turns)
        needs.append((tokens, limits.tpm / 60, limits.tpm / 60 * limits.bucket_s))
    if limits.rpm:
        rate = limits.rpm / 60
        needs.append((float(len(agent.turns)), rate, rate * limits.bucket_s))
    return took_s / alone_s(agent, usage, scenario.latency, iter(needs))


def jain(values: list[float]) -> float | None:
    """Jain's index: 1 when all are equal, 1/n when one has everything."""
    if not values:
        return None
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))


def storms(log: list[list[Any]]) -> int:
    """How many separate bursts of 429s the server sent."""
    times = sorted(row[STARTED] for row in log if row[STATUS] == 429)
    return sum(
        1 for index, at_s in enumerate(times) if not index or at_s - times[index - 1] > _STORM_GAP_S
    )


def wasted(log: list[list[Any]]) -> tuple[int, int, int]:
    """Requests without an injected fault: sent, rejected (429, 503), abandoned by the client."""
    sound = [row for row in log if row[FAULT] in {"", "slow"}]
    rejected = sum(1 for row in sound if row[STATUS] in {429, 503, 529})
    abandoned = sum(1 for row in sound if row[GONE])
    return len(sound), rejected, abandoned


def measure(job: Job, result: dict[str, Any]) -> dict[str, Any]:
    """The numbers of one run; None where there is none."""
    if "skipped" in result:
        return {"skipped": result["skipped"]}
    agents, lines, log = agents_of(job), result["agents"], result["log"]
    states = [line["state"] for line in lines]
    turns_all = sum(len(agent.turns) for agent in agents.values())
    turns_done = sum(len(line["turns"]) for line in lines)
    waits = {"interactive": [], "open": []}  # type: dict[str, list[float]]
    closed = SCENARIOS[job.variant.scenario].closed_s is not None
    for line in lines:
        agent = agents[line["name"]]
        if agent.kind.name == "interactive":
            took = [done_s - asked_s for asked_s, done_s in line["turns"]]
            waits["interactive"] += took
            if closed and agent.model != SCENARIOS[job.variant.scenario].models[0]:
                waits["open"] += took
    finished = [line for line in lines if line["state"] == "finished"]
    whole = len(finished) == len(lines)
    ends = [line["ended_s"] for line in lines if line["ended_s"]]
    end_s = result["end_s"] if "stuck" in states else max(ends)
    sent, rejected, abandoned = wasted(log)
    cuts = _cuts(result["events"])
    slowdowns = [
        slowdown(job, agents[line["name"]], line["ended_s"] - line["began_s"]) for line in finished
    ]
    return {
        "finished": states.count("finished"),
        "dead": states.count("dead"),
        "stuck": states.count("stuck"),
        "turns_done": turns_done / turns_all,
        "requests": len(log),
        "rejected": rejected,
        "abandoned": abandoned,
        "wasted": (rejected + abandoned) / sent if sent else 0.0,
        "faults": len(log) - sent,
        "wall_s": end_s - result["start_s"],
        "p50_s": quantile(waits["interactive"], 0.5),
        "p95_s": quantile(waits["interactive"], 0.95),
        "p95_open_s": quantile(waits["open"], 0.95),
        "jain": jain(slowdowns) if whole else None,
        "slowdown": median(slowdowns) if whole else None,
        "cuts": cuts,
        "storms": storms(log),
        "reasked": sum(line["reasked"] for line in lines),
        "cpu_ms_per_turn": 1000 * result["cpu_s"] / turns_done if turns_done else None,
        "lag_ms": 1000 * result["lag_s"],
        "errors": sorted({line["error"] for line in lines if line["error"]}),
    }


def _cuts(events: list[dict[str, Any]]) -> int | None:
    """Rate cuts for a limit hit in our event log; None for whoever has no such log."""
    changes = [event for event in events if event["event"] == "LimitChanged"]
    if not changes:
        return None
    return sum(1 for event in changes if str(event.get("cause")) in _CUT_CAUSES)


_COUNTED = ("finished", "dead", "stuck")
_RATIOS = (("wall_ratio", "wall_s"), ("p95_ratio", "p95_s"), ("p95_open_ratio", "p95_open_s"))


def combine(runs: dict[str, dict[int, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """One row per peer: medians over the runs, and ratios to the oracle's of the same run.

    `runs` is peer -> seed -> the numbers. Of the agents' states the worst run is kept as well.
    """
    rows: dict[str, dict[str, Any]] = {}
    oracle = runs.get("oracle", {})
    for peer, by_seed in runs.items():
        skipped = [m["skipped"] for m in by_seed.values() if "skipped" in m]
        good = {seed: m for seed, m in by_seed.items() if "skipped" not in m}
        if not good:
            rows[peer] = {"skipped": skipped[0] if skipped else "did not run"}
            continue
        row: dict[str, Any] = {"runs": len(good), "failed_runs": len(skipped)}
        for name in next(iter(good.values())):
            values = [m[name] for m in good.values()]
            if name == "errors":
                row[name] = sorted({error for value in values for error in value})
                continue
            numbers = [value for value in values if value is not None]
            row[name] = median(numbers) if numbers else None
        row["least_finished"] = min(m["finished"] for m in good.values())
        for name, of in _RATIOS:
            pairs = [(m[of], oracle[seed].get(of)) for seed, m in good.items() if seed in oracle]
            ratios = [mine / theirs for mine, theirs in pairs if mine and theirs]
            row[name] = median(ratios) if ratios else None
        rows[peer] = row
    _against_best(rows)
    return rows


def is_peer(name: str) -> bool:
    """Whether it is neither ours nor the oracle."""
    return name != "oracle" and not name.startswith("ours")


def best_peer(rows: dict[str, dict[str, Any]]) -> str | None:
    """The peer with the lowest p95 among those with the most agents finished.

    A peer that let half its agents die would otherwise be the fastest for the rest.
    """
    whole = [name for name, row in rows.items() if is_peer(name) and row.get("p95_s")]
    if not whole:
        return None
    most = max(rows[name]["finished"] for name in whole)
    return min(
        (name for name in whole if rows[name]["finished"] == most),
        key=lambda name: float(rows[name]["p95_s"]),
    )


def _against_best(rows: dict[str, dict[str, Any]]) -> None:
    best = best_peer(rows)
    if best is not None:
        for row in rows.values():
            if row.get("p95_s"):
                row["p95_to_best_peer"] = row["p95_s"] / rows[best]["p95_s"]
