"""`python -m benchmarks.fleet.simulate`: fleets of up to 1,000 processes in virtual time.

The real kernels, members and rules (`agentrm_plugins.sim.fleet`); the script's twin is the server.
Each worker has two people and two batch agents. The provider holds two seconds of its limit and
refuses what is beyond: so no refusal means never over the exact limit, and what it served of its
limit after a second is how far the fleet stays below. Nothing depends on this machine but the time
that it takes: some minutes.
"""

from __future__ import annotations

import argparse
from typing import Any

from agentrm_plugins.sim.fleet import FleetPlan, FleetResult, simulate_fleet
from benchmarks.published.report import progress, table, write

PER_WORKER_S = 150.0  # tokens of the limit for each worker: about two thirds of what it asks for
BEGIN_S = 2  # what the buckets held at the beginning is gone by then
HEAD = (
    "workers",
    "limit tokens/s",
    "used %",
    "over the limit (429s)",
    "exchanges/s",
    "per call",
    "person p50 s",
    "person p95 s",
    "batch p95 s",
)


def plans(seconds: float, most: int) -> dict[str, FleetPlan]:
    """What is simulated, by name."""
    found = {}
    for workers in (1, 8, 100, 1000):
        if workers <= most:
            found[str(workers)] = plan(workers, workers, seconds)
    half = most // 2
    times = {"doubles_s": seconds / 3, "halves_s": 2 * seconds / 3}
    found[f"{half}, doubled, halved"] = plan(half, most, seconds, **times)
    return found


def plan(workers: int, sized: int, seconds: float, **times: float) -> FleetPlan:
    """So many workers with a limit for `sized`."""
    tpm = max(20.0, float(sized)) * PER_WORKER_S * 60.0
    agents = 4 if workers >= 20 else 80 // workers
    return FleetPlan(
        workers=workers,
        lanes=100_000,
        tpm=tpm,
        agents=agents,
        people=agents // 2,
        seconds=seconds,
        **times,  # type: ignore[arg-type]
    )


def row(plan: FleetPlan, found: FleetResult) -> dict[str, Any]:
    """What came of one."""
    assert plan.tpm is not None
    rate_per_s, whole = plan.tpm / 60.0, range(BEGIN_S, int(plan.seconds))
    used = sum(found.by_second[second] for second in whole) / (rate_per_s * len(whole))
    return {
        "workers": plan.workers,
        "workers_most": found.workers_most,
        "limit_per_s": rate_per_s,
        "seconds": plan.seconds,
        "used_percent": round(100 * used, 1),
        "refused": found.refused,
        "calls": found.calls,
        "exchanges_per_s": round(found.exchanges / plan.seconds),
        "exchanges_per_call": round(found.exchanges / max(1, found.calls), 2),
        "person_p50_s": round(found.quantile_s("interactive", 0.5), 3),
        "person_p95_s": round(found.quantile_s("interactive", 0.95), 3),
        "batch_p95_s": round(found.quantile_s("batch", 0.95), 3),
        "used_by_second_percent": [
            round(100 * found.by_second[second] / rate_per_s) for second in range(int(plan.seconds))
        ],
    }


def run(seconds: float, most: int) -> None:
    """Simulate all, and write the results."""
    rows = {}
    for name, one in plans(seconds, most).items():
        rows[name] = row(one, simulate_fleet(one))
        progress(f"{name}: {rows[name]}")
    shown = [
        [
            name,
            *(one[key] for key in ("limit_per_s", "used_percent", "refused", "exchanges_per_s")),
            *(one["exchanges_per_call"], one["person_p50_s"], one["person_p95_s"]),
            one["batch_p95_s"],
        ]
        for name, one in rows.items()
    ]
    text = (
        "Written by `python -m benchmarks.fleet.simulate`; virtual time, one seed. Each worker\n"
        "asks for more than its part of the limit. *Used* is what the provider served of its\n"
        f"limit from second {BEGIN_S} on; it refuses what is beyond its bucket of two seconds.\n"
        "In the last row the workers double after a third of the time, and half of them are\n"
        "killed after two thirds.\n\n" + table(HEAD, shown)
    )
    write("fleet-simulated", "A fleet in virtual time", {"rows": rows}, text, [])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.fleet.simulate", description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--most", type=int, default=1000, help="workers of the largest fleet")
    options = parser.parse_args()
    run(options.seconds, options.most)


if __name__ == "__main__":
    main()
