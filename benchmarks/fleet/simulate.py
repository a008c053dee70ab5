"""`python -m benchmarks.fleet.simulate`: fleets of up to 1,000 processes in virtual time.

The real kernels, members and rules (`agentrm_plugins.sim.fleet`); the script's twin is the server.
Each worker has two people and two batch agents. The provider holds two seconds of its limit and
refuses what is beyond: so no refusal means never over the exact limit, and what it served of its
limit after a second is how far the fleet stays below. Nothing depends on this machine but the time
that it takes: some minutes. With ``--only`` some rows are made anew, and the others kept.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from agentrm_plugins.sim.fleet import FleetPlan, FleetResult, simulate_fleet
from benchmarks.published.report import RESULTS, progress, table, write

PER_WORKER_S = 150.0  # tokens of the limit for each worker: about two thirds of what it asks for
CHANGES_S = 24.0  # the lease of those killed after two thirds ends in it, and then some
BEGIN_S = 2  # what the buckets held at the beginning is gone by then
HEAD = (
    "workers",
    "seconds",
    "limit tokens/s",
    "used %",
    "in the worst second",
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
    whole_s = max(seconds, CHANGES_S)
    times = {"doubles_s": whole_s / 3, "halves_s": 2 * whole_s / 3}
    for half in (20, most // 2):
        found[f"{half}, doubled, halved"] = plan(half, 2 * half, whole_s, **times)
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


def run(seconds: float, most: int, only: list[str]) -> None:
    """Simulate all, or some of them, and write the results."""
    made = {}
    for name, one in plans(seconds, most).items():
        if not only or name in only:
            made[name] = row(one, simulate_fleet(one))
            progress(f"{name}: {made[name]}")
    path = RESULTS / "fleet-simulated.json"
    kept = json.loads(path.read_text(encoding="utf-8"))["rows"] if only else {}
    rows = {name: made.get(name) or kept[name] for name in plans(seconds, most)}
    shown = [
        [
            *(name, one["seconds"], one["limit_per_s"], one["used_percent"]),
            min(one["used_by_second_percent"][BEGIN_S:]),
            *(one["refused"], one["exchanges_per_s"]),
            *(one["exchanges_per_call"], one["person_p50_s"], one["person_p95_s"]),
            one["batch_p95_s"],
        ]
        for name, one in rows.items()
    ]
    text = (
        "Written by `python -m benchmarks.fleet.simulate`; virtual time, one seed. Each worker\n"
        "asks for more than its part of the limit. *Used* is what the provider served of its\n"
        f"limit from second {BEGIN_S} on; it refuses what is beyond its bucket of two seconds.\n"
        "In the last rows the workers double after a third of the time, and half of them are\n"
        "killed after two thirds: their leases of 5 s end in a row of 24 s, in one of 6 s not.\n\n"
        + table(HEAD, shown)
    )
    write("fleet-simulated", "A fleet in virtual time", {"rows": rows}, text, [])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.fleet.simulate", description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--most", type=int, default=1000, help="workers of the largest fleet")
    parser.add_argument("--only", nargs="*", default=[], help="rows by their names")
    options = parser.parse_args()
    run(options.seconds, options.most, options.only)


if __name__ == "__main__":
    main()
