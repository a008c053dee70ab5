"""`python -m benchmarks.congestion`: run, print the table, write it down with a plot."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.congestion.measure import combine, measure
from benchmarks.congestion.peers import PEERS
from benchmarks.congestion.plot import series_of, title_of, write_html, write_svg
from benchmarks.congestion.pool import Job, prepare_litellm, run_all, versions
from benchmarks.congestion.scenarios import MORE, QUICK, SCENARIOS, SUITE, Variant
from benchmarks.congestion.table import disturbance, report, variant_table
from benchmarks.congestion.workload import make_agents

RESULTS = Path(__file__).resolve().parents[1] / "results" / "congestion.json"
_CAP_S = 30.0  # seconds, some four times what the oracle needs
_QUIET_S = 9.0  # longer than the longest wait of the libraries' own retries, 8 s
_VERSIONS = (
    "agentrm-plugins",
    "openai",
    "langchain-openai",
    "langchain-core",
    "langchain",
    "langgraph",
    "tenacity",
    "aiolimiter",
)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.congestion", description=__doc__.partition(":")[2].strip()
    )
    parser.add_argument(
        "--quick", action="store_true", help="one variant, half the agents, one run"
    )
    parser.add_argument("--all", action="store_true", help="more variants, twice the time")
    parser.add_argument(
        "--scenario",
        action="append",
        metavar="NAME",
        help="a scenario of the suite, or SCENARIO/KNOWS/MODE/TIMEOUT; may be repeated",
    )
    parser.add_argument("--peer", action="append", metavar="NAME", choices=list(PEERS))
    parser.add_argument("--runs", type=int, help="runs of each peer (3; with --quick 1)")
    parser.add_argument("--seeds", help="the seeds, as 1,2,3; their number is that of the runs")
    parser.add_argument("--jobs", type=int, default=5, help="runs at a time (5)")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="PATH",
        help=f"where to write, with .md, .svg and .html beside it (a full run: {RESULTS})",
    )
    parser.add_argument("--list", action="store_true", help="list scenarios, suite and peers")
    return parser.parse_args(argv)


def _variants(options: argparse.Namespace) -> list[Variant]:
    suite = QUICK if options.quick else SUITE + (MORE if options.all else ())
    if not options.scenario:
        return list(suite)
    chosen: list[Variant] = []
    for name in options.scenario:
        listed = [v for v in SUITE + (MORE if options.all else ()) if v.scenario == name]
        if options.quick:
            listed = listed[:1]
        chosen += listed or [Variant.parse(name)]
    return chosen


def _seeds(options: argparse.Namespace) -> list[int]:
    if options.seeds:
        return [int(seed) for seed in options.seeds.split(",")]
    return list(range(1, 1 + (options.runs or (1 if options.quick else 3))))


def _machine() -> str:
    cpus = os.cpu_count()
    return f"{platform.system()} {platform.machine()}, {cpus} CPUs"


class Progress:
    """A line on standard error: how far, how long still."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._start_s = total, 0, time.monotonic()

    def step(self, job: Job) -> None:
        self._done += 1
        passed_s = time.monotonic() - self._start_s
        left_s = passed_s / self._done * (self._total - self._done)
        text = f"{self._done}/{self._total}  {left_s:4.0f} s left  {job.variant.name}  {job.peer}"
        if sys.stderr.isatty():
            print(f"\r{text:<100.100}", end="", file=sys.stderr, flush=True)
        elif self._done % 10 == 0 or self._done == self._total:
            print(text, file=sys.stderr, flush=True)


def _plan(options: argparse.Namespace, seeds: list[int], peers: list[str]) -> list[Job]:
    crowd, turn_share = (0.5, 0.5) if options.quick else (1.0, 1.0)
    return [
        Job(variant, peer, seed, crowd, turn_share, _CAP_S, _QUIET_S)
        for variant in _variants(options)
        for seed in seeds
        for peer in peers
    ]


class Collector:
    """Takes the results in as they come."""

    def __init__(self, jobs: list[Job]) -> None:
        self.numbers: dict[str, dict[str, dict[int, dict[str, Any]]]] = {}
        self.plots: dict[str, tuple[str, Any]] = {}
        for job in jobs:  # in the order of the plan, not in that of the ends
            self.numbers.setdefault(job.variant.name, {}).setdefault(job.peer, {})
        self._first_seed = jobs[0].seed
        self._progress = Progress(len(jobs))

    def done(self, job: Job, result: dict[str, Any]) -> None:
        """One run has ended, or was skipped."""
        self.numbers[job.variant.name][job.peer][job.seed] = measure(job, result)
        if job.peer == "ours" and job.seed == self._first_seed and "skipped" not in result:
            self.plots[job.variant.name] = series_of(job.variant, result, job.crowd)
        self._progress.step(job)

    def document(self, about: dict[str, Any]) -> dict[str, Any]:
        """All that is written down."""
        lags = [
            found["lag_ms"]
            for runs in self.numbers.values()
            for by_seed in runs.values()
            for found in by_seed.values()
            if "lag_ms" in found
        ]
        return {
            "about": {**about, "lag_ms": round(median(lags), 1) if lags else None},
            "variants": {name: combine(runs) for name, runs in self.numbers.items()},
            "runs": {
                name: {peer: {str(seed): m for seed, m in by.items()} for peer, by in runs.items()}
                for name, runs in self.numbers.items()
            },
        }


def _list() -> None:
    print("scenarios:", *(f"  {name}: {s.title}" for name, s in SCENARIOS.items()), sep="\n")
    print("suite:", *(f"  {variant.name}" for variant in SUITE), sep="\n")
    print("more, with --all:", *(f"  {variant.name}" for variant in MORE), sep="\n")
    print("peers:", *(f"  {name}" for name in PEERS), sep="\n")


def main(argv: list[str] | None = None) -> int:
    options = _arguments(argv)
    if options.list:
        _list()
        return 0
    seeds = _seeds(options)
    peers = list(dict.fromkeys(["oracle", *(options.peer or PEERS)]))
    missing = prepare_litellm() if any(PEERS[name].litellm for name in peers) else None
    jobs = _plan(options, seeds, peers)
    collector = Collector(jobs)
    if missing:
        for job in [job for job in jobs if PEERS[job.peer].litellm]:
            jobs.remove(job)
            collector.done(job, {"skipped": missing})
    started_s = time.monotonic()
    run_all(jobs, max(1, min(options.jobs, len(jobs))), collector.done)
    about = {
        "when": time.strftime("%Y-%m-%d", time.gmtime()),
        "took_s": round(time.monotonic() - started_s),
        "machine": _machine(),
        "python": platform.python_version(),
        "versions": versions(_VERSIONS),
        "seeds": seeds,
        "runs": len(seeds),
        "jobs": options.jobs,
        "agents": len(make_agents(1, ("m",), crowd=jobs[0].crowd)),
    }
    document = collector.document(about)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(disturbance(document["about"]["lag_ms"]))
    for name, rows in document["variants"].items():
        print(variant_table(name, rows))
    partial = options.quick or options.scenario or options.peer
    path = options.json or (None if partial else RESULTS)
    if path is not None:
        _write(path, document, collector.plots)
    return 0


def _write(path: Path, document: dict[str, Any], plots: dict[str, tuple[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(report(document), encoding="utf-8")
    shown = next((n for n in plots if n.startswith("falling")), next(iter(plots), None))
    if shown is not None:
        unit, series = plots[shown]
        write_svg(path.with_suffix(".svg"), title_of(shown), unit, series)
        write_html(path.with_suffix(".html"), title_of(shown), unit, series)
    print(f"written to {path.parent}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
